# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lets ssh and Ansible reach the hosts: ssh_config, known_hosts and inventory of a lab instance.

A host is reached by a socket that is opened in the network namespace of the switch (for a VM: of its
hypervisor) and handed to ssh (ProxyUseFdpass of ssh_config(5), -F of nc(1)), so nothing copies bytes in between.
"""

import json
from pathlib import Path

from lab import keys, record, switch

GROUPS = {"host": "namespace_hosts", "hypervisor": "hypervisors", "vm": "vms"}


def path() -> Path:
    """Return where the Ansible inventory is written."""
    return record.lab() / "inventory.yml"


def ssh_config() -> Path:
    """Return where the ssh_config(5) file is written."""
    return record.lab() / "ssh_config"


def write() -> Path:
    """Write all three files from the records of what runs, and return the inventory's path."""
    running = [known for known in record.every(*GROUPS) if reachable(known)]
    known_hosts = "".join(f"{known.name} {known.data['host_key']}" for known in running)
    _replace(record.lab() / "known_hosts", known_hosts)
    _replace(ssh_config(), _ssh_config(running))
    _replace(path(), _inventory(running))
    return path()


def reachable(known: record.Record) -> bool:
    """Tell whether a recorded host (for a VM: its hypervisor) runs."""
    if known.kind == "vm":
        hypervisor = record.read(known.data["hypervisor"])
        return hypervisor is not None and record.alive(hypervisor)
    return record.alive(known)


def _ssh_config(running: list[record.Record]) -> str:
    blocks = []
    for known in running:
        door = record.read(known.data["hypervisor"] if known.kind == "vm" else switch.NAME)
        address, port = known.data["address"], known.data.get("port", 22)
        blocks.append(
            f"Host {known.name}\n"
            f"    HostName {address}\n"
            f"    Port {port}\n"
            f"    HostKeyAlias {known.name}\n"
            f"    ProxyCommand nsenter --net=/proc/{door.pid}/ns/net nc.openbsd -F %h %p\n"
        )
    blocks.append(
        f"Host *\n"
        f"    ProxyUseFdpass yes\n"
        f"    User root\n"
        f"    IdentityFile {keys.controller()}\n"
        f"    IdentitiesOnly yes\n"
        f"    IdentityAgent none\n"
        f"    UserKnownHostsFile {record.lab() / 'known_hosts'}\n"
        f"    GlobalKnownHostsFile none\n"
        f"    StrictHostKeyChecking yes\n"
        f"    ConnectTimeout 20\n"
    )
    return "".join(blocks)


def _inventory(running: list[record.Record]) -> str:
    """Return the inventory as JSON, which is YAML too."""
    groups = {group: {"hosts": {}} for group in GROUPS.values()}
    for known in running:
        groups[GROUPS[known.kind]]["hosts"][known.name] = {}
    variables = {
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(keys.controller()),
        "ansible_ssh_common_args": f"-F {ssh_config()}",
        "ansible_python_interpreter": "/usr/bin/python3",
    }
    return json.dumps({"all": {"vars": variables, "children": groups}}, indent=2) + "\n"


def _replace(path: Path, text: str) -> None:
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    new.rename(path)
