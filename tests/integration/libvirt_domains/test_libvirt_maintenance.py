# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``maintain_nodes`` on a hypervisor with guests that really run; the reboot is played by a new boot ID in a file."""

import json

from tests.integration.libvirt_domains.conftest import STATES, states_of

BOOT, SEEN = "/root/boot_id", "/root/states"
REBOOT = f"cat /proc/sys/kernel/random/uuid > {BOOT}; {{ {STATES}; }} > {SEEN}"


def test_guests_are_away_during_the_reboot_and_back_after_it(clean, tmp_path):
    for name in ("m-run", "m-pause", "m-off"):
        clean.define(name)
    clean.boot("m-run", "m-pause")
    clean.virsh("suspend", "m-pause")
    before = clean.states("m-")
    assert before == {"m-run": "running", "m-pause": "paused", "m-off": "shut off"}
    clean.ssh(f"cat /proc/sys/kernel/random/uuid > {BOOT}")
    variables = {
        "target": clean.name,
        "node_maintenance_reboot": "always",
        "node_maintenance_reboot_command": ["sh", "-c", REBOOT],
        "node_maintenance_boot_id_file": BOOT,
        "node_maintenance_evacuate": True,
        "node_maintenance_reports": str(tmp_path),
    }
    clean.playbook("hostcraft.linux.maintain_nodes", variables)
    during = states_of(clean.ssh(f"cat {SEEN}"))
    assert {name: state for name, state in during.items() if name.startswith("m-")} == {
        "m-run": "saved",
        "m-pause": "saved",
        "m-off": "shut off",
    }
    assert clean.states("m-") == before
    events = json.loads(next(tmp_path.glob("*.json")).read_text())["hosts"][clean.name]["events"]
    assert [one["step"] for one in events] == ["evacuate", "reboot", "wait", "restore"]
    for one in (events[0], events[-1]):
        assert any("m-run" in line for line in one["detail"]), "the report says what was done"
    assert clean.ssh("ls /var/lib/hostcraft/maintenance") == ""
    clean.ssh(f"rm -r {BOOT} {SEEN} /var/lib/hostcraft/maintenance")
