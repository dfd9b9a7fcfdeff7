# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of the initscripts: those that real initscripts brought up, what stays, and that all is read back."""

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import ReconcileError
from ansible_collections.hostcraft.linux.plugins.module_utils._network import ifcfg
from ansible_collections.hostcraft.linux.plugins.module_utils._network.model import Link, Route, Rule
from hypothesis import given
from hypothesis import strategies as st

SILENT = {"rules": (), "dns": (), "dns_search": (), "dhcp4": False}
BLANK = dict(SILENT, master="", port={}, addresses=(), routes=(), up=True)
GATEWAY = Route("0.0.0.0/0", "10.10.100.1")


def link(name, kind, **more):
    return Link(name, kind, **dict(BLANK, **more))


def vlan(name, parent, number, **more):
    given = {"protocol": "802.1Q", "parent": parent, "id": number, "reorder_headers": True, "gvrp": False}
    return link(name, "vlan", **dict(more, options=dict(given, egress_qos_map=(), **more.get("options", {}))))


def table(*links):
    return {one.name: one for one in links}


# With these files the scripts of EL7 (9.49.54) and EL8 (10.00.19) brought up LACP with two ports and both VLANs.
VERIFIED = {
    "eth1": "DEVICE=eth1\nTYPE=Ethernet\nONBOOT=yes\nBOOTPROTO=none\nMASTER=bond0\nSLAVE=yes\nNM_CONTROLLED=no\n",
    "eth2": "DEVICE=eth2\nTYPE=Ethernet\nONBOOT=yes\nBOOTPROTO=none\nMASTER=bond0\nSLAVE=yes\nNM_CONTROLLED=no\n",
    "bond0": (
        'DEVICE=bond0\nTYPE=Bond\nBONDING_MASTER=yes\nBONDING_OPTS="mode=802.3ad miimon=100 lacp_rate=fast '
        'xmit_hash_policy=layer2+3"\nONBOOT=yes\nBOOTPROTO=none\nNM_CONTROLLED=no\n'
    ),
    "bond0.100": (
        "DEVICE=bond0.100\nVLAN=yes\nONBOOT=yes\nBOOTPROTO=none\nIPADDR=10.10.100.2\nPREFIX=24\nDEFROUTE=no\n"
        "NM_CONTROLLED=no\n"
    ),
    "bond0.200": "DEVICE=bond0.200\nVLAN=yes\nONBOOT=yes\nBOOTPROTO=none\nBRIDGE=br0\nNM_CONTROLLED=no\n",
    "br0": (
        "DEVICE=br0\nTYPE=Bridge\nSTP=no\nDELAY=2\nONBOOT=yes\nBOOTPROTO=none\nIPADDR=10.10.200.2\nPREFIX=24\n"
        "NM_CONTROLLED=no\n"
    ),
}
LACP = {"mode": "802.3ad", "miimon": 100, "lacp_rate": "fast", "xmit_hash_policy": "layer2+3"}
SEED = table(
    link("eth1", "nic", master="bond0"),
    link("eth2", "nic", master="bond0"),
    link("bond0", "bond", options=LACP),
    vlan("bond0.100", "bond0", 100, addresses=("10.10.100.2/24",)),
    vlan("bond0.200", "bond0", 200, master="br0"),
    link("br0", "bridge", options={"stp": False, "forward_delay": 200}, addresses=("10.10.200.2/24",)),
)


def assignments(text):
    """Return what a file of the initscripts sets, by means of our own."""
    pairs = (line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#"))
    return {key: value.strip('"') for key, value in pairs}


@pytest.mark.parametrize("name", sorted(SEED))
def test_the_seed_case_is_what_real_initscripts_were_given(name):
    files = ifcfg.render(SEED[name], SEED, {})
    assert sorted(files) == sorted(ifcfg.names(name))
    assert [text for file, text in files.items() if text is not None] == [files[f"ifcfg-{name}"]]
    ours, verified = assignments(files[f"ifcfg-{name}"]), assignments(VERIFIED[name])
    # No gateway, so DEFROUTE changes nothing; and 10.00 takes DELAY for hundredths, but not what goes to sysfs.
    verified.pop("DEFROUTE", None)
    assert ours.pop("BRIDGING_OPTS", "forward_delay=200") == "forward_delay=200"
    assert ours == verified
    assert ifcfg.parse(name, {f"ifcfg-{name}": VERIFIED[name]}) == ifcfg.parse(name, files) == SEED[name]


@pytest.mark.parametrize("name", sorted(SEED))
def test_files_that_say_it_already_are_left_alone(name):
    if name != "br0":
        text = VERIFIED[name]
        assert ifcfg.render(SEED[name], SEED, {f"ifcfg-{name}": text})[f"ifcfg-{name}"] == text
    files = ifcfg.render(SEED[name], SEED, {})
    assert ifcfg.render(SEED[name], SEED, files) == files


def changed(text, one, links=None, name=None):
    """Return the text of ifcfg-NAME once it says ``one``."""
    return ifcfg.render(one, links or {one.name: one}, {f"ifcfg-{one.name}": text})[f"ifcfg-{one.name}"]


def test_only_what_is_declared_changes_and_the_rest_stays_in_its_order():
    text = (
        "# by hand\nDEVICE='bond0'\nexport ONBOOT=yes\nZONE=internal\nTYPE=Bond\nBONDING_MASTER=yes\n"
        'BONDING_OPTS="use_carrier=1 mode=4 miimon=100"\nBOOTPROTO=none\n\nIPADDR0=192.0.2.1 # old\n'
        "NETMASK0=255.255.255.0\nNM_CONTROLLED=no\n"
    )
    assert changed(text, Link("bond0", "bond", {"mode": "802.3ad", "miimon": 50})) == text.replace(
        "miimon=100", "miimon=50"
    )
    assert changed(text, Link("bond0", "bond", addresses=("192.0.2.1/24",))) == text
    moved = changed(text, Link("bond0", "bond", addresses=("198.51.100.1/25", "2001:db8::1/64", "2001:db8::2/64")))
    assert moved == text.replace("IPADDR0=192.0.2.1 # old\nNETMASK0=255.255.255.0\n", "") + (
        "IPADDR=198.51.100.1\nPREFIX=25\nIPV6ADDR=2001:db8::1/64\nIPV6ADDR_SECONDARIES=2001:db8::2/64\nIPV6INIT=yes\n"
    )


def test_a_gateway_is_not_switched_off_by_what_is_there():
    text = "DEVICE=eth0\nIPADDR=192.0.2.1\nPREFIX=24\nNETWORK=192.0.2.0\nDEFROUTE=no\n"
    assert changed(text, Link("eth0", "nic", addresses=("192.0.2.1/24",))).startswith(text)
    one = link("eth0", "nic", addresses=("10.10.100.2/24",), routes=(GATEWAY,))
    found = assignments(changed(text, one))
    assert (found["DEFROUTE"], found["GATEWAY"], "NETWORK" in found) == ("yes", "10.10.100.1", False)
    assert ifcfg.parse("eth0", {"ifcfg-eth0": text + "GATEWAY=192.0.2.9\n"}).routes == ()


def test_a_port_of_open_vswitch_stays_one():
    text = "DEVICE=bond0\nDEVICETYPE=ovs\nTYPE=Bond\nBONDING_MASTER=yes\nBONDING_OPTS=mode=1\nONBOOT=yes\n"
    kept = changed(text, link("bond0", "bond", master="ovs-system", options={"mode": "active-backup"}), {})
    assert kept == text + "BOOTPROTO=none\nNM_CONTROLLED=no\n"


def test_dhcp_stays_until_it_is_declared_or_there_is_a_master():
    text = "DEVICE=eth0\nBOOTPROTO=dhcp\nONBOOT=yes\nNM_CONTROLLED=no\n"
    unsaid = link("eth0", "nic", dhcp4=None)
    assert changed(text, unsaid) == text
    with pytest.raises(ReconcileError, match=r"no address beside that of DHCP, so 192.0.2.1/24 would.*dhcp4: false"):
        changed(text, unsaid._replace(addresses=("192.0.2.1/24",)))
    static = changed(text, unsaid._replace(addresses=("192.0.2.1/24",), dhcp4=False))
    assert assignments(static)["BOOTPROTO"] == "none"
    assert assignments(changed(static, unsaid._replace(dhcp4=True)))["BOOTPROTO"] == "dhcp"
    bridged = changed(text, unsaid._replace(master="br0"), table(link("br0", "bridge")))
    assert (assignments(bridged)["BOOTPROTO"], assignments(bridged)["BRIDGE"]) == ("none", "br0")


def test_a_port_changes_its_master():
    masters = table(link("bond0", "bond"), link("br0", "bridge"))
    files = ifcfg.render(link("eth0", "nic", master="br0", port={"cost": 7, "hairpin": True}), masters, {})
    assert assignments(files["ifcfg-eth0"])["BRIDGING_OPTS"] == "path_cost=7 hairpin_mode=1"
    files = ifcfg.render(link("eth0", "nic", master="bond0"), masters, files)
    assert not {"BRIDGE", "BRIDGING_OPTS"} & set(assignments(files["ifcfg-eth0"]))
    files = ifcfg.render(link("eth0", "nic"), masters, files)
    assert not {"MASTER", "SLAVE"} & set(assignments(files["ifcfg-eth0"]))


@pytest.mark.parametrize(
    ("routes", "keys", "four", "six"),
    [
        ([GATEWAY], {"GATEWAY": "10.10.100.1"}, None, None),
        ([GATEWAY._replace(metric=5)], {"GATEWAY": "10.10.100.1", "METRIC": "5"}, None, None),
        # ifup-eth heeds GATEWAY in the network of the first address only.
        (
            [Route("0.0.0.0/0", "192.0.2.1")],
            {},
            "0.0.0.0/0 via 192.0.2.1 dev eth0\n",
            None,
        ),
        ([Route("::/0", "fe80::1")], {"IPV6_DEFAULTGW": "fe80::1", "IPV6INIT": "yes"}, None, None),
        (
            [Route("10.0.0.0/8", "10.10.100.9", 7, 100), Route("2001:db8:1::/48", "2001:db8::9")],
            {},
            "10.0.0.0/8 via 10.10.100.9 dev eth0 metric 7 table 100\n",
            "2001:db8:1::/48 via 2001:db8::9 dev eth0\n",
        ),
    ],
)
def test_routes_are_where_the_scripts_look_for_them(routes, keys, four, six):
    one = link("eth0", "nic", addresses=("10.10.100.2/24", "192.0.2.2/24", "2001:db8::1/64"), routes=tuple(routes))
    files = ifcfg.render(one, {}, {})
    found = assignments(files["ifcfg-eth0"])
    names = ("GATEWAY", "METRIC", "IPV6_DEFAULTGW", "IPV6INIT")
    assert {key: found[key] for key in names if key in found} == dict(keys, IPV6INIT="yes")
    assert (files["route-eth0"], files["route6-eth0"]) == (four, six)
    assert ifcfg.parse("eth0", files) == one


def test_route_files_keep_what_is_not_ours_and_the_old_form_is_read():
    addressed = link("eth0", "nic", addresses=("10.10.100.2/24",))
    foreign = "# by hand\n10.1.0.0/16 via 10.10.100.8 dev eth0 src 10.10.100.2\ndefault via 10.10.100.1\n"
    have = dict(ifcfg.render(addressed, {}, {}), **{"route-eth0": foreign})
    assert ifcfg.parse("eth0", have).routes == (GATEWAY,)
    files = ifcfg.render(addressed._replace(routes=(Route("10.2.0.0/16", "10.10.100.8"),)), {}, have)
    kept = "".join(foreign.splitlines(True)[:2])
    assert files["route-eth0"] == kept + "10.2.0.0/16 via 10.10.100.8 dev eth0\n"
    old = "ADDRESS0=10.3.0.0\nNETMASK0=255.255.0.0\nGATEWAY0=10.10.100.8\n"
    have["route-eth0"] = old
    read = ifcfg.parse("eth0", have)
    assert read.routes == (Route("10.3.0.0/16", "10.10.100.8"),)
    assert ifcfg.render(read, {}, have)["route-eth0"] == old
    files = ifcfg.render(read._replace(routes=()), {}, have)
    assert files["route-eth0"] is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"protocol": "802.1ad"}, "the initscripts know no protocol 802.1ad"),
        ({"mvrp": True}, "the initscripts know no mvrp"),
        ({"loose_binding": True}, "the initscripts know no loose_binding"),
        ({"ingress_qos_map": ((1, 2),)}, "the initscripts know no ingress_qos_map"),
    ],
)
def test_what_the_scripts_cannot_do_is_refused(options, said):
    with pytest.raises(ReconcileError, match=rf"vlan 'bond0\.5': {said}.*let NetworkManager keep"):
        ifcfg.render(vlan("bond0.5", "bond0", 5, options=options), {}, {})


def test_vlans_of_a_port_are_refused():
    port = link("eth1", "nic", master="br0", port={"pvid": 5})
    with pytest.raises(ReconcileError, match=r"nic 'eth1': the initscripts know no pvid.*let NetworkManager keep"):
        ifcfg.render(port, table(port, link("br0", "bridge")), {})


def test_rule_files_keep_what_is_not_ours():
    foreign = "# by hand\nfrom 10.1.0.0/16 lookup 5 pref 9 suppress_prefixlength 0\npref 7 from 10.2.0.0/16 lookup 5\n"
    have = {"ifcfg-eth0": "DEVICE=eth0\n", "rule-eth0": foreign}
    assert ifcfg.parse("eth0", have).rules == (Rule(7, 5, 4, "10.2.0.0/16"),)
    new = Rule(8, 6, 4, None, None, "eth0")
    kept = "".join(foreign.splitlines(True)[:2])
    files = ifcfg.render(Link("eth0", "nic", rules=(new,)), {}, have)
    assert files["rule-eth0"] == kept + "priority 8 from 0.0.0.0/0 iif eth0 table 6\n"
    assert ifcfg.render(Link("eth0", "nic", rules=(Rule(7, 5, 4, "10.2.0.0/16"),)), {}, have)["rule-eth0"] == foreign
    assert ifcfg.render(Link("eth0", "nic"), {}, have)["rule-eth0"] == foreign


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ("", None),
        ("IPV6INIT=no\nIPV6_AUTOCONF=yes\n", None),
        ("IPV6INIT=yes\n", None),
        ("IPV6INIT=yes\nIPV6_AUTOCONF=no\n", "manual"),
        ("IPV6_AUTOCONF=yes\n", "auto"),
        ("IPV6INIT=yes\nDHCPV6C=yes\nIPV6_AUTOCONF=no\n", "dhcp"),
    ],
)
def test_the_way_of_ipv6_is_read(keys, found):
    assert ifcfg.parse("eth0", {"ifcfg-eth0": f"DEVICE=eth0\n{keys}"}).ipv6 == found


def test_a_value_that_is_none_is_named_with_its_file():
    with pytest.raises(ReconcileError, match=r"network-scripts/ifcfg-eth0: .*'\$SIZE'"):
        ifcfg.parse("eth0", {"ifcfg-eth0": "DEVICE=eth0\nMTU=$SIZE\n"})


def test_the_name_of_a_vlan_says_parent_and_id_only_in_the_scripts_own_form():
    files = ifcfg.render(vlan("bond0.0100", "bond0", 100), {}, {})  # of which the scripts would make an octal number
    found = assignments(files["ifcfg-bond0.0100"])
    assert (found["PHYSDEV"], found["VID"]) == ("bond0", "100")
    old = {"ifcfg-vlan07": "DEVICE=vlan07\nVLAN=yes\nPHYSDEV=eth0\n"}
    assert (ifcfg.parse("vlan07", old).options["parent"], ifcfg.parse("vlan07", old).options["id"]) == ("eth0", 7)


FOUR = st.lists(st.sampled_from(["10.0.0.1/8", "192.0.2.2/24", "192.0.2.3/24", "198.51.100.1/32"]), unique=True)
SIX = st.lists(st.sampled_from(["2001:db8::1/64", "2001:db8::2/64", "fd00::1/48"]), unique=True)
ROUTES = st.lists(
    st.builds(
        Route,
        st.sampled_from(["0.0.0.0/0", "10.1.0.0/16", "203.0.113.7/32"]),
        st.sampled_from(["192.0.2.1", "10.0.0.9"]),
        st.none() | st.integers(1, 9),
        st.none() | st.integers(1, 9),
    )
    | st.builds(Route, st.sampled_from(["::/0", "2001:db8:9::/48"]), st.just("2001:db8::9"), st.none() | st.just(3)),
    max_size=4,
    unique_by=lambda one: one.place,
)
COMMON = {
    "master": st.sampled_from(["", "bond9", "br9"]),
    "mtu": st.none() | st.integers(576, 9000),
    "mac": st.none() | st.just("52:54:00:00:00:07"),
    "addresses": st.builds(lambda four, six: (*four, *six), FOUR, SIX),
    "routes": ROUTES.map(tuple),
    "up": st.booleans(),
    "rules": st.lists(
        st.builds(
            Rule,
            st.integers(1, 9),
            st.integers(1, 9),
            st.just(4),
            st.none() | st.just("192.0.2.0/24"),
            st.none() | st.just("10.0.0.0/8"),
            st.none() | st.just("eth7"),
            st.none() | st.just("0x10/0xff"),
        )
        | st.builds(
            Rule,
            st.integers(1, 9),
            st.just(7),
            st.just(6),
            st.none() | st.just("2001:db8::/64"),
            st.none(),
            st.none(),
            st.none(),
        ),
        max_size=3,
        unique=True,
    ).map(tuple),
    "dns": st.sampled_from([(), ("192.0.2.53",), ("192.0.2.53", "192.0.2.54", "2001:db8::53")]),
    "dns_search": st.sampled_from([(), ("example.org", "example.com")]),
    "dhcp4": st.booleans(),
    "ipv6": st.sampled_from([None, "manual", "auto", "dhcp"]),
}
OPTIONS = {
    "nic": st.just({}),
    "bond": st.fixed_dictionaries(
        {"mode": st.sampled_from(["802.3ad", "active-backup"])},
        optional={
            "miimon": st.integers(0, 500),
            "arp_ip_target": st.just(("192.0.2.1", "192.0.2.2")),
            "primary": st.just("eth1"),
            "tlb_dynamic_lb": st.booleans(),
            "min_links": st.integers(0, 2),
            "lacp_rate": st.sampled_from(["slow", "fast"]),
        },
    ),
    "vlan": st.fixed_dictionaries(
        {
            "protocol": st.just("802.1Q"),
            "parent": st.sampled_from(["bond0", "eth1"]),
            "id": st.sampled_from([5, 100]),
            "reorder_headers": st.booleans(),
            "gvrp": st.booleans(),
            "egress_qos_map": st.sampled_from([(), ((0, 1), (2, 3))]),
        }
    ),
    "bridge": st.fixed_dictionaries(
        {},
        optional={
            "stp": st.booleans(),
            "forward_delay": st.integers(200, 3000),
            "ageing_time": st.integers(0, 30000),
            "priority": st.integers(0, 65535),
            "vlan_filtering": st.booleans(),
            "multicast_snooping": st.booleans(),
        },
    ),
}
PORTS = st.fixed_dictionaries({}, optional={"cost": st.integers(1, 9), "hairpin": st.booleans()})
MASTERS = table(link("bond9", "bond"), link("br9", "bridge"))


@st.composite
def links(draw):
    kind = draw(st.sampled_from(sorted(OPTIONS)))
    common = {key: draw(one) for key, one in COMMON.items()}
    common["master"] = "" if kind == "bridge" else common["master"]
    static = common["master"] or any(":" not in one for one in common["addresses"])
    common["dhcp4"] = common["dhcp4"] and not static
    port = draw(PORTS) if common["master"] == "br9" else {}
    name = {"nic": "eth0", "bond": "bond0", "vlan": "bond0.100", "bridge": "br0"}[kind]
    return Link(name, kind, draw(OPTIONS[kind]), port=port, **common)


def comparable(one):
    """Routes have no order, and a file that says nothing of a bond's empty list means that."""
    return one._replace(routes=sorted(one.routes, key=str), rules=sorted(one.rules, key=str))


@given(links())
def test_what_is_written_is_read_back(one):
    files = ifcfg.render(one, MASTERS, {})
    assert comparable(ifcfg.parse(one.name, files)) == comparable(one)
    assert ifcfg.render(one, MASTERS, files) == files


@given(links(), links())
def test_what_was_there_before_leaves_no_trace_but_what_nobody_declares(one, other):
    foreign = "# mine\nZONE=internal\n"
    if one.name != other.name:
        return
    one = one._replace(options=dict(one.options) if one.kind == "vlan" else {}, port={}, mtu=None, mac=None, ipv6=None)
    files = ifcfg.render(one, MASTERS, {f"ifcfg-{one.name}": foreign})
    files = ifcfg.render(other, MASTERS, files)
    assert files[f"ifcfg-{one.name}"].startswith(foreign)
    assert comparable(ifcfg.parse(one.name, files)) == comparable(other)
    assert ifcfg.render(other, MASTERS, files) == files
