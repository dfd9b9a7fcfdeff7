# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``bond_vlan_bridge`` and its guard on a namespace host, over the very link that is changed.

This kernel may lack bonds and VLANs; those are tested in the virtual machine.
"""

import calendar
import json
import platform
import threading
import time

import pytest

from tests.integration.conftest import ROOT

# Stands in front of ip(8) and strikes once, at the N-th command that writes: {strike} is what then happens.
AMBUSH = """#!/bin/sh
case " $* " in *" -json "*) exec /sbin/ip "$@" ;; esac
if [ -e /root/ambush ]; then
    left=$(cat /root/ambush)
    if [ "$left" -le 1 ]; then
        rm /root/ambush
        {strike}
        exit 9
    fi
    echo $((left - 1)) > /root/ambush
fi
exec /sbin/ip "$@"
"""


@pytest.fixture
def wired(host):
    """The host, whose links and addresses are put back after the test from its own console."""
    addresses = json.loads(host.ssh("ip -j addr show eth0"))[0]["addr_info"]
    found = {one["family"]: one["local"] for one in addresses if one["scope"] == "global"}
    before = state(host)
    yield host, found["inet"], found["inet6"]
    host.ssh("rm -f /usr/local/sbin/ip /root/ambush")
    assert state(host) == before


def state(host):
    """Return what ip(8) says of links, addresses and routes, in a form that compares."""
    text = host.ssh("ip -j addr; ip route show table all; ip -6 route show table all")
    links, *routes = text.splitlines()
    return (
        sorted(
            (
                one["ifname"],
                one["address"],
                one.get("master"),
                one["mtu"],
                "UP" in one["flags"],
                sorted((info["local"], info["prefixlen"]) for info in one["addr_info"] if info["scope"] != "link"),
            )
            for one in json.loads(links)
        ),
        sorted(" ".join(line.split()) for line in routes if "fe80" not in line and "ff00" not in line),
    )


def move(four, six, **more):
    """Return the declaration that moves the host's addresses from eth0 to a bridge over it."""
    bridge = {
        "name": "br0",
        "ports": ["eth0"],
        "addresses": [f"{four}/24", f"{six}/64"],
        "gateway": "10.203.0.1",
        "gateway6": "fd00:203::1",
    }
    return {"confirm_timeout": 15, "bridges": [dict(bridge, **more)]}


def without(declared):
    """Return a declaration that also takes the host's addresses from eth0, with little time for a confirmation."""
    return {**declared, "confirm_timeout": 5, "nics": [{"name": "eth0", "addresses": [], "routes": []}]}


def back(four, six):
    """Return the declaration that takes the bridge away again."""
    nic = {
        "name": "eth0",
        "addresses": [f"{four}/24", f"{six}/64"],
        "gateway": "10.203.0.1",
        "gateway6": "fd00:203::1",
    }
    return {"confirm_timeout": 15, "nics": [nic], "bridges": [{"name": "br0", "state": "absent"}]}


def run(host, check=False, **arguments):
    """Run ``bond_vlan_bridge``; return its result."""
    return host.module("hostcraft.linux.bond_vlan_bridge", arguments, check)


def decisions(host):
    """Return what the guards on the host have decided, newest last."""
    text = host.ssh("cd /var/lib/hostcraft/guard && for one in $(ls -td */); do ./$one/guard status; done")
    return [json.loads(line) for line in text.splitlines()]


def test_the_hosts_own_address_moves_to_a_bridge_and_back(wired):
    host, four, six = wired
    before = state(host)
    predicted = run(host, check=True, **move(four, six))
    assert state(host) == before
    applied = run(host, **move(four, six))
    assert not applied["failed"], applied
    assert applied["guard"]["confirmed"] is True
    assert abs(calendar.timegm(time.strptime(applied["guard"]["deadline"], "%Y-%m-%dT%H:%M:%SZ")) - time.time()) < 120
    assert (predicted["steps"], predicted["diff"]) == (applied["steps"], applied["diff"])
    links = {one["ifname"]: one for one in json.loads(host.ssh("ip -j addr"))}
    assert links["eth0"]["master"] == "br0"
    found = [info["local"] for info in links["br0"]["addr_info"] if info["scope"] == "global"]
    assert found == [four, six]
    again = run(host, **move(four, six))
    assert (again["changed"], again["steps"], "guard" in again) == (False, [], False)
    assert [one["state"] for one in decisions(host)] == ["confirmed"]
    assert run(host, **back(four, six))["guard"]["confirmed"] is True


@pytest.mark.parametrize(
    ("what", "declared"),
    [
        ("another address", {"addresses": ["10.99.0.2/24"], "gateway": "10.99.0.1", "gateway6": None}),
        ("a bridge without its port", {"ports": []}),
    ],
)
def test_a_change_that_cuts_the_host_off_is_put_back(wired, what, declared):
    host, four, six = wired
    before = state(host)
    result = run(host, **without(move(four, six, **declared)))
    assert result["failed"], what
    assert result["rolled_back"], result
    assert not result["changed"]
    assert "result" not in result["guard"]
    assert "It has put back what was there before" in result["msg"]
    assert state(host) == before


def test_options_of_a_bridge_and_of_its_port_reach_the_kernel(wired):
    """Those that need no VLAN filtering, which this kernel may lack; as the kernel itself shows them, in its units."""
    host, _four, _six = wired
    bridge = {
        "name": "br7", "ports": ["v7"], "stp": True, "priority": 4096, "forward_delay": 4, "hello_time": 1,
        "max_age": 6, "ageing_time": 60, "multicast_snooping": False,
    }  # fmt: skip
    port = {"name": "v7", "bridge_port": {"cost": 7, "priority": 9, "hairpin": True}}
    declared = {"bridges": [bridge], "nics": [port], "backend": "runtime"}
    changed = {"bridges": [{"name": "br7", "stp": False, "ageing_time": 90}], "backend": "runtime"}
    name = "hostcraft.linux.bond_vlan_bridge"
    host.ssh("ip link add v7 type veth peer name w7")
    try:
        predicted, applied, again, found, other = host.modules(
            (name, declared, True), (name, declared, False), (name, declared, False),
            (f"{name}_info", {}, False), (name, changed, False),
        )  # fmt: skip
        assert not applied["failed"], applied
        assert (predicted["steps"], predicted["diff"]) == (applied["steps"], applied["diff"])
        assert (again["failed"], again["changed"]) == (False, False)
        told = next(one for one in found["topology"]["bridges"] if one["name"] == "br7")
        assert {key: told[key] for key in bridge} == bridge
        assert other["steps"] == ["set br7: ageing_time 6000 -> 9000, stp True -> False"]
        kernel = {
            "br7/bridge/stp_state": "0", "br7/bridge/priority": "4096", "br7/bridge/forward_delay": "400",
            "br7/bridge/hello_time": "100", "br7/bridge/max_age": "600", "br7/bridge/ageing_time": "9000",
            "br7/bridge/multicast_snooping": "0", "v7/brport/path_cost": "7", "v7/brport/priority": "9",
            "v7/brport/hairpin_mode": "1",
        }  # fmt: skip
        seen = host.ssh(f"cd /sys/class/net && cat {' '.join(kernel)}").split()
        assert dict(zip(kernel, seen, strict=True)) == kernel
    finally:
        host.ssh("ip link del br7; ip link del v7")


NO_JSON = ROOT / "extensions/molecule/bond_vlan_bridge/files/no-json"


def test_an_ip_without_json_is_not_needed(wired):
    host, four, six = wired
    links = (
        "ip link add br7 type bridge stp_state 1 priority 4096 ageing_time 9000 mcast_snooping 0; "
        "ip link add v7 mtu 1400 type veth peer name w7; ip link set v7 master br7; "
        "ip link set v7 type bridge_slave cost 7 priority 9 hairpin on; ip link set br7 up; ip link set v7 up; "
        "ip addr add 192.0.2.1/24 dev br7; ip addr add 2001:db8::1/64 dev br7; "
        "ip addr add 203.0.113.1/24 dev w7 valid_lft 1000 preferred_lft 900; "
        "ip route add 10.0.0.0/8 via 192.0.2.253 metric 300; ip route add 10.8.8.8 dev br7 table 100; "
        "ip -6 route add 2001:db8:9::/48 via 2001:db8::fe table 1000; "
        "ip route add 10.7.0.0/16 via inet6 fe80::1 dev br7; "
        "ip rule add pref 100 from 192.0.2.1/32 table 100; ip rule add pref 101 fwmark 16/255 iif br7 table 100; "
        "ip rule add pref 104 not from 10.1.0.0/16 table 100; ip -6 rule add pref 110 from 2001:db8::/32 table 1000"
    )
    info = "hostcraft.linux.bond_vlan_bridge_info"
    try:
        host.ssh(links)
        printed = host.module(info, {})
        host.write("/usr/local/sbin/ip", NO_JSON.read_text())
        host.ssh("chmod 755 /usr/local/sbin/ip; ! ip -json link")
        told = host.module(info, {})
        assert not told["failed"], told
        assert (told["topology"], told["owners"]) == (printed["topology"], printed["owners"])
        assert "192.0.2.1/24" in next(one for one in told["topology"]["bridges"] if one["name"] == "br7")["addresses"]
        # And it is changed, confirmed and put back as ever.
        assert run(host, **without(move(four, six, ports=[])))["rolled_back"]
        assert run(host, **move(four, six))["guard"]["confirmed"] is True
        assert run(host, **move(four, six))["changed"] is False
        assert run(host, **back(four, six))["guard"]["confirmed"] is True
    finally:
        host.ssh(
            "rm -f /usr/local/sbin/ip; ip link del br7; ip link del v7; ip -6 rule del pref 110; "
            "for one in 100 101 104; do ip rule del pref $one; done"
        )


FAULTS = {
    "fails": (":", range(1, 11)),
    "module-killed": ("kill -9 $PPID", range(1, 11)),
    "connection-cut": ("pkill -9 -f '^sshd: root@' ; exec /sbin/ip \"$@\"", (1, 5, 10)),
}


@pytest.mark.parametrize(
    ("strike", "number"),
    [
        pytest.param(
            strike, number, id=f"{name}-{number}", marks=[pytest.mark.as_files] if name == "connection-cut" else []
        )
        for name, (strike, numbers) in FAULTS.items()
        for number in numbers
    ],
)
def test_a_fault_at_any_step_ends_before_or_after(wired, strike, number):
    host, four, six = wired
    before = state(host)
    host.write("/usr/local/sbin/ip", AMBUSH.format(strike=strike))
    host.ssh(f"chmod 755 /usr/local/sbin/ip; echo {number} > /root/ambush")
    result = run(host, **move(four, six))
    assert host.ssh("test -e /root/ambush || echo struck; rm -f /usr/local/sbin/ip /root/ambush"), "too few commands"
    if result.get("failed"):
        assert state(host) == before, result
    else:
        assert result["guard"]["confirmed"] is True
        links = {one["ifname"]: one for one in json.loads(host.ssh("ip -j addr"))}
        found = [info["local"] for info in links["br0"]["addr_info"] if info["scope"] == "global"]
        kept = [info["local"] for info in links["eth0"]["addr_info"] if info["scope"] == "global"]
        assert (links["eth0"]["master"], sorted(found), kept) == ("br0", sorted([four, six]), [])
        assert "default via 10.203.0.1 dev br0" in host.ssh("ip route")
        assert not run(host, **back(four, six))["failed"]


@pytest.mark.as_files
def test_a_change_that_fails_while_its_connection_is_cut_says_so(wired):
    host, four, six = wired
    before = state(host)
    host.write("/usr/local/sbin/ip", AMBUSH.format(strike="pkill -9 -f '^sshd: root@'"))
    host.ssh("chmod 755 /usr/local/sbin/ip; echo 5 > /root/ambush")
    result = run(host, **move(four, six))
    assert result["failed"]
    assert "The connection was cut, and the change was given up: a step failed" in result["msg"]
    assert (result["changed"], result["guard"]["state"]) == (False, "cancelled")
    assert state(host) == before


@pytest.mark.as_files
def test_a_change_that_cuts_the_host_off_before_its_result_came_back_is_put_back(wired):
    host, four, six = wired
    before = state(host)
    host.write("/usr/local/sbin/ip", AMBUSH.format(strike=FAULTS["connection-cut"][0]))
    host.ssh("chmod 755 /usr/local/sbin/ip; echo 1 > /root/ambush")
    lost = {"addresses": ["10.99.0.2/24"], "gateway": "10.99.0.1", "gateway6": None}
    result = run(host, **without(move(four, six, **lost)))
    assert result["failed"]
    assert result["rolled_back"], result
    assert "could not be reached over a new connection within 5 s" in result["msg"]
    assert state(host) == before


# Lets the connections live that there are, and takes no new one for a while: the first packet of one has SYN alone.
NO_NEW_ONES = """
nft add table inet ambush
nft add chain inet ambush new '{ type filter hook input priority 0; }'
nft add rule inet ambush new tcp dport 22 tcp flags '&' '(syn|ack)' == syn drop
setsid sh -c 'sleep 8; nft delete table inet ambush' > /dev/null 2>&1 < /dev/null &
exec /sbin/ip "$@"
"""


def test_a_connection_that_is_kept_open_proves_nothing(wired):
    """And nothing below /var need be executable."""
    host, four, six = wired
    before = state(host)
    host.ssh("mkdir -p /var/lib/hostcraft && mount -t tmpfs -o noexec tmpfs /var/lib/hostcraft")
    host.write("/usr/local/sbin/ip", AMBUSH.format(strike=NO_NEW_ONES))
    host.ssh("chmod 755 /usr/local/sbin/ip; echo 1 > /root/ambush")
    try:
        result = run(host, **{**move(four, six), "confirm_timeout": 4})
        assert host.ssh("test -e /root/ambush || echo struck")
        assert result["failed"]
        assert result["rolled_back"], result
        assert "could not be reached over a new connection within 4 s" in result["msg"]
        assert state(host) == before
    finally:
        host.ssh("umount -l /var/lib/hostcraft; nft delete table inet ambush 2> /dev/null || true")


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        (
            {"bridges": [{"name": "br0", "ports": ["eth0"]}]},
            "'eth0': it is to be a port of br0, and an address on a port",
        ),
        ({"bridges": [{"name": "br0", "ports": ["eth7"]}]}, "'eth7': there is no such link on this host"),
        ({"bonds": [{"name": "eth0"}]}, "bond 'eth0': there is a link of this name, and it is a nic"),
        ({"bridges": [{"name": "br/0"}]}, "bridge 'br/0': not the name of a link"),
        ({"nics": [{"name": "eth0", "gateway": "192.0.2.1"}]}, "192.0.2.1 is in none of its networks"),
        ({"nics": [{"name": "eth0", "addresses": ["192.0.2.300/24"]}]}, "192.0.2.300"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_touched(wired, declared, said):
    host, _four, _six = wired
    before = state(host)
    result = run(host, confirm_timeout=15, **declared)
    assert result["failed"]
    assert said in result["msg"]
    assert state(host) == before


def test_while_a_change_is_unconfirmed_another_is_refused_and_a_person_can_decide(wired):
    host, four, six = wired
    before = state(host)
    results = []
    lost = {"confirm_timeout": 60, "nics": [{"name": "eth0", "addresses": [f"{six}/64"], "routes": []}]}
    over_four = threading.Thread(target=lambda: results.append(over(host, four, lost)))
    over_four.start()
    try:
        assert wait_for(host, six, "applied")
        second = over(host, six, {"bridges": [{"name": "br7"}]})
        assert second["failed"]
        assert "Another change holds the guard of this host" in second["msg"]
        assert f" from {platform.node()} (" in second["msg"]
        assert second["holder"]["state"] == "applied"
        assert "br7" not in host.ssh("ip link", address=six)
        host.ssh(f"/var/lib/hostcraft/guard/{second['holder']['id']}/guard rollback", address=six)
    finally:
        over_four.join(timeout=180)
    assert results[0]["rolled_back"] is True
    assert "asked for by hand" in results[0]["msg"]
    assert state(host) == before


def over(host, address, arguments):
    """Run the module over one of the host's addresses."""
    config = f"{host.inventory.rpartition('/')[0]}/ssh_config"
    variables = {
        # A connection that is kept open is kept by the host's name, and would serve both addresses.
        "ansible_ssh_args": "-o ControlMaster=no -o ControlPath=none",
        # Not the extra arguments of ssh: sftp, which carries the module there, does not get them.
        "ansible_ssh_common_args": f"-F {config} -o HostName={address}",
    }
    return host.module("hostcraft.linux.bond_vlan_bridge", arguments, **variables)


def wait_for(host, address, wanted):
    """Wait until the newest guard is in a state; at most 30 s."""
    script = (
        f"for turn in $(seq 150); do /var/lib/hostcraft/guard/*/guard status 2>/dev/null | grep -q {wanted} "
        "&& echo yes && break; sleep 0.2; done"
    )
    return host.ssh(script, address=address)
