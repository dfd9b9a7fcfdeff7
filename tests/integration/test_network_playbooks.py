# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks ``adopt_network`` and ``provision_network`` on namespace hosts."""

import json


def play(host, name, *arguments):
    """Run a playbook of the collection on both hosts; return its exit status and output."""
    return host.ansible(f"hostcraft.linux.{name}", "--limit", "first,second", *arguments)


def addresses(host):
    """Return what ip says of the addresses of eth0 and of a bridge that may be there."""
    return host.ssh("ip -br -o addr show | grep -v '^lo' | sed 's/@[^ ]*//; s/fe80[^ ]*//' | tr -s ' '")


def test_what_is_adopted_is_declared_and_changes_nothing(pair, tmp_path):
    status, said = play(pair[0], "adopt_network", "-e", f"adopt_network_directory={tmp_path}")
    assert status == 0, said
    written = tmp_path / "first/hypervisor_network.yml"
    assert "eth0" in written.read_text()
    before = addresses(pair[0])
    status, said = play(pair[0], "provision_network", "-e", f"@{written}", "--limit", "first")
    assert status == 0, said
    assert "changed=0" in said
    assert addresses(pair[0]) == before
    written.write_text("mine: true\n")
    status, said = play(pair[0], "adopt_network", "-e", f"adopt_network_directory={tmp_path}")
    assert status == 0, said
    assert written.read_text() == "mine: true\n"
    assert "was left as it is" in said


def test_the_next_host_is_not_touched_when_one_has_put_back_the_change(pair, tmp_path):
    before = [addresses(host) for host in pair]
    lost = tmp_path / "lost.json"
    lost.write_text(
        json.dumps(
            {
                "hypervisor_network_nics": [{"name": "eth0", "addresses": [], "routes": []}],
                "hypervisor_network_bridges": [{"name": "br0", "addresses": ["10.99.0.2/24"], "ports": ["eth0"]}],
                "hypervisor_network_confirm_timeout": 8,
            }
        )
    )
    status, said = play(pair[0], "provision_network", "-e", f"@{lost}")
    assert status != 0, said
    assert "It has put back what was there before" in said
    assert said.count("TASK [hostcraft.linux.hypervisor_network : Bring the links to what is declared]") == 1
    assert [addresses(host) for host in pair] == before
