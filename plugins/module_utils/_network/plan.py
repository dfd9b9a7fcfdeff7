# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which steps make the links of a host what is declared, in an order that works. Pure.

The data of a step is the pair of the operations that do it and those that undo it: argument lists, here all of ip(8).
Private to the collection; not a public interface.
"""

from .._core.reconcile import Plan, ReconcileError
from . import iproute, options, topology
from .job import anew, in_the_way, job_of
from .plan_links import addresses, build, disable_ipv6, recreate, release, remove
from .plan_routes import routes, rules
from .shown import shown, warnings


def plan(wanted, state):
    """Return the :class:`Plan` that makes ``state`` what is ``wanted``.

    What is built comes first and from below: a bond's ports are in it before it goes up, a parent is there before
    its VLAN. A bridge has its address before the port that had it until then comes into it, so that the address is
    without a home for no longer than that takes; then the routes move, and the old addresses go last.

    :raises ReconcileError: the declaration cannot be met on this host; nothing has been changed.
    """
    job = job_of(wanted, state)
    _check(job)
    return with_commands(wanted, state, job)


def with_commands(wanted, state, job):
    """Return the plan that does it all through ip(8)."""
    touched = [name for name in topology.order(job.links) if job.differs(name)]
    gone = [name for name in wanted.absent if name in state.links]
    again = anew(job)
    early = in_the_way(gone, again, job)
    steps = [
        step for name in reversed(topology.order(state.links)) if name in early for step in remove(state.links[name])
    ]
    rest = job.without(again | early)
    steps += [step for name in touched for step in release(name, rest)]
    masters = {job.links[name].master for name in touched}
    for name in topology.order(job.links):
        if name in again and name not in early:
            steps.append(recreate(rest.links[name], state.links[name], job.changed(name)))
        steps += build(name, rest, name in again - early) if name in touched or name in masters else []
    steps += routes(touched, rest) + rules(touched, gone, job)
    for name in touched:
        steps += addresses(name, rest, "del") + disable_ipv6(name, rest)
    for name in reversed([one for one in topology.order(state.links) if one in gone and one not in early]):
        steps += remove(state.links[name])
    return Plan(
        {name: shown(state.links.get(name), name, job) for name in touched + gone},
        {name: shown(job.links.get(name), name, job) for name in touched + gone},
        tuple(steps),
        warnings(touched, job),
    )


def undo(state, todo):
    """Return the operations that bring back the touched links of ``state``, each with whether it may fail.

    :param todo: the plan that is carried out.
    """
    remade = [name for name in todo.before if name in state.links and _other(name, todo)]
    touched = [*todo.before, *(link.name for link in state.links.values() if link.master in remade)]
    # What stands on a touched link goes with it: a VLAN with its parent.
    for name in topology.order(state.links):
        if name not in touched and set(topology.below(state.links[name], state.links)).intersection(touched):
            touched.append(name)
    flipped = [_flipped(argv) for step in reversed(todo.steps) for argv in step.data[0] if "rule" in argv[:3]]
    before = [state.links[name] for name in topology.order(state.links) if name in touched]
    created = [*remade, *(name for name in touched if name not in state.links)]
    again = [(iproute.command(argv), may_fail) for argv, may_fail in iproute.rebuild(before, created, todo.after)]
    # A route of IPv6 by a gateway stays when the addresses of its link go.
    new = [
        _flipped(argv) for step in todo.steps for argv in step.data[0] if "route" in argv[:3] and "replace" in argv[:4]
    ]
    return [(argv, True) for argv in new] + again + [(argv, True) for argv in flipped]


def _flipped(argv):
    """Return the command that undoes one of ``ip rule``, or one of ``ip route`` that has made a route."""
    return [{"add": "del", "del": "add", "replace": "del"}.get(word, word) for word in argv]


def _check(job):
    """Refuse what nobody keeps in the running kernel."""
    for name in job.links:
        for key, value in job.settings(name).items():
            if key != "ipv6" or value == "dhcp":
                raise ReconcileError(
                    f"{job.links[name].kind} '{name}': {key} needs a service that keeps it, and backend runtime "
                    "changes the running kernel only; leave it out, or let NetworkManager or initscripts keep the link"
                )


def _other(name, todo):
    """Tell whether a link becomes one that cannot be changed back while it has ports, or at all."""
    kind = todo.before[name] and todo.before[name].get("kind")
    tables = [options.KINDS[kind]] if kind else options.KINDS.values()
    changed = set(todo.after.get(name) or ())
    return any(one.restart in ("new", "empty") and one.name in changed for table in tables for one in table.values())
