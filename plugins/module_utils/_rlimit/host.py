# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host as ``rlimit`` sees it: observed as one state, changed step by step.

Private to the collection; not a public interface.
"""

import os

from .._core import files
from . import bounds, limits_conf, pam
from .model import State

# A layer (processes, sessions, services) is imported where it is used: what a task does not need is not compiled
# on the host, and compiling is most of what a task of ours costs beyond ansible-core itself (tests/bench).


def observe(wanted):
    """Return the :class:`State` of all that ``wanted`` speaks of.

    :raises ReconcileError: something that is named does not exist, or cannot be read.
    """
    named = {name for one in wanted.declarations for name in one.limits}
    units = _units(wanted)
    privileged = bounds.may_raise()
    sessions, ceiling = (), {}
    if wanted.sessions:
        if wanted.present:
            for domain in wanted.sessions:
                pam.check_exists(domain)
        sessions = pam.session_files()
        ceiling = {} if privileged else bounds.ceiling()
    paths = set(sessions).union([wanted.limits_file], *(unit.drop_ins for unit in units.values()))
    paths.update(wanted.drop_in_path(unit.name) for unit in units.values())
    texts = {path: files.read(path) for path in sorted(paths)}
    return State(
        _processes(wanted, units),
        texts,
        sessions,
        units,
        bounds.nr_open(),
        os.getuid(),
        privileged,
        ceiling,
        pam.unknown_resources() if "rttime" in named else (),
        _meant(wanted, [texts[path] for path in sessions if path != wanted.limits_file]),
    )


def _meant(wanted, others):
    """Return ``{domain: names}`` of the domains declared and of those in ``others``, when they are more."""
    found = {entry.domain for text in others for entry in limits_conf.parse(text or "")}
    if not found:
        return {}
    from . import accounts, precedence

    domains = sorted(found.union(wanted.sessions))
    return precedence.meant(domains, accounts.people(domains))


def ended(wanted):
    """Return the labels of the processes that are named by a pid that no process has."""
    pids = sorted({one.pid for d in wanted.declarations for one in d.processes if one.pid is not None})
    return [f"process {pid}" for pid in pids if not os.path.isdir(f"/proc/{pid}")]


def _units(wanted):
    """Return the units that are named, as services or to select processes by."""
    selecting = {one.unit for d in wanted.declarations for one in d.processes if one.unit}
    if not selecting and not wanted.services:
        return {}
    from . import systemd

    found = systemd.units(wanted.services, missing_ok=not wanted.present)
    if systemd.is_running():
        found.update(systemd.units(tuple(sorted(selecting - set(found)))))
    return found


def _processes(wanted, units):
    """Return the processes that are selected, and those of the services that are named."""
    if not wanted.present or not (wanted.services or any(one.processes for one in wanted.declarations)):
        return ()
    from . import procfs
    from .plan_processes import selectors

    return procfs.find([one for d in wanted.declarations for one in selectors(d, units)])


def apply(step, gone):
    """Carry out one step and return what undoes it.

    :param gone: list that the label of a process is added to when it ended before it was reached.
    """
    if step.verb == "limit":
        from . import procfs

        undo = procfs.change(*step.data)
        if undo is None:
            gone.append(step.target)
        return undo or (lambda: None)
    if step.verb == "reload":
        from . import systemd

        return systemd.reload()
    change = {"write": files.write, "remove": files.remove}[step.verb]
    before = change(step.target, step.data)
    return lambda: files.restore(before)
