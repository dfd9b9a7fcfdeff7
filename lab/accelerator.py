# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether virtual machines can use KVM here. That /dev/kvm is there proves little: a kernel is booted with it."""

import contextlib
from pathlib import Path

from lab import hypervisor, progress, record

PATIENCE = 15  # seconds; with working KVM the kernel says its first line within one
PROOF = "Linux version"


def choose(host: record.Record, base: str) -> str:
    """Return libvirt's domain type, ``kvm`` where a kernel starts under it, else ``qemu`` (software, TCG).

    :param base: the directory on the hypervisor with ``vmlinuz`` and ``initrd.img``.
    """
    if not Path("/dev/kvm").exists():
        return "qemu"
    known = hypervisor.disks() / "accelerator"
    if not known.exists():
        known.write_text("kvm" if _boots(host, base) else "qemu")
        progress.say(f"virtual machines run with {known.read_text()}")
    return known.read_text()


def _boots(host: record.Record, base: str) -> bool:
    console = hypervisor.disks() / "probe.console"
    argv = [
        "timeout", str(PATIENCE), "qemu-system-x86_64", "-machine", "q35,accel=kvm", "-cpu", "max", "-m", "256",
        "-nodefaults", "-display", "none", "-no-reboot", "-serial", f"file:{hypervisor.IMAGES}/probe.console",
        "-kernel", f"{base}/vmlinuz", "-initrd", f"{base}/initrd.img",
        "-append", "console=ttyS0 panic=-1 rdinit=/bin/false",
    ]  # fmt: skip
    # It ends with an error either way: by the time limit, by the panic that is asked for, or without KVM.
    with contextlib.suppress(record.LabError):
        hypervisor.run(host, argv, PATIENCE + 5.0)
    return console.exists() and PROOF in console.read_text(errors="replace")
