# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that puts a host back when nobody confirms a change. It runs on the host by itself.

``guard.py`` packs it, with what it imports, into one executable file beside the record of the change::

    guard status      what is going on
    guard confirm     keep the change
    guard rollback    put back what was there, now
    guard watch       wait for one of these, for the deadline, or for the death of the task (started by guard.py)
    guard boot        after a power cycle: put back the files (started by systemd, before the network)

Whoever creates the file ``decision`` first decides; link(2) lets only one do so. Private to the collection.
"""

import fcntl
import json
import os
import sys
import syslog
import time
from contextlib import suppress

from . import command, files
from .reconcile import ReconcileError

INTERVAL = 0.2  # seconds between two looks
TAKING = 5.0  # seconds in which a new watchdog must get the lock, which others take for a moment to look
RESERVE = 256 * 1024  # bytes kept beside those of the files that may have to be written again
CONFIRMED, ROLLED_BACK, CANCELLED = "confirmed", "rolled_back", "cancelled"


def main(argv, directory):
    """Run the command in ``argv`` for the change recorded in ``directory``; return the exit status."""
    commands = {"status": status, "confirm": confirm, "rollback": rollback, "watch": watch, "boot": boot}
    if len(argv) != 2 or argv[1] not in commands:
        sys.stderr.write("usage: {} {}\n".format(argv[0], "|".join(commands)))
        return 2
    return commands[argv[1]](directory)


def status(directory):
    """Print what is known of the change as one JSON object."""
    sys.stdout.write(json.dumps(look(directory), sort_keys=True) + "\n")
    return 0


def confirm(directory):
    """Keep the change; exit status 3 when it was put back before."""
    decide(directory, CONFIRMED, "confirmed")
    status(directory)
    if read(directory, "decision")["state"] != CONFIRMED:
        return 3
    clean(directory)
    # Also where it was confirmed before: whoever did so may have been killed here.
    errors = carry_out(read(directory, "change")["settle"])
    if errors:
        log(directory, "confirmed, and something is left that is not needed any more: " + "; ".join(errors))
    return 0


def rollback(directory):
    """Put back what was there before the change, or finish that, unless it was decided otherwise (exit status 3)."""
    decide(directory, ROLLED_BACK, "asked for by hand")
    if read(directory, "decision")["state"] != ROLLED_BACK:
        status(directory)
        return 3
    restore(directory, power_cycled=False)
    return status(directory)


def boot(directory):
    """Put back the files of a change that was not confirmed before the machine went down, or finish that."""
    if read(directory, "change")["boot_id"] == boot_id():
        return 0
    decide(directory, ROLLED_BACK, "the machine went down")
    if read(directory, "decision")["state"] == ROLLED_BACK:
        restore(directory, power_cycled=True)
    clean(directory)
    return 0


def watch(directory):
    """Wait until the change is decided; decide it when the deadline passes or the task dies half way."""
    root = os.path.dirname(directory)
    with open(os.path.join(root, "lock"), "a") as lock, open(os.path.join(directory, "task"), "a") as task:
        if not take(lock, TAKING):
            return 1
        write(directory, "alive", {"pid": os.getpid()})
        while not os.path.exists(os.path.join(directory, "decision")):
            reason = overdue(directory, task)
            if reason and _put_back(directory, reason):
                return 0
            time.sleep(INTERVAL)
        if read(directory, "decision")["state"] == ROLLED_BACK:
            # Who decided so may have been killed before it was done with it.
            restore(directory, power_cycled=False)
        clean(directory)
    return 0


def take(lock, seconds):
    """Take the lock of an open file; return whether that was possible within so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(INTERVAL / 4)
        else:
            return True


def _put_back(directory, reason):
    """Decide to put the change back, and do so; return whether it was done.

    A disk that takes no decision, full or read only, must not leave the host cut off.
    """
    try:
        decide(directory, ROLLED_BACK, reason)
    except (OSError, ReconcileError) as error:
        log(directory, f"{ROLLED_BACK}: {reason}; that cannot be written down: {error}")
        restore(directory, power_cycled=False)
        return True
    return False


def overdue(directory, task):
    """Return why the change must be put back now, or None.

    :param task: an open file that the task has locked as long as it lives.
    """
    progress = read(directory, "progress")
    if time.monotonic() > progress["deadline"]:
        return "no confirmation in time" if progress["applied"] else "a step took too long"
    if progress["applied"]:
        return None
    try:
        fcntl.flock(task, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    # Read again: it may have ended well since.
    return None if read(directory, "progress")["applied"] else "the task died half way"


def decide(directory, state, reason):
    """Decide the change, unless that was done; return whether this call did."""
    name = f"decision.{os.getpid()}"
    decision = {"state": state, "reason": reason, "time": time.time()}
    try:
        write(directory, name, decision)
    except ReconcileError:
        _free(directory)
        write(directory, name, decision)
    try:
        os.link(os.path.join(directory, name), os.path.join(directory, "decision"))
    except FileExistsError:
        return False
    finally:
        os.unlink(os.path.join(directory, name))
    files.sync_directory(directory)
    log(directory, f"{state}: {reason}")
    return True


def restore(directory, power_cycled):
    """Carry out the recorded undo, all of it whatever fails, and record how that went; once, whoever asks for it.

    :param power_cycled: the files only; the rest is gone with the machine's memory.
    """
    with open(os.path.join(directory, "change")) as lock:  # a disk that is read only has no other one
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(os.path.join(directory, "restored")):
            return
        _free(directory)
        errors = carry_out(one for one in read(directory, "change")["undo"] if "path" in one or not power_cycled)
        try:
            write(directory, "restored", {"errors": errors, "time": time.time()})
        except ReconcileError as error:
            errors.append(str(error))
        log(directory, "everything is as before" if not errors else "put back with errors: " + "; ".join(errors))
        clean(directory)


def reserve(directory, undo):
    """Keep room on the disk for what is written when the change is put back: a disk may be full by then."""
    room = RESERVE + sum(len(one["content"] or "") for one in undo if "path" in one)
    files.write_bytes(os.path.join(directory, "reserve"), bytes(room), mode=0o600)


def _free(directory):
    with suppress(OSError):
        os.unlink(os.path.join(directory, "reserve"))


def carry_out(actions):
    """Carry out recorded actions, all of them whatever fails; return the errors of those that may not fail."""
    errors = []
    for action in actions:
        try:
            if "path" in action:
                files.restore(files.from_json(action))
            elif not (action["unless"] and command.prints(action["unless"])):
                command.run(action["argv"], timeout=action["timeout"], stdin=action["stdin"])
        except ReconcileError as error:
            if not action.get("may_fail"):
                errors.append(str(error))
    return errors


def clean(directory):
    """Remove the unit that would put the files back at boot, unless it is that of a later change by now."""
    paths = read(directory, "change")["units"]
    if any(directory not in (files.read(path) or directory) for path in paths):
        return
    for path in paths:
        if os.path.lexists(path):
            os.unlink(path)


def look(directory):
    """Return the id, state, reason and deadline (seconds from now) of the change, and the errors of its undo."""
    change, progress = read(directory, "change"), read(directory, "progress")
    found = {"id": change["id"], "module": change["module"], "state": "applied" if progress["applied"] else "armed"}
    if os.path.exists(os.path.join(directory, "decision")):
        decision = read(directory, "decision")
        found.update(state=decision["state"], reason=decision["reason"])
    else:
        found["seconds_left"] = round(progress["deadline"] - time.monotonic(), 1)
    if found["state"] == ROLLED_BACK:
        done = os.path.exists(os.path.join(directory, "restored"))
        found.update(restored=done, errors=read(directory, "restored")["errors"] if done else [])
    if os.path.exists(os.path.join(directory, "result")):
        found["result"] = read(directory, "result")
    return found


def read(directory, name):
    """Return what :func:`write` kept under this name."""
    with open(os.path.join(directory, name)) as stream:
        return json.load(stream)


def write(directory, name, value):
    """Keep a value under a name, whole or not at all."""
    files.write(os.path.join(directory, name), json.dumps(value), mode=0o600)


def boot_id():
    """Return what tells this boot from every other (random(4))."""
    with open("/proc/sys/kernel/random/boot_id") as stream:
        return stream.read().strip()


def log(directory, text):
    """Write a line to the system's log."""
    change = read(directory, "change")
    syslog.openlog("hostcraft-guard", syslog.LOG_PID, syslog.LOG_DAEMON)
    syslog.syslog(syslog.LOG_NOTICE, "{} ({}): {}".format(change["id"], change["module"], text))
