# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way from every state to every goal, written down by hand beside the table that computes it."""

import itertools

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import ReconcileError
from ansible_collections.hostcraft.linux.plugins.module_utils._libvirt import lifecycle as life
from ansible_collections.hostcraft.linux.plugins.module_utils._libvirt.path import Facts, path

# Goals in the order of the columns; a row for each state. "!" and a word of the message is an error.
GOALS = ("running", "paused", "saved", "shutoff", "pmsuspended", "absent", "rebooted", "reset", "defined")
ALWAYS = {
    "shutoff": (
        "start", "start_paused", "!no memory to save", "", "start sleep", "undefine", "start", "start", "",
    ),
    "saved": (
        "restore", "restore_paused", "", "restore shutdown", "restore sleep", "restore shutdown undefine",
        "restore reboot", "!would lose", "",
    ),
    "running": (
        "", "suspend", "save", "shutdown", "sleep", "shutdown undefine", "reboot", "!would lose", "",
    ),
    "paused": (
        "resume", "", "save", "resume shutdown", "resume sleep", "resume shutdown undefine", "resume reboot",
        "!would lose", "",
    ),
    "pmsuspended": (
        "wake", "wake suspend", "wake save", "wake shutdown", "", "wake shutdown undefine", "wake reboot",
        "!would lose", "",
    ),
    "crashed": (
        "clear start", "clear start_paused", "!no memory to save", "clear", "clear start sleep", "clear undefine",
        "clear start", "clear start", "",
    ),
    "shutting down": (
        "wait start", "wait start_paused", "!no memory to save", "wait", "wait start sleep", "wait undefine",
        "wait start", "wait start", "",
    ),
    "absent": (
        "!No such domain", "!No such domain", "!no memory to save", "!No such domain", "!No such domain", "",
        "!No such domain", "!No such domain", "define",
    ),
}  # fmt: skip
# What differs from that for a transient domain.
TRANSIENT = {
    ("running", "saved"): "!transient", ("running", "shutoff"): "!transient", ("running", "absent"): "shutdown",
    ("paused", "saved"): "!transient", ("paused", "shutoff"): "!transient", ("paused", "absent"): "resume shutdown",
    ("pmsuspended", "saved"): "!transient", ("pmsuspended", "shutoff"): "!transient",
    ("pmsuspended", "absent"): "wake shutdown",
    ("crashed", "absent"): "clear", ("shutting down", "absent"): "wait",
}  # fmt: skip
TRANSIENT.update(
    {
        (state, goal): "!transient"
        for state in ("crashed", "shutting down")
        for goal in GOALS
        if goal not in ("absent", "defined")
    }
)
LOSSY = {
    ("running", "reset"): "reset", ("paused", "reset"): "resume reset", ("pmsuspended", "reset"): "wake reset",
    ("saved", "reset"): "restore reset", ("saved", "shutoff"): "discard", ("saved", "absent"): "discard undefine",
}  # fmt: skip
ACTIVE = ("running", "paused", "pmsuspended", "crashed", "shutting down")


def expected(source, goal, facts):
    """Return the names of the transitions, or what the error says."""
    usual = ALWAYS[source][GOALS.index(goal)]
    if not facts.persistent and (source, goal) in TRANSIENT:
        return TRANSIENT[source, goal]
    if facts.allow_data_loss and (source, goal) in LOSSY:
        return LOSSY[source, goal]
    if facts.start_to_save and goal == "saved" and "no memory" in usual:
        begin = {"crashed": "clear ", "shutting down": "wait "}.get(source, "")
        return "!No such domain" if source == "absent" else begin + "start save"
    if "sleep" in usual and not facts.agent:
        return "!guest agent"
    return usual


CELLS = [
    (source, goal, Facts(persistent, agent, False, lossy, start))
    for source, goal in itertools.product(ALWAYS, GOALS)
    for persistent, agent, lossy, start in itertools.product((True, False), repeat=4)
    if persistent or source in ACTIVE  # what is transient has no other states
]


def cells(source):
    return [(goal, facts) for start, goal, facts in CELLS if start == source]


# By state, and not by cell: ansible-test starts a process for each of nearly a thousand.
@pytest.mark.parametrize("source", life.STATES)
def test_every_pair(source):
    assert cells(source)
    for goal, facts in cells(source):
        want = expected(source, goal, facts)
        if not want.startswith("!"):
            assert " ".join(one.name for one in path("web1", source, goal, facts)) == want, (goal, facts)
            continue
        with pytest.raises(ReconcileError, match=want[1:]) as error:
            path("web1", source, goal, facts)
        assert "web1" in str(error.value), (goal, facts)


def test_the_table_by_hand_is_complete():
    assert set(ALWAYS) == set(life.STATES)
    assert set(GOALS) == set(life.GOALS)
    assert {one.name for one in life.TRANSITIONS} - {"destroy"} == {
        name
        for row in [*ALWAYS.values(), LOSSY.values()]
        for cell in row
        if not cell.startswith("!")
        for name in cell.split()
    }


@pytest.mark.parametrize("source", life.STATES)
def test_a_way_is_connected_and_loses_only_what_may_be_lost(source):
    for goal, facts in cells(source):
        try:
            way = path("web1", source, goal, facts)
        except ReconcileError:
            continue
        state = source
        for one in way:
            assert state in one.sources, (goal, facts)
            assert facts.allow_data_loss or not one.loses, (goal, facts)
            state = one.target if facts.persistent or one.target != "shutoff" else "absent"
        fresh = goal in ("rebooted", "reset") and state == "running" and way[-1].name == "start"
        assert goal in ("defined", state) or fresh, (goal, facts)


@pytest.mark.parametrize("allow", [True, False])
def test_a_sleeping_guest_is_never_reset(allow):
    """Reset, it would stay asleep for libvirt for ever."""
    facts = Facts(agent=True, allow_data_loss=allow)
    for goal in GOALS:
        try:
            way = path("web1", "pmsuspended", goal, facts)
        except ReconcileError:
            continue
        assert not way or way[0].name == "wake"
