# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every way of the table, for real: QEMU guests with a guest agent, driven from each state to each goal.

Guests are not set up for each cell but go on a tour: six guests are in six different states, and each task moves all
of them on, by one state in the first, by two in the second and so on, so that five tasks are the thirty ways between
six states. Two more states cannot be toured, because a guest has to be brought there from outside: crashed, and
shutting down, in which QEMU is held by a signal.
"""

import pytest

from lab import tiny_guest

TOURED = ("running", "saved", "paused", "pmsuspended", "shutoff", "absent")
VIRSH = {"shutoff": "shut off", "shutting down": "in shutdown"}
GOALS = ("running", "paused", "saved", "shutoff", "pmsuspended", "absent", "rebooted", "reset", "defined")
# The transitions from each state to each goal, in the order of GOALS; "-" is none. Where two ways are given, the
# first takes a permission, and the second is what the error says without it.
WAYS = {
    "running": "- | suspend | save | shutdown | sleep | shutdown undefine | reboot | reset ! would lose | -",
    "paused": (
        "resume | - | save | resume shutdown | resume sleep | resume shutdown undefine | resume reboot |"
        "resume reset ! would lose | -"
    ),
    "saved": (
        "restore | restore_paused | - | restore shutdown | restore sleep | restore shutdown undefine |"
        "restore reboot | restore reset ! would lose | -"
    ),
    "pmsuspended": (
        "wake | wake suspend | wake save | wake shutdown | - | wake shutdown undefine | wake reboot |"
        "wake reset ! would lose | -"
    ),
    "shutoff": "start | start_paused | start save ! no memory | - | start sleep | undefine | start | start | -",
    "absent": (
        "define start | define start_paused | define start save ! no memory | define | define start sleep | - |"
        "define start | define start | define"
    ),
    "crashed": (
        "clear start | clear start_paused | clear start save ! no memory | clear | clear start sleep |"
        "clear undefine | clear start | clear start | -"
    ),
    "shutting down": (
        "wait start | wait start_paused | wait start save ! no memory | wait | wait start sleep | wait undefine |"
        "wait start | wait start | -"
    ),
}
VERBS = {
    "start_paused": "start", "restore_paused": "restore", "shutdown": "shut down", "sleep": "put to sleep",
    "clear": "clear away", "wait": "wait for",
}  # fmt: skip
# To the processes of the guests that are shutting down; what libvirt writes into these files has no end of line.
SIGNAL = "for file in /run/libvirt/qemu/s-*.pid; do kill -{} $(cat $file); done"


def way(source, goal):
    """Return the transitions, and what the error says without permission (empty: none is needed)."""
    cell = WAYS[source].split("|")[GOALS.index(goal)]
    names, _mark, message = cell.partition("!")
    return names.replace("-", "").split(), message.strip()


def declared(name, source, goal):
    """Return the item that asks for a goal; what is absent comes with its definition."""
    xml = {"xml": tiny_guest.xml(name, "agent")} if source == "absent" and goal != "absent" else {}
    return {"name": name, "state": goal, **xml}


def reached(source, goal):
    """Return the state that virsh shows in the end; None for a domain that is not there."""
    state = {"rebooted": "running", "reset": "running", "defined": source}.get(goal, goal)
    if (source, goal) == ("absent", "defined"):
        state = "shutoff"
    return None if state == "absent" else VIRSH.get(state, state)


class Guests:
    """The guests of a test, on their way along the table.

    ``booting`` holds how often each guest that was started had booted before; until it has done so once more, it does
    not notice its power button.
    """

    def __init__(self, host):
        self.host = host
        self.booting = {}

    def drive(self, moves, during="true", **more):
        """Predict, apply and apply again ``{name: (source, goal)}`` in one play; assert steps, paths and states."""
        items = [declared(name, *move) for name, move in moves.items()]
        arguments = {"domains": items, "timeout": 90, "parallelism": len(items), **more}
        lasting = [one for one in items if one["state"] not in ("rebooted", "reset")]
        for name, move in moves.items():
            if {"shutdown", "reboot"}.intersection(way(*move)[0]):
                self.settle(name, move[0])
        boots = {name: self.host.boots(name) for name in moves}
        beats = self.host.beats(arguments, {**arguments, "domains": lasting}, during)
        applied = beats["applied"]
        assert not applied.get("failed"), applied["msg"]
        assert beats["predicted"]["steps"] == applied["steps"]
        assert beats["predicted"]["diff"] == applied["diff"]
        assert beats["untouched"] == beats["before"]
        steps = iter(applied["steps"])
        for name, (source, goal) in moves.items():
            names, _message = way(source, goal)
            assert [next(steps).split(":")[0] for _one in names] == [f"{VERBS.get(one, one)} {name}" for one in names]
            # What is waited for is no call.
            done = ["wait"] * names.count("wait") + applied["domains"].get(name, {"path": []})["path"]
            assert done == names, (source, goal, applied["domains"])
            assert beats["after"].get(name) == reached(source, goal), (name, source, goal)
            self._note(name, done, boots[name])
        assert list(steps) == []
        assert beats["again"]["changed"] is False, beats["again"]

    def _note(self, name, done, boots):
        anew = {"start", "start_paused", "restore", "restore_paused"}.intersection(done)  # then its console is, too
        if {"start", "start_paused", "reboot", "reset"}.intersection(done):
            self.booting[name] = 0 if anew else boots
        elif anew and name in self.booting:
            self.booting[name] = 0
        if {"sleep", "shutdown", "undefine"}.intersection(done):
            self.booting.pop(name, None)

    def settle(self, name, state="running"):
        """Wait until a guest that was started has booted; bring it back to its state then."""
        if name not in self.booting:
            return
        go_on, back = {"paused": ("resume", "suspend"), "saved": ("start", "managedsave")}.get(state, ("", ""))
        old = self.booting.pop(name)
        if go_on:
            self.host.virsh(go_on, name)
        self.host.wait_for(f"boot of {name}", lambda: self.host.boots(name) > old)
        if back:
            self.host.virsh(back, name)

    def refuse(self, moves):
        """Assert that without permission each of these is refused with its message, and that nothing is touched."""
        wanted = {name: move for name, move in moves.items() if way(*move)[1]}
        before = self.host.states()
        refused = self.host.state(domains=[declared(name, *move) for name, move in wanted.items()])["refused"]
        assert len(refused) == len(wanted)
        for line, (name, move) in zip(refused, wanted.items(), strict=True):
            assert line.startswith(f"{name} is {move[0]}")
            assert way(*move)[1] in line
        assert self.host.states() == before

    def spread(self, source):
        """Put each of the toured guests, all of which are in one state, into another one."""
        self.drive({f"t-{state}": (source, state) for state in TOURED}, start_to_save=True)


@pytest.fixture
def guests(clean):
    """No guests yet, on a host without any."""
    return Guests(clean)


def test_the_tour_of_all_ways_between_six_states(guests):
    guests.spread("absent")
    guests.refuse({"t-shutoff": ("shutoff", "saved"), "t-absent": ("absent", "saved")})
    guests.drive({f"t-{state}": (state, "defined") for state in TOURED if state != "absent"})
    at = {f"t-{state}": number for number, state in enumerate(TOURED)}
    seen = set()
    for shift in range(1, len(TOURED)):
        moves = {name: (TOURED[number], TOURED[(number + shift) % len(TOURED)]) for name, number in at.items()}
        guests.drive(moves, start_to_save=True)
        seen.update(moves.values())
        at = {name: (number + shift) % len(TOURED) for name, number in at.items()}
    assert len(seen) == len(TOURED) * (len(TOURED) - 1)


def test_booting_anew_from_six_states_and_what_may_be_lost(guests):
    guests.spread("absent")
    guests.drive({f"t-{state}": (state, "rebooted") for state in TOURED})
    for state in TOURED:
        guests.settle(f"t-{state}")
    guests.spread("running")
    moves = {f"t-{state}": (state, "reset") for state in TOURED}
    guests.refuse(moves)
    guests.drive(moves, allow_data_loss=True)
    for state in TOURED:
        guests.settle(f"t-{state}")
    host = guests.host
    host.ssh("; ".join(f"virsh -q -c qemu:///system managedsave t-{state}" for state in ("saved", "absent")))
    lossy = [{"name": "t-saved", "state": "shutoff"}, {"name": "t-absent", "state": "absent"}]
    applied = host.state(domains=lossy, allow_data_loss=True)
    assert [one.split(" t-")[0] for one in applied["steps"]] == [*["discard the saved memory of"] * 2, "undefine"]
    assert host.states("t-saved") == {"t-saved": "shut off"}
    assert host.states("t-absent") == {}


@pytest.fixture
def held(guests):
    """A guest in each of the two states for each goal: ``{name: (source, goal)}``."""
    clean = guests.host
    moves = {}
    for source, letter, word in (("crashed", "c", "panic"), ("shutting down", "s", "slow")):
        for goal in GOALS:
            moves[f"{letter}-{goal}"] = (source, goal)
            clean.define(f"{letter}-{goal}", f"agent {word}")
    clean.boot(*moves)
    crashing = [f"c-{goal}" for goal in GOALS]
    clean.ssh("; ".join(f"virsh -q -c qemu:///system shutdown --mode acpi {name}" for name in crashing))
    clean.wait_for("crash", lambda: set(clean.states("c-").values()) == {"crashed"})
    # libvirt learns that a guest has gone down, but the process of the guest cannot end: both are stopped, each
    # before the other has said something.
    clean.ssh(
        "; ".join(f"virsh -q -c qemu:///system shutdown --mode acpi s-{goal}" for goal in GOALS)
        + "; kill -STOP $(pgrep -x libvirtd)"
    )
    clean.wait_for("power off", lambda: all("Power down" in clean.console(f"s-{goal}") for goal in GOALS))
    clean.ssh(f"sleep 1; {SIGNAL.format('STOP')}; kill -CONT $(pgrep -x libvirtd)")
    clean.wait_for("shutdown", lambda: set(clean.states("s-").values()) == {"in shutdown"})
    yield moves
    clean.ssh(SIGNAL.format("CONT"), ok=(0, 1))


def test_every_way_of_guests_that_crashed_or_are_shutting_down(guests, held):
    guests.refuse(held)
    go_on = f"setsid sh -c 'sleep 5; {SIGNAL.format('CONT')}' >/dev/null 2>&1 </dev/null & sleep 0.2"
    # What is shutting down does not stay so, whatever is declared.
    guests.drive({name: move for name, move in held.items() if name != "s-defined"}, go_on, start_to_save=True)


def test_every_way_of_transient_domains(guests):
    host, toured = guests.host, ("running", "paused", "pmsuspended")
    for state in toured:
        host.virsh("create", "/dev/stdin", stdin=tiny_guest.xml(f"t-{state}", "agent"))
        guests.booting[f"t-{state}"] = 0
    for state in toured:
        guests.settle(f"t-{state}")
    guests.drive({f"t-{state}": ("running", state) for state in toured})
    for goal in ("saved", "shutoff"):
        refused = host.state(name="t-*", state=goal)["refused"]
        assert len(refused) == len(toured)
        assert all("is transient: without a definition it ceases to exist" in line for line in refused)
    at = {f"t-{state}": number for number, state in enumerate(toured)}
    for shift in (1, 2):
        guests.drive({name: (toured[number], toured[(number + shift) % 3]) for name, number in at.items()})
        at = {name: (number + shift) % 3 for name, number in at.items()}
    guests.drive({f"t-{state}": (state, "rebooted") for state in toured})
    for state in toured:
        guests.settle(f"t-{state}")
    guests.drive({f"t-{state}": ("running", state) for state in toured})
    applied = host.state(name="t-*", state="absent")
    assert {name: one["path"] for name, one in applied["domains"].items()} == {
        "t-running": ["shutdown"], "t-paused": ["resume", "shutdown"], "t-pmsuspended": ["wake", "shutdown"],
    }  # fmt: skip
    assert host.states() == {}


def test_a_guest_without_an_agent_is_not_put_to_sleep(clean):
    clean.define("t-none")
    message = clean.state(name="t-none", state="pmsuspended")["msg"]
    assert "t-none is shutoff and cannot be made pmsuspended: that takes the QEMU guest agent" in message
    assert clean.states() == {"t-none": "shut off"}
