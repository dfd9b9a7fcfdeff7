# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names in bpffs: what keeps programs and maps alive, and finds them again.

``ROOT/INTERFACE/link`` and ``ROOT/INTERFACE/GENERATION/{prog,counters,...}``. The generation whose program the
interface runs is the one that counts; another one is the rest of a task that was killed, or what a guard goes back to.
Private to the collection; not a public interface.
"""

import contextlib
import os
import re

from .._core.reconcile import ReconcileError
from . import bpf

BPFFS = "/sys/fs/bpf"
MAGIC_LINE = re.compile(r" - bpf ")
KEPT = "k"  # before the name of a generation that was taken off and that a guard may put back
ROOT = BPFFS + "/hostcraft_xdp_drop"


def check_mounted():
    """Refuse where there is no bpffs to pin in.

    :raises ReconcileError: with the command that mounts it.
    """
    with open("/proc/self/mountinfo") as stream:
        for line in stream:
            if line.split()[4] == BPFFS and MAGIC_LINE.search(line):
                return
    raise ReconcileError(
        f"No BPF file system is mounted on {BPFFS}, so programs would not outlive the task. systemd mounts it at boot; "
        f"here it takes: mount -t bpf bpf {BPFFS}"
    )


def directory(interface):
    """Return where the names of an interface are; bpffs takes no dot in a name."""
    return f"{ROOT}/" + re.sub(r"[^A-Za-z0-9-]", lambda found: f"_{ord(found.group()):02x}", interface)


def generations(interface):
    """Return the names of the generations of an interface, newest last."""
    path = directory(interface)
    if not os.path.isdir(path):
        return []
    return sorted((name for name in os.listdir(path) if name.isdigit()), key=int)


def following(interface):
    """Return the name of the next generation."""
    path = directory(interface)
    used = (
        [int(name.lstrip(KEPT)) for name in os.listdir(path) if name.lstrip(KEPT).isdigit()]
        if os.path.isdir(path)
        else []
    )
    return str(max(used, default=0) + 1)


def write(interface, generation, loaded):
    """Pin a program and its maps."""
    path = f"{directory(interface)}/{generation}"
    os.makedirs(path, mode=0o700)
    for name, descriptor in loaded.maps.items():
        bpf.pin(descriptor, f"{path}/{name}")
    # Last: a generation without it is not whole.
    bpf.pin(loaded.program, f"{path}/prog")


def write_link(interface, descriptor):
    """Pin a link; with it goes the program, and without it the program goes."""
    path = f"{directory(interface)}/link"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    bpf.pin(descriptor, path)


@contextlib.contextmanager
def opened(interface, *parts):
    """Give a descriptor of a pinned object, or None when there is none."""
    path = "/".join((directory(interface), *parts))
    try:
        descriptor = bpf.pinned(path)
    except FileNotFoundError:
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def needed(interface, *parts):
    """Give a descriptor of a pinned object.

    :raises FileNotFoundError: there is none; another task has replaced its generation, or taken it off.
    """
    descriptor = bpf.pinned("/".join((directory(interface), *parts)))
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def names(interface, generation):
    """Return what is pinned of a generation."""
    path = f"{directory(interface)}/{generation}"
    return sorted(os.listdir(path)) if os.path.isdir(path) else []


def forget(interface, generation):
    """Remove the names of a generation; the kernel frees what nothing else holds."""
    path = f"{directory(interface)}/{generation}"
    for name in names(interface, generation):
        os.unlink(f"{path}/{name}")
    if os.path.isdir(path):
        os.rmdir(path)


def keep(interface, generation):
    """Put a generation aside; return its name then."""
    path = directory(interface)
    os.rename(f"{path}/{generation}", f"{path}/{KEPT}{generation}")
    return KEPT + generation


def forget_link(interface):
    """Remove the name of the link; a program that nothing else holds there goes."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"{directory(interface)}/link")


def forget_others(interface, generations_kept=()):
    """Remove all generations but these, and the directories when nothing is left."""
    path = directory(interface)
    for name in os.listdir(path) if os.path.isdir(path) else ():
        if name != "link" and name not in generations_kept:
            forget(interface, name)
    for one in (path, ROOT):
        with contextlib.suppress(OSError):  # it is not there, or holds what is still needed
            os.rmdir(one)
