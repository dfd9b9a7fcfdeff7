# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What iproute2 6.1 printed on a host, and what is read of it."""

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._network import bridge_vlans, ip_json, options
from ansible_collections.hostcraft.linux.plugins.module_utils._network.model import Route, Rule
from hypothesis import given
from hypothesis import strategies as st

RULES = [
    {"priority": 0, "src": "all", "table": "local"},
    {"priority": 5, "src": "192.0.2.0", "srclen": 24, "table": "7", "protocol": "static"},
    {"priority": 6, "src": "192.0.2.1", "dst": "10.0.0.0", "dstlen": 8, "table": "uplink"},
    {"priority": 7, "src": "all", "iif": "eth0", "fwmark": "0x10", "fwmask": "0xff", "table": "main"},
    {"priority": 8, "src": "all", "fwmark": "0x10", "table": "nobody-knows"},
    {"priority": 9, "src": "all", "table": "7", "suppress_prefixlen": 0},
    {"priority": 10, "not": None, "src": "all", "table": "7"},
    {"priority": 32766, "src": "all", "table": "main"},
    {"priority": 32767, "src": "all", "table": "default"},
]


def test_objects_of_a_batch():
    assert ip_json.objects('[{"dst":"default"}]\n[ ]\n[{"priority":0},{"priority":1}]\n') == [
        {"dst": "default"},
        {"priority": 0},
        {"priority": 1},
    ]
    assert ip_json.objects("") == []
    with pytest.raises(ValueError, match="Expecting value"):
        ip_json.objects("default via 192.0.2.1 dev eth0")


def test_rules_of_our_form_and_no_others():
    route = {"dst": "10.0.0.0/8", "dev": "eth0", "table": "7", "protocol": "static", "flags": []}
    assert ip_json.rules([(4, [route, *RULES]), (6, RULES[1:1])], {"uplink": 200}) == (
        Rule(5, 7, 4, "192.0.2.0/24"),
        Rule(6, 200, 4, "192.0.2.1/32", "10.0.0.0/8"),
        Rule(7, 254, 4, None, None, "eth0", "0x10/0xff"),
    )


def test_a_table_with_a_name_is_its_number():
    routes = [{"dst": "default", "gateway": "192.0.2.1", "dev": "eth0", "table": "uplink"}]
    shown = [{"ifname": "eth0", "flags": ["UP"], "mtu": 1500, "address": "52:54:00:00:00:01"}]
    found = ip_json.links(shown, [(4, [*RULES, *routes])], tables={"uplink": 200})
    assert found["eth0"].routes == (Route("0.0.0.0/0", "192.0.2.1", None, 200),)


def test_leased_addresses_tell_of_a_client_and_are_not_configured_ones():
    leased = {"family": "inet", "local": "192.0.2.9", "prefixlen": 24, "scope": "global", "dynamic": True}
    fixed = {"family": "inet", "local": "192.0.2.1", "prefixlen": 24, "scope": "global"}
    found = ip_json.links([{"ifname": "eth0", "flags": ["UP"], "addr_info": [leased, fixed]}], [])
    assert (found["eth0"].dhcp4, found["eth0"].addresses) == (True, ("192.0.2.1/24",))


def test_vlans_of_ports_and_of_the_bridge():
    shown = [{"ifname": "br0", "linkinfo": {"info_kind": "bridge"}}, {"ifname": "eth1", "master": "br0"}]
    vlans = [
        {"ifname": "br0", "vlans": [{"vlan": 1, "flags": ["PVID", "Egress Untagged"]}, {"vlan": 9}]},
        {"ifname": "eth1", "vlans": [{"vlan": 7, "vlanEnd": 9}]},
    ]
    found = ip_json.links(shown, [], vlans)
    assert found["br0"].port == {"pvid": 1, "vids": (9,)}
    assert found["eth1"].port == {"pvid": 0, "vids": (7, 8, 9)}


def test_the_ageing_time_of_a_bridge_whose_topology_changes_is_not_what_was_set():
    data = {"stp_state": 1, "forward_delay": 400, "ageing_time": 800, "topology_change": 1}
    shown = [{"ifname": "br0", "linkinfo": {"info_kind": "bridge", "info_data": data}}]
    assert ip_json.links(shown, [])["br0"].options["ageing_time"] is None
    data["topology_change"] = 0
    assert ip_json.links(shown, [])["br0"].options["ageing_time"] == 800


def test_a_bond_that_validates_no_arp_is_read_as_it_is_declared():
    """Its ip prints null there (print_bond in iproute2's ip/iplink_bond.c)."""
    data = {"mode": "active-backup", "arp_interval": 0, "arp_validate": None}
    shown = {"ifname": "bond0", "linkinfo": {"info_kind": "bond", "info_data": data}}
    found = ip_json.links([shown], [])["bond0"]
    assert found.options["arp_validate"] == "none"
    assert "arp_validate" not in options.meant(found), "it means nothing without an interval"


def test_the_macs_of_ports_of_a_bond():
    slave = {"info_slave_kind": "bond", "info_slave_data": {"perm_hwaddr": "52:54:00:00:00:02"}}
    assert ip_json.permanent([{"ifname": "eth2", "linkinfo": slave}, {"ifname": "eth3"}]) == {
        "eth2": "52:54:00:00:00:02"
    }


MEMBER = st.builds(
    lambda pvid, vids: {"pvid": pvid, "vids": tuple(sorted(vids - {pvid}))},
    st.integers(0, 9),
    st.sets(st.integers(1, 9) | st.integers(4090, 4094)),
)


@given(MEMBER)
def test_vlans_are_read_back_from_a_profile_and_from_the_words_of_the_options(member):
    assert bridge_vlans.parsed(bridge_vlans.written(member)) == member
    assert bridge_vlans.given("x", {"vids": bridge_vlans.shown(member["vids"])}) == {"vids": member["vids"]}


@pytest.mark.parametrize("itself", [True, False])
def test_commands_of_bridge(itself):
    have, want = {"pvid": 1, "vids": (5, 6, 7)}, {"pvid": 9, "vids": (1, 7, 8)}
    found = [" ".join(argv) for argv in bridge_vlans.commands("br0", want, have, itself)]
    end = " self" if itself else ""
    assert found == [
        f"bridge vlan add dev br0 vid 9 pvid untagged{end}",
        f"bridge vlan add dev br0 vid 1{end}",
        f"bridge vlan add dev br0 vid 8{end}",
        f"bridge vlan del dev br0 vid 5-6{end}",
    ]
