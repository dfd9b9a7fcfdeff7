# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run is doing to a repository, for the next run when this one is killed; and the locks of git.

Private to the collection; not a public interface.
"""

import fcntl
import glob
import json
import os
import time
from contextlib import contextmanager, suppress

from .._core import files
from .._core.reconcile import ReconcileError

NAME = "hostcraft-journal"
# The locks that the commands of a checkout take (gitrepository-layout(5), api-lockfile).
LOCKS = ("index.lock", "HEAD.lock", "config.lock", "shallow.lock", "packed-refs.lock", "info/sparse-checkout.lock")
POLL = 0.2  # seconds
PATIENCE = 30.0  # seconds that another run is waited for


def read(directory):
    """Return the journal of a git directory as a dict, or None; an empty one when it was cut off."""
    text = files.read(os.path.join(directory, NAME))
    if text is None:
        return None
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}


def is_running(journal):
    """Tell whether the run that wrote a journal is still there."""
    return journal.get("start") is not None and journal["start"] == _start(journal.get("pid"))


@contextmanager
def written(directory, **doing):
    """Keep a journal, and others out, while the body runs.

    A failure of the body leaves none, since git has cleaned up by then; but a checkout that failed half way stays.
    """
    with _alone(directory):
        text = json.dumps(dict(doing, pid=os.getpid(), start=_start(os.getpid())))
        files.write(os.path.join(directory, NAME), text, 0o600)
        try:
            yield
        except ReconcileError:
            if "checkout" not in doing:
                clear(directory)
            raise
        clear(directory)


@contextmanager
def claimed(path):
    """Be the only run that makes something at ``path``, by a lock file beside it that is gone afterwards."""
    name = path + ".lock"
    while True:
        with open(name, "a"):
            pass
        with _alone(name) as descriptor:
            # Whoever had it before has removed it meanwhile: then this lock is on a file that has no name any more.
            if os.path.exists(name) and os.stat(name).st_ino == os.fstat(descriptor).st_ino:
                try:
                    yield
                finally:
                    os.unlink(name)
                return


@contextmanager
def _alone(path):
    """Hold a lock of the kernel on a directory or file, which goes when the process does.

    :raises ReconcileError: another run has it.
    """
    descriptor, deadline = os.open(path, os.O_RDONLY), time.monotonic() + PATIENCE
    try:
        while not _locked(descriptor):
            if time.monotonic() > deadline:
                raise ReconcileError(f"{path}: another run is at work there; run this task after it")
            time.sleep(POLL)
        yield descriptor
    finally:
        os.close(descriptor)


def _locked(descriptor):
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def tidy(dest, directory):
    """Remove unfinished objects, which git leaves when it is killed or out of disk, unless a git works there."""
    if _users(dest, directory):
        return
    for top, _directories, inside in os.walk(os.path.join(directory, "objects")):
        for name in inside:
            if name.startswith("tmp_"):
                with suppress(FileNotFoundError):
                    os.unlink(os.path.join(top, name))


def clear(directory):
    """Remove the journal."""
    with suppress(FileNotFoundError):
        os.unlink(os.path.join(directory, NAME))


def settle(dest, directory, patience):
    """Wait until nobody else changes the repository; return the locks that a killed run of ours left.

    :param patience: seconds to wait for another run, or for the locks of another git.
    :raises ReconcileError: they did not go away; the lock is named, with its age and who may hold it.
    """
    deadline = time.monotonic() + patience
    while True:
        journal = read(directory)
        busy = journal is not None and is_running(journal) and journal["pid"] != os.getpid()
        locks, users = _locks(directory), []
        if not busy and not locks and journal is None:
            return ()
        if not busy:
            users = _users(dest, directory)
            if not users and (journal is not None or not locks):
                return tuple(locks)
        if time.monotonic() > deadline:
            break
        time.sleep(POLL)
    if busy:
        raise ReconcileError(f"{dest}: another run, process {journal['pid']}, is at work there; run this task after it")
    lock = locks[0] if locks else "the repository"
    if users:
        raise ReconcileError(
            f"{dest}: git process {users[0]} holds {lock}; wait until it has ended, or raise lock_timeout"
        )
    raise ReconcileError(
        f"{dest}: {lock} is locked since {_age(lock)}, and no git process works there: it was left by one that was "
        f"killed. Remove it: rm {lock}"
    )


def _locks(directory):
    names = [os.path.join(directory, name) for name in LOCKS]
    # That of the index which a stash is made with has a number in it (builtin/stash.c of git).
    names += glob.glob(os.path.join(glob.escape(directory), "index.stash.*.lock"))
    for top, _directories, inside in os.walk(os.path.join(directory, "refs")):
        names.extend(os.path.join(top, name) for name in inside if name.endswith(".lock"))
    return [name for name in names if os.path.exists(name)]


def _users(dest, directory):
    """Return the pids of gits whose working directory is inside the checkout (as this user may see)."""
    found = []
    for pid in (name for name in os.listdir("/proc") if name.isdigit()):
        with suppress(OSError):
            with open(f"/proc/{pid}/comm") as stream:
                name = stream.read().strip()
            where = os.readlink(f"/proc/{pid}/cwd")
            if name.startswith("git") and any((where + "/").startswith(one + "/") for one in (dest, directory)):
                found.append(int(pid))
    return found


def _age(path):
    try:
        seconds = int(time.time() - os.stat(path).st_mtime)
    except OSError:
        return "just now"
    return f"{seconds} s ago" if seconds < 120 else f"{seconds // 60} min ago"


def _start(pid):
    """Return when a process began, in clock ticks since boot, with the boot's id: pids are used again (proc(5))."""
    try:
        with open(f"/proc/{int(pid)}/stat") as stream:
            ticks = stream.read().rpartition(")")[2].split()[19]
        with open("/proc/sys/kernel/random/boot_id") as stream:
            return f"{stream.read().strip()} {ticks}"
    except (OSError, TypeError, ValueError):
        return None
