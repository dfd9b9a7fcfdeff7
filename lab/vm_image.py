# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disk that virtual machines start from: Debian 12 with systemd, cached by a hash of its inputs."""

import shutil
from pathlib import Path

from lab import cache, keys, progress, record, rootfs

PACKAGES = (
    "linux-image-cloud-amd64",
    "initramfs-tools",
    "systemd-sysv",
    "dbus",
    "libpam-systemd",
    "udev",
    "kmod",
    "network-manager",
    "cron",
    "qemu-guest-agent",
    "ethtool",
    "netcat-openbsd",
    "openvswitch-switch",
    "dnsmasq-base",
    "iptables",
    "ipset",
)
SIZE = "3G"  # of the disk, which is sparse
QUIET = (  # what only makes each boot longer
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "ModemManager.service",
    "NetworkManager-wait-online.service",
    "systemd-timesyncd.service",
    "systemd-binfmt.service",
    "dev-hugepages.mount",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    *(f"modprobe@{one}.service" for one in ("configfs", "dm_mod", "drm", "efi_pstore", "fuse", "loop")),
)
# What takes a third of each boot, and is started where it is needed.
OFF = ("openvswitch-switch.service",)
MANAGEMENT = """[connection]
id=management
type=ethernet
interface-name=eth0

[ipv4]
method=auto

[ipv6]
method=disabled
"""
# The first NIC only: the others are for the tests.
NETWORK = "[main]\nno-auto-default=*\n"


def recipe() -> rootfs.Recipe:
    """Return the recipe of a virtual machine's root file system."""
    key = keys.make(cache.root() / "keys" / "vm_host_key", "vm")
    allowed = keys.public(keys.controller())
    files = (
        ("/etc/ssh/sshd_config.d/lab.conf", 0o644, rootfs.SSHD),
        ("/etc/sudoers.d/lab", 0o440, "ops ALL=(ALL:ALL) NOPASSWD: ALL\n"),
        ("/etc/hostname", 0o644, "vm\n"),
        ("/etc/hosts", 0o644, "127.0.0.1 localhost vm\n::1 localhost\n"),
        ("/etc/fstab", 0o644, "/dev/vda / ext4 defaults 0 0\n"),
        ("/etc/ssh/ssh_host_ed25519_key", 0o600, key.read_text()),
        ("/etc/ssh/ssh_host_ed25519_key.pub", 0o644, keys.public(key)),
        ("/etc/NetworkManager/conf.d/lab.conf", 0o644, NETWORK),
        ("/etc/NetworkManager/system-connections/management.nmconnection", 0o600, MANAGEMENT),
        ("/root/.ssh/authorized_keys", 0o600, allowed),
        ("/home/ops/.ssh/authorized_keys", 0o644, allowed),
        # The user manager of root, which each login would start that comes ten seconds after another (logind.conf(5)).
        ("/var/lib/systemd/linger/root", 0o644, ""),
        ("/etc/python3.11/sitecustomize.py", 0o644, Path(__file__).with_name("compiled.py").read_text()),
    )
    # A small initrd: what finds and mounts the disk, nothing else.
    early = (
        ("/etc/initramfs-tools/conf.d/lab", 0o644, "MODULES=list\nCOMPRESS=zstd\n"),
        ("/etc/initramfs-tools/modules", 0o644, "virtio_pci\nvirtio_blk\next4\n"),
    )
    mask = f'chroot "$1" systemctl mask {" ".join(QUIET)}'
    off = f'chroot "$1" systemctl disable {" ".join(OFF)}'
    return rootfs.Recipe("vm", rootfs.HOST_PACKAGES + PACKAGES, files, early, (mask, off))


def ensure() -> Path:
    """Return the directory with ``disk.raw``, ``vmlinuz`` and ``initrd.img``, made when missing."""
    wanted = recipe()
    target = cache.root() / "images" / f"disk-{rootfs.key(wanted)}"
    if target.is_dir():
        return target
    root = rootfs.ensure(wanted)
    with record.locked(target.with_suffix(".lock"), progress.say):
        if target.is_dir():
            return target
        building = target.with_suffix(".building")
        rootfs.remove(building)
        building.mkdir(parents=True)
        for name in ("vmlinuz", "initrd.img"):
            shutil.copyfile(follow(root, name), building / name)
            (building / name).chmod(0o644)
        argv = ["mkfs.ext4", "-q", "-F", "-d", root, building / "disk.raw", SIZE]
        progress.run("Make the disk of the virtual machines", argv, cache.root() / "logs/mkfs.log")
        building.rename(target)
    return target


def follow(root: Path, name: str) -> Path:
    """Return where a link leads that is meant within ``root``, as /vmlinuz is."""
    return root / str((root / name).readlink()).lstrip("/")
