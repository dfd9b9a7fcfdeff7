# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One measurement of one rung, in namespaces of its own, which end with it: RUNG OBJECTS SECONDS.

Run by ``rounds`` under unshare(1). Prints one JSON object, a ``Sample``.
"""

import contextlib
import json
import sys
from pathlib import Path
from typing import NamedTuple

from tests.bench.ladder import rungs, stage

WARM = 0.05  # seconds of load before the measurement, in which memory is allotted and code comes into the caches
NEAR = 0.01  # part of the packets by which counters may differ, for the few that are not ours
FEWEST = 1000  # packets that make a measurement


class Sample(NamedTuple):
    """What one measurement found."""

    packets: int
    ns: float  # CPU time per packet
    lost: float  # part of the packets that the program was too slow to read


def main() -> None:
    """Measure, and print the sample."""
    name, objects, seconds = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
    rung = next(one for one in rungs.every() if one.name == name)
    with contextlib.ExitStack() as until:
        here = until.enter_context(stage.opened(objects / "generate.o"))
        reader = rung.prepare(here, objects, until)
        here.send(WARM)
        before, used = here.counters(), stage.cpu_ns(reader.pid) if reader else 0
        here.send(seconds)
        spent = stage.cpu_ns(reader.pid) - used if reader else 0
        print(json.dumps(sample(rung, _difference(before, here.counters()), spent)._asdict()))


def _difference(before: stage.Counters, after: stage.Counters) -> stage.Counters:
    return stage.Counters(*(new - old for old, new in zip(before, after, strict=True)))


def sample(rung: rungs.Rung, counted: stage.Counters, spent: int) -> Sample:
    """Return the cost, once it is sure that the packets ended on this rung."""
    if counted.packets < FEWEST:
        sys.exit(f"{rung.name}: the device took {counted.packets} packets")
    read = counted.udp_datagrams if rung.read else 0
    expected = {
        "ip_receives": counted.packets * rung.ip_receives,
        "ip_delivers": counted.packets * rung.ip_delivers,
        "udp_errors": counted.packets * rung.ip_delivers - read,
    }
    for what, number in expected.items():
        if abs(getattr(counted, what) - number) > counted.packets * NEAR:
            sys.exit(f"{rung.name} does not drop where it should: {what} is not {number} in {counted}")
    if not rung.read:
        return Sample(counted.packets, counted.kernel_ns / counted.packets, 0.0)
    # A packet that found the buffer full has cost the kernel nearly as much, and the program nothing.
    ns = counted.kernel_ns / counted.packets + spent / max(read, 1)
    return Sample(counted.packets, ns, 1 - read / counted.packets)


if __name__ == "__main__":
    main()
