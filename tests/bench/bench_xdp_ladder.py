# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What it costs to drop a packet, from a program that reads it up to ``xdp_drop``: docs/xdp_ladder.md says how.

Run by ``make bench``; root. Everything happens in network and mount namespaces without a name, which end with the
programs in them, and those with this one. ``--docs`` writes the figures and the chart into docs/.
"""

import argparse
import datetime
import os
import platform
import signal
import sys
import tempfile
from pathlib import Path

from tests.bench.ladder import orderings, page, rounds, stage


def main() -> int:
    """Print the table; return the exit status, 1 when an ordering does not hold."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.bench.bench_xdp_ladder", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="how often each rung is measured (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=0.25, help="of load each time (default %(default)s)")
    parser.add_argument("--docs", action="store_true", help="write docs/xdp_ladder.md and docs/xdp_ladder.svg")
    options = parser.parse_args()
    if os.geteuid() or not {stage.SENDING_CPU, stage.RECEIVING_CPU} <= os.sched_getaffinity(0):
        parser.error("it needs root, and the CPUs 0 and 1")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        with tempfile.TemporaryDirectory() as name:
            rounds.build(Path(name))
            measured = rounds.measured(Path(name), options.rounds, options.seconds)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    show(measured)
    broken = orderings.broken(measured)
    for sentence in broken:
        print(f"does not hold: {sentence}")
    if options.docs and not broken:
        page.write(list(measured.values()), where())
    return 1 if broken else 0


def show(measured: dict[str, rounds.Row]) -> None:
    """Print the table."""
    print(where())
    print(
        f"{'CPU time per dropped packet':34} {'ns min':>7} {'median':>7} {'Mpps/core':>10} {'/ raw':>7} {'ns alone':>9}"
    )
    base = measured[page.BASE].least
    for row in measured.values():
        alone = "" if row.alone is None else f"{row.alone:.0f}"
        ratio = f"{base / row.least:.2f}x"
        print(f"{row.title:34} {row.least:7.0f} {row.median:7.0f} {row.mpps:10.2f} {ratio:>7} {alone:>9}")


def where() -> str:
    """Return on what, and when, this is measured."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    model = models[0].partition(": ")[2] if models else platform.machine()
    return f"veth, Linux {platform.release().partition('-')[0]}, {model}, {datetime.date.today():%-d %B %Y}"


if __name__ == "__main__":
    sys.exit(main())
