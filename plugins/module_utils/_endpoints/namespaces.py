# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network namespaces: entered, made and removed as ip-netns(8) does, without a process for each.

Private to the collection; not a public interface.
"""

import ctypes
import errno
import os
from contextlib import contextmanager, suppress

from .._core.netlink import Netlink
from . import rtnetlink

CLONE_NEWNET = 0x40000000  # unshare(2)
MS_BIND, MS_REC, MS_SHARED = 0x1000, 0x4000, 0x100000  # mount(2)
MNT_DETACH = 2
OWN = "/proc/self/ns/net"

libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def inside(path):
    """Be in a network namespace for the body; yields a descriptor of it.

    :raises OSError: it is not there (ENOENT), or the file is none (EINVAL).
    """
    own = os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        other = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _check(libc.setns(other, CLONE_NEWNET), path)
            try:
                yield other
            finally:
                # To go on in a namespace that is not the host's would change the wrong one.
                _check(libc.setns(own, CLONE_NEWNET), OWN)
        finally:
            os.close(other)
    finally:
        os.close(own)


@contextmanager
def socket_in(path):
    """Yield a :class:`Netlink` in a namespace, and a descriptor of that."""
    with inside(path) as descriptor:
        netlink = Netlink()
        kept = os.dup(descriptor)
    try:
        yield netlink, kept
    finally:
        netlink.close()
        os.close(kept)


def is_own(path):
    """Tell whether a path is the namespace that this process is in."""
    with suppress(OSError):
        one, own = os.stat(path), os.stat(OWN)
        return (one.st_dev, one.st_ino) == (own.st_dev, own.st_ino)
    return False


def add(path, alias):
    """Make a namespace whose loopback is up and has ``alias``, the mark that it is ours, and give it its name.

    It has the mark before it has the name, so that one that is found without is somebody else's.
    """
    _share(os.path.dirname(path))
    own = os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(libc.unshare(CLONE_NEWNET), path)
        try:
            netlink = Netlink()
            try:
                rtnetlink.set_link(netlink, "lo", {"up": True, "alias": alias})
            finally:
                netlink.close()
            os.close(os.open(path, os.O_RDONLY | os.O_CREAT, 0o444))
            if _is_taken(path):
                raise OSError(errno.EEXIST, os.strerror(errno.EEXIST), path)
            _check(libc.mount(OWN.encode(), path.encode(), b"none", ctypes.c_ulong(MS_BIND), None), path)
        finally:
            _check(libc.setns(own, CLONE_NEWNET), OWN)
    finally:
        os.close(own)


def remove(path):
    """Take the name of a namespace away; it is gone with the last process in it. One that is not there is removed."""
    if libc.umount2(path.encode(), MNT_DETACH):
        number = ctypes.get_errno()
        if number not in (errno.EINVAL, errno.ENOENT):  # no mount: a stale file
            raise OSError(number, os.strerror(number), path)
    with suppress(FileNotFoundError):
        os.unlink(path)


def _is_taken(path):
    """Tell whether a namespace has a name; a file that was left behind has none on it."""
    return os.stat(path).st_dev == os.stat(OWN).st_dev


def _share(directory):
    """Make names of namespaces seen in other mount namespaces, as ip-netns(8) does."""
    os.makedirs(directory, mode=0o755, exist_ok=True)
    where = directory.encode()
    if libc.mount(b"", where, b"none", ctypes.c_ulong(MS_SHARED | MS_REC), None):
        _check(libc.mount(where, where, b"none", ctypes.c_ulong(MS_BIND | MS_REC), None), directory)
        _check(libc.mount(b"", where, b"none", ctypes.c_ulong(MS_SHARED | MS_REC), None), directory)


def _check(result, path):
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
