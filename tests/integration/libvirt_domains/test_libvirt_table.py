# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every way of the table, for real: QEMU guests in each state, driven to each goal.

The guests are booted once; each test begins from their saved memories. A domain that is shutting down cannot be held
in that state, and only a guest with an agent can be put to sleep from outside (these sleep by themselves): both are
left to the plan tests.
"""

import pytest

# What a guest does at the press of its button, by the state that the guest is for.
GUESTS = {"running": "", "paused": "", "saved": "", "pmsuspended": "sleep", "crashed": "panic", "shutoff": ""}
VIRSH = {"shutoff": "shut off", "pmsuspended": "pmsuspended", "crashed": "crashed", "saved": "saved"}
# goal: {source: the transitions}, written down by hand; "!" is the error.
WAYS = {
    "running": {
        "running": "", "paused": "resume", "saved": "restore", "pmsuspended": "wake", "crashed": "clear start",
        "shutoff": "start",
    },
    "paused": {
        "running": "suspend", "paused": "", "saved": "restore_paused", "pmsuspended": "wake suspend",
        "crashed": "clear start_paused", "shutoff": "start_paused",
    },
    "saved": {
        "running": "save", "paused": "save", "saved": "", "pmsuspended": "wake save", "crashed": "!no memory to save",
        "shutoff": "!no memory to save",
    },
    "shutoff": {
        "running": "shutdown", "paused": "resume shutdown", "saved": "restore shutdown",
        "pmsuspended": "wake shutdown", "crashed": "clear", "shutoff": "",
    },
    "pmsuspended": {
        "running": "!guest agent", "paused": "!guest agent", "saved": "!guest agent", "pmsuspended": "",
        "crashed": "!guest agent", "shutoff": "!guest agent",
    },
    "absent": {
        "running": "shutdown undefine", "paused": "resume shutdown undefine", "saved": "restore shutdown undefine",
        "pmsuspended": "wake shutdown undefine", "crashed": "clear undefine", "shutoff": "undefine",
    },
    "rebooted": {
        "running": "reboot", "paused": "resume reboot", "saved": "restore reboot", "pmsuspended": "wake reboot",
        "crashed": "clear start", "shutoff": "start",
    },
    "reset": {
        "running": "reset", "paused": "resume reset", "saved": "restore reset", "pmsuspended": "wake reset",
        "crashed": "clear start", "shutoff": "start",
    },
}  # fmt: skip
VERBS = {
    "start": "start", "start_paused": "start", "restore": "restore", "restore_paused": "restore", "resume": "resume",
    "suspend": "suspend", "save": "save", "shutdown": "shut down", "wake": "wake", "clear": "clear away",
    "undefine": "undefine", "reboot": "reboot", "reset": "reset",
}  # fmt: skip


@pytest.fixture(scope="module")
def memories(host):
    """Boot the guests and save their memories, each in a file that can be restored again and again."""
    host.remove("")
    for state, words in GUESTS.items():
        host.define(f"t-{state}", words)
    host.boot(*(f"t-{state}" for state in GUESTS))
    for state in GUESTS:
        host.virsh("save", f"t-{state}", f"/var/lib/libvirt/images/t-{state}.memory")
    yield host
    host.remove("")


@pytest.fixture
def sources(memories):
    """One guest in each state."""
    host = memories
    host.remove("t-")
    host.forget_consoles()
    for state, words in GUESTS.items():
        host.define(f"t-{state}", words)
    host.ssh(
        "cd /var/lib/libvirt/images; v='virsh -q -c qemu:///system'; "
        "for one in running paused saved pmsuspended crashed; do $v restore t-$one.memory & done; wait; "
        "$v suspend t-paused; $v managedsave t-saved; $v shutdown t-pmsuspended; $v shutdown t-crashed"
    )
    wanted = {f"t-{state}": VIRSH.get(state, state) for state in GUESTS}
    host.wait_for("sources", lambda: host.states("t-") == wanted)
    return host


def planned(goal, source):
    """Return the beginnings of the steps, as the user reads them."""
    return [f"{VERBS[name]} t-{source}" for name in WAYS[goal][source].split()]


@pytest.mark.parametrize("goal", list(WAYS))
def test_every_way_to(goal, sources):
    before = sources.states("t-")
    reachable = [source for source, way in WAYS[goal].items() if not way.startswith("!")]
    refused = [source for source in WAYS[goal] if source not in reachable]
    arguments = {"state": goal, "timeout": 60, "allow_data_loss": goal == "reset"}
    if refused:
        result = sources.state(name=[f"t-{source}" for source in refused], **arguments)
        assert result["failed"]
        for source in refused:
            line = next(one for one in result["refused"] if one.startswith(f"t-{source} "))
            assert WAYS[goal][source][1:] in line
    names = [f"t-{source}" for source in reachable]
    predicted = sources.state(check=True, name=names, **arguments)
    assert sources.states("t-") == before
    assert not any("ready" in sources.console(name) for name in names)  # the memories are from after their boot
    applied = sources.state(name=names, **arguments)
    assert "failed" not in applied or not applied["failed"], applied["msg"]
    assert (predicted["steps"], predicted["diff"]) == (applied["steps"], applied["diff"])
    steps = iter(applied["steps"])
    for source in reachable:
        for begin in planned(goal, source):
            assert next(steps).split(":")[0] == begin
        done = applied["domains"].get(f"t-{source}", {"path": []})
        # The memory was saved while the guest was paused, so it comes up paused whatever is asked for.
        assert " ".join(done["path"]) == WAYS[goal][source], applied["domains"]
    assert list(steps) == []
    found = sources.states("t-")
    if goal == "absent":
        assert found == {}
    elif goal in ("rebooted", "reset"):
        assert set(found.values()) == {"running"}
        sources.wait_for("boot", lambda: all("ready" in sources.console(name) for name in names))
    else:
        assert {name: found[name] for name in names} == dict.fromkeys(names, VIRSH.get(goal, goal))
    if goal not in ("rebooted", "reset"):
        assert sources.state(name=names, **arguments)["changed"] is False


def test_reset_is_refused_without_permission(sources):
    before = sources.states("t-")
    result = sources.state(name="t-[rp]*", state="reset")
    assert sorted(line.split()[0] for line in result["refused"]) == ["t-paused", "t-pmsuspended", "t-running"]
    assert "would lose what the guest has in memory" in result["msg"]
    assert sources.states("t-") == before


def test_a_saved_image_of_a_paused_guest_comes_up_running(sources):
    sources.virsh("managedsave", "t-paused")
    result = sources.state(name="t-paused", state="running")
    assert result["steps"] == ["restore t-paused: from its saved memory"]
    assert result["domains"]["t-paused"]["path"] == ["restore", "resume"]
    assert sources.states("t-paused") == {"t-paused": "running"}


def test_discarding_a_saved_memory_needs_permission(sources):
    result = sources.state(name="t-saved", state="shutoff", allow_data_loss=True)
    assert result["domains"]["t-saved"]["path"] == ["discard"]
    assert sources.states("t-saved") == {"t-saved": "shut off"}
