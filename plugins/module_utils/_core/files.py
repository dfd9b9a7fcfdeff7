# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are either the old or the new one, whatever happens while they are written.

Private to the collection; not a public interface.
"""

import base64
import errno
import os
import stat
import tempfile
from typing import NamedTuple, Optional, Tuple

from .reconcile import ReconcileError


class Snapshot(NamedTuple):
    """A file as it was, byte for byte, with what belongs to it. ``content`` None: there was none.

    ``missing`` is the topmost directory above it that did not exist.
    """

    path: str
    content: Optional[bytes]
    mode: int = 0o644
    owner: Tuple[int, int] = (-1, -1)
    xattrs: Tuple[Tuple[str, bytes], ...] = ()
    missing: Optional[str] = None


def read(path):
    """Return the text of a file, or None when there is no such file.

    Bytes that are not UTF-8 survive a read and a write unchanged (surrogateescape, PEP 383).
    """
    content = _bytes(path)
    return None if content is None else content.decode("utf-8", "surrogateescape")


def write(path, text, mode=0o644):
    """Replace or create a file atomically and return its :class:`Snapshot` from before.

    The new content is complete on the disk before the name points at it (rename(2)); an existing
    file keeps owner, mode, SELinux context and ACLs, a new one gets ``mode`` and what its directory
    hands down. A symbolic link is followed. Missing directories are made.

    :raises ReconcileError: with the path and the system's reason; the old file is untouched.
    """
    return write_bytes(path, text.encode("utf-8", "surrogateescape"), mode)


def write_bytes(path, content, mode=0o644):
    """The same as :func:`write` for a file that is not text."""
    before = take(path)
    after = before._replace(content=content)
    if before.content is None:
        after = after._replace(mode=mode)
    try:
        _put(after)
    except OSError as error:
        _remove_directories(before)
        raise _told("write", path, error) from error
    return before


def remove(path, prune=False):
    """Remove a file and return its :class:`Snapshot`.

    :param prune: remove the directory as well when it is empty afterwards.
    :raises ReconcileError: with the path and the system's reason.
    """
    before = take(path)
    directory = os.path.dirname(path)
    try:
        os.unlink(path)
        sync_directory(directory)
        if prune and not os.listdir(directory):
            os.rmdir(directory)
    except OSError as error:
        raise _told("remove", path, error) from error
    return before


def take(path):
    """Return the :class:`Snapshot` of a file, to be put back by :func:`restore`."""
    content = _bytes(path)
    if content is None:
        missing, directory = None, os.path.dirname(os.path.realpath(path))
        while not os.path.isdir(directory):
            missing, directory = directory, os.path.dirname(directory)
        return Snapshot(path, None, missing=missing)
    status = os.stat(path)
    return Snapshot(
        path, content, stat.S_IMODE(status.st_mode), (status.st_uid, status.st_gid), tuple(sorted(_xattrs(path)))
    )


def restore(snapshot):
    """Make the file what the snapshot says, including its absence and that of its directories.

    :raises ReconcileError: with the path and the system's reason.
    """
    try:
        if snapshot.content is not None:
            _put(snapshot)
            return
        if os.path.lexists(snapshot.path):
            os.unlink(snapshot.path)
            sync_directory(os.path.dirname(snapshot.path))
        _remove_directories(snapshot)
    except OSError as error:
        raise _told("restore", snapshot.path, error) from error


def link(path, target):
    """Make a symbolic link that points at ``target`` and has reached the disk; one that is there is replaced."""
    temporary = f"{path}.hostcraft-{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        os.symlink(target, temporary)
        os.rename(temporary, path)
        sync_directory(os.path.dirname(path))
    except OSError as error:
        raise _told("link", path, error) from error


def to_json(snapshot):
    """Return a snapshot as JSON can carry it; :func:`from_json` reads it."""
    content = None if snapshot.content is None else base64.b64encode(snapshot.content).decode()
    xattrs = [[name, base64.b64encode(value).decode()] for name, value in snapshot.xattrs]
    return dict(snapshot._asdict(), content=content, xattrs=xattrs)


def from_json(value):
    """Return the snapshot that :func:`to_json` made ``value`` of."""
    content = None if value["content"] is None else base64.b64decode(value["content"])
    xattrs = tuple((name, base64.b64decode(data)) for name, data in value["xattrs"])
    return Snapshot(**dict(value, content=content, xattrs=xattrs, owner=tuple(value["owner"])))


def _bytes(path):
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _told("read", path, error) from error


def _xattrs(path):
    """Yield the extended attributes of a file: its SELinux context and ACLs (xattr(7))."""
    try:
        for name in os.listxattr(path):
            yield name, os.getxattr(path, name)
    except OSError as error:
        if error.errno not in (errno.ENOTSUP, errno.ENODATA):
            raise


def _put(snapshot):
    """Write the file beside its place and rename it there, both reaching the disk."""
    path = os.path.realpath(snapshot.path)
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=".hostcraft-", dir=os.path.dirname(path))
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(snapshot.content)
            os.fchown(stream.fileno(), *snapshot.owner)
            os.fchmod(stream.fileno(), snapshot.mode)
            for name, value in snapshot.xattrs:
                os.setxattr(stream.fileno(), name, value)
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    sync_directory(os.path.dirname(path))


def sync_directory(path):
    """Let the entries of a directory reach the disk.

    A rename or unlink has reached the disk only when the directory has (fsync(2), notes)."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_directories(snapshot):
    """Remove the directories that were missing when the snapshot was taken and are empty."""
    path = os.path.dirname(os.path.realpath(snapshot.path))
    while snapshot.missing and path.startswith(snapshot.missing):
        if os.path.isdir(path):
            if os.listdir(path):
                return
            os.rmdir(path)
        path = os.path.dirname(path)


def _told(verb, path, error):
    hint = ". Run the task with 'become: true'" if error.errno in (errno.EACCES, errno.EPERM) else ""
    return ReconcileError(f"Cannot {verb} {path}: {error.strerror}{hint}", path=path)
