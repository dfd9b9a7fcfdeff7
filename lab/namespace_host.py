# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Namespace hosts: each has its own network, mounts, PIDs, name and IPC, and a real sshd."""

import shutil
from pathlib import Path

from lab import inventory, keys, namespaces, progress, record, rootfs, switch

NAMESPACES = ["mount", "uts", "ipc", "pid", "net"]
TUN = ("net/tun", 10, 200, 0o666, 0)
READY = 30.0  # seconds in which sshd must listen


def up(name: str) -> record.Record:
    """Start the host ``name`` unless it runs, and return its record; data["address"] is its IPv4 address.

    Makes the root file system when it is not cached. Raises ``LabError`` for a name that cannot be
    used and when the host does not come up (its console log is named).
    """
    return start("host", name, rootfs.host())


def start(kind: str, name: str, recipe: rootfs.Recipe, binds=(), devices=(), finish=lambda started: None):
    """Start a host made by ``recipe`` unless it runs, and return its record.

    ``binds`` and ``devices`` are as in enter.py; ``finish(started)`` does what is to be done before the host
    counts as started. A host whose start was killed before that is stopped and started again.
    """
    record.check_name("host", name)
    if name == switch.NAME:
        raise record.LabError(f"host {name!r}: that name is taken by the lab's switch, choose another")
    lower = rootfs.ensure(recipe)
    with record.locked(record.lab() / "lock", progress.say):
        known = record.read(name)
        if known and known.kind != kind:
            raise record.LabError(f"{name} is a {known.kind} already: choose another name or take it down first")
        if known and record.alive(known):
            if known.data.get("ready"):
                return known
            record.stop(known, grace=1.0)  # its start was killed half way
        with progress.step(f"Start {name}"):
            _discard(name)
            taken = {other.data["number"] for other in record.every() if "number" in other.data}
            number = switch.free_number(taken)
            host = _prepare(name, lower, binds, devices)
            data = {
                "number": number,
                "address": str(switch.SUBNET[number]),
                "log": str(directory(name) / "console.log"),
                "host_key": keys.public(directory(name) / "host_key"),
            }
            started = namespaces.start(kind, name, NAMESPACES, ["/sbin/init"], host, data)
            try:
                switch.plug(number, started.pid)
                _wait_for_sshd(started)
                finish(started)
                started = started._replace(data={**started.data, "ready": True})
                record.write(started)
            except record.LabError as error:
                raise record.LabError(f"{name}: {error}; last lines of its console:\n{tail(data['log'])}") from None
        inventory.write()
    return started


def down(name: str) -> bool:
    """Stop the host ``name`` and remove its files; return whether it was running."""
    with record.locked(record.lab() / "lock", progress.say):
        known = record.read(name)
        stopped = record.stop(known, grace=5.0) if known else False
        if known and "number" in known.data:
            switch.hang_up(known.data["number"])
        _discard(name)
        record.forget(name)
        inventory.write()
    return stopped


def directory(name: str) -> Path:
    """Return where the host's overlay, keys and console log are."""
    return record.lab() / "hosts" / name


def tail(path: str, lines: int = 15) -> str:
    """Return the last lines of a log, for an error message."""
    file = Path(path)
    return "\n".join(file.read_text(errors="replace").splitlines()[-lines:]) if file.exists() else "(no log)"


def _prepare(name: str, lower: Path, binds, devices) -> dict:
    """Make the directories and keys of a host; return the "host" of enter.py."""
    base = directory(name)
    paths = {part: str(base / part) for part in ("upper", "work", "root")}
    for path in (*paths.values(), str(lower)):
        if set(path) & set(":,\\"):
            raise record.LabError(f"{path}: overlayfs cannot take a colon, comma or backslash; set HOSTCRAFT_CACHE")
        Path(path).mkdir(parents=True, exist_ok=True)
    key = keys.make(base / "host_key", name)
    allowed = keys.public(keys.controller())
    files = [
        ["/etc/hostname", 0o644, 0, f"{name}\n"],
        ["/etc/hosts", 0o644, 0, f"127.0.0.1 localhost\n::1 localhost ip6-localhost\n127.0.1.1 {name}\n"],
        ["/etc/resolv.conf", 0o644, 0, "# no name server in the lab\n"],
        ["/etc/ssh/ssh_host_ed25519_key", 0o600, 0, key.read_text()],
        ["/etc/ssh/ssh_host_ed25519_key.pub", 0o644, 0, keys.public(key)],
        ["/root/.ssh/authorized_keys", 0o600, 0, allowed],
        ["/home/ops/.ssh/authorized_keys", 0o600, rootfs.OPS, allowed],
        ["/run/sshd/.made-by-the-lab", 0o644, 0, ""],
    ]
    return {
        "hostname": name,
        "lower": [str(lower)],
        **paths,
        "binds": [list(bind) for bind in binds],
        "devices": [list(device) for device in (TUN, *devices)],
        "files": files,
    }


def _wait_for_sshd(started: record.Record) -> None:
    def listening() -> bool:
        if not record.alive(started):
            raise record.LabError("its process 1 has ended")
        return is_listening(started.pid, 22)

    record.wait_for("sshd", listening, READY)


def is_listening(pid: int, port: int) -> bool:
    """Tell whether something listens on the TCP port in the network namespace of ``pid``.

    The table is described in proc_net_tcp.txt of the kernel: field 2 the local address, field 4 the
    state, 0A being LISTEN.
    """
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[1].endswith(f":{port:04X}"):
                return True
    return False


def _discard(name: str) -> None:
    shutil.rmtree(directory(name), ignore_errors=False) if directory(name).exists() else None
