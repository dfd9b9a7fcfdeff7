# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host as ``rlimit`` sees it: observed as one state, changed step by step.

Private to the collection; not a public interface.
"""

import os

from .._core import files
from . import pam, plan_processes, procfs, systemd
from .model import State


def observe(wanted):
    """Return the :class:`State` of all that ``wanted`` speaks of.

    :raises ReconcileError: something that is named does not exist, or cannot be read.
    """
    if wanted.present:
        for domain in sorted({domain for one in wanted.declarations for domain in one.sessions}):
            pam.check_exists(domain)
    units = systemd.units(wanted.services, missing_ok=not wanted.present)
    if systemd.is_running():
        named = {one.unit for d in wanted.declarations for one in d.processes if one.unit}
        units.update(systemd.units(tuple(sorted(named - set(units)))))
    sessions = pam.session_files()
    paths = set(sessions).union([wanted.limits_file], *(unit.drop_ins for unit in units.values()))
    paths.update(wanted.drop_in_path(unit.name) for unit in units.values())
    chosen = [one for d in wanted.declarations for one in plan_processes.selectors(d, units)]
    privileged = procfs.may_raise()
    return State(
        procfs.find(chosen) if wanted.present else (),
        {path: files.read(path) for path in sorted(paths)},
        sessions,
        units,
        procfs.nr_open(),
        os.getuid(),
        privileged,
        {} if privileged else procfs.ceiling(),
        pam.unknown_resources() if "rttime" in {name for one in wanted.declarations for name in one.limits} else (),
    )


def apply(step, gone):
    """Carry out one step and return what undoes it.

    :param gone: list that the label of a process is added to when it ended before it was reached.
    """
    if step.verb == "limit":
        undo = procfs.change(*step.data)
        if undo is None:
            gone.append(step.target)
        return undo or (lambda: None)
    if step.verb == "reload":
        return systemd.reload()
    change = {"write": files.write, "remove": files.remove}[step.verb]
    before = change(step.target, step.data)
    return lambda: files.restore(before)
