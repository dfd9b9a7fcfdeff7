# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``tproxy`` over ssh: a capture that swallows the connection is refused, or put back by the host itself."""

import json

import pytest

TPROXY = "hostcraft.linux.tproxy"
NAME = "all"
SAFE = {"name": NAME, "inbound": {"mode": "tproxy", "port": 15006, "protocols": ["tcp", "udp"]}}


@pytest.fixture
def uncaptured(host):
    """The host without captures; whatever the test leaves is removed from its console."""
    before = state(host)
    host.ssh("sysctl -q -w net.ipv4.conf.all.src_valid_mark=1")
    yield host
    host.ssh("sysctl -q -w net.ipv4.conf.all.src_valid_mark=0")
    assert state(host) == before


def state(host):
    """Return all that a capture may change, as the host's own tools show it.

    The routes of link-local addresses come when their test for duplicates has ended.
    """
    return host.ssh(
        "nft list tables; ip rule; ip -6 rule; ip route show table all | grep -v fe80::; "
        "ls /run/hostcraft-tproxy 2>&1; sysctl -a -r 'conf.*(src_valid_mark|route_localnet)'"
    )


def guard_says(host):
    """Return what the newest guard on the host has decided."""
    return json.loads(host.ssh("cd /var/lib/hostcraft/guard && ./$(ls -t | grep -v lock | head -1)/guard status"))


def test_the_tasks_own_connection(uncaptured):
    host = uncaptured
    before = state(host)
    swallow = dict(SAFE, ssh_ports=[])
    unguarded, cut, planned, kept = host.modules(
        (TPROXY, {"captures": [swallow]}, False),
        (TPROXY, {"captures": [swallow], "confirm_timeout": 6, "set_sysctls": True}, False),
        (TPROXY, {"captures": [SAFE], "confirm_timeout": 15}, True),
        (TPROXY, {"captures": [SAFE], "confirm_timeout": 15}, False),
    )
    # sudo does not hand on by which connection it came.
    lowly = host.module(TPROXY, {"captures": [swallow]}, ansible_user="ops", ansible_become=True)
    assert lowly["msg"].partition(" from ")[0] == unguarded["msg"].partition(" from ")[0]
    assert "it takes the ssh connection from" in unguarded["msg"]
    assert "set confirm_timeout so that the host takes the change back by itself" in unguarded["msg"]
    assert cut["failed"]
    assert cut["rolled_back"]
    assert "The change cut off the host" in cut["msg"]
    assert cut["guard"]["errors"] == []
    assert "ssh to this host (tcp 22) is left alone" in planned["steps"][-1]
    assert planned["steps"] == kept["steps"]
    assert kept["guard"]["confirmed"]
    assert guard_says(host)["state"] == "confirmed"
    assert "hostcraft_tproxy_all" in state(host), "and it can be logged in to"
    # A later change that swallows it is put back to these rules, not to none.
    there = state(host), host.ssh("nft -s list table inet hostcraft_tproxy_all")
    cut, again, gone = host.modules(
        (TPROXY, {"captures": [dict(swallow, mark="0x1000/0xf000", table=134)], "confirm_timeout": 6}, False),
        (TPROXY, {"captures": [SAFE]}, True),
        (TPROXY, {"captures": [{"name": NAME, "state": "absent"}]}, False),
    )
    assert cut["rolled_back"], cut
    assert again["steps"] == [], "the rules, the ways and the record are as before"
    assert there[0].count("lookup 133") == 2
    assert gone["changed"]
    assert state(host) == before


def test_the_playbook_captures_and_is_quiet_the_second_time(uncaptured, tmp_path):
    host = uncaptured
    declared = tmp_path / "captures.json"
    entry = dict(SAFE, inbound=dict(SAFE["inbound"], ports=["8080"]))
    variables = {"transparent_proxy_captures": [entry], "transparent_proxy_persistent": False, "target": host.name}
    declared.write_text(json.dumps(variables))
    # What an earlier run has left for the next boot.
    left = "/etc/hostcraft/tproxy/web.sh /etc/sysctl.d/90-hostcraft-tproxy.conf"
    host.ssh(f"mkdir -p /etc/hostcraft/tproxy && touch {left}")
    for options, changed in ((["--check"], 2), ([], 2), ([], 0)):
        status, said = host.ansible("hostcraft.linux.capture_traffic", "-e", f"@{declared}", *options)
        assert status == 0, said
        assert f"changed={changed} " in said
        assert (changed == 0) == ("capture all: inbound tcp 8080 and udp 8080" not in said)
    host.ssh(f"for one in {left}; do test ! -e $one || exit 1; done; rmdir /etc/hostcraft/tproxy")
    variables["transparent_proxy_captures"] = [{"name": NAME, "state": "absent"}]
    declared.write_text(json.dumps(variables))
    status, said = host.ansible("hostcraft.linux.capture_traffic", "-e", f"@{declared}")
    assert status == 0, said
