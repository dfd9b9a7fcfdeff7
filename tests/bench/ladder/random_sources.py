# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a program costs per packet when the sources are random: BPF_PROG_RUN, without devices or namespaces.

``python3 -m tests.bench.ladder.random_sources`` prints the limit: a program that drops and does nothing else.
"""

import itertools
import os
import statistics
import struct
import tempfile
from pathlib import Path
from typing import NamedTuple

from tests.bench.ladder import bpf, frame

HERE = Path(__file__).resolve().parent
RUNS = 7
NS = 20_000_000  # that one run is to last
CPU = 1
SCATTER = 0x9E3779B1  # odd, so that no prefix occurs twice; near the golden ratio, so that neighbours are far apart


class Sources(NamedTuple):
    """``count`` IPv4 prefixes of ``length`` bits, from number ``first`` on, each ``factor`` after the one before."""

    count: int
    length: int = 24
    first: int = 10 << 16
    factor: int = 1

    def addresses(self) -> list[int]:
        """Return the network address of each prefix as a number."""
        every = (1 << self.length) - 1
        return [(self.first + number * self.factor & every) << 32 - self.length for number in range(self.count)]


class Cost(NamedTuple):
    """Nanoseconds per packet over several runs; the work of other programs only adds."""

    least: float
    median: float


def cost(program: int, sources: Sources, verdict: int = bpf.DROP, data: bytes | None = None) -> Cost:
    """Measure a loaded XDP program; its descriptor stays open.

    ``sources.count`` is a power of two. What the harness itself costs is the cost of ``bare()``.
    Raises ``RuntimeError`` when the program gives another verdict.
    """
    if sources.count & sources.count - 1:
        raise ValueError(f"{sources.count} is not a power of two")
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed & {CPU} or allowed)})
    array = bpf.program_array(program)
    try:
        prelude = _prelude(sources, array)
        try:
            return _runs(prelude, data or frame.udp(), verdict)
        finally:
            os.close(prelude)
    finally:
        os.close(array)
        os.sched_setaffinity(0, allowed)


def bare() -> int:
    """Return a program that drops and does nothing else, the limit of every other."""
    # r0 = XDP_DROP; exit
    return bpf.load(struct.pack("<BBhiBBhi", 0xB7, 0, 0, bpf.DROP, 0x95, 0, 0, 0))


def _prelude(sources: Sources, array: int) -> int:
    with tempfile.TemporaryDirectory() as name:
        macros = {key.upper(): f"{value}u" for key, value in sources._asdict().items()}
        built = bpf.compile_c(HERE / "prelude.bpf.c", Path(name), **macros)
        code = bpf.instructions(built, {"under_test": array})
    # A program is called by one of its own kind only, and the kernel does not tell of which kind a program is.
    for flags, attach_type in itertools.product((0, bpf.HAS_FRAGS), (0, bpf.ATTACH_XDP)):
        try:
            return bpf.load(code, flags=flags, attach_type=attach_type)
        except OSError as error:
            refused = error
    raise refused


def _runs(program: int, data: bytes, verdict: int) -> Cost:
    got, took = bpf.run(program, data, 20_000)
    if got != verdict:
        raise RuntimeError(f"the program gave verdict {got}, not {verdict}")
    repeat = max(20_000, NS // max(took, 1))
    found = [bpf.run(program, data, repeat)[1] for _number in range(RUNS)]
    return Cost(min(found), statistics.median(found))


def main() -> None:
    """Print the limit."""
    program = bare()
    for count in (1, 1 << 10, 1 << 16, 1 << 20):
        print(count, *cost(program, Sources(count)))


if __name__ == "__main__":
    main()
