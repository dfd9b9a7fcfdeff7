# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The load: frames from random sources into a device, as many as one core makes, for as many seconds as it is told.

Run by ``stage`` in the network namespace of the sending end. Reads a number of seconds from its standard input, sends
for so long and answers with a line. Ends with its standard input, and never sends longer than ``LONGEST`` at once.
"""

import os
import sys
import time
from pathlib import Path

from tests.bench.ladder import bpf, frame

LONGEST = 5.0  # seconds
CHUNK = 16_384  # frames in one system call, some tens of milliseconds
# Frames that the kernel makes before it hands them on: as many as the ring of a veth device holds. With fewer the
# receiving thread goes to sleep and is woken more often, which no flood would let it do and the cheap rungs would pay.
BATCH = 256
NICE = -15


def main() -> None:
    """Send whenever told to."""
    cpu, program_file = int(sys.argv[1]), Path(sys.argv[2])
    os.sched_setaffinity(0, {cpu})
    os.setpriority(os.PRIO_PROCESS, 0, NICE)
    program, data = bpf.load(bpf.instructions(program_file)), frame.udp()
    print("ready", flush=True)
    for line in sys.stdin:
        end = time.monotonic() + min(float(line), LONGEST)
        while time.monotonic() < end:
            bpf.run(program, data, CHUNK, bpf.LIVE_FRAMES, BATCH)
        print("sent", flush=True)


if __name__ == "__main__":
    main()
