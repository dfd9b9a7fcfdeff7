# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which running processes get which limits.

Private to the collection; not a public interface.
"""

from .._core.reconcile import Plan, ReconcileError, Step
from .model import Selector
from .resources import UNSET, check_order, show, show_limit


def plan(wanted, state):
    """Plan the processes that are selected, and those of the services that are named.

    The data of a step is the process and its new limits, ``{resource: Limit}``.
    """
    before, after, steps = {}, {}, []
    for process in state.processes if wanted.present else ():
        changes = _changes(wanted, state, process)
        if changes:
            _check(process, changes, state)
            old, new = ({n: show_limit(n, side[n]) for n in sorted(changes)} for side in (process.limits, changes))
            before[process.label], after[process.label] = old, new
            detail = ", ".join(f"{name} {old[name]} -> {new[name]}" for name in old)
            steps.append(Step("limit", process.label, detail, (process, changes)))
    return Plan(before, after, tuple(steps))


def _changes(wanted, state, process):
    """Return the limits that the process is to get and does not have."""
    target = {}
    for one in wanted.declarations:
        if any(selector.matches(process) for selector in selectors(one, state.units)):
            for name, limit in one.limits.items():
                target[name] = limit.over(target.get(name, UNSET))
    new = {name: limit.over(process.limits[name]) for name, limit in target.items()}
    return {name: limit for name, limit in new.items() if limit != process.limits[name]}


def selectors(declaration, units):
    """Return a declaration's selectors of processes, its services included, units by their own names."""
    chosen = declaration.processes + tuple(Selector(unit=name) for name in declaration.services)
    return tuple(one._replace(unit=units[one.unit].name) if one.unit in units else one for one in chosen)


def _check(process, changes, state):
    """Refuse what prlimit(2) would refuse, before anything is changed."""
    for name, limit in sorted(changes.items()):
        check_order(f"{process.label}, {name}", name, limit, "declare the hard limit too")
        have = process.limits[name].hard
        if limit.hard > have and not state.privileged:
            raise ReconcileError(
                f"{process.label}: raising the hard limit of {name} from {show(name, have)} to "
                f"{show(name, limit.hard)} needs CAP_SYS_RESOURCE, which this task does not have (become is off, "
                f"or the host is a container without it). Declare at most {show(name, have)}, or run it elsewhere"
            )
    if process.uid != state.uid and not state.privileged:
        raise ReconcileError(
            f"{process.label}: it belongs to uid {process.uid} and the task runs as uid {state.uid} without "
            "CAP_SYS_RESOURCE, so prlimit(2) changes its own processes only. Run the task as that user (become_user)"
        )
