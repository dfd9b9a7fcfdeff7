# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The domains on the hypervisor, driven by the collection's own ``libvirt_domain_state``, without Ansible around it."""

import json
from pathlib import Path

from lab import namespaces, record

HERE = Path(__file__).resolve().parent
INSIDE = "/opt/hostcraft"  # on the hypervisor
BINDS = (
    (str(HERE.parent / "plugins"), f"{INSIDE}/ansible_collections/hostcraft/linux/plugins", True),
    (str(HERE), f"{INSIDE}/lab", True),
)
PATIENCE = 400.0  # seconds, in which a machine must have been saved


def state(host: record.Record, name: str) -> str:
    """Return the state of a domain in the words of the module; "absent" for one that is not there."""
    found = _run(host, {"read": True})
    return found.get(name, "absent")


def drive(host: record.Record, **options) -> dict:
    """Run ``libvirt_domain_state`` with these options and return its result. Raises ``LabError`` when it fails."""
    return _run(host, options)


def answers(host: record.Record) -> bool:
    """Tell whether libvirtd answers."""
    try:
        _run(host, {"read": True})
    except record.LabError:
        return False
    return True


def _run(host: record.Record, options: dict) -> dict:
    argv = ["env", f"PYTHONPATH={INSIDE}", "python3", "-s", f"{INSIDE}/lab/drive.py", json.dumps(options)]
    return json.loads(namespaces.run_inside(host.pid, argv, PATIENCE))
