# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""All rungs in turns, several times: other work on the machine then meets all of them alike."""

import contextlib
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from tests.bench.ladder import bpf, lifetime, ours, random_sources, rungs, stage
from tests.bench.ladder.measure import Sample
from tests.tools import bpf as compiler

HERE = Path(__file__).resolve().parent


class Row(NamedTuple):
    """What a rung costs: ns of CPU time per packet, least and median of the rounds, and ns by BPF_PROG_RUN alone."""

    title: str
    least: float
    median: float
    alone: float | None = None

    @property
    def mpps(self) -> float:
        """Million packets per second that one core drops."""
        return 1e3 / self.least


def build(directory: Path) -> None:
    """Compile the programs of the ladder into a directory."""
    bpf.compile_c(HERE / "generate.bpf.c", directory, IFINDEX=stage.SENDING_INDEX)
    bpf.compile_c(HERE / "drop.bpf.c", directory)
    argv = [compiler.COMPILER, "-O2", "-Wall", "-Wextra", "-Werror", HERE / "receive.c", "-o", directory / "receive"]
    subprocess.run(argv, timeout=60, check=True)


def measured(directory: Path, rounds: int, seconds: float) -> dict[str, Row]:
    """Measure every rung so many times for so many seconds; return its row under its name."""
    samples: dict[str, list[Sample]] = {rung.name: [] for rung in rungs.every()}
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
        for name, found in samples.items():
            found.append(_sample(name, directory, seconds))
    for name, found in samples.items():
        if (lost := statistics.median(one.lost for one in found)) > 0.1:
            print(f"note: {name}: its program was too slow for {lost:.0%} of the packets", file=sys.stderr)
    return {rung.name: _row(rung, samples[rung.name], directory) for rung in rungs.every()}


def _sample(name: str, directory: Path, seconds: float) -> Sample:
    argv = ["unshare", "--net", "--mount", sys.executable, "-m", "tests.bench.ladder.measure", name, directory]
    # Between fork and exec, in a process without other threads.
    done = subprocess.run(
        [*argv, str(seconds)],
        stdout=subprocess.PIPE, text=True, timeout=60, check=False, cwd=stage.ROOT,
        preexec_fn=lifetime.end_with_parent,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"the rung {name} could not be measured")  # the other process has said why
    return Sample(**json.loads(done.stdout))


def _row(rung: rungs.Rung, found: list[Sample], directory: Path) -> Row:
    costs = [one.ns for one in found]
    alone = None
    with contextlib.ExitStack() as until:
        if rung.load:
            alone = random_sources.cost(rung.load(directory, until), ours.BLOCKED).least
    return Row(rung.title, min(costs), statistics.median(costs), alone)
