# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running processes: what proc(5) says of them, and prlimit(2).

Private to the collection; not a public interface.
"""

import os
import resource

from .._core.reconcile import ReconcileError
from .model import Process
from .resources import RESOURCES, UNLIMITED, Limit, show_limit

PF_KTHREAD = 0x00200000  # include/linux/sched.h; stat field 9
GONE = (FileNotFoundError, ProcessLookupError)


def find(selectors):
    """Return the processes that any selector means, with their limits, ordered by pid.

    Kernel threads and the task's own process are never meant; its ancestors (the login that runs
    it) only when they are named by pid, unit or cgroup. A process that ends meanwhile is left out.
    """
    if not selectors:
        return ()
    own = ancestors()
    found = []
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        try:
            process = _process(pid)
            if process and pid != own[0]:
                meant = [one for one in selectors if one.matches(process)]
                if meant and (pid not in own or any(one.exact for one in meant)):
                    found.append(process._replace(limits=limits(pid)))
        except GONE:
            continue
    return tuple(found)


def limits(pid):
    """Return the limits of a process, ``{resource: Limit}``; any user may read them."""
    # The lines of /proc/PID/limits stand in the order of the resources' numbers, below a heading.
    lines = read(pid, "limits").splitlines()[1:]
    sides = {name: lines[one.number][25:].split()[:2] for name, one in RESOURCES.items()}
    return {
        name: Limit(*(UNLIMITED if side == "unlimited" else int(side) for side in pair)) for name, pair in sides.items()
    }


def change(process, new):
    """Give a process new limits, all or, as far as that can be had, none; return what undoes it, None when it is gone.

    :param new: ``{resource: Limit}`` with both sides set.
    :raises ReconcileError: names the process, the resource and the kernel's reason.
    """
    done = []
    for name in sorted(new):
        try:
            if start_time(process.pid) != process.start:
                return None
            _prlimit(process.pid, name, new[name])
            done.append(name)
        except GONE:
            return None
        except (OSError, ValueError) as error:
            kept = [other for other in done if not _put_back(process, other)]
            more = f"; changed already, and not to be put back: {', '.join(kept)}" if kept else ""
            raise ReconcileError(
                f"{process.label}: prlimit refused {name} {show_limit(name, new[name])}: {error}{more}"
            ) from error
    changed = process._replace(limits=dict(process.limits, **new))
    return lambda: change(changed, {name: process.limits[name] for name in new})


def start_time(pid):
    """Return when a process started, in clock ticks since boot (stat field 22)."""
    return int(_stat(pid)[19])


def ancestors():
    """Return the pids from the task's own process up to the first of its pid namespace."""
    chain, pid = [], os.getpid()
    while pid:
        chain.append(pid)
        try:
            pid = int(_stat(pid)[1])
        except GONE:
            break
    return chain


def _process(pid):
    """Return a process without its limits, or None for a kernel thread."""
    stat = _stat(pid)
    if int(stat[6]) & PF_KTHREAD:
        return None
    status = dict(line.split(":\t", 1) for line in read(pid, "status").splitlines() if ":\t" in line)
    return Process(
        pid,
        int(stat[19]),
        int(status["Uid"].split()[0]),
        status["Name"],
        read(pid, "cmdline").replace("\0", " ").strip(),
        cgroup(read(pid, "cgroup")),
    )


def cgroup(text):
    """Return the path of a process in the hierarchy that systemd manages (cgroups(7), /proc/PID/cgroup)."""
    paths = {line.split(":", 2)[1]: line.split(":", 2)[2] for line in text.splitlines() if line.count(":") >= 2}
    return paths.get("name=systemd") or paths.get("", "/")


def _stat(pid):
    """Return the fields of stat from the third (state) on; the second may hold blanks and parentheses."""
    return read(pid, "stat").rpartition(")")[2].split()


def read(pid, name):
    """Return the text of a file of a process; ``pid`` may be ``self``."""
    with open(f"/proc/{pid}/{name}", "rb") as stream:
        return stream.read().decode("utf-8", "replace")


def _put_back(process, name):
    """Give a process the limit that it had; tell whether that went well."""
    try:
        _prlimit(process.pid, name, process.limits[name])
    except (OSError, ValueError):
        return False
    return True


def _prlimit(pid, name, limit):
    pair = tuple(resource.RLIM_INFINITY if side == UNLIMITED else side for side in limit)
    resource.prlimit(pid, RESOURCES[name].number, pair)
