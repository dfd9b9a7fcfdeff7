# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual machines on the hypervisor: booted once, saved, and started from that state ever after."""

import hashlib
import shutil
import subprocess
import time
import uuid
from pathlib import Path

from lab import accelerator, cache, domains, hypervisor, inventory, keys, progress, record, vm_image

DOMAIN = Path(__file__).with_name("domain.xml")
MEMORY = 768  # MiB
# An emulated processor is the faster the less it can: programs take their plain ways, which translate better.
CPU = {
    "qemu": "<cpu mode='custom' match='exact' check='none'><model fallback='forbid'>qemu64</model></cpu>",
    "kvm": "<cpu mode='maximum'/>",
}
FIRST_PORT = 2201
BOOT = 400.0  # seconds in which a machine must answer after a boot without hardware acceleration
RESTORE = 90.0
ALIVE = ("running", "paused", "pmsuspended", "saved")
SAVES = "/var/lib/libvirt/qemu/save"  # on the hypervisor: where libvirt keeps the memories that it manages


def up(name: str, boot: bool = False) -> record.Record:
    """Start the machine ``name`` and return its record; ssh then answers.

    :param boot: boot afresh even when a saved state is there.
    Raises ``LabError`` when it does not come up; its console log is named.
    """
    record.check_name("vm", name)
    known = record.read(name)
    if known and known.kind != "vm":
        raise record.LabError(f"{name} is a {known.kind} already: choose another name")
    host = hypervisor.up()
    if known and domains.state(host, name) in ALIVE:
        domains.drive(host, name=[name], state="running")
        _wait(name, BOOT)  # an earlier start may have been killed half way
        return known
    base = vm_image.ensure()
    kind = accelerator.choose(host, f"{hypervisor.BASE}/{base.name}")
    started = _record(name)
    record.write(started)
    inventory.write()
    saved = _saved(base, kind, name)
    if saved.is_dir() and not boot:
        try:
            _restore(host, started, base, kind)
            return started
        except record.LabError as error:
            progress.say(f"{name}: the saved state cannot be used ({error}); booting instead")
    _boot(host, started, base, kind)
    return started


def prepare(name: str) -> None:
    """Boot the machine ``name`` once and keep its state, unless that is done already."""
    host, base = hypervisor.up(), vm_image.ensure()
    saved = _saved(base, accelerator.choose(host, f"{hypervisor.BASE}/{base.name}"), name)
    if saved.is_dir():
        return
    started = up(name, boot=True)
    with progress.step(f"Save the state of {name}"):
        domains.drive(host, name=[name], state="saved")
        building = saved.with_suffix(".building")
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir()
        for file in (Path(f"/proc/{host.pid}/root{SAVES}/{name}.save"), hypervisor.disks() / f"{name}.qcow2"):
            shutil.copyfile(file, building / file.name)
        building.rename(saved)
    _forget(host, started.name)


def down(name: str) -> bool:
    """Stop the machine and remove its disk; return whether it was running."""
    known = record.read(hypervisor.NAME)
    if not known or not record.alive(known):
        record.forget(name)
        return False
    was = domains.state(known, name) in ALIVE
    _forget(known, name)
    return was


def ssh(name: str, command: str, timeout: float = 60.0) -> subprocess.CompletedProcess:
    """Run a command in the machine; the result has its exit status, output and errors."""
    argv = ["ssh", "-F", str(inventory.ssh_config()), "-o", "ConnectTimeout=10", name, command]
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False)


def wait_for_ssh(name: str, timeout: float) -> None:
    """Wait until a login succeeds. Raises ``LabError`` after ``timeout`` seconds."""
    with progress.step(f"Wait for ssh of {name}") as waiting:

        def ready() -> bool:
            try:
                done = ssh(name, "true", 30.0)
            except subprocess.TimeoutExpired:
                return False
            waiting(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "")
            return done.returncode == 0

        record.wait_for(f"ssh of {name} (console: {hypervisor.disks() / f'{name}.console'})", ready, timeout, 0.5)


def _boot(host: record.Record, started: record.Record, base: Path, kind: str) -> None:
    name = started.name
    _remove(host, name)
    with progress.step(f"Boot {name}"):
        disk = f"{hypervisor.IMAGES}/{name}.qcow2"
        raw = f"{hypervisor.BASE}/{base.name}/disk.raw"
        hypervisor.run(host, ["qemu-img", "create", "-q", "-f", "qcow2", "-b", raw, "-F", "raw", disk])
        _start(host, started, base, kind)
    wait_for_ssh(name, BOOT)
    with progress.step(f"Wait until {name} has settled"):
        ssh(name, "systemctl is-system-running --wait", BOOT)


def _saved(base: Path, kind: str, name: str) -> Path:
    """Return where the state of a machine is kept; it is of no use under another accelerator or in another machine."""
    key = hashlib.sha256(DOMAIN.read_bytes()).hexdigest()[:8]
    return base / f"saved-{kind}-{key}-{name}"


def _restore(host: record.Record, started: record.Record, base: Path, kind: str) -> None:
    name, saved = started.name, _saved(base, kind, started.name)
    _remove(host, name)
    with progress.step(f"Restore {name}"):
        shutil.copyfile(saved / f"{name}.qcow2", hypervisor.disks() / f"{name}.qcow2")
        memory = f"{hypervisor.BASE}/{base.name}/{saved.name}/{name}.save"
        # A domain whose managed memory is in place goes on from it when it is started; libvirt removes the link then.
        hypervisor.run(host, ["ln", "-s", memory, f"{SAVES}/{name}.save"])
        _start(host, started, base, kind)
    _wait(name, RESTORE)


def _start(host: record.Record, started: record.Record, base: Path, kind: str) -> None:
    """Start the machine, and let it go before what runs beside it: whoever answers late is taken for cut off."""
    domains.drive(host, xml=_xml(started, base, kind), state="running")
    pid = hypervisor.run(host, ["cat", f"/run/libvirt/qemu/{started.name}.pid"])
    # A nice value of its own counts only within its session, which is a group of its own (sched(7), autogroup).
    group = ["sh", "-c", '[ ! -e "$1" ] || echo -10 >"$1"', "sh", f"/proc/{pid}/autogroup"]
    hypervisor.run(host, group)


def _wait(name: str, timeout: float) -> None:
    """Wait for ssh, and set the clock: that of a restored machine stands where it was saved."""
    wait_for_ssh(name, timeout)
    done = ssh(name, f"date -u -s @{int(time.time())}")
    if done.returncode:
        raise record.LabError(f"{name}: its clock cannot be set: {done.stderr.strip()}")


def _record(name: str) -> record.Record:
    """Return the record of a machine; port and addresses follow from its number."""
    known = record.read(name)
    if known:
        return known
    taken = {one.data["port"] for one in record.every("vm")}
    port = next(one for one in range(FIRST_PORT, FIRST_PORT + 100) if one not in taken)
    host_key = keys.public(cache.root() / "keys" / "vm_host_key")
    data = {"hypervisor": hypervisor.NAME, "address": "127.0.0.1", "port": port, "host_key": host_key}
    return record.Record("vm", name, 0, "", data)


def _xml(started: record.Record, base: Path, kind: str) -> str:
    number = started.data["port"] - FIRST_PORT
    mac = f"52:54:00:c0:{number:02x}"
    nics = [
        f"    <interface type='bridge'><source bridge='{bridge}'/><mac address='{mac}:{index:02x}'/>"
        f"<model type='virtio'/><address type='pci' domain='0' bus='0' slot='0x{0x10 + index:02x}' function='0'/>"
        "<rom enabled='no'/></interface>"
        for index, bridge in enumerate(hypervisor.BRIDGES, 1)
    ]
    return DOMAIN.read_text().format(
        accelerator=kind, cpu=CPU[kind], memory=MEMORY,
        name=started.name, uuid=uuid.uuid5(uuid.NAMESPACE_DNS, started.name),
        base=f"{hypervisor.BASE}/{base.name}",
        disk=f"{hypervisor.IMAGES}/{started.name}.qcow2", images=hypervisor.IMAGES, nics="\n".join(nics),
        port=started.data["port"], mac=mac,
    )  # fmt: skip


def is_running(name: str) -> bool:
    """Tell whether the machine ``name`` runs."""
    host = record.read(hypervisor.NAME)
    return host is not None and record.alive(host) and domains.state(host, name) == "running"


def _remove(host: record.Record, name: str) -> None:
    """Undefine the domain, whatever it does, and drop its memory."""
    if domains.state(host, name) != "saved":  # a link that a killed start has left
        hypervisor.run(host, ["rm", "-f", f"{SAVES}/{name}.save"])
    domains.drive(host, name=[name], state="absent", allow_data_loss=True, force_after=0.0)


def _forget(host: record.Record, name: str) -> None:
    _remove(host, name)
    for file in hypervisor.disks().glob(f"{name}.*"):
        file.unlink()
    record.forget(name)
    inventory.write()
