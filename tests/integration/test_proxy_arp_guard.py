# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``proxy_arp`` over a real SSH connection, under its guard: confirmed, cut off, killed; and the playbook."""

import json

import pytest

NAME = "hostcraft.linux.proxy_arp"
# Sees the task make the fifth of its namespaces, and kills it.
KILLER = """
for turn in $(seq 3000); do
    if [ "$(ls /run/netns 2>/dev/null | wc -l)" -ge 5 ]; then
        pkill -9 -f 'AnsiballZ_proxy_arp[.]py'
        echo killed
        exit
    fi
    sleep 0.01
done
"""


# What the host's link had before: no forwarding, and routers heeded as long as it does not forward.
START = (
    "ip route replace default via 10.203.0.1; cd /proc/sys/net; echo 0 > ipv6/conf/all/forwarding; "
    "echo 0 > ipv4/conf/eth0/forwarding; echo 1 > ipv6/conf/eth0/accept_ra"
)


@pytest.fixture
def quiet(host):
    """The host, of which nothing is changed after the test; what it has made is removed.

    Other tests share the host and may have left its link another way of heeding routers.
    """
    host.ssh(START)
    before = state(host)
    yield host
    cleared = host.module(NAME, {"purge": True})
    assert not cleared["failed"], cleared
    host.ssh(START)
    assert state(host) == before


def state(host):
    """Return links, routes, namespaces, proxies and sysctls."""
    text = host.ssh(
        "ip -br link | sort; ip route; ip -6 route | grep -v fe80; ls /run/netns 2>/dev/null; ip neigh show proxy; "
        "nft -s list ruleset; cd /proc/sys/net; grep -r . ipv4/conf ipv6/conf 2>/dev/null | sort"
    )
    return [" ".join(line.split()) for line in text.splitlines()]


def many(count):
    return [{"name": f"e{n}", "addresses": [f"10.65.0.{n}", f"fd65::{n:x}"]} for n in range(1, count + 1)]


def test_it_is_confirmed_over_a_new_connection(quiet):
    declared = {"endpoints": many(2), "forwarding": "set", "confirm_timeout": 30}
    predicted = quiet.module(NAME, declared, check=True)
    applied, again = quiet.modules((NAME, declared, False), (NAME, declared, False))
    assert applied["guard"]["confirmed"] is True, applied
    assert predicted["steps"] == applied["steps"]
    assert applied["steps"][0] == (
        "set forwarding: net.ipv4.conf.eth0.forwarding 0 -> 1, net.ipv6.conf.eth0.accept_ra 1 -> 2, "
        "net.ipv6.conf.all.forwarding 0 -> 1"
    )
    assert (again["steps"], "guard" in again) == ([], False)
    own = quiet.ssh("ip -br addr show dev eth0 scope global").split()[2:]
    for address in ("10.65.0.2", "fd65::2", *(one.split("/")[0] for one in own)):
        quiet.ssh(f"ip netns exec e1 ping -n -q -c 1 -W 2 {address}")


def test_a_change_that_cuts_the_host_off_is_put_back(quiet):
    # The controller's own address, which the host cannot know for the controller's: sudo tells nothing of SSH.
    quiet.ssh("ip route replace default via 10.203.0.77")
    before = state(quiet)
    stolen = {"name": "stolen", "addresses": ["10.203.0.1"]}
    declared = {"endpoints": [*many(3), stolen], "forwarding": "set", "probe": 0, "confirm_timeout": 6}
    cut = quiet.module(NAME, declared, ansible_user="ops", ansible_become=True)
    assert cut["failed"], cut
    assert cut.get("rolled_back") is True, [cut.get(key) for key in ("msg", "guard", "changed", "steps")]
    assert "It has put back what was there before" in cut["msg"]
    assert state(quiet) == before


@pytest.mark.as_files
def test_killed_half_way_the_host_puts_all_of_it_back(quiet):
    before = state(quiet)
    quiet.ssh("ip netns list")
    quiet.write("/root/killer", KILLER)
    quiet.ssh("setsid sh /root/killer > /root/killed 2>&1 < /dev/null &")
    result = quiet.module(NAME, {"endpoints": many(60), "forwarding": "set", "confirm_timeout": 20})
    assert quiet.ssh("cat /root/killed") == "killed\n"
    assert result["failed"], result
    assert result["rolled_back"] is True, result
    assert "the task died half way" in result["msg"]
    assert state(quiet) == before


def test_the_playbook_declares_adopts_and_removes(quiet, tmp_path):
    declared = {
        "routed_endpoints_endpoints": many(2),
        "routed_endpoints_forwarding": "set",
        "routed_endpoints_persistent": False,
        "target": quiet.name,
    }
    variables = tmp_path / "declared.json"
    for changed in (1, 0):
        variables.write_text(json.dumps(declared))
        status, said = quiet.ansible("hostcraft.linux.add_endpoints", "-e", f"@{variables}")
        assert status == 0, said
        assert f"changed={changed} " in said
    assert quiet.module("hostcraft.linux.proxy_arp_info", {})["endpoints"][0]["name"] == "e1"
