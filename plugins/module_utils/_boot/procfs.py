# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What proc(5) says of the boot, the container and the libraries in use.

Private to the collection; not a public interface.
"""

import os
import re

from .model import Boot, Kernels
from .verdict import is_boot_id

INITIAL_PID_NAMESPACE = "pid:[4026531836]"  # PROC_PID_INIT_INO, include/linux/proc_ns.h
LIBRARY = re.compile(r" (/(?:usr|lib|lib64|opt)/\S*\.so(?:\.[\w.]+)?) \(deleted\)$")


def boot(boot_id_file, soft_reboots):
    """Return the :class:`Boot` that this host is in.

    :param boot_id_file: files of the boot ID, of which the first that can be read counts (the kubelet's flag
        ``--boot_id_file`` of its cAdvisor).
    :param soft_reboots: how many systemd counts, None where it does not.
    """
    found, problem = boot_id(boot_id_file)
    booted = next(int(line.split()[1]) for line in _text("/proc/stat").splitlines() if line.startswith("btime "))
    pid1 = first_process()
    started = None if pid1 is None else booted + pid1 / os.sysconf("SC_CLK_TCK")
    return Boot(found, problem, booted, pid1, started, soft_reboots, container())


def first_process():
    """Return the start of process 1 in clock ticks since the boot, None where it is hidden (proc(5), hidepid)."""
    try:
        said = _text("/proc/1/stat")
    except OSError:
        return None
    # The name of the program, in parentheses, may have blanks in it.
    return int(said.rpartition(")")[2].split()[19])


def boot_id(paths):
    """Return the boot ID of the first file that can be read, and why there is none."""
    said = []
    for path in paths:
        try:
            found = _text(path).strip()
        except OSError as error:
            said.append(f"{path}: {error.strerror}")
            continue
        if is_boot_id(found):
            return found, ""
        said.append(f"{path} has no boot ID but {found[:60]!r}")
    return None, "; ".join(said) or "no file is named"


def container():
    """Return what kind of container this host is, None for a host with the kernel's first PID namespace."""
    if os.readlink("/proc/self/ns/pid") == INITIAL_PID_NAMESPACE:
        return None
    # https://systemd.io/CONTAINER_INTERFACE/
    for path in ("/run/systemd/container", "/run/host/container-manager"):
        if os.path.exists(path):
            return _text(path).strip() or "a PID namespace"
    known = {"/run/.containerenv": "podman", "/.dockerenv": "docker"}
    return next((name for path, name in known.items() if os.path.exists(path)), "a PID namespace")


def kernels():
    """Return the :class:`Kernels` of this host: those of which modules and an image are there.

    Images are in /boot or, by the newer rule of kernel-install(8), beside the modules.
    """
    roots = [root for root in ("/usr/lib/modules", "/lib/modules") if os.path.isdir(root)]
    found = {
        name
        for root in roots
        for name in os.listdir(root)
        for image in (f"/boot/vmlinuz-{name}", f"/boot/vmlinux-{name}", f"/boot/Image-{name}", f"{root}/{name}/vmlinuz")
        if os.path.exists(image)
    }
    return Kernels(os.uname().release, tuple(sorted(found)))


def deleted_libraries():
    """Return ``{library: names of programs}`` of those in use that are no longer on the disk, and how many are unread.

    Kernel threads have no maps, and what ends meanwhile is left out. So is what runs in a container, whose libraries
    are those of its image: a reboot of the host does not change them.
    """
    users, unread, here = {}, 0, _view("self")
    for pid in (name for name in os.listdir("/proc") if name.isdigit()):
        try:
            # A service may be in a directory of its own, or see mounts of its own, and has the host's libraries.
            if not any(one == other for one, other in zip(_view(pid), here)):
                continue
            gone = {match.group(1) for match in map(LIBRARY.search, _text(f"/proc/{pid}/maps").splitlines()) if match}
            for path in gone:
                users.setdefault(path, set()).add(_text(f"/proc/{pid}/comm").strip())
        except PermissionError:
            unread += 1
        except (FileNotFoundError, ProcessLookupError):
            continue
    return users, unread


def _view(pid):
    """Return what identifies the root directory and the mounts that a process sees."""
    root, mounts = (os.stat(f"/proc/{pid}/{name}") for name in ("root", "ns/mnt"))
    return (root.st_dev, root.st_ino), mounts.st_ino


def _text(path):
    with open(path, encoding="utf-8", errors="surrogateescape") as stream:
        return stream.read()
