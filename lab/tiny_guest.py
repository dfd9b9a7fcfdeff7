# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest that boots in some seconds: Debian's kernel with an initramfs of busybox, and nothing to store.

It powers off when its power button is pressed. Words on its kernel command line change that: ``ignore`` has it
ignore the button, ``slow`` take three seconds, ``panic`` crash (noticed through pvpanic). With ``agent`` it runs
Debian's qemu-guest-agent, which can shut it down and suspend it to memory (S3).
"""

import hashlib
import shutil
import subprocess
import uuid
from pathlib import Path

from lab import cache, hypervisor, progress, record, rootfs, vm_image

# In the order in which they are loaded.
MODULES = (
    "drivers/acpi/button.ko",
    "drivers/input/evdev.ko",
    "drivers/misc/pvpanic/pvpanic.ko",
    "drivers/misc/pvpanic/pvpanic-mmio.ko",
)
CHANNEL_MODULES = (
    "drivers/virtio/virtio_ring.ko",
    "drivers/virtio/virtio.ko",
    "drivers/virtio/virtio_pci_legacy_dev.ko",
    "drivers/virtio/virtio_pci_modern_dev.ko",
    "drivers/virtio/virtio_pci.ko",
    "drivers/char/virtio_console.ko",
)
AGENT = "/usr/sbin/qemu-ga"
# Not q35: after a sleep its interrupt for ACPI events stays silent, and with it the power button (QEMU 7.2).
MACHINE = "pc"
MEMORY = 128  # MiB; with 64 the kernel never says a word
INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
for module in /modules/*.ko; do insmod "$module"; done
given=" $(cat /proc/cmdline) "
case "$given" in *" agent "*)
    for module in /channel/*.ko; do insmod "$module"; done
    until [ -c /dev/vport0p1 ]; do sleep 0.1; done
    qemu-ga -m virtio-serial -p /dev/vport0p1 -t /run &
esac
# By its name: a keyboard is an input device as well. On a busy machine it turns up late.
find_button() { grep -A 5 'Name="Power Button"' /proc/bus/input/devices | grep -o 'event[0-9]*'; }
until [ -c "/dev/input/$button" ]; do sleep 0.1; button=$(find_button); done
# Open from now on, so that no press is missed. Two events of 24 bytes each are a press and two its release.
exec 3< "/dev/input/$button"
pressed() { head -c 96 <&3 > /dev/null; }
echo ready
case "$given" in *" ignore "*) while true; do sleep 1000; done ;; esac
pressed
case "$given" in
    *" panic "*) echo c > /proc/sysrq-trigger ;;
    *" slow "*) echo going; sleep 3 ;;
esac
poweroff -f
"""
# What the agent calls to shut down, as of its source (qga/commands-posix.c).
SHUTDOWN = """#!/bin/sh
case "$*" in *-r*) reboot -f ;; esac
case "$(cat /proc/cmdline)" in *" slow "*) echo going > /dev/console; sleep 3 ;; esac
poweroff -f
"""
XML = """<domain type='qemu'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <memory unit='MiB'>{memory}</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='{machine}'>hvm</type>
    <kernel>{base}/vmlinuz</kernel>
    <initrd>{base}/initrd</initrd>
    <cmdline>console=ttyS0 mitigations=off nokaslr tsc=reliable no_timer_check panic=0 quiet {words} </cmdline>
  </os>
  <features><acpi/></features>
  <on_crash>{on_crash}</on_crash>
  <pm><suspend-to-mem enabled='yes'/></pm>
  <devices>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    <serial type='file'><source path='{images}/{name}.console'/></serial>
    <panic model='isa'/>{channel}
  </devices>
</domain>
"""
CHANNEL = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"


def ensure() -> Path:
    """Return the directory with ``vmlinuz`` and ``initrd``, made when missing."""
    vm, host = rootfs.ensure(vm_image.recipe()), rootfs.ensure(hypervisor.recipe())
    key = hashlib.sha256(f"{vm.name} {host.name} {Path(__file__).read_text()}".encode()).hexdigest()[:16]
    target = cache.root() / "images" / f"tiny-{key}"
    if target.is_dir():
        return target
    with record.locked(target.with_suffix(".lock"), progress.say):
        if target.is_dir():
            return target
        building = target.with_suffix(".building")
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True)
        shutil.copyfile(vm_image.follow(vm, "vmlinuz"), building / "vmlinuz")
        (building / "initrd").write_bytes(_archive(vm, host))
        building.rename(target)
    return target


def xml(name: str, words: str = "", on_crash: str = "preserve") -> str:
    """Return the definition of a guest; its console is written to NAME.console among the images."""
    base = f"{hypervisor.BASE}/{ensure().name}"
    number = uuid.uuid5(uuid.NAMESPACE_DNS, name)  # the same each time, as a saved memory is bound to it
    return XML.format(
        name=name,
        uuid=number,
        words=words,
        on_crash=on_crash,
        base=base,
        machine=MACHINE,
        images=hypervisor.IMAGES,
        memory=MEMORY,
        channel=CHANNEL if "agent" in words.split() else "",
    )


def _archive(vm: Path, host: Path) -> bytes:
    """Return the initramfs."""
    kernel = next((vm / "lib/modules").iterdir()) / "kernel"
    files = {
        "init": (0o755, INIT.encode()),
        "bin/busybox": (0o755, (host / "bin/busybox").read_bytes()),
        "bin/qemu-ga": (0o755, (vm / AGENT.lstrip("/")).read_bytes()),
        "sbin/shutdown": (0o755, SHUTDOWN.encode()),
    }
    for directory, modules in (("modules", MODULES), ("channel", CHANNEL_MODULES)):
        for number, module in enumerate(modules):
            files[f"{directory}/{number}.ko"] = (0o644, (kernel / module).read_bytes())
    for library in _libraries(vm):
        files[library] = (0o755, (vm / library).read_bytes())
    directories = {str(parent) for name in files for parent in Path(name).parents if parent.name}
    entries = [(name, 0o040755, b"") for name in sorted(directories | {"proc", "sys", "dev", "run"})]
    entries += [(name, 0o100000 | mode, data) for name, (mode, data) in files.items()]
    entries.append(("TRAILER!!!", 0, b""))
    return b"".join(_entry(number, *entry) for number, entry in enumerate(entries, 1))


def _libraries(vm: Path) -> list[str]:
    """Return the shared libraries of the agent, with the loader, relative to ``vm``; ldd(1) prints their paths."""
    listed = subprocess.run(["chroot", vm, "ldd", AGENT], stdout=subprocess.PIPE, text=True, timeout=30, check=True)
    words = (word for line in listed.stdout.splitlines() for word in line.split())
    return [word.lstrip("/") for word in words if word.startswith("/")]


def _entry(inode: int, name: str, mode: int, data: bytes) -> bytes:
    """Return one file in the format newc of cpio(5): 13 numbers of 8 hexadecimal digits, name and data padded to 4."""
    fields = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)
