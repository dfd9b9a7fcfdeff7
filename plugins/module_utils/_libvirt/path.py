# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shortest safe way from a state of a domain to another. Pure: a search on the table of lifecycle.py.

Private to the collection; not a public interface.
"""

from typing import NamedTuple

from .._core.reconcile import ReconcileError
from .lifecycle import (
    ABSENT,
    AGENT,
    BY_NAME,
    CRASHED,
    DEFINED,
    PERSISTENT,
    REBOOTED,
    RESET,
    RUNNING,
    SAVED,
    SHUTOFF,
    STOPPING,
    TRANSITIONS,
    XML,
)

# Only what is alive has a memory to save.
WITHOUT_MEMORY = (ABSENT, SHUTOFF, CRASHED, STOPPING)


class Facts(NamedTuple):
    """What decides which transitions a domain has, and which of them the task may use."""

    persistent: bool = True
    agent: bool = False
    xml: bool = False
    allow_data_loss: bool = False
    start_to_save: bool = False


def path(name, source, goal, facts):
    """Return the transitions that take the domain ``name`` from ``source`` to ``goal``, the cheapest safe ones.

    :raises ReconcileError: there is no way; the message says what is missing, or which step would lose what.
    """
    _check(name, source, goal, facts)
    if goal == DEFINED:
        return (BY_NAME["define"],) if source == ABSENT else ()
    found = _search(source, goal, facts)
    if found is None:
        raise ReconcileError(_why_not(name, source, goal, facts))
    return found


def _check(name, source, goal, facts):
    """Refuse what only a persistent domain can be, and what would boot a guest only to stop it again."""
    if goal in (SHUTOFF, SAVED) and not facts.persistent and source != ABSENT:
        raise ReconcileError(
            f"{name} is transient: without a definition it ceases to exist when it stops, so it can never be "
            f"{goal}. Use 'state: absent', or make it persistent by declaring its xml",
        )
    if goal == SAVED and source in WITHOUT_MEMORY and not facts.start_to_save:
        raise ReconcileError(
            f"{name} is {source}: there is no memory to save. Leave it out, or set 'start_to_save: true' "
            "to boot it and save it then",
        )


def _search(source, goal, facts):
    """Dijkstra's algorithm on eight states: the cheapest way, None when there is none."""
    done = {}
    todo = [(0, 0, source, ())]
    while todo:
        todo.sort()
        cost, length, state, way = todo.pop(0)
        if state in done:
            continue
        done[state] = True
        if _reached(state, way, goal):
            return tuple(BY_NAME[name] for name in way)
        for one in TRANSITIONS:
            if state in one.sources and _allowed(one, goal, facts):
                todo.append((cost + one.cost, length + 1, _target(one, facts), (*way, one.name)))
    return None


def _reached(state, way, goal):
    # A guest that was just started is as fresh as one that was rebooted.
    return state == goal or (goal in (REBOOTED, RESET) and state == RUNNING and way[-1:] == ("start",))


def _allowed(one, goal, facts):
    has = {XML: facts.xml, PERSISTENT: facts.persistent, AGENT: facts.agent}
    return (
        all(has[need] for need in one.needs)
        and (facts.allow_data_loss or not one.loses)
        and (one.target not in (REBOOTED, RESET) or one.target == goal)
    )


def _target(one, facts):
    """A transient domain that stops is gone."""
    return ABSENT if one.target == SHUTOFF and not facts.persistent and one.name != "define" else one.target


def _why_not(name, source, goal, facts):
    """Say what is missing on the way, by looking which of it would open one."""
    if source == ABSENT:
        return f"No such domain: {name}. Give its definition in 'xml', or see 'virsh list --all' for the names"
    shown = f"{name} is {source} and cannot be made {goal}"
    losing = _search(source, goal, facts._replace(allow_data_loss=True))
    if losing is not None:
        step = next(one for one in losing if one.loses)
        return (
            f"{shown} without loss: the step '{step.verb} {name}' would lose {step.loses}. "
            "Set 'allow_data_loss: true' if that may be lost"
        )
    if not facts.agent and _search(source, goal, facts._replace(agent=True)) is not None:
        return (
            f"{shown}: that takes the QEMU guest agent, and its definition has no channel for one. Add a channel "
            "with the target name org.qemu.guest_agent.0, and install qemu-guest-agent in the guest"
        )
    if not facts.xml and _search(source, goal, facts._replace(xml=True, agent=True)) is not None:
        return f"{shown}: it is transient and would be gone after the first step. Declare its xml to make it persistent"
    return f"{shown}: libvirt has no way from there"
