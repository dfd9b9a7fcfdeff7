# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hypervisor: a namespace host with libvirtd and QEMU, so that none of it is on the machine itself."""

from pathlib import Path

from lab import cache, domains, namespace_host, namespaces, progress, record, rootfs

NAME = "hypervisor"
PACKAGES = (
    "libvirt-daemon-system",
    "libvirt-daemon-system-sysv",  # instead of -systemd, which would bring systemd
    "libvirt-clients",
    "libvirt-daemon-driver-qemu",
    "python3-libvirt",
    "qemu-system-x86",
    "qemu-utils",
    "dnsmasq-base",
    "iptables",
    "busybox-static",  # of which the initramfs of the tiny guests is made
    "python3-apt",  # without which Ansible cannot ask for packages
    "python3-lxml",  # community.libvirt, which is measured against, needs it
)
SERVICES = (*rootfs.SERVICES, ("/usr/sbin/virtlogd",), ("/usr/sbin/libvirtd",))
IMAGES = "/var/lib/libvirt/images"  # on the hypervisor: disks() of this lab instance
BASE = "/var/lib/libvirt/base"  # on the hypervisor: the images directory of the cache, read-only
BRIDGES = ("lab0", "lab1", "lab2")


def recipe() -> rootfs.Recipe:
    """Return the recipe of the hypervisor's root file system."""
    return rootfs.managed("hypervisor", PACKAGES, SERVICES)


def up() -> record.Record:
    """Start the hypervisor unless it runs, and return its record; libvirtd then answers."""
    root = rootfs.ensure(recipe())
    binds = [(str(disks()), IMAGES, False), (str(cache.root() / "images"), BASE, True), *domains.BINDS]
    # With any other owner and mode libvirt holds its cached capabilities for outdated, and probes
    # QEMU again for 44 s at every define.
    kvm = [("kvm", 10, 232, 0o660, group_id(root, "kvm"))] if Path("/dev/kvm").exists() else []
    return namespace_host.start("hypervisor", NAME, recipe(), binds, kvm, finish)


def finish(started: record.Record) -> None:
    """Make the bridges of a hypervisor that was just started, and wait until libvirtd answers."""
    for bridge in BRIDGES:
        # forward_delay 0: a port forwards at once, there is no spanning tree to wait for.
        batch = f"link add {bridge} type bridge forward_delay 0\nlink set {bridge} up\n"
        namespaces.run(started.pid, ["ip", "-batch", "-"], batch)
    with progress.step("Wait for libvirtd"):
        record.wait_for("libvirtd", lambda: domains.answers(started), 60.0, 0.2)


def disks() -> Path:
    """Return where the disks of this lab instance's virtual machines are, on the machine."""
    path = record.lab() / "disks"
    path.mkdir(exist_ok=True)
    return path


def run(hypervisor: record.Record, argv: list[str], timeout: float = 120.0) -> str:
    """Run a command on the hypervisor as root, and return its output (see namespaces.run_inside)."""
    return namespaces.run_inside(hypervisor.pid, argv, timeout)


def group_id(root: Path, name: str) -> int:
    """Return the number of a group in the root file system ``root``."""
    for line in (root / "etc/group").read_text().splitlines():
        fields = line.split(":")
        if fields[0] == name:
            return int(fields[2])
    raise record.LabError(f"{root}: no group {name!r}; remove this directory and try again")
