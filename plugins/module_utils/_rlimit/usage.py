# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of its limits a process uses, as far as proc(5) tells.

Private to the collection; not a public interface.
"""

import collections
import contextlib
import os

from .procfs import GONE

# Lines of /proc/PID/status in KiB, by the resource that limits them.
MEMORY = {"as": "VmSize", "data": "VmData", "memlock": "VmLck", "rss": "VmRSS", "stack": "VmStk"}


def uses(processes):
    """Return ``{pid: {resource: use}}`` in the kernel's units, for processes that still run.

    ``nproc`` and ``sigpending`` are counted by the kernel per user, and so they are here. What
    may not be read (open files of another user's process) is left out.
    """
    threads = _threads_by_uid()
    found = {}
    for process in processes:
        try:
            found[process.pid] = _uses(process, threads)
        except GONE:
            continue
    return found


def _uses(process, threads):
    status = _status(process.pid)
    use = {name: int(status[line].split()[0]) * 1024 for name, line in MEMORY.items() if line in status}
    use["nproc"] = threads[process.uid]
    use["sigpending"] = int(status["SigQ"].split("/")[0])
    with open(f"/proc/{process.pid}/stat") as stream:
        fields = stream.read().rpartition(")")[2].split()
    use["cpu"] = (int(fields[11]) + int(fields[12])) // os.sysconf("SC_CLK_TCK")
    with contextlib.suppress(PermissionError):
        use["nofile"] = len(os.listdir(f"/proc/{process.pid}/fd"))
    return use


def _threads_by_uid():
    """Count the threads of each real user: that is what RLIMIT_NPROC limits (getrlimit(2))."""
    count = collections.Counter()
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                status = _status(name)
                count[int(status["Uid"].split()[0])] += int(status["Threads"])
            except GONE:
                continue
    return count


def _status(pid):
    with open(f"/proc/{pid}/status", errors="replace") as stream:
        return dict(line.rstrip("\n").split(":\t", 1) for line in stream if ":\t" in line)
