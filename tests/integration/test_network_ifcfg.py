# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``bond_vlan_bridge`` on a namespace host whose links are kept by files of the initscripts.

The scripts themselves are in no package of Debian. None of them is called here: the files are for the next boot, and
the running kernel is changed in place.
"""

import json

import pytest

from tests.integration.test_bond_vlan_bridge import AMBUSH, back, move, run, state, without

DIRECTORY = "/etc/sysconfig/network-scripts"
UPLINK = """# by hand
DEVICE=eth0
ONBOOT=yes
BOOTPROTO=none
ZONE=internal
IPADDR={four}
NETMASK=255.255.255.0
GATEWAY=10.203.0.1
IPV6INIT=yes
IPV6ADDR={six}/64
IPV6_DEFAULTGW=fd00:203::1
"""


@pytest.fixture
def scripted(host):
    """The host with its link in a file; links, addresses and files are put back after the test."""
    addresses = json.loads(host.ssh("ip -j addr show eth0"))[0]["addr_info"]
    found = {one["family"]: one["local"] for one in addresses if one["scope"] == "global"}
    host.ssh(f"mkdir -p {DIRECTORY} && install -m 755 /dev/null {DIRECTORY}/ifup-eth")
    host.write(f"{DIRECTORY}/ifcfg-eth0", UPLINK.format(four=found["inet"], six=found["inet6"]))
    before = state(host)
    yield host, found["inet"], found["inet6"]
    host.ssh(f"rm -rf {DIRECTORY} /usr/local/sbin/ip /root/ambush")
    assert state(host) == before


def files(host):
    """Return the files of the initscripts, byte for byte, with owner and mode."""
    return host.ssh(f"cd {DIRECTORY} && stat -c '%n %a %U' * && tail -n +1 *")


def assignments(host, name):
    """Return what a shell, as the initscripts are, makes of a file."""
    text = host.ssh(f"cd {DIRECTORY} && env -i sh -c 'set -a; . ./ifcfg-{name}; env'")
    return dict(line.split("=", 1) for line in text.splitlines())


def test_files_and_kernel_change_together_and_back(scripted):
    host, four, six = scripted
    before, kept = state(host), files(host)
    predicted = run(host, check=True, **move(four, six))
    assert (state(host), files(host)) == (before, kept)
    applied = run(host, **move(four, six))
    assert not applied["failed"], applied
    assert applied["guard"]["confirmed"] is True
    assert (predicted["steps"], predicted["diff"]) == (applied["steps"], applied["diff"])
    assert applied["steps"][:2] == [
        f"write {DIRECTORY}/ifcfg-eth0: of eth0",
        f"write {DIRECTORY}/ifcfg-br0: new, of br0",
    ]
    bridge, port = assignments(host, "br0"), assignments(host, "eth0")
    assert (bridge["TYPE"], bridge["ONBOOT"], bridge["NM_CONTROLLED"]) == ("Bridge", "yes", "no")
    assert (bridge["IPADDR"], bridge["PREFIX"], bridge["GATEWAY"]) == (four, "24", "10.203.0.1")
    assert (bridge["IPV6ADDR"], bridge["IPV6_DEFAULTGW"]) == (f"{six}/64", "fd00:203::1")
    assert (port["BRIDGE"], port["ZONE"]) == ("br0", "internal")
    assert not {"IPADDR", "GATEWAY", "IPV6ADDR", "IPV6_DEFAULTGW"} & set(port)
    assert host.ssh(f"stat -c %a {DIRECTORY}/ifcfg-br0").strip() == "644"
    again = run(host, **move(four, six))
    assert (again["changed"], again["steps"]) == (False, [])
    found = host.module("hostcraft.linux.bond_vlan_bridge_info", {})["topology"]
    same = run(host, check=True, **{key: found[key] for key in ("bonds", "vlans", "bridges", "nics")})
    assert [one for one in same["steps"] if not one.startswith("write ")] == []
    assert run(host, **back(four, six))["guard"]["confirmed"] is True
    assert state(host) == before
    assert "br0" not in files(host)
    restored = assignments(host, "eth0")
    assert (restored["IPADDR"], restored["GATEWAY"], restored["ZONE"]) == (four, "10.203.0.1", "internal")


def test_a_networkmanager_that_keeps_nothing_does_not_hide_what_the_files_say(scripted):
    host, _four, _six = scripted
    host.ssh(f"printf 'DNS1=192.0.2.53\\nNM_CONTROLLED=no\\n' >> {DIRECTORY}/ifcfg-eth0")
    host.write("/usr/local/sbin/nmcli", "#!/bin/sh\n[ \"$*\" = '-t -f DEVICE,STATE device' ] && echo eth0:unmanaged\n")
    host.ssh("chmod 755 /usr/local/sbin/nmcli")
    found = host.module("hostcraft.linux.bond_vlan_bridge_info", {})["topology"]
    host.ssh("rm /usr/local/sbin/nmcli")
    assert next(one for one in found["nics"] if one["name"] == "eth0")["dns"] == ["192.0.2.53"]


def test_a_change_that_cuts_the_host_off_is_put_back_with_its_files(scripted):
    host, four, six = scripted
    before, kept = state(host), files(host)
    lost = {"addresses": ["10.99.0.2/24"], "gateway": "10.99.0.1", "gateway6": None}
    result = run(host, **without(move(four, six, **lost)))
    assert result["failed"]
    assert result["rolled_back"], result
    assert (state(host), files(host)) == (before, kept)


@pytest.mark.parametrize(("strike", "number"), [(":", 1), (":", 6), ("kill -9 $PPID", 4)])
def test_a_fault_ends_before_in_files_and_kernel(scripted, strike, number):
    host, four, six = scripted
    before, kept = state(host), files(host)
    host.write("/usr/local/sbin/ip", AMBUSH.format(strike=strike))
    host.ssh(f"chmod 755 /usr/local/sbin/ip; echo {number} > /root/ambush")
    result = run(host, **move(four, six))
    assert host.ssh("test -e /root/ambush || echo struck; rm -f /usr/local/sbin/ip /root/ambush"), "too few commands"
    assert result["failed"], result
    assert (state(host), files(host)) == (before, kept)


def test_rules_and_ipv6_are_in_the_kernel_and_in_the_files(scripted):
    host, four, _six = scripted
    kept, rules = files(host), host.ssh("ip rule; ip -6 rule")
    declared = {
        "nics": [
            {
                "name": "eth0",
                "ipv6": "manual",
                "rules": [
                    {"priority": 100, "table": 100, "from": f"{four}/32"},
                    {"priority": 101, "table": 100, "iif": "eth0", "fwmark": "16/255"},
                    {"priority": 102, "table": 100, "family": "ipv6"},
                ],
            }
        ]
    }
    heeded = host.ssh("cat /proc/sys/net/ipv6/conf/eth0/accept_ra").strip()
    try:
        assert run(host, confirm_timeout=15, **declared)["guard"]["confirmed"] is True
        assert run(host, **declared)["steps"] == []
        assert f"100:\tfrom {four} lookup 100" in host.ssh("ip rule")
        assert "101:\tfrom all fwmark 0x10/0xff iif eth0 lookup 100" in host.ssh("ip rule")
        assert "102:\tfrom all lookup 100" in host.ssh("ip -6 rule")
        assert host.ssh("cat /proc/sys/net/ipv6/conf/eth0/accept_ra").strip() == "0"
        assert host.ssh(f"wc -l < {DIRECTORY}/rule-eth0; wc -l < {DIRECTORY}/rule6-eth0").split() == ["2", "1"]
        assert assignments(host, "eth0")["IPV6_AUTOCONF"] == "no"
        assert run(host, nics=[{"name": "eth0", "rules": []}])["changed"] is True
        assert host.ssh("ip rule; ip -6 rule") == rules
        assert "rule" not in files(host)
    finally:
        host.ssh(f"echo {heeded} > /proc/sys/net/ipv6/conf/eth0/accept_ra")
    assert kept.splitlines()[0] in files(host)


def test_what_would_be_lost_at_boot_is_refused(scripted):
    host, four, _six = scripted
    before, kept = state(host), files(host)
    for declared, said in (
        ({"nics": [{"name": "eth0", "ipv6": "disabled", "addresses": [f"{four}/24"], "routes": []}]}, "disable IPv6"),
        ({"nics": [{"name": "eth0", "dhcp4": True}]}, "no address beside that of DHCP"),
        ({"vlans": [{"parent": "eth0", "id": 7, "protocol": "802.1ad"}]}, "know no protocol 802.1ad"),
    ):
        result = run(host, confirm_timeout=15, **declared)
        assert said in result["msg"], result
    host.ssh(f"mv {DIRECTORY}/ifcfg-eth0 {DIRECTORY}/ifcfg-uplink")
    result = run(host, nics=[{"name": "eth0", "mtu": 1400}])
    host.ssh(f"mv {DIRECTORY}/ifcfg-uplink {DIRECTORY}/ifcfg-eth0")
    assert "ifcfg-uplink configures it" in result["msg"], result
    assert (state(host), files(host)) == (before, kept)
