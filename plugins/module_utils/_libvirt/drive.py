# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carry out the steps of one domain, and wait until each state is truly reached.

A call of libvirt says little about what becomes of it: a guest may take its time, go down by itself, be stopped by
somebody else, or the daemon may be restarted. So the state is looked at before and after every call, and the way
that is left is searched anew from what is found.

Private to the collection; not a public interface.
"""

import contextlib
import threading
import time

from . import survey
from .lifecycle import ABSENT, FORCE, REBOOTED, RESET, RUNNING, STOPPING
from .path import path

POLL = 0.5  # seconds after which the state is looked at although no event came
DISTURBING = (*FORCE, "reset")  # what a guest misses, or crashes at, while it still wakes its devices
ASKING = ("pMSuspendForDuration", "reboot", "shutdownFlags")  # calls that ask a guest, who may obey and never answer
SHUTDOWN_FLAGS = {"agent": "GUEST_AGENT", "acpi": "ACPI_POWER_BTN"}


class Failed(Exception):
    """What this domain was to become was not reached; the text says why."""


class Driver:
    """The steps of one domain, and what was done of them.

    ``done`` are the names of the transitions that were carried out, ``changed`` whether anything was, ``forced``
    whether a guest was ended that did not obey, ``state`` the last state that was seen, ``refreshed`` whether it
    was booted anew.
    """

    def __init__(self, session, wanted, name, uuid):
        self.name = name
        self.done = []
        self.changed = False
        self.forced = False
        self.state = None
        self.refreshed = False
        self._session = session
        self._libvirt = session.libvirt
        self._wanted = wanted
        self._handle = (None, None)
        self.uuid = uuid
        self._reboots = 0
        self._rests_until = 0.0
        self._answer = ""

    def carry_out(self, act):
        """Do one act (see model.Act) and return when what it is for is reached.

        :raises Failed: it was not.
        :raises ReconcileError: the connection broke for good.
        """
        if act.kind == "move":
            self._reach(act)
        elif act.kind == "define":
            self._define(act)
        elif act.kind == "autostart":
            self._call(lambda domain: domain.setAutostart(int(act.value)))
        else:
            self._delete(act.value)

    def _reach(self, act):
        """Bring the domain to the target of a transition, by it or by whatever is left to be done."""
        transition = act.what
        goal = REBOOTED if transition.target in (REBOOTED, RESET) else transition.target
        self._reboots = self._session.listener(self.uuid).reboots
        way = _Way(transition, self._wanted)
        while not self._is_there(goal, act):
            if time.monotonic() > way.deadline:
                raise Failed(self._too_late(way))
            if self.state not in way.transition.sources and self.state != STOPPING:
                # Somebody, or the guest itself, has moved it.
                left = path(self.name, self.state, goal, act.facts)
                way = _Way(left[0], self._wanted, way.deadline)
            if self._take(way, act):
                continue
            self._session.listener(self.uuid).wait(min(POLL, max(0.01, way.deadline - time.monotonic())))
        if way.lost:
            self._note(way.lost, act)
        if goal == REBOOTED or (act.goal in (REBOOTED, RESET) and self.done[-1:] == ["start"]):
            self.refreshed = True

    def _is_there(self, goal, act):
        """Look at the domain, and tell whether it is where this step leads, or even where all of them lead."""
        self.state = self._look()
        if goal == REBOOTED:
            listener = self._session.listener(self.uuid)
            return self.state == RUNNING and (
                listener.reboots > self._reboots or self.done[-1:] in (["start"], ["reset"])
            )
        return self.state in (goal, act.goal)

    def _take(self, way, act):
        """Call libvirt if it is time to; tell whether the state is worth looking at at once."""
        now = time.monotonic()
        one = way.transition
        if self.state not in one.sources or not one.call or (one.name in DISTURBING and now < self._rests_until):
            return False
        if way.is_forceable(now):
            self.forced = True
            return self._ask(FORCE[one.name], way, act)
        if way.asked is not None and not (one.again and now - way.asked > one.again):
            return False
        first = way.asked is None
        if self._ask(one, way, act):
            way.asked = now
            return first and one.name not in ("shutdown", "reboot", "sleep", "wake")
        return False

    def _ask(self, one, way, act):
        """Make the call of a transition; tell whether libvirt took it. What is worth another try is no error."""
        connection = self._session.connection
        watch = self._abort_at(way.deadline) if one.call == "managedSave" else None
        try:
            getattr(self._domain(connection), one.call)(*self._arguments(one, act))
        except self._libvirt.libvirtError as error:
            if self._session.lost(connection):
                way.lost = one
                self._session.reopen(connection)
                return False
            self._judge(error, one, way)
            return False
        finally:
            if watch is not None:
                watch.cancel()
        way.lost = None
        self._note(one, act)
        self._rests_until = time.monotonic() + one.rest
        return True

    def _note(self, one, act):
        """Note that a transition was carried out; one that was asked for again and again is noted once."""
        self.changed = True
        # A memory that was saved while its guest was paused comes up paused: going on is the rest of that very step.
        is_rest = act.what.name == "restore" and one.name == "resume"
        if not is_rest and self.done[-1:] != [one.name]:
            self.done.append(one.name)

    def _judge(self, error, one, way):
        """Raise :class:`Failed` unless the state may have changed under the call, or may soon."""
        code, said = error.get_error_code(), self._session.refusal(error)
        libvirt = self._libvirt
        self._answer = said
        if one.call in ASKING and code in (libvirt.VIR_ERR_AGENT_UNRESPONSIVE, libvirt.VIR_ERR_OPERATION_INVALID):
            # Its agent went with the guest, or the guest was down before it was asked by its power button as well.
            way.lost = one
        if code == libvirt.VIR_ERR_NO_DOMAIN:
            return
        if code == libvirt.VIR_ERR_OPERATION_TIMEOUT:  # another job has the domain
            self._answer = f"another job has it: {said}"
            return
        if code == libvirt.VIR_ERR_AGENT_UNRESPONSIVE and one.call in ("pMSuspendForDuration", "shutdownFlags"):
            return  # an agent needs some time after a boot, and a second or two after a restore
        if code == libvirt.VIR_ERR_OPERATION_INVALID and way.refusals < 5:
            way.refusals += 1  # it went to another state between our look and our call
            return
        if way.asked is not None:
            return  # a repeated request; the first one was taken
        raise Failed(f"cannot {one.verb} it: {said}")

    def _arguments(self, one, act):
        libvirt = self._libvirt
        if one.call in ("suspend", "resume"):
            return ()
        if one.call == "pMSuspendForDuration":
            return libvirt.VIR_NODE_SUSPEND_TARGET_MEM, 0, 0
        names = one.flags
        if one.call in ("shutdownFlags", "reboot"):
            kind = "SHUTDOWN" if one.call == "shutdownFlags" else "REBOOT"
            names = [f"VIR_DOMAIN_{kind}_{SHUTDOWN_FLAGS[way]}" for way in self._wanted.shutdown_by]
        if one.call == "undefineFlags":
            names = act.value or ()
        flags = 0
        for name in names:
            flags |= getattr(libvirt, name)
        return (flags,)

    def _abort_at(self, deadline):
        """Abort a job that takes too long; the guest then runs on."""
        watch = threading.Timer(max(0.1, deadline - time.monotonic()), self._abort)
        watch.daemon = True
        watch.start()
        return watch

    def _abort(self):
        with contextlib.suppress(self._libvirt.libvirtError):  # the job may just have ended
            self._session.connection.lookupByUUIDString(self.uuid).abortJob()

    def _domain(self, connection):
        """Return the domain as an object of libvirt; to look it up takes a call, which is spared the second time."""
        if self._handle[0] is not connection:
            self._handle = (connection, connection.lookupByUUIDString(self.uuid))
        return self._handle[1]

    def _look(self):
        """Return the state of the domain now."""

        def state(connection):
            return survey.state_of(self._libvirt, self._domain(connection))

        try:
            return self._session.read(state)
        except self._libvirt.libvirtError as error:
            if error.get_error_code() == self._libvirt.VIR_ERR_NO_DOMAIN:
                return ABSENT
            raise Failed(f"its state cannot be read: {error.get_error_message()}") from error

    def _too_late(self, way):
        one = way.transition
        text = f"still {self.state} after {way.patience:g} s, and not {one.target}"
        if one.name in FORCE and self._wanted.force_after is None:
            ends = "destroy" if one.name == "shutdown" else "reset"
            text += f": its guest did not obey. Set 'force_after' to {ends} such a guest, or raise 'timeout'"
        elif one.name == "sleep":
            text += ": is qemu-guest-agent installed, and running in the guest?"
        else:
            text += ". Raise 'timeout' if that is too short"
        return f"{text} (libvirt: {self._answer})" if self._answer else text

    def _define(self, act):
        """Define it; the definition is stored whole or not at all."""
        domain = self._store(act.value)
        self.uuid, self._handle = domain.UUIDString(), (None, None)
        self.state = self._look()
        self.done.append("define")
        self.changed = True

    def _store(self, text):
        while True:
            connection = self._session.connection
            try:
                return connection.defineXMLFlags(text, 0)
            except self._libvirt.libvirtError as error:
                if not self._session.lost(connection):
                    raise Failed(f"its xml is refused: {self._session.refusal(error)}") from error
                self._session.reopen(connection)

    def _call(self, function):
        try:
            self._session.read(lambda connection: function(self._domain(connection)))
        except self._libvirt.libvirtError as error:
            raise Failed(self._session.refusal(error)) from error
        self.changed = True

    def _delete(self, volume):
        """Delete a disk through the storage pool that it is in."""
        if self._look() != ABSENT:
            raise Failed(f"its disk {volume} is kept: the domain is there again")
        try:
            self._session.read(lambda connection: connection.storageVolLookupByPath(volume).delete(0))
        except self._libvirt.libvirtError as error:
            if error.get_error_code() == self._libvirt.VIR_ERR_NO_STORAGE_VOL:
                raise Failed(
                    f"its disk {volume} is in no active storage pool, so libvirt cannot delete it. "
                    "Define a pool for its directory, or remove the file by other means"
                ) from error
            raise Failed(f"its disk {volume} cannot be deleted: {error.get_error_message()}") from error
        self.changed = True


class _Way:
    """A transition under way: since when, until when, and how often it was refused."""

    def __init__(self, transition, wanted, deadline=None):
        now = time.monotonic()
        self.transition = transition
        self.asked = None
        self.refusals = 0
        self.lost = None  # the transition whose call has brought no answer; it may have been carried out
        self.patience = wanted.timeout
        self._force_at = None
        if transition.name in FORCE and wanted.force_after is not None:
            self._force_at = now + wanted.force_after
            self.patience += wanted.force_after
        self.deadline = deadline or now + self.patience

    def is_forceable(self, now):
        """Tell whether the guest has had its time to obey."""
        return self._force_at is not None and now >= self._force_at
