# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans of links: a table of what is there and wanted, and theorems on generated topologies."""

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import ReconcileError
from ansible_collections.hostcraft.linux.plugins.module_utils._network import (
    arguments,
    declare,
    options,
    report,
    rules,
)
from ansible_collections.hostcraft.linux.plugins.module_utils._network.model import Link, Route, Rule, State
from ansible_collections.hostcraft.linux.plugins.module_utils._network.plan import plan, undo
from ansible_collections.hostcraft.linux.tests.unit.plugins.module_utils._network.model_kernel import Kernel

AGAIN = (
    "create {}: vlan egress_qos_map none, gvrp False, id {}, ingress_qos_map none, parent bond0, "
    "protocol 802.1Q, reorder_headers True, mtu 1500"
)
GATEWAY = Route("0.0.0.0/0", "192.0.2.1")
OVS = {"ovs-system": "Open vSwitch"}


def nic(name, **more):
    mac = EMPTY["mac"] if more.get("master", "").startswith("bond") else f"52:54:00:00:00:{name[-1]:0>2}"
    return Link(name, "nic", **dict(dict(EMPTY, mac=mac), **more))


def bond(name, **more):
    given = dict(
        {"mode": "802.3ad", "miimon": 100, "lacp_rate": "slow", "xmit_hash_policy": "layer2"}, **more.pop("options", {})
    )
    return Link(name, "bond", given, **dict(EMPTY, **more))


def vlan(name, **more):
    parent, number = name.split(".")
    given = {"parent": parent, "id": int(number), "protocol": "802.1Q", "reorder_headers": True, "gvrp": False}
    given.update(ingress_qos_map=(), egress_qos_map=())
    return Link(name, "vlan", given, **dict(EMPTY, **more))


def bridge(name, **more):
    given = {"stp": False, "priority": 32768, "forward_delay": 1500, "vlan_filtering": False, "vlan_default_pvid": 1}
    given.update(more.pop("options", {}))
    return Link(name, "bridge", given, **dict(dict(EMPTY, port=UNTAGGED), **more))


UNTAGGED = {"pvid": 1, "vids": ()}
EMPTY = {
    "master": "",
    "port": {},
    "mtu": 1500,
    "mac": "52:54:00:00:00:99",
    "addresses": (),
    "routes": (),
    "up": True,
    "rules": (),
    "dhcp4": False,
    "ipv6": "auto",
}


def host(*links, **more):
    return State({link.name: link for link in links}, **more)


BARE = host(nic("eth0", addresses=("192.0.2.10/24",), routes=(GATEWAY,)), nic("eth1"), nic("eth2"), nic("eth3"))
BONDED = host(
    nic("eth1", master="bond0"),
    nic("eth2", master="bond0"),
    nic("eth3"),
    bond("bond0"),
    vlan("bond0.100", addresses=("192.0.2.10/24", "2001:db8::10/64"), routes=(GATEWAY,)),
    vlan("bond0.200"),
    permanent={"eth1": "52:54:00:00:00:01", "eth2": "52:54:00:00:00:02"},
)
RULE = {"priority": 100, "table": 7, "from": "192.0.2.0/24"}
RULED = rules.given_out(
    host(
        nic("eth0", addresses=("192.0.2.10/24",), routes=(GATEWAY, Route("10.0.0.0/8", "192.0.2.1", None, 7))),
        nic("eth1"),
        rules=(Rule(100, 7, 4, "192.0.2.0/24"),),
    )
)
FILTERING = host(
    nic("eth1", master="br0", port=dict(UNTAGGED, cost=100, priority=32, hairpin=False)),
    bridge("br0", options={"vlan_filtering": True}),
)
BRIDGED = host(
    nic("eth1", master="br0", port=dict(UNTAGGED, cost=100, priority=32, hairpin=False)),
    nic("eth2"),
    bridge("br0", addresses=("192.0.2.10/24",), routes=(GATEWAY,)),
)
SETTLING = host(bridge("br0", options={"stp": True, "ageing_time": None}))  # its topology changes
WITH_A_MACHINE = host(
    *BRIDGED.links.values(), nic("vnet0", master="br0", port=BRIDGED.links["eth1"].port), owners={"vnet0": "a machine"}
)
OF_OVS = host(
    nic("eth1", master="bond0"),
    nic("eth2", master="bond0"),
    bond("bond0", master="ovs-system"),
    nic("ovs-system"),
    vlan("bond0.100", addresses=("192.0.2.10/24",), routes=(GATEWAY,)),
    owners=OVS,
)


def filled(spec, entry):
    """Give every option that is left out its default, as AnsibleModule does."""
    found = {}
    for name, one in spec.items():
        value = entry.get(name, one.get("default"))
        if value is not None and "options" in one:
            many = one["type"] == "list"
            value = [filled(one["options"], item) for item in value] if many else filled(one["options"], value)
        found[name] = value
    assert not set(entry) - set(spec), "options that there are not"
    return found


def wanted(**declared):
    return declare.wanted(filled(arguments.ARGUMENTS["argument_spec"], declared))


def steps(state, **declared):
    return [str(step) for step in plan(wanted(**declared), state).steps]


TABLE = [
    # Nothing to do
    ("nothing declared", BARE, {}, []),
    ("a NIC as it is", BARE, {"nics": [{"name": "eth0", "addresses": ["192.0.2.10/24"], "gateway": "192.0.2.1"}]}, []),
    ("a NIC by name only", BARE, {"nics": [{"name": "eth0"}]}, []),
    ("a bond by name only", BONDED, {"bonds": [{"name": "bond0"}]}, []),
    ("a bond as it is", BONDED, {"bonds": [{"name": "bond0", "mode": "802.3ad", "ports": ["eth2", "eth1"]}]}, []),
    ("fewer ports than there are", BONDED, {"bonds": [{"name": "bond0", "ports": ["eth1"]}]}, []),
    ("a VLAN without a name", BONDED, {"vlans": [{"parent": "bond0", "id": 100}]}, []),
    ("absent already", BARE, {"bridges": [{"name": "br9", "state": "absent"}]}, []),
    ("an IPv6 address in other words", BONDED,
     {"vlans": [{"name": "bond0.100", "addresses": ["192.0.2.10/24", "2001:DB8:0::10/64"]}]}, []),
    ("a MAC in other words", BARE, {"nics": [{"name": "eth1", "mac": "52-54-00-00-00-01"}]}, []),
    ("purge leaves a virtual machine on the bridge", WITH_A_MACHINE,
     {"bridges": [{"name": "br0", "ports": ["eth1"]}], "purge": True}, []),
    ("an address that a port has already",
     host(nic("eth1", master="bond0", addresses=("192.0.2.5/24",)), bond("bond0")),
     {"nics": [{"name": "eth1", "addresses": ["192.0.2.5/24"]}]}, []),
    ("purge with nothing to purge", BRIDGED, {"bridges": [{"name": "br0", "ports": ["eth1"]}], "purge": True}, []),
    # NICs
    ("mtu", BARE, {"nics": [{"name": "eth1", "mtu": 9000}]}, ["set eth1: mtu 1500 -> 9000"]),
    ("mac", BARE, {"nics": [{"name": "eth1", "mac": "02:00:00:00:00:01"}]},
     ["set eth1: mac 52:54:00:00:00:01 -> 02:00:00:00:00:01"]),
    ("a second address", BARE, {"nics": [{"name": "eth0", "addresses": ["192.0.2.10/24", "192.0.2.11/24"]}]},
     ["add eth0: address 192.0.2.11/24"]),
    ("another address", BARE, {"nics": [{"name": "eth0", "addresses": ["192.0.2.11/24"]}]},
     ["add eth0: address 192.0.2.11/24", "remove eth0: address 192.0.2.10/24"]),
    ("another gateway", BARE, {"nics": [{"name": "eth0", "gateway": "192.0.2.2"}]},
     ["set eth0: route 0.0.0.0/0 via 192.0.2.1 -> 0.0.0.0/0 via 192.0.2.2"]),
    ("a route beside the gateway", BARE,
     {"nics": [{"name": "eth0", "gateway": "192.0.2.1", "routes": [{"to": "10.0.0.0/8", "via": "192.0.2.7"}]}]},
     ["add eth0: route 10.0.0.0/8 via 192.0.2.7"]),
    ("a route with metric and table", BARE,
     {"nics": [{"name": "eth0", "routes": [{"to": "10.0.0.0/8", "via": "192.0.2.7", "metric": 50, "table": 7}]}]},
     ["add eth0: route 10.0.0.0/8 via 192.0.2.7 metric 50 table 7", "remove eth0: route 0.0.0.0/0 via 192.0.2.1"]),
    ("the metric that the kernel gives by itself", BARE,
     {"nics": [{"name": "eth0", "routes": [{"to": "0.0.0.0/0", "via": "192.0.2.1", "metric": 0},
                                           {"to": "2001:db8:7::/48", "via": "fe80::1", "metric": 1024}]}]},
     ["add eth0: route 2001:db8:7::/48 via fe80::1"]),
    ("no routes", BARE, {"nics": [{"name": "eth0", "routes": []}]}, ["remove eth0: route 0.0.0.0/0 via 192.0.2.1"]),
    ("a NIC that is down", host(nic("eth1", up=False)), {"nics": [{"name": "eth1"}]}, ["start eth1"]),
    # Bonds
    ("a bond of two NICs", BARE,
     {"bonds": [{"name": "bond0", "mode": "802.3ad", "lacp_rate": "fast", "ports": ["eth2", "eth1"]}]},
     ["create bond0: bond lacp_rate fast, mode 802.3ad, mac 52:54:00:00:00:01", "enslave eth1: to bond0",
      "enslave eth2: to bond0", "start bond0"]),
    ("a bond without a mode", BARE, {"bonds": [{"name": "bond0"}]}, ["create bond0: bond mode balance-rr",
     "start bond0"]),
    ("a third port", BONDED, {"bonds": [{"name": "bond0", "ports": ["eth1", "eth2", "eth3"]}]},
     ["enslave eth3: to bond0"]),
    ("an option that is changed live", BONDED, {"bonds": [{"name": "bond0", "miimon": 50}]},
     ["set bond0: miimon 100 -> 50"]),
    ("two options live", BONDED, {"bonds": [{"name": "bond0", "miimon": 50, "xmit_hash_policy": "layer3+4"}]},
     ["set bond0: miimon 100 -> 50, xmit_hash_policy layer2 -> layer3+4"]),
    ("an option that needs the bond down", BONDED, {"bonds": [{"name": "bond0", "lacp_rate": "fast"}]},
     ["restart bond0: (lacp_rate) lacp_rate slow -> fast"]),
    ("one live and one not", BONDED, {"bonds": [{"name": "bond0", "lacp_rate": "fast", "miimon": 50}]},
     ["restart bond0: (lacp_rate) lacp_rate slow -> fast, miimon 100 -> 50"]),
    ("another mode", BONDED, {"bonds": [{"name": "bond0", "mode": "active-backup"}]},
     ["restart bond0: (mode) mode 802.3ad -> active-backup"]),
    ("purge", BONDED, {"bonds": [{"name": "bond0", "ports": ["eth1"]}], "purge": True}, ["release eth2: from bond0"]),
    ("a port moves to another bond", BONDED, {"bonds": [{"name": "bond1", "mode": "active-backup", "ports": ["eth2"]}]},
     ["release eth2: from bond0", "create bond1: bond mode active-backup, mac 52:54:00:00:00:02",
      "enslave eth2: to bond1", "start bond1"]),
    ("an absent bond with its VLANs", BONDED,
     {"bonds": [{"name": "bond0", "state": "absent"}],
      "vlans": [{"name": "bond0.100", "state": "absent"}, {"name": "bond0.200", "state": "absent"}]},
     ["release eth1: from bond0", "release eth2: from bond0", "remove bond0.200: vlan", "remove bond0.100: vlan",
      "remove bond0: bond"]),
    # VLANs
    ("a VLAN", BARE, {"vlans": [{"parent": "eth1", "id": 7}]},
     ["create eth1.7: vlan id 7, parent eth1, protocol 802.1Q, reorder_headers True", "start eth1.7"]),
    ("a VLAN of 802.1ad", BARE, {"vlans": [{"parent": "eth1", "id": 7, "protocol": "802.1ad", "name": "outer"}]},
     ["create outer: vlan id 7, parent eth1, protocol 802.1ad, reorder_headers True", "start outer"]),
    ("QinQ, inner first", BARE,
     {"vlans": [{"parent": "outer", "id": 8, "name": "inner"},
                {"parent": "eth1", "id": 7, "protocol": "802.1ad", "name": "outer"}]},
     ["create outer: vlan id 7, parent eth1, protocol 802.1ad, reorder_headers True", "start outer",
      "create inner: vlan id 8, parent outer, protocol 802.1Q, reorder_headers True", "start inner"]),
    ("another id", BONDED, {"vlans": [{"name": "bond0.200", "id": 201}]}, ["recreate bond0.200: id 200 -> 201",
     "start bond0.200"]),
    ("another id of a VLAN in use", BONDED, {"vlans": [{"name": "bond0.100", "id": 101}]},
     ["recreate bond0.100: id 100 -> 101", "start bond0.100", "add bond0.100: address 192.0.2.10/24",
      "add bond0.100: address 2001:db8::10/64", "add bond0.100: route 0.0.0.0/0 via 192.0.2.1"]),
    ("two VLANs change their ids for each other's", BONDED,
     {"vlans": [{"name": "bond0.100", "id": 200, "addresses": []}, {"name": "bond0.200", "id": 100}]},
     ["remove bond0.200: vlan", "remove bond0.100: vlan",
      AGAIN.format("bond0.100", 200), "start bond0.100", AGAIN.format("bond0.200", 100), "start bond0.200"]),
    ("a flag", BONDED, {"vlans": [{"name": "bond0.200", "gvrp": True}]}, ["set bond0.200: gvrp False -> True"]),
    ("QoS", BONDED, {"vlans": [{"name": "bond0.200", "egress_qos_map": {"1": 2, "0": 3}}]},
     ["set bond0.200: egress_qos_map none -> 0:3 1:2"]),
    ("an absent VLAN", BONDED, {"vlans": [{"name": "bond0.200", "state": "absent"}]}, ["remove bond0.200: vlan"]),
    ("the same id under another name", BONDED,
     {"vlans": [{"name": "bond0.200", "state": "absent"}, {"name": "v200", "parent": "bond0", "id": 200}]},
     ["remove bond0.200: vlan", "create v200: vlan id 200, parent bond0, protocol 802.1Q, reorder_headers True",
      "start v200"]),
    # Bridges
    ("a bond that has the MAC of its active port", BARE, {"bonds": [
        {"name": "b", "mode": "active-backup", "fail_over_mac": "active", "ports": ["eth1"]}]},
     ["create b: bond fail_over_mac active, mode active-backup", "enslave eth1: to b", "start b"]),
    ("a bridge", BARE, {"bridges": [{"name": "br0"}]}, ["create br0: bridge stp False", "start br0"]),
    ("a bridge with options", BARE, {"bridges": [{"name": "br0", "stp": False, "forward_delay": 2}]},
     ["create br0: bridge forward_delay 200, stp False", "start br0"]),
    ("a bridge over a NIC", BARE, {"bridges": [{"name": "br0", "ports": ["eth1"]}]},
     ["create br0: bridge stp False", "start br0", "enslave eth1: to br0"]),
    ("options of a port", BARE,
     {"bridges": [{"name": "br0", "ports": ["eth1"]}], "nics": [{"name": "eth1", "bridge_port": {"cost": 7}}]},
     ["create br0: bridge stp False", "start br0", "enslave eth1: to br0", "set eth1: as port: cost 7"]),
    ("an option of a port that is there", BRIDGED, {"nics": [{"name": "eth1", "bridge_port": {"hairpin": True}}]},
     ["set eth1: as port: hairpin True"]),
    ("an ageing time that cannot be told now", SETTLING, {"bridges": [{"name": "br0", "ageing_time": 100}]}, []),
    ("an option beside it", SETTLING, {"bridges": [{"name": "br0", "ageing_time": 100, "priority": 4096}]},
     ["set br0: priority 32768 -> 4096"]),
    ("an option of a bridge", BRIDGED, {"bridges": [{"name": "br0", "stp": True}]}, ["set br0: stp False -> True"]),
    ("a time of a bridge", BRIDGED, {"bridges": [{"name": "br0", "forward_delay": 4}]},
     ["set br0: forward_delay 1500 -> 400"]),
    ("another port keeps the first", BRIDGED, {"bridges": [{"name": "br0", "ports": ["eth2"]}]},
     ["enslave eth2: to br0"]),
    ("another port instead", BRIDGED, {"bridges": [{"name": "br0", "ports": ["eth2"]}], "purge": True},
     ["release eth1: from br0", "enslave eth2: to br0"]),
    ("an absent bridge gives its port free", BRIDGED, {"bridges": [{"name": "br0", "state": "absent"}]},
     ["release eth1: from br0", "remove br0: bridge"]),
    # The address of the host moves
    ("from a VLAN to a bridge over it", BONDED,
     {"bridges": [{"name": "br0", "ports": ["bond0.100"], "addresses": ["192.0.2.10/24", "2001:db8::10/64"],
                   "gateway": "192.0.2.1"}]},
     ["create br0: bridge stp False", "start br0", "add br0: address 192.0.2.10/24", "add br0: address 2001:db8::10/64",
      "enslave bond0.100: to br0", "move br0: route 0.0.0.0/0 via 192.0.2.1 from bond0.100",
      "remove bond0.100: address 192.0.2.10/24", "remove bond0.100: address 2001:db8::10/64"]),
    ("over a bond that Open vSwitch holds", OF_OVS,
     {"bridges": [{"name": "br0", "ports": ["bond0.100"], "addresses": ["192.0.2.10/24"], "gateway": "192.0.2.1"}]},
     ["create br0: bridge stp False", "start br0", "add br0: address 192.0.2.10/24", "enslave bond0.100: to br0",
      "move br0: route 0.0.0.0/0 via 192.0.2.1 from bond0.100",
      "remove bond0.100: address 192.0.2.10/24"]),
    ("from a bridge back to its port", BRIDGED,
     {"bridges": [{"name": "br0", "state": "absent"}],
      "nics": [{"name": "eth1", "addresses": ["192.0.2.10/24"], "gateway": "192.0.2.1"}]},
     ["release eth1: from br0", "add eth1: address 192.0.2.10/24", "move eth1: route 0.0.0.0/0 via 192.0.2.1 from br0",
      "remove br0: bridge"]),
    ("from a NIC to a VLAN of a bond", BARE,
     {"bonds": [{"name": "bond0", "ports": ["eth1", "eth2"]}],
      "vlans": [{"parent": "bond0", "id": 100, "addresses": ["192.0.2.10/24"], "gateway": "192.0.2.1"}]},
     ["create bond0: bond mode balance-rr, mac 52:54:00:00:00:01", "enslave eth1: to bond0",
      "enslave eth2: to bond0", "start bond0",
      "create bond0.100: vlan id 100, parent bond0, protocol 802.1Q, reorder_headers True", "start bond0.100",
      "add bond0.100: address 192.0.2.10/24", "move bond0.100: route 0.0.0.0/0 via 192.0.2.1 from eth0",
      "remove eth0: address 192.0.2.10/24"]),
    ("the whole of it, in any order", BARE,
     {"bridges": [{"name": "br0", "ports": ["bond0.100"], "addresses": ["192.0.2.20/24"]}],
      "vlans": [{"parent": "bond0", "id": 100}], "bonds": [{"name": "bond0", "ports": ["eth1"]}]},
     ["create bond0: bond mode balance-rr, mac 52:54:00:00:00:01", "enslave eth1: to bond0", "start bond0",
      "create bond0.100: vlan id 100, parent bond0, protocol 802.1Q, reorder_headers True",
      "create br0: bridge stp False", "start br0", "add br0: address 192.0.2.20/24", "enslave bond0.100: to br0"]),
    ("a larger MTU from below", BONDED, {"bonds": [{"name": "bond0", "mtu": 9000}], "vlans": [{"name": "bond0.100",
     "mtu": 9000}]},
     ["set bond0: mtu 1500 -> 9000", "set bond0.100: mtu 1500 -> 9000"]),
    # Rules of policy routing
    ("a second uplink with its own table", BARE,
     {"nics": [{"name": "eth1", "addresses": ["198.51.100.1/24"],
                "routes": [{"to": "0.0.0.0/0", "via": "198.51.100.254", "table": 7}],
                "rules": [{"priority": 100, "table": 7, "from": "198.51.100.1/32"}]}]},
     ["add eth1: address 198.51.100.1/24", "add eth1: route 0.0.0.0/0 via 198.51.100.254 table 7",
      "add eth1: rule 100 from 198.51.100.1/32 table 7"]),
    ("a rule that is there", RULED, {"nics": [{"name": "eth0", "rules": [dict(RULE, fwmark="0x10/255")]}]},
     ["add eth0: rule 100 from 192.0.2.0/24 fwmark 0x10/0xff table 7",
     "remove eth0: rule 100 from 192.0.2.0/24 table 7"]),
    ("the same rule", RULED, {"nics": [{"name": "eth0", "rules": [RULE, RULE]}]}, []),
    ("a rule goes to another link as it is", RULED, {"nics": [{"name": "eth1", "rules": [RULE]}]}, []),
    ("no rules", RULED, {"nics": [{"name": "eth0", "rules": []}]}, ["remove eth0: rule 100 from 192.0.2.0/24 table 7"]),
    ("a rule stays when addresses change", RULED, {"nics": [{"name": "eth0", "addresses": ["192.0.2.10/24",
     "192.0.2.11/24"]}]}, ["add eth0: address 192.0.2.11/24"]),
    ("rules of both families", BARE,
     {"nics": [{"name": "eth1", "rules": [{"priority": 5, "table": 7, "family": "ipv6"},
                                          {"priority": 5, "table": 7}]}]},
     ["add eth1: rule 5 table 7", "add eth1: rule 5 table 7"]),
    # IPv6
    ("no router is heeded", BARE, {"nics": [{"name": "eth0", "ipv6": "manual"}]}, ["set eth0: ipv6 auto -> manual"]),
    ("IPv6 is disabled", BONDED, {"vlans": [{"name": "bond0.100", "ipv6": "disabled"}]},
     ["remove bond0.100: address 2001:db8::10/64", "set bond0.100: ipv6 auto -> disabled"]),
    ("IPv6 is enabled before its addresses", host(nic("eth1", ipv6="disabled")),
     {"nics": [{"name": "eth1", "ipv6": "manual", "addresses": ["2001:db8::1/64"]}]},
     ["set eth1: ipv6 disabled -> manual", "add eth1: address 2001:db8::1/64"]),
    ("a new link without routers", BARE, {"bridges": [{"name": "br0", "ipv6": "manual"}]},
     ["create br0: bridge stp False", "start br0", "set br0: ipv6 as new -> manual"]),
    ("no DHCP where there is none", BARE, {"nics": [{"name": "eth1", "dhcp4": False, "dns": [], "dns_search": []}]},
     []),
    # Ports of a bridge
    ("a VLAN as a port with its cost", BONDED,
     {"bridges": [{"name": "br0", "ports": ["bond0.200"]}],
      "vlans": [{"name": "bond0.200", "bridge_port": {"cost": 7, "hairpin": True}}]},
     ["create br0: bridge stp False", "start br0", "enslave bond0.200: to br0",
      "set bond0.200: as port: cost 7, hairpin True"]),
    ("a bond as a port with its priority", host(nic("eth1", master="bond0"), bond("bond0")),
     {"bridges": [{"name": "br0", "ports": ["bond0"]}], "bonds": [{"name": "bond0", "bridge_port": {"priority": 9}}]},
     ["create br0: bridge stp False", "start br0", "enslave bond0: to br0", "set bond0: as port: priority 9"]),
    ("the default VLAN is no change", FILTERING, {"nics": [{"name": "eth1", "bridge_port": {"pvid": 1,
     "vids": ["1"]}}]},
     []),
    ("VLANs of a port", FILTERING, {"nics": [{"name": "eth1", "bridge_port": {"pvid": 100, "vids": ["200-202", "9"]}}]},
     ["set eth1: as port: pvid 100, vids 9 200-202"]),
    ("only the tagged ones", FILTERING, {"nics": [{"name": "eth1", "bridge_port": {"vids": ["7"]}}]},
     ["set eth1: as port: vids 7"]),
    ("a trunk", FILTERING, {"nics": [{"name": "eth1", "bridge_port": {"pvid": 0, "vids": ["1", "2"]}}]},
     ["set eth1: as port: pvid 0, vids 1-2"]),
    ("VLANs of the bridge itself", FILTERING, {"bridges": [{"name": "br0", "pvid": 5, "vids": ["1"]}]},
     ["set br0: itself: pvid 5, vids 1"]),
    ("another default", FILTERING, {"bridges": [{"name": "br0", "vlan_default_pvid": 9}]},
     ["set br0: vlan_default_pvid 1 -> 9"]),
    ("another default, and a port stays", FILTERING,
     {"bridges": [{"name": "br0", "vlan_default_pvid": 0}], "nics": [{"name": "eth1", "bridge_port": {"pvid": 1}}]},
     ["set br0: vlan_default_pvid 1 -> 0", "set eth1: as port: pvid 1"]),
    ("a bridge filters once its ports are ready", BRIDGED,
     {"bridges": [{"name": "br0", "vlan_filtering": True}], "nics": [{"name": "eth1", "bridge_port": {"vids": ["7"]}}]},
     ["set eth1: as port: vids 7", "set br0: vlan_filtering False -> True"]),
    ("a bridge that filters from the start", BARE,
     {"bridges": [{"name": "br0", "vlan_filtering": True, "vlan_default_pvid": 0, "ports": ["eth1"], "vids": ["3"]}],
      "nics": [{"name": "eth1", "bridge_port": {"vids": ["3", "4"]}}]},
     ["create br0: bridge stp False, vlan_default_pvid 0, vlan_filtering True", "start br0", "enslave eth1: to br0",
      "set eth1: as port: vids 3-4", "set br0: itself: vids 3"]),
    ("ports of a bond that is left have their own MACs", BONDED,
     {"bonds": [{"name": "bond1", "ports": ["eth1", "eth2"]}]},
     ["release eth1: from bond0", "release eth2: from bond0",
      "create bond1: bond mode balance-rr, mac 52:54:00:00:00:01", "enslave eth1: to bond1", "enslave eth2: to bond1",
      "start bond1"]),
]  # fmt: skip


@pytest.mark.parametrize(("what", "have", "want", "expected"), TABLE, ids=[row[0] for row in TABLE])
def test_steps_and_the_kernels_answer_to_them(what, have, want, expected):
    todo = plan(wanted(**want), have)
    assert [str(step) for step in todo.steps] == expected
    kernel = Kernel(have)
    for step in todo.steps:
        kernel.carry_out(step.data[0])
    assert plan(wanted(**want), kernel.state()).steps == ()
    assert bool(todo.steps) == (todo.before != todo.after)


@pytest.mark.parametrize(("what", "have", "want", "expected"), TABLE, ids=[row[0] for row in TABLE])
def test_stopped_after_any_command_all_can_be_put_back(what, have, want, expected):
    todo = plan(wanted(**want), have)
    commands = [argv for step in todo.steps for argv in step.data[0]]
    for number in range(len(commands) + 1):
        kernel = Kernel(have)
        kernel.carry_out(commands[:number])
        for argv, may_fail in undo(have, todo):
            kernel.carry_out([argv], may_fail)
        assert same(kernel.state()) == same(have), (what, number)


@pytest.mark.parametrize(("what", "have", "want", "expected"), TABLE, ids=[row[0] for row in TABLE])
def test_each_step_undoes_itself(what, have, want, expected):
    todo = plan(wanted(**want), have)
    for number in range(len(todo.steps) + 1):
        kernel = Kernel(have)
        for step in todo.steps[:number]:
            kernel.carry_out(step.data[0])
        for step in reversed(todo.steps[:number]):
            kernel.carry_out(step.data[1])
        assert same(kernel.state()) == same(have), (what, number)


def same(state):
    """Return a state without what need not come back: the MAC that a new link was given, and the order of addresses."""
    return {
        name: link._replace(
            mac=None if link.kind != "nic" else link.mac,
            addresses=frozenset(link.addresses),
            routes=frozenset(link.routes),
            rules=frozenset(link.rules),
            options={key: value for key, value in link.options.items() if value not in (False, ())},
        )
        for name, link in state.links.items()
    }


REFUSED = [
    ("two masters", BARE, {"bonds": [{"name": "a", "ports": ["eth1"]}], "bridges": [{"name": "b", "ports": ["eth1"]}]},
     "port 'eth1': a link has one master, and both 'a' and 'b' claim it"),
    ("declared twice", BARE, {"nics": [{"name": "eth1"}, {"name": "eth1"}]}, "nic 'eth1': declared twice"),
    ("a missing NIC", BARE, {"nics": [{"name": "eth9"}]},
     "'eth9': there is no such link on this host, nor is it declared"),
    ("a missing port", BARE, {"bonds": [{"name": "bond0", "ports": ["eth9"]}]}, "its NICs: eth0, eth1, eth2, eth3"),
    ("a missing parent", BARE, {"vlans": [{"parent": "bond7", "id": 3}]},
     "vlan 'bond7.3': its parent 'bond7' is not there"),
    ("a VLAN of nothing", BARE, {"vlans": [{"name": "v3"}]}, "vlan 'v3': give its parent and its id"),
    ("neither name nor id", BARE, {"vlans": [{"parent": "eth1"}]}, "vlan without a name"),
    ("id 0", BARE, {"vlans": [{"parent": "eth1", "id": 0}]}, "id 0 is none of a VLAN"),
    ("id 4095", BARE, {"vlans": [{"parent": "eth1", "id": 4095}]}, "id 4095 is none of a VLAN"),
    ("the same id twice", BONDED, {"vlans": [{"name": "v100", "parent": "bond0", "id": 100}]},
     "vlan 'v100': id 100 of bond0 is 'bond0.100' already"),
    ("another kind", BARE, {"bridges": [{"name": "eth1"}]},
     "bridge 'eth1': there is a link of this name, and it is a nic"),
    ("an address on a port", BARE,
     {"bonds": [{"name": "bond0", "ports": ["eth1"]}], "nics": [{"name": "eth1", "addresses": ["192.0.2.5/24"]}]},
     "'eth1': it is to be a port of bond0, and an address on a port is never reached; declare 192.0.2.5/24 on bond0"),
    ("an address on what is a port of a bond", BONDED, {"nics": [{"name": "eth1", "addresses": ["192.0.2.5/24"]}]},
     "'eth1': it is a port of bond0, and an address on a port is never reached; declare 192.0.2.5/24 on bond0"),
    ("an address on what is a port of a bridge", BRIDGED, {"nics": [{"name": "eth1", "addresses": ["192.0.2.5/24"]}]},
     "'eth1': it is a port of br0, and an address on a port is never reached; declare 192.0.2.5/24 on br0"),
    ("an address on what Open vSwitch holds", OF_OVS, {"bonds": [{"name": "bond0", "addresses": ["192.0.2.5/24"]}]},
     "'bond0': it is a port of ovs-system, and an address on a port is never reached"),
    ("the host's address on a new port", BARE, {"bridges": [{"name": "br0", "ports": ["eth0"]}]},
     "declare 192.0.2.10/24 on br0, or addresses: [] for eth0"),
    ("mtu above the parent's", BONDED, {"vlans": [{"name": "bond0.100", "mtu": 9000}]},
     "its mtu 9000 is above that of its parent bond0, 1500"),
    ("mtu above that of a new parent", BONDED,
     {"bonds": [{"name": "bond1", "mtu": 1400}], "vlans": [{"name": "v1", "parent": "bond1", "id": 7},
      {"name": "v2", "parent": "v1", "id": 8, "mtu": 1500}]},
     "vlan 'v2': its mtu 1500 is above that of its parent v1, 1400"),
    ("a gateway outside", BARE, {"nics": [{"name": "eth0", "gateway": "198.51.100.1"}]},
     "198.51.100.1 is in none of its networks (192.0.2.0/24)"),
    ("two gateways", BARE, {"nics": [{"name": "eth1", "gateway": "192.0.2.1"}, {"name": "eth2",
     "gateway": "192.0.2.2"}]},
     "route 0.0.0.0/0: both 'eth1' and 'eth2' have it with the same metric"),
    ("a gateway that is none", BARE, {"nics": [{"name": "eth0", "gateway": "here"}]}, "gateway: 'here'"),
    ("an address without a prefix", BARE, {"nics": [{"name": "eth0", "addresses": ["192.0.2.5"]}]}, "has no prefix"),
    ("an address that is none", BARE, {"nics": [{"name": "eth0", "addresses": ["192.0.2.500/24"]}]}, "192.0.2.500/24"),
    ("a route with host bits", BARE, {"nics": [{"name": "eth0", "routes": [{"to": "10.0.0.1/8"}]}]},
     "has host bits set"),
    ("a MAC that is none", BARE, {"nics": [{"name": "eth0", "mac": "52:54"}]}, "mac '52:54' is none"),
    ("a long name", BARE, {"bridges": [{"name": "a-name-of-16-long"}]}, "1 to 15 characters"),
    ("a VLAN of a bond's port", BONDED, {"vlans": [{"parent": "eth1", "id": 3}]},
     "vlan 'eth1.3': its parent eth1 is a port of bond0; declare it with parent bond0"),
    ("a port that goes", BARE, {"bonds": [{"name": "b", "state": "absent"}], "bridges": [{"name": "c",
     "ports": ["b"]}]},
     "port 'b': 'c' claims it, and it is declared absent"),
    ("another mtu for a bond's port", BONDED, {"nics": [{"name": "eth1", "mtu": 9000}]},
     "'eth1': it is a port of bond0 and gets its mtu, 1500; declare mtu 9000 for bond0"),
    ("a NIC with a VLAN into a bond", host(nic("eth1"), vlan("eth1.5")),
     {"bonds": [{"name": "b", "ports": ["eth1"]}]},
     "'eth1': it is to be a port of b, and carries eth1.5"),
    ("a circle", BARE, {"bridges": [{"name": "br0", "ports": ["br1"]}, {"name": "br1", "ports": ["br0"]}]},
     "a circle: "),
    ("a bond in a bond", BONDED, {"bonds": [{"name": "bond1", "ports": ["bond0"]}]},
     "port 'bond0': a bond cannot be a port of the bond 'bond1'"),
    ("a parent that goes", BONDED, {"bonds": [{"name": "bond0", "state": "absent"}]},
     "'bond0': it cannot be absent while 'bond0.100' is a VLAN of it"),
    ("a port of Open vSwitch", OF_OVS, {"bridges": [{"name": "br0", "ports": ["bond0"]}]},
     "bond 'bond0': it is a port of ovs-system, which belongs to Open vSwitch"),
    ("lacp_rate without LACP", BARE, {"bonds": [{"name": "b", "mode": "active-backup", "lacp_rate": "fast"}]},
     "bond 'b': lacp_rate has no meaning in mode active-backup, only in 802.3ad"),
    ("primary with LACP", BARE, {"bonds": [{"name": "b", "mode": "802.3ad", "primary": "eth1"}]},
     "primary has no meaning"),
    ("lacp_rate without a mode", BARE, {"bonds": [{"name": "b", "lacp_rate": "fast"}]},
     "no meaning in mode balance-rr"),
    ("two monitors", BARE, {"bonds": [{"name": "b", "miimon": 100, "arp_interval": 100,
     "arp_ip_target": ["192.0.2.1"]}]},
     "arp_interval 100 and miimon 100 exclude each other"),
    ("a MAC that the kernel would ignore", BARE, {"bonds": [
        {"name": "b", "mode": "active-backup", "fail_over_mac": "active", "mac": "02:00:00:00:00:09"}]},
     "with fail_over_mac active it has the MAC of its active port"),
    ("nobody to ask", BARE, {"bonds": [{"name": "b", "arp_interval": 100}]}, "give arp_ip_target"),
    ("updelay without miimon", BARE, {"bonds": [{"name": "b", "updelay": 100}]},
     "updelay 100 must be a multiple of miimon"),
    ("a rule of both families", BARE,
     {"nics": [{"name": "eth0", "rules": [{"priority": 1, "table": 7, "from": "192.0.2.0/24",
                                           "to": "2001:db8::/64"}]}]},
     "rule 1 has prefixes or a family of both IPv4 and IPv6"),
    ("a rule with host bits", BARE,
     {"nics": [{"name": "eth0", "rules": [{"priority": 1, "table": 7, "from": "192.0.2.1/24"}]}]}, "has host bits set"),
    ("the kernel's own priority", BARE, {"nics": [{"name": "eth0", "rules": [{"priority": 32766, "table": 7}]}]},
     "priorities go from 1 to 32765"),
    ("a mark that is none", BARE, {"nics": [{"name": "eth0", "rules": [{"priority": 1, "table": 7, "fwmark": "x"}]}]},
     "rule fwmark 'x'; write a number"),
    ("one rule of two links", BARE,
     {"nics": [{"name": "eth0", "rules": [{"priority": 1, "table": 7}]},
               {"name": "eth1", "rules": [{"priority": 1, "table": 7}]}]},
     "rule 1 table 7: both 'eth0' and 'eth1' have it"),
    ("name servers of the running kernel", BARE, {"nics": [{"name": "eth0", "dns": ["192.0.2.53"]}]},
     "nic 'eth0': dns needs a service that keeps it, and backend runtime changes the running kernel only"),
    ("DHCP of the running kernel", BARE, {"nics": [{"name": "eth1", "dhcp4": True}]},
     "nic 'eth1': dhcp4 needs a service"),
    ("DHCPv6 of the running kernel", BARE, {"nics": [{"name": "eth1", "ipv6": "dhcp"}]},
     "nic 'eth1': ipv6 needs a service"),
    ("a name server that is none", BARE, {"nics": [{"name": "eth0", "dns": ["ns.example.org"]}]},
     "dns: 'ns.example.org'"),
    ("a search domain that is none", BARE, {"nics": [{"name": "eth0", "dns_search": ["a b"]}]},
     "dns_search 'a b' is not the name of a domain"),
    ("IPv6 addresses without IPv6", BARE,
     {"nics": [{"name": "eth1", "ipv6": "disabled", "addresses": ["2001:db8::1/64"]}]},
     "nic 'eth1': ipv6 is disabled, so it cannot have 2001:db8::1/64"),
    ("DHCP on a port", BARE, {"bridges": [{"name": "br0", "ports": ["eth1"]}], "nics": [{"name": "eth1",
     "dhcp4": True}]}, "'eth1': it gets an address by DHCP, and is to be a port of br0"),
    ("a leased address on a new port", host(nic("eth1", dhcp4=True)), {"bonds": [{"name": "bond0", "ports": ["eth1"]}]},
     "declare dhcp4: true for bond0, or dhcp4: false for eth1"),
    ("routers on a port", BRIDGED, {"nics": [{"name": "eth1", "ipv6": "auto"}]},
     "'eth1': it is a port of br0, and an address on a port is never reached; declare ipv6: auto for br0"),
    ("port options of no port", BARE, {"nics": [{"name": "eth1", "bridge_port": {"cost": 7}}]},
     "'eth1': bridge_port is given, and it is no port of a bridge"),
    ("VLANs where none are heeded", BRIDGED, {"nics": [{"name": "eth1", "bridge_port": {"pvid": 7}}]},
     "'eth1': pvid means nothing while br0 does not filter VLANs; declare vlan_filtering: true for br0"),
    ("a pvid that is none", FILTERING, {"nics": [{"name": "eth1", "bridge_port": {"pvid": 4095}}]},
     "nic 'eth1': pvid 4095 is none"),
    ("a range that is none", FILTERING, {"nics": [{"name": "eth1", "bridge_port": {"vids": ["9-7"]}}]},
     "nic 'eth1': vids has '9-7'"),
    ("a bridge of Docker", host(nic("eth1"), bridge("docker0"), owners={"docker0": "Docker"}),
     {"bridges": [{"name": "docker0", "ports": ["eth1"]}]}, "bridge 'docker0': it belongs to Docker; declare it there"),
    ("an absent bridge of Docker", host(nic("eth1"), bridge("docker0"), owners={"docker0": "Docker"}),
     {"bridges": [{"name": "docker0", "state": "absent"}]}, "bridge 'docker0': it belongs to Docker, so it is not"),
    ("an absent bond that Open vSwitch holds", OF_OVS,
     {"bonds": [{"name": "bond0", "state": "absent"}], "vlans": [{"name": "bond0.100", "state": "absent"}]},
     "bond 'bond0': it is a port of ovs-system, which belongs to Open vSwitch, so it is not removed here"),
    ("an absent bridge with a virtual machine on it", WITH_A_MACHINE, {"bridges": [{"name": "br0", "state": "absent"}]},
     "bridge 'br0': vnet0 is a port of it, and belongs to a machine, which would be cut off; take it out of br0 first"),
    ("a port of Docker's bridge", host(nic("eth1", master="docker0"), bridge("docker0"), owners={"docker0": "Docker"}),
     {"bridges": [{"name": "br0", "ports": ["eth1"]}]},
     "nic 'eth1': it is a port of docker0, which belongs to Docker"),
    ("updelay no multiple", BONDED, {"bonds": [{"name": "bond0", "updelay": 150}]},
     "must be a multiple of miimon, which is 100"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "have", "want", "said"), REFUSED, ids=[row[0] for row in REFUSED])
def test_refused(what, have, want, said):
    with pytest.raises(ReconcileError) as caught:
        plan(wanted(**want), have)
    assert said in str(caught.value)


def test_a_port_of_a_vrf_may_have_an_address():
    state = host(nic("eth1", master="blue"), nic("blue"))
    assert steps(state, nics=[{"name": "eth1", "addresses": ["192.0.2.5/24"]}]) == ["add eth1: address 192.0.2.5/24"]


@pytest.mark.parametrize("have", [BARE, BONDED, BRIDGED, OF_OVS, RULED, FILTERING, WITH_A_MACHINE])
def test_what_is_reported_can_be_declared_and_changes_nothing(have):
    assert steps(have, **report.declaration(have)) == []


@pytest.mark.parametrize("mode", options.MODES)
def test_every_option_of_a_mode_reaches_the_kernel(mode):
    values = {"int": 2, "bool": True, "list": ["192.0.2.1"]}
    excluded = {"mode", "primary", "arp_interval", "updelay", "downdelay"}
    given = {
        name: option.choices[-1] if option.choices else values[option.type]
        for name, option in options.BOND.items()
        if name not in excluded and (not option.modes or mode in option.modes)
    }
    want = wanted(bonds=[dict(given, name="b", mode=mode, ports=["eth1"])])
    kernel = Kernel(BARE)
    for step in plan(want, BARE).steps:
        kernel.carry_out(step.data[0])
    found = kernel.state().links["b"].options
    assert {key: list(value) if isinstance(value, tuple) else value for key, value in found.items()} == dict(
        given, mode=mode
    )
