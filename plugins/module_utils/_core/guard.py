# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change that the host takes back by itself unless the controller confirms it over a new connection.

Before the first write everything that puts the host back is on disk and a watchdog, which no longer
depends on the task or its connection, is proved to be alive. See ``watchdog.py`` for what it does.
Private to the collection; not a public interface.
"""

import fcntl
import io
import os
import shutil
import signal
import sys
import time
import zipfile
from contextlib import contextmanager, suppress

from . import command, files, reconcile, watchdog
from .reconcile import ReconcileError

ARGUMENTS = dict(argument_spec=dict(confirm_timeout=dict(type="int", default=0)))
ROOT = "/var/lib/hostcraft/guard"
STEP_LIMIT = 300.0  # seconds that one step may take before the watchdog holds the task for hung
PROOF = 15.0  # seconds in which the watchdog must be alive
TURN = 60.0  # seconds that a task waits while another one arms its guard: longer than that takes
SETTLED = 5.0  # seconds in which the watchdog of a change that is decided ends
UNIT = "hostcraft-guard.service"
# Ordered by systemd.special(7), network-pre.target: before anything that configures the network.
UNIT_TEXT = """# Made by hostcraft.linux for a change that is not confirmed yet; removed with its confirmation.
[Unit]
Description=Put back a change that was never confirmed
DefaultDependencies=no
RequiresMountsFor={root}
After=local-fs.target
Before=network-pre.target NetworkManager.service network.service systemd-networkd.service
Wants=network-pre.target

[Service]
Type=oneshot
ExecStart={python} {program} boot
"""
MAIN = """import os, sys
from core.watchdog import main
sys.exit(main(sys.argv, os.path.dirname(os.path.abspath(sys.argv[0]))))
"""


class Guard:
    """The guard of one task, from :meth:`arm` to :meth:`applied` or :meth:`failed`.

    :param module: the AnsibleModule.
    :param timeout: seconds between the end of the change and its confirmation; 0: no confirmation is wanted, and all
        that is left of the guard is that it refuses to change what another one watches.
    :param undo: ``undo(state, plan) -> actions``, pure: what puts back ``state``, as :func:`file` and :func:`run` make.
    :param settle: the same, for what lets go of all that only the undo would have needed, once it is confirmed.
    """

    def __init__(self, module, timeout, undo, settle=None):
        self.module, self.timeout, self.undo, self.settle = module, timeout, undo, settle
        # The action plugin chooses it, so that it can ask for the change when the task's connection is lost.
        self.id = os.environ.get("HOSTCRAFT_GUARD_ID") or f"{int(time.time()):x}-{os.getpid()}"
        self.directory = os.path.join(ROOT, self.id)
        self.task = None

    def arm(self, state, plan):
        """Record how ``state`` is put back, start the watchdog, and return when it is proved alive.

        :raises ReconcileError: another change waits for its confirmation, or there is no watchdog. Nothing was changed.
        """
        if not self.timeout and not os.path.isdir(ROOT):
            return
        with _turn():
            refuse_if_held()
            if self.timeout:
                self._arm(state, plan)

    def _arm(self, state, plan):
        _remove_old()
        program = os.path.join(self.directory, "guard")
        units = _units(program)
        steps = [str(step) for step in plan.steps]
        change = {
            "id": self.id,
            "module": self.module._name,
            # sudo drops SSH_CLIENT.
            "controller": os.environ.get("HOSTCRAFT_CONTROLLER") or os.environ.get("SSH_CLIENT", "").partition(" ")[0],
            "boot_id": watchdog.boot_id(),
            "steps": steps,
            "undo": list(self.undo(state, plan)),
            "settle": list(self.settle(state, plan)) if self.settle else [],
            "units": [path for path, _text in reversed(units)],
        }
        watchdog.write(self.directory, "change", change)
        try:
            self._extend(STEP_LIMIT, applied=False)
            watchdog.reserve(self.directory, change["undo"])
            files.write_bytes(program, packed(), mode=0o700)
            self.task = open(os.path.join(self.directory, "task"), "a")  # noqa: SIM115 held until the task ends
            fcntl.flock(self.task, fcntl.LOCK_EX)
            self._start(program)
            self._prove()
            for path, text in units:
                files.link(path, text) if path.endswith(f".wants/{UNIT}") else files.write(path, text)
        except BaseException:
            with suppress(OSError, ReconcileError):  # of a full disk, say, which is why it could not be armed
                watchdog.decide(self.directory, watchdog.CANCELLED, "could not be armed")
            watchdog.clean(self.directory)
            raise
        # What cuts the connection must not end the task: the change is finished, and confirmed over a new one.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        watchdog.log(self.directory, "armed: {}".format("; ".join(steps)))

    def step(self):
        """Give the next step its time."""
        if self.task:
            self._extend(STEP_LIMIT, applied=False)

    def applied(self, result):
        """Start the time in which the change must be confirmed; return ``result`` with what the action plugin needs."""
        if not self.task:
            return result
        deadline = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + self.timeout))
        told = {"id": self.id, "timeout": self.timeout, "deadline": deadline, "confirmed": False}
        found = dict(result, guard=told)
        watchdog.write(self.directory, "result", found)
        self._extend(self.timeout, applied=True)
        watchdog.log(self.directory, f"applied, to be confirmed within {self.timeout} s")
        return found

    def failed(self, whole):
        """End the guard of a change that failed; return what there is to say of it.

        :param whole: every step done was undone. Otherwise all that was recorded is put back.
        """
        if not self.task:
            return {}
        if whole:
            watchdog.decide(self.directory, watchdog.CANCELLED, "a step failed, and those before it were undone")
            return {"rolled_back": False}
        if watchdog.decide(self.directory, watchdog.ROLLED_BACK, "failed, and could not be undone step by step"):
            watchdog.restore(self.directory, power_cycled=False)
        found = watchdog.look(self.directory)
        return {"rolled_back": not found.get("errors"), "guard": found}

    def _extend(self, seconds, applied):
        watchdog.write(self.directory, "progress", {"deadline": time.monotonic() + seconds, "applied": applied})

    def _start(self, program):
        # Through Python: /var may be mounted noexec, and SELinux lets systemd start no program of this directory.
        argv = [sys.executable, program, "watch"]
        if has_systemd():
            # A child of this task would be in the control group of the login, and may be killed with it.
            command.run(["systemd-run", "--quiet", f"--unit=hostcraft-guard-{self.id}", *argv])
        else:
            command.detach(argv)

    def _prove(self):
        deadline = time.monotonic() + PROOF
        while time.monotonic() < deadline:
            if os.path.exists(os.path.join(self.directory, "alive")) and _is_held():
                return
            time.sleep(0.02)
        raise ReconcileError(
            f"The watchdog did not come alive within {PROOF:g} s, so nothing was changed. Look at it with: "
            f"journalctl -t hostcraft-guard; systemctl status hostcraft-guard-{self.id}"
        )


def file(snapshot):
    """Return the action that puts a file back as it was."""
    return files.to_json(snapshot)


def run(argv, stdin=None, timeout=60.0, may_fail=False, unless=None):
    """Return the action that runs a command, unless the command ``unless`` prints something."""
    return {"argv": list(argv), "stdin": stdin, "timeout": timeout, "may_fail": may_fail, "unless": unless}


def refuse_if_held():
    """Refuse to change anything while another change waits for its confirmation.

    :raises ReconcileError: names it, who made it, and what to do.
    """
    deadline = time.monotonic() + SETTLED
    while _is_held():
        _refuse_undecided()
        if time.monotonic() > deadline:
            raise ReconcileError(f"Another change is just being put back on this host ({ROOT}/lock); run again")
        time.sleep(0.05)
    _refuse_interrupted()


def _refuse_interrupted():
    """Refuse to build upon a change that was put back in part: its watchdog was killed at it."""
    for name in sorted(os.listdir(ROOT)) if os.path.isdir(ROOT) else ():
        directory = os.path.join(ROOT, name)
        if not all(os.path.exists(os.path.join(directory, one)) for one in ("decision", "progress")):
            continue
        found = watchdog.look(directory)
        here = watchdog.read(directory, "change")["boot_id"] == watchdog.boot_id()
        if here and found["state"] == watchdog.ROLLED_BACK and not found["restored"]:
            raise ReconcileError(
                f"The change {name} was to be put back ({found['reason']}), and that was interrupted. Finish it on the "
                f"host: {directory}/guard rollback",
                holder=found,
            )


def _refuse_undecided():
    for name in sorted(os.listdir(ROOT)):
        directory = os.path.join(ROOT, name)
        if os.path.exists(os.path.join(directory, "alive")) and not os.path.exists(os.path.join(directory, "decision")):
            change, left = watchdog.read(directory, "change"), watchdog.look(directory).get("seconds_left", 0)
            raise ReconcileError(
                "Another change holds the guard of this host: {} by {} from {} ({}), undecided for at most {:.0f} s "
                "more. Wait for it, or decide it on the host: {}/guard confirm|rollback".format(
                    name,
                    change["module"],
                    change["controller"] or "this host",
                    "; ".join(change["steps"]),
                    left,
                    directory,
                ),
                holder=watchdog.look(directory),
            )


@contextmanager
def _turn():
    """Let one task at a time see that nobody holds the guard, and take it: a watchdog lives only after a while.

    :raises ReconcileError: the others take too long, or the file cannot be written.
    """
    path = os.path.join(ROOT, "lock.arming")
    try:
        os.makedirs(ROOT, mode=0o755, exist_ok=True)
        lock = open(path, "a")  # noqa: SIM115 closed below
    except OSError as error:
        raise ReconcileError(f"Cannot write {path}: {error.strerror}. Run the task with 'become: true'") from error
    with lock:
        if not watchdog.take(lock, TURN):
            raise ReconcileError(f"Another change is just being armed on this host ({path}); run again")
        yield


def packed():
    """Return the program of the watchdog: an executable zip file with all that it imports (zipapp)."""
    buffer = io.BytesIO()
    buffer.write(f"#!{sys.executable}\n".encode())
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("__main__.py", MAIN)
        archive.writestr("core/__init__.py", "")
        for module in (command, files, reconcile, watchdog):
            source = module.__loader__.get_source(module.__name__)
            archive.writestr("core/{}.py".format(module.__name__.rpartition(".")[2]), source)
    return buffer.getvalue()


def _is_held():
    """Tell whether a watchdog lives: it has the lock as long as it does."""
    path = os.path.join(ROOT, "lock")
    if not os.path.exists(path):
        return False
    with open(path, "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def has_systemd():
    """Tell whether systemd manages this host (sd_booted(3))."""
    return os.path.isdir("/run/systemd/system")


def _remove_old():
    """Remove the records of changes that no watchdog looks after any more."""
    for name in os.listdir(ROOT) if os.path.isdir(ROOT) else ():
        directory = os.path.join(ROOT, name)
        if os.path.isdir(directory):
            if os.path.exists(os.path.join(directory, "change")):
                watchdog.clean(directory)
            shutil.rmtree(directory)


def _units(program):
    """Return path and text (or target) of the unit that puts files back at boot, and of the link that enables it."""
    if not has_systemd():
        return []
    unit = f"/etc/systemd/system/{UNIT}"
    return [
        (unit, UNIT_TEXT.format(root=ROOT, python=sys.executable, program=program)),
        (f"/etc/systemd/system/multi-user.target.wants/{UNIT}", unit),
    ]
