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

MODULE = "hostcraft.linux.libvirt_domain_state"
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

    def drive(self, moves, during="", **more):
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
            assert done == names, (name, source, goal, applied["domains"][name], self._story(name))
            assert beats["after"].get(name) == reached(source, goal), (name, source, goal)
            self._note(name, done, boots[name])
        assert list(steps) == []
        assert beats["again"]["changed"] is False, beats["again"]

    def _story(self, name):
        """Return what libvirt, QEMU and the guest itself say of what became of it."""
        said = f"virsh -c qemu:///system domstate --reason {name}; tail -n 3 /var/log/libvirt/qemu/{name}.log"
        return self.host.ssh(said, ok=(0, 1)), self.host.console(name)[-500:]

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
        go_on, back = {"paused": (("resume",), "suspend"), "saved": (("start", "resume"), "managedsave")}.get(
            state, ((), "")
        )
        old = self.booting.pop(name)
        for command in go_on:  # one that was saved while it was paused comes up paused
            self.host.virsh(command, name, ok=(0, 1))
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


@pytest.fixture
def guests(clean):
    """No guests yet, on a host without any."""
    return Guests(clean)


class Tour:
    """Where the guests of a tour are: ``at`` maps each to the number of its state among ``states``."""

    def __init__(self, letter, states):
        self.states = states
        self.at = {f"{letter}-{state}": number for number, state in enumerate(states)}

    def now(self):
        """Return ``{name: state}``."""
        return {name: self.states[number] for name, number in self.at.items()}

    def spread(self, source):
        """Return the moves from one state to all."""
        return {name: (source, state) for name, state in self.now().items()}

    def to(self, goal):
        """Return the moves of all to a goal that is none of the states."""
        return {name: (state, goal) for name, state in self.now().items()}

    def shift(self, by):
        """Move on by so many states; return the moves."""
        before = self.now()
        self.at = {name: (number + by) % len(self.states) for name, number in self.at.items()}
        return {name: (before[name], state) for name, state in self.now().items()}


def test_the_tour_of_all_ways_between_states(guests):
    """Persistent domains, and transient ones in the three states that these have."""
    host, tour, transient = guests.host, Tour("t", TOURED), Tour("x", ("running", "paused", "pmsuspended"))
    for name in transient.at:
        host.virsh("create", "/dev/stdin", stdin=tiny_guest.xml(name, "agent"))
        guests.booting[name] = 0
    guests.drive({**tour.spread("absent"), **transient.spread("running")}, start_to_save=True)
    guests.refuse({"t-shutoff": ("shutoff", "saved"), "t-absent": ("absent", "saved")})
    never = host.results({goal: {MODULE: {"name": "x-*", "state": goal}} for goal in ("saved", "shutoff")})
    for result in never.values():
        assert [line.split()[:3] for line in result["refused"]] == [
            [name, "is", "transient:"] for name in sorted(transient.at)
        ]
    defined = tour.to("defined")
    del defined["t-absent"]
    guests.drive({**defined, **transient.to("defined")})
    seen = set()
    for by in range(1, len(TOURED)):
        moves = tour.shift(by)
        seen.update(moves.values())
        guests.drive({**moves, **(transient.shift(by) if by < len(transient.states) else {})}, start_to_save=True)
    assert len(seen) == len(TOURED) * (len(TOURED) - 1)
    both = {**tour.to("rebooted"), **transient.to("rebooted")}
    guests.drive(both)
    for name in both:
        guests.settle(name)  # each has truly booted
    guests.drive({**tour.spread("running"), **transient.spread("running")}, start_to_save=True)
    moves = tour.to("reset")
    guests.refuse(moves)
    guests.drive(moves, allow_data_loss=True)
    for name in moves:
        guests.settle(name)
    gone = host.state(name="x-*", state="absent")["domains"]
    # The transient ones are where they were spread to, and have ceased to exist when they are off.
    down = {"running": ["shutdown"], "paused": ["resume", "shutdown"], "pmsuspended": ["wake", "shutdown"]}
    assert {name: one["path"] for name, one in gone.items()} == {
        name: down[state] for name, state in transient.now().items()
    }
    assert host.states("x-") == {}


def test_a_saved_memory_is_discarded_only_with_permission(guests):
    host = guests.host
    for name in ("t-off", "t-gone"):
        host.define(name)
        host.ssh(f"virsh -q -c qemu:///system start {name}; virsh -q -c qemu:///system managedsave {name}")
    lossy = [{"name": "t-off", "state": "shutoff"}, {"name": "t-gone", "state": "absent"}]
    applied = host.state(domains=lossy, allow_data_loss=True)
    assert {name: one["path"] for name, one in applied["domains"].items()} == {
        "t-off": ["discard"], "t-gone": ["discard", "undefine"],
    }  # fmt: skip
    assert all("loses the saved memory" in step for step in applied["steps"][:2])
    assert host.states() == {"t-off": "shut off"}


@pytest.fixture
def held(guests):
    """A guest in each of the two states for each goal: ``{name: (source, goal)}``."""
    clean = guests.host
    moves = {}
    for source, letter, word in (("crashed", "c", "panic"), ("shutting down", "s", "slow")):
        for goal in GOALS[:-1]:  # to be defined, as these are, is no way
            moves[f"{letter}-{goal}"] = (source, goal)
            clean.define(f"{letter}-{goal}", f"agent {word}")
    clean.boot(*moves)
    press = "virsh -q -c qemu:///system shutdown --mode acpi {}"
    crashing, stopping = ([name for name in moves if name.startswith(letter)] for letter in "cs")
    clean.ssh("; ".join(press.format(name) for name in crashing))
    clean.wait_for("crash", lambda: set(clean.states("c-").values()) == {"crashed"})
    # libvirt learns that a guest has gone down, but the process of the guest cannot end: both are stopped, each
    # before the other has said something.
    clean.ssh("; ".join(press.format(name) for name in stopping) + "; kill -STOP $(pgrep -x libvirtd)")
    clean.wait_for("power off", lambda: all("Power down" in clean.console(name) for name in stopping))
    clean.ssh(f"sleep 1; {SIGNAL.format('STOP')}; kill -CONT $(pgrep -x libvirtd)")
    clean.wait_for("shutdown", lambda: set(clean.states("s-").values()) == {"in shutdown"})
    yield moves
    clean.ssh(SIGNAL.format("CONT"), ok=(0, 1))


def test_every_way_of_guests_that_crashed_or_are_shutting_down(guests, held):
    guests.refuse(held)
    assert guests.host.state(name="[cs]-*", state="defined")["changed"] is False
    go_on = f"setsid sh -c 'sleep 5; {SIGNAL.format('CONT')}' >/dev/null 2>&1 </dev/null & sleep 0.2"
    guests.drive(held, go_on, start_to_save=True)


def test_a_guest_without_an_agent_is_not_put_to_sleep(clean):
    clean.define("t-none")
    message = clean.state(name="t-none", state="pmsuspended")["msg"]
    assert "t-none is shutoff and cannot be made pmsuspended: that takes the QEMU guest agent" in message
    assert clean.states() == {"t-none": "shut off"}
