# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab has started: one JSON file a thing, so that only that is ever stopped."""

import contextlib
import fcntl
import json
import os
import re
import select
import signal
import time
from pathlib import Path
from typing import NamedTuple

from lab import cache

NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")  # also a valid host name (RFC 1123) and libvirt domain name


class LabError(Exception):
    """Something the user can act on; the text says what and how."""


class Record(NamedTuple):
    """One started thing. ``start`` tells its process from a later one with the same pid."""

    kind: str  # "switch", "host", "hypervisor", "vm" or "cluster"
    name: str
    pid: int  # 0 for a thing without a process of its own
    start: str  # as from start_time()
    data: dict  # what its kind needs to know


def lab(name: str | None = None) -> Path:
    """Return the directory of a lab instance, made when missing.

    ``$HOSTCRAFT_LAB`` names the instance where ``name`` does not (default: ``default``). Instances share images,
    nothing else.
    """
    name = name or os.environ.get("HOSTCRAFT_LAB") or "default"
    check_name("HOSTCRAFT_LAB", name)
    path = cache.root() / "labs" / name
    path.mkdir(parents=True, exist_ok=True)
    return path


def check_name(what: str, name: str) -> None:
    """Raise ``LabError`` unless ``name`` is usable as a host name."""
    if not NAME.fullmatch(name):
        raise LabError(
            f"{what} {name!r}: use a lower-case letter, then letters, digits and hyphens, 31 characters at most"
        )


@contextlib.contextmanager
def locked(path: Path, say=lambda text: None):
    """Hold an exclusive lock on the file ``path`` (flock(2): the kernel drops it when we die).

    Calls ``say`` once when another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another lab command (lock {path})")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def start_time(pid: int) -> str | None:
    """Return what identifies the process ``pid`` for ever, or None when it is gone or a zombie.

    It is the boot's id and field 22 of /proc/PID/stat, clock ticks since boot (proc(5)).
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()  # the command name, field 2, may hold blanks and parentheses
    if fields[0] in "ZX":
        return None
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}:{fields[22 - 3]}"


def alive(record: Record) -> bool:
    """Tell whether the very process that was recorded still runs."""
    return record.pid > 0 and start_time(record.pid) == record.start


def write(record: Record) -> None:
    """Keep a record, replacing an older one of the same name, atomically."""
    path = _path(record.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(record._asdict(), indent=1) + "\n")
    temporary.rename(path)


def read(name: str) -> Record | None:
    """Return the record of ``name``, None when there is none."""
    try:
        return Record(**json.loads(_path(name).read_text()))
    except FileNotFoundError:
        return None


def every(*kinds: str) -> list[Record]:
    """Return all records of these kinds (no kinds: all), sorted by name."""
    found = [read(path.stem) for path in sorted((lab() / "records").glob("*.json"))]
    return [record for record in found if record and (not kinds or record.kind in kinds)]


def forget(name: str) -> None:
    """Remove a record; a missing one is no error."""
    _path(name).unlink(missing_ok=True)


def stop(record: Record, grace: float) -> bool:
    """End the recorded process: SIGTERM, after ``grace`` seconds SIGKILL. Return whether it was running.

    A pidfd (pidfd_open(2)) is opened before the start time is compared, so that the signal cannot
    reach a process that got the pid in between. Raises ``LabError`` when it survives SIGKILL.
    """
    try:
        handle = os.pidfd_open(record.pid) if record.pid > 0 else None
    except ProcessLookupError:
        handle = None
    if handle is None:
        return False
    try:
        if not alive(record):
            return False
        for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 10.0)):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, number)
            if select.select([handle], [], [], patience)[0]:
                return True
        raise LabError(f"{record.kind} {record.name}: process {record.pid} survived SIGKILL; look at its /proc entry")
    finally:
        os.close(handle)


def wait_for(what: str, ready, timeout: float, interval: float = 0.02):
    """Call ``ready()`` until it returns something true, and return that.

    Raises ``LabError`` after ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        answer = ready()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise LabError(f"{what}: not ready after {timeout:.0f} s")
        time.sleep(interval)


def _path(name: str) -> Path:
    return lab() / "records" / f"{name}.json"
