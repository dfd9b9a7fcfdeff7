# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``maintain_nodes`` on a hypervisor with guests that really run; the reboot is played by a new boot ID in a file."""

import json

from tests.integration.libvirt_domains.conftest import STATES, states_of

BOOT, SEEN = "/root/boot_id", "/root/states"
REBOOT = f"cat /proc/sys/kernel/random/uuid > {BOOT}; {{ {STATES}; }} > {SEEN}"


def maintained(host, reports):
    """Return the variables of the playbook."""
    return {
        "target": host.name,
        "node_maintenance_reboot": "always",
        "node_maintenance_reboot_command": ["sh", "-c", REBOOT],
        "node_maintenance_boot_id_file": BOOT,
        "node_maintenance_evacuate": True,
        "node_maintenance_reports": str(reports),
    }


def events(host, reports):
    """Return what the newest report says of the host."""
    newest = max(reports.glob("*.json"))
    return json.loads(newest.read_text())["hosts"][host.name]["events"]


def steps(host, reports):
    return [(one["step"], one["result"]) for one in events(host, reports)]


def test_guests_are_away_during_the_reboot_and_back_after_it(clean, tmp_path):
    for name in ("m-run", "m-pause", "m-off"):
        clean.define(name)
    clean.boot("m-run", "m-pause")
    clean.virsh("suspend", "m-pause")
    before = clean.states("m-")
    assert before == {"m-run": "running", "m-pause": "paused", "m-off": "shut off"}
    clean.ssh(f"cat /proc/sys/kernel/random/uuid > {BOOT}")
    variables = maintained(clean, tmp_path)
    clean.playbook("hostcraft.linux.maintain_nodes", variables)
    during = states_of(clean.ssh(f"cat {SEEN}"))
    assert {name: state for name, state in during.items() if name.startswith("m-")} == {
        "m-run": "saved",
        "m-pause": "saved",
        "m-off": "shut off",
    }
    assert clean.states("m-") == before
    found = events(clean, tmp_path)
    assert [one["step"] for one in found] == ["evacuate", "reboot", "wait", "restore"]
    for one in (found[0], found[-1]):
        assert any("m-run" in line for line in one["detail"]), "the report says what was done"
    assert clean.ssh("ls /var/lib/hostcraft/maintenance") == ""
    clean.ssh(f"rm -r {BOOT} {SEEN} /var/lib/hostcraft/maintenance")


def test_a_run_that_is_aborted_while_it_restores_goes_on_with_that(clean, tmp_path):
    clean.define("m-run")
    clean.boot("m-run")
    clean.ssh(f"cat /proc/sys/kernel/random/uuid > {BOOT}")
    variables = maintained(clean, tmp_path)
    variables["node_maintenance_reboot_command"][-1] += "; kill -9 $(pgrep -x libvirtd)"
    said = clean.playbook("hostcraft.linux.maintain_nodes", variables, expect=2)
    assert "Nothing listens there: start libvirtd" in said
    booted = clean.ssh(f"cat {BOOT}")
    assert steps(clean, tmp_path)[-1] == ("restore", "failed")
    clean.ssh("/usr/sbin/libvirtd -d")
    clean.wait_for("libvirtd", lambda: clean.ssh("virsh -q -c qemu:///system uri", ok=(0, 1)))
    assert clean.states("m-") == {"m-run": "saved"}
    clean.playbook("hostcraft.linux.maintain_nodes", variables)
    assert clean.states("m-") == {"m-run": "running"}
    assert clean.ssh(f"cat {BOOT}") == booted, "it is not rebooted again"
    taken = [("evacuate", "done"), ("reboot", "done"), ("wait", "done"), ("restore", "failed"), ("wait", "done")]
    assert steps(clean, tmp_path) == [*taken, ("restore", "done")]
    clean.ssh(f"rm -r {BOOT} {SEEN} /var/lib/hostcraft/maintenance")
