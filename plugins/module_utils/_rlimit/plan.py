# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which steps make the limits of a host what is declared. Pure: nothing of the system is touched here.

Private to the collection; not a public interface.
"""

from .._core.reconcile import Plan, ReconcileError
from .resources import show


def plan(wanted, state):
    """Return the :class:`Plan` that makes ``state`` what is ``wanted``.

    Running processes come first: they are the ones that may refuse, and are easily put back. The
    reload of systemd comes last, so that nothing that follows it can fail.

    :raises ReconcileError: the declaration cannot be met on this host; nothing has been changed.
    """
    _check_nofile(wanted, state)
    whole = Plan({}, {}, ())
    # Imported where they are used, as in host.py: what a task does not need is not compiled.
    if state.processes:
        from . import plan_processes

        whole = whole.then(plan_processes.plan(wanted, state))
    if wanted.sessions:
        from . import plan_sessions

        whole = whole.then(plan_sessions.plan(wanted, state))
    if wanted.services:
        from . import plan_services

        whole = whole.then(plan_services.plan(wanted, state))
    return whole


def _check_nofile(wanted, state):
    """Refuse what no process can have: setrlimit(2) gives EPERM above /proc/sys/fs/nr_open (proc(5))."""
    for one in wanted.declarations:
        for side in one.limits.get("nofile", ()):
            if side is not None and side > state.nr_open:
                raise ReconcileError(
                    "nofile: {0} is above fs.nr_open, the kernel's ceiling for open files, which is {1} here; "
                    "no session would open and no service start with it. Declare at most {1}, or raise the "
                    "sysctl fs.nr_open first".format(show("nofile", side), state.nr_open)
                )
