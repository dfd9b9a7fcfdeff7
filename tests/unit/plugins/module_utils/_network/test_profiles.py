# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Profiles of NetworkManager: what is written, what is left alone, and the plans that activate them."""

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import ReconcileError
from ansible_collections.hostcraft.linux.plugins.module_utils._network import keyfile, keyfile_ip
from ansible_collections.hostcraft.linux.plugins.module_utils._network.model import (
    Activate,
    Link,
    Profile,
    Route,
    Rule,
    Unless,
    Write,
)
from ansible_collections.hostcraft.linux.plugins.module_utils._network.networkmanager import fields, kept, plain_routes
from ansible_collections.hostcraft.linux.plugins.module_utils._network.plan_profiles import plan, undo
from ansible_collections.hostcraft.linux.tests.unit.plugins.module_utils._network.test_plan import (
    BARE,
    BONDED,
    BRIDGED,
    OF_OVS,
    OVS,
    bond,
    bridge,
    host,
    nic,
    wanted,
)

SEED = {
    "bonds": [
        {
            "name": "bond0",
            "mode": "802.3ad",
            "miimon": 100,
            "lacp_rate": "fast",
            "xmit_hash_policy": "layer2+3",
            "ports": ["eth1", "eth2"],
        }
    ],
    "vlans": [
        {"parent": "bond0", "id": 100, "addresses": ["10.10.100.2/24"], "gateway": "10.10.100.1"},
        {"parent": "bond0", "id": 200},
    ],
    "bridges": [{"name": "br0", "ports": ["bond0.200"], "addresses": ["10.10.200.2/24"], "stp": False}],
}


def written(todo):
    """Return the profiles that a plan writes, by the name of the file without its ending."""
    writes = [one for step in todo.steps for one in step.data[0] if isinstance(one, Write)]
    return {one.path.split("/")[-1].replace(".nmconnection", ""): keyfile.parse(one.text) for one in writes}


def on_disk(state, *names, active=True):
    """Return the state with profiles of these links as this module would have written them."""
    profiles = {}
    for name in names:
        link = state.links[name]
        kind = state.links[link.master].kind if link.master in state.links else None
        text = keyfile.edit(None, link, link, kind)
        path = f"/etc/NetworkManager/system-connections/{name}.nmconnection"
        profiles[name] = Profile(keyfile.identity(name), path, text, active)
    return state._replace(profiles=profiles, backend="networkmanager")


def steps(state, **declared):
    return [str(step) for step in plan(wanted(**declared), state).steps]


def test_the_seed_topology_as_profiles():
    found = written(plan(wanted(**SEED), BARE._replace(backend="networkmanager")))
    assert sorted(found) == ["bond0", "bond0.100", "bond0.200", "br0", "eth1", "eth2"]
    assert found["bond0"]["bond"] == {
        "mode": "802.3ad",
        "miimon": "100",
        "lacp_rate": "fast",
        "xmit_hash_policy": "layer2+3",
    }
    assert found["bond0"]["ethernet"] == {"cloned-mac-address": "52:54:00:00:00:01"}
    assert found["bond0"]["ipv4"] == found["bond0"]["ipv6"] == {"method": "disabled"}
    port = found["eth1"]["connection"]
    assert (port["type"], port["master"], port["slave-type"]) == ("ethernet", "bond0", "bond")
    assert "ipv4" not in found["eth1"]
    assert found["bond0.100"]["vlan"] == {"flags": "1", "id": "100", "parent": "bond0"}
    assert found["bond0.100"]["ipv4"] == {"method": "manual", "address1": "10.10.100.2/24,10.10.100.1"}
    assert found["br0"]["bridge"] == {"stp": "false"}
    assert found["bond0.200"]["connection"]["slave-type"] == "bridge"
    assert "bridge-port" in found["bond0.200"]
    assert len({one["connection"]["uuid"] for one in found.values()}) == 6


def test_the_order_of_activation():
    order = [step.target for step in plan(wanted(**SEED), BARE).steps if step.verb in ("create", "activate")]
    for first, then in (("bond0", "eth1"), ("eth2", "bond0.100"), ("br0", "bond0.200")):
        assert order.index(first) < order.index(then) or first == "eth2"


def test_what_was_just_given_is_waited_for_and_what_runs_on_an_older_profile_is_brought_up():
    todo = plan(wanted(**SEED), BARE._replace(backend="networkmanager"))
    ways = {step.target: step.data[0] for step in todo.steps if step.verb in ("create", "activate")}
    assert len(ways) == 6
    assert all(isinstance(one, Activate) for do in ways.values() for one in do)
    coming = tuple(one.uuid for do in ways.values() for one in do)
    assert all(set(one.coming) == set(coming) for do in ways.values() for one in do)
    assert ways["br0"][0][:2] == (keyfile.identity("br0"), up(keyfile.identity("br0")))
    state = on_disk(BONDED, *BONDED.links)
    todo = plan(wanted(bonds=[{"name": "bond0", "mode": "balance-rr"}]), state)
    (restart,) = [step for step in todo.steps if step.verb == "restart"]
    assert restart.data[0][0] == up(keyfile.identity("bond0"))


def up(uuid):
    return ["nmcli", "--wait", "90", "connection", "up", "uuid", uuid]


def test_nothing_is_done_where_all_is_as_declared():
    state = on_disk(BONDED, *BONDED.links)
    assert (
        steps(state, bonds=[{"name": "bond0", "miimon": 100, "ports": ["eth1"]}], vlans=[{"name": "bond0.100"}]) == []
    )


def test_a_profile_that_is_lost_is_written_and_loaded_and_the_link_left_alone():
    state = on_disk(BONDED, "eth1", "eth2", "bond0")
    path = "/etc/NetworkManager/system-connections/bond0.100.nmconnection"
    assert steps(state, vlans=[{"name": "bond0.100"}]) == [
        f"write {path}: new profile of bond0.100",
        "load NetworkManager: bond0.100",
    ]


@pytest.mark.parametrize(
    ("declared", "last"),
    [
        ({"bonds": [{"name": "bond0", "miimon": 50}]}, "reapply bond0: miimon 100 -> 50"),
        ({"bonds": [{"name": "bond0", "lacp_rate": "fast"}]}, "restart bond0: (lacp_rate) lacp_rate slow -> fast"),
        (
            {"vlans": [{"name": "bond0.200", "addresses": ["198.51.100.1/24"]}]},
            "reapply bond0.200: add address 198.51.100.1/24",
        ),
        ({"vlans": [{"name": "bond0.200", "id": 201}]}, "create bond0.200: id 200 -> 201"),
        ({"vlans": [{"name": "bond0.200", "gvrp": True}]}, "restart bond0.200: (gvrp) gvrp False -> True"),
        (
            {"vlans": [{"name": "bond0.200", "egress_qos_map": {"0": 3}}]},
            "restart bond0.200: (egress_qos_map) egress_qos_map none -> 0:3",
        ),
        ({"vlans": [{"name": "bond0.200", "mtu": 1400}]}, "reapply bond0.200: mtu 1500 -> 1400"),
        (
            {"bonds": [{"name": "bond0", "ports": ["eth1"]}], "purge": True},
            "restart eth2: master bond0 -> none",
        ),
        ({"vlans": [{"name": "bond0.200", "state": "absent"}]}, "remove bond0.200: vlan"),
    ],
)
def test_what_is_changed_in_place_and_what_restarts(declared, last):
    assert steps(on_disk(BONDED, *BONDED.links), **declared)[-1] == last


@pytest.mark.parametrize("keys", [("master", "slave-type"), ("controller", "port-type")])
def test_a_master_and_a_parent_that_are_named_by_their_uuid_stay_so(keys):
    """NetworkManager changes neither in place, and would refuse the rest with them."""
    state = on_disk(BRIDGED, *BRIDGED.links)
    text = state.profiles["eth1"].text.replace("master=br0", f"{keys[0]}={keyfile.identity('br0')}")
    text = text.replace("slave-type", keys[1])
    profiles = dict(state.profiles, eth1=state.profiles["eth1"]._replace(text=text))
    todo = plan(wanted(nics=[{"name": "eth1", "mtu": 1400}]), state._replace(profiles=profiles))
    assert str(todo.steps[-1]) == "reapply eth1: mtu 1500 -> 1400"
    before = keyfile.parse(text)
    assert before["connection"][keys[0]] == keyfile.identity("br0")
    assert written(todo)["eth1"] == dict(before, ethernet=dict(before["ethernet"], mtu="1400"))
    state = on_disk(BONDED, *BONDED.links)
    text = state.profiles["bond0.200"].text.replace("parent=bond0", f"parent={keyfile.identity('bond0')}")
    profiles = dict(state.profiles, **{"bond0.200": state.profiles["bond0.200"]._replace(text=text)})
    declared = [{"name": "bond0.200", "parent": "bond0", "id": 200}]
    assert steps(state._replace(profiles=profiles), vlans=declared) == []


def test_of_a_port_of_somebody_else_only_what_is_declared_is_changed():
    state = on_disk(host(nic("eth1", master="ovs-system"), nic("ovs-system"), owners=OVS), "eth1")
    text = (
        "[connection]\nid=eth1\nuuid=1\ntype=ethernet\ninterface-name=eth1\nmaster=7d6a\nslave-type=ovs-port\n\n"
        "[ovs-interface]\ntype=system\n"
    )
    state = state._replace(profiles={"eth1": Profile("1", "/etc/eth1.nmconnection", text, True)})
    found = written(plan(wanted(nics=[{"name": "eth1", "mtu": 1400}]), state))["eth1"]
    assert found == dict(keyfile.parse(text), ethernet={"mtu": "1400"})


def test_a_restarted_bond_brings_its_ports_up_again():
    state = on_disk(BONDED, *BONDED.links)
    last = plan(wanted(bonds=[{"name": "bond0", "mode": "balance-rr"}]), state).steps[-1]
    in_bond = {name: ["ip", "link", "show", "dev", name, "master", "bond0"] for name in ("eth1", "eth2")}
    ports = [Unless(up(keyfile.identity(name)), seen) for name, seen in in_bond.items()]
    assert last.data[0] == [up(keyfile.identity("bond0")), *ports]


def test_a_bond_that_is_taken_back_comes_before_its_ports_and_these_before_its_vlans():
    state = on_disk(BONDED, *BONDED.links)
    todo = plan(wanted(bonds=[{"name": "bond0", "mode": "balance-rr"}]), state)
    ups = [one for one, _may_fail in undo(state, todo) if "up" in (one.argv if isinstance(one, Unless) else one)]
    uuids = [(one.argv if isinstance(one, Unless) else one)[-1] for one in ups if "nmcli" in str(one)]
    assert uuids == [keyfile.identity(name) for name in ("bond0", "eth1", "eth2", "bond0.100", "bond0.200")]
    assert not isinstance(ups[0], Unless), "it runs on what it was changed to"
    assert all(isinstance(one, Unless) for one in ups[1:5]), "they may have come back with the bond"


def test_what_was_made_is_removed_when_networkmanager_would_not_make_it_again():
    state = on_disk(BONDED, *BONDED.links)
    todo = plan(wanted(bridges=[{"name": "br9", "addresses": ["192.0.2.9/24"]}]), state)
    back = [one for one, _may_fail in undo(state, todo)]
    path = "/etc/NetworkManager/system-connections/br9.nmconnection"
    order = [Write(path, None), ["nmcli", "connection", "reload"], ["ip", "link", "del", "br9"]]
    assert [one for one in back if one in order] == order


def test_what_the_kernel_changes_only_while_the_link_is_down_is_not_left_to_networkmanager():
    state = on_disk(BONDED, *BONDED.links)
    todo = plan(wanted(bonds=[{"name": "bond0", "lacp_rate": "fast"}]), state)
    down, again = (["ip", "link", "set", "bond0", "down"], up(keyfile.identity("bond0")))
    rate = ["ip", "link", "set", "bond0", "type", "bond", "lacp_rate"]
    assert todo.steps[-1].data[0][:3] == [down, [*rate, "fast"], again]
    back = [one for one, _may_fail in undo(state, todo)]
    start = back.index(down)
    assert back[start : start + 3] == [down, [*rate, "slow"], again]
    other = host(
        *(one for one in BONDED.links.values() if one.kind == "nic"), bond("bond0", options={"mode": "active-backup"})
    )
    backup = on_disk(other, *other.links)
    todo = plan(wanted(bonds=[{"name": "bond0", "mode": "802.3ad", "miimon": 100, "lacp_rate": "fast"}]), backup)
    assert todo.steps[-1].data[0][:4] == [again, down, [*rate, "fast"], again], "in its mode it can be set"


def test_the_seed_move_over_a_bond_of_open_vswitch():
    state = on_disk(OF_OVS, "eth1", "eth2", "bond0", "bond0.100")
    move = {"name": "br0", "ports": ["bond0.100"], "addresses": ["192.0.2.10/24"], "gateway": "192.0.2.1"}
    assert [str(step).partition(": ")[0] for step in plan(wanted(bridges=[move]), state).steps] == [
        "write /etc/NetworkManager/system-connections/bond0.100.nmconnection",
        "write /etc/NetworkManager/system-connections/br0.nmconnection",
        "load NetworkManager",
        "create br0",
        "restart bond0.100",
    ]


def test_a_master_of_somebody_else_is_not_in_the_profile():
    state = on_disk(OF_OVS, "eth1", "eth2", "bond0.100")
    found = written(plan(wanted(bonds=[{"name": "bond0", "miimon": 50}]), state))
    assert "master" not in found["bond0"]["connection"]
    assert found["bond0"]["ipv4"] == {"method": "disabled"}


def test_only_what_is_declared_is_changed_in_a_profile():
    text = """# by hand
[connection]
id=Uplink
uuid=7d6a
type=ethernet
zone=trusted

[ethernet]
wake-on-lan=64

[802-1x]
password=secret

[ipv4]
method=manual
address1=192.0.2.10/24,192.0.2.1
dns=192.0.2.53;
may-fail=false

[ipv6]
method=auto
"""
    link = nic("eth0", addresses=("192.0.2.11/24",), routes=(Route("0.0.0.0/0", "192.0.2.1"),))
    declared = Link("eth0", "nic", mtu=9000, addresses=("192.0.2.11/24",))
    before, after = keyfile.parse(text), keyfile.parse(keyfile.edit(text, link, declared, None))
    assert after["ethernet"] == {"wake-on-lan": "64", "mtu": "9000"}
    assert after["ipv4"] == dict(before["ipv4"], address1="192.0.2.11/24,192.0.2.1")
    assert (after["connection"], after["802-1x"]) == (before["connection"], before["802-1x"])
    assert keyfile.edit(text, link, declared, None).startswith("# by hand\n")


def test_what_another_mode_does_not_have_is_taken_out_of_the_profile():
    text = "[connection]\nid=bond0\n\n[bond]\nmode=802.3ad\nlacp_rate=fast\nmiimon=100\nxmit_hash_policy=layer2+3\n"
    link = Link("bond0", "bond", {"mode": "balance-xor"}, "", addresses=(), routes=())
    edited = keyfile.parse(keyfile.edit(text, link, link._replace(addresses=None, routes=None), None))
    assert edited["bond"] == {"mode": "balance-xor", "miimon": "100", "xmit_hash_policy": "layer2+3"}


def test_a_diff_shows_no_secret():
    text = "[connection]\nid=eth0\nuuid=1\ntype=ethernet\n\n[802-1x]\npassword=secret\n\n[ipv4]\nmethod=auto\n"
    state = host(nic("eth0"), profiles={"eth0": Profile("1", "/etc/x.nmconnection", text, True)})
    todo = plan(wanted(nics=[{"name": "eth0", "mtu": 9000}]), state)
    assert todo.after["eth0"] == {"mtu": 9000, "profile": {"ethernet.mtu": "9000"}}
    assert "secret" not in str((todo.before, todo.after, [str(step) for step in todo.steps]))


@pytest.mark.parametrize(
    ("link", "section", "expected"),
    [
        (bridge("br0", options={"priority": 4096, "forward_delay": 400}, port={}), "bridge",
         {"stp": "false", "priority": "4096", "forward-delay": "4", "vlan-filtering": "false",
          "vlan-default-pvid": "1"}),
        (Link("v", "vlan", {"parent": "eth1", "id": 7, "protocol": "802.1ad", "reorder_headers": True, "gvrp": True,
                            "egress_qos_map": ((0, 3), (1, 2))}, "", {}, 1500, None, (), (), True), "vlan",
         {"flags": "3", "id": "7", "parent": "eth1", "protocol": "802.1ad", "egress-priority-map": "0:3,1:2"}),
        (nic("eth1", addresses=("192.0.2.1/24", "192.0.2.2/24", "2001:db8::1/64"),
             routes=(Route("10.0.0.0/8", "192.0.2.9", 50, 7), Route("::/0", "2001:db8::9"))), "ipv4",
         {"method": "manual", "address1": "192.0.2.1/24", "address2": "192.0.2.2/24",
          "route1": "10.0.0.0/8,192.0.2.9,50", "route1_options": "table=7"}),
        (nic("eth1", ipv6=None, addresses=("2001:db8::1/64",), routes=(Route("::/0", "2001:db8::9"),)), "ipv6",
         {"method": "manual", "address1": "2001:db8::1/64,2001:db8::9"}),
    ],
)  # fmt: skip
def test_a_new_profile(link, section, expected):
    assert keyfile.parse(keyfile.edit(None, link, link, None))[section] == expected


def test_fields_of_nmcli():
    assert fields(r"a:b\:c:d\\e:") == ["a", "b:c", "d\\e", ""]


@pytest.mark.parametrize(
    ("kind", "said", "metric", "seen"),
    [
        ("bridge", "", 425, None),
        ("bridge", "", 20426, None),
        ("vlan", "", 400, None),
        ("nic", "", 100, None),
        ("nic", "", 50, 50),
        ("nic", "route1=10.0.0.0/8,192.0.2.9,100", 100, 100),
        ("nic", "route1=10.0.0.0/8,192.0.2.9,100", 20100, 100),
        ("nic", "route1=10.0.0.0/8,192.0.2.9,100", 101, None),
        ("nic", "route1=10.0.0.0/8,192.0.2.9", 100, None),
        ("nic", "route1=172.16.0.0/12,192.0.2.9,100", 100, None),
        ("nic", "route-metric=50", 50, None),
        ("nic", "route-metric=50", 100, 100),
        ("nic", "route1=10.0.0.0/8,192.0.2.9,0", None, 0),
        ("nic", "route1=10.0.0.0/8,192.0.2.9,50", None, None),
    ],
)
def test_a_metric_is_that_of_networkmanager_unless_the_profile_states_it(kind, said, metric, seen):
    link = Link("x", kind, routes=(Route("10.0.0.0/8", "192.0.2.9", metric),))
    assert plain_routes(link, keyfile.parse(f"[ipv4]\n{said}\n")).routes[0].metric == seen


@pytest.mark.parametrize("metric", [None, 50, 100, 124])
def test_a_metric_that_is_declared_is_kept_and_read_back(metric):
    """Also one that NetworkManager might have given by itself."""
    declared = [{"to": "0.0.0.0/0", "via": "192.0.2.1", "metric": metric}]
    state = on_disk(BARE, "eth0")
    todo = plan(wanted(nics=[{"name": "eth0", "routes": declared}]), state)
    texts = [one.text for step in todo.steps for one in step.data[0] if isinstance(one, Write)]
    profile = state.profiles["eth0"]._replace(text=(texts or [state.profiles["eth0"].text])[0])
    kernel = {"eth0": state.links["eth0"]._replace(routes=(Route("0.0.0.0/0", "192.0.2.1", metric or 100),))}
    found = state._replace(links=dict(state.links, **kept(kernel, (), {"eth0": profile})), profiles={"eth0": profile})
    assert steps(found, nics=[{"name": "eth0", "routes": declared}]) == []


STATIC = (
    "[connection]\nid=eth0\nuuid=1\ntype=ethernet\ninterface-name=eth0\n\n[ipv4]\nmethod={}\n{}\n[ipv6]\nmethod={}\n{}"
)


def edited(text, declared, link=None):
    """Return the sections ipv4 and ipv6 of a profile once it says what is declared of eth0."""
    found = keyfile.parse(keyfile.edit(text, link or nic("eth0"), declared, None))
    return found.get("ipv4"), found.get("ipv6")


@pytest.mark.parametrize(
    ("four", "six", "declared", "methods"),
    [
        # Unset, they stay.
        ("auto", "auto", {"mtu": 9000}, ("auto", "auto")),
        ("auto", "auto", {"addresses": ("192.0.2.1/24",)}, ("auto", "auto")),
        ("manual", "ignore", {"addresses": ("192.0.2.1/24",)}, ("manual", "ignore")),
        ("link-local", "dhcp", {"dns": ("2001:db8::53",)}, ("link-local", "dhcp")),
        ("auto", "manual", {"addresses": ()}, ("auto", "link-local")),
        # Given, they change.
        ("auto", "auto", {"dhcp4": False}, ("disabled", "auto")),
        ("auto", "auto", {"dhcp4": False, "addresses": ("192.0.2.1/24",)}, ("manual", "auto")),
        ("disabled", "disabled", {"dhcp4": True, "ipv6": "auto"}, ("auto", "auto")),
        ("auto", "auto", {"ipv6": "manual"}, ("auto", "link-local")),
        ("auto", "auto", {"ipv6": "manual", "addresses": ("2001:db8::1/64",)}, ("auto", "manual")),
        ("auto", "auto", {"ipv6": "dhcp"}, ("auto", "dhcp")),
        ("auto", "auto", {"ipv6": "disabled"}, ("auto", "disabled")),
    ],
)
def test_the_way_to_get_addresses_stays_unless_it_is_declared(four, six, declared, methods):
    link = nic("eth0", addresses=declared.get("addresses", ()))
    found = edited(STATIC.format(four, "", six, ""), Link("eth0", "nic", **declared), link)
    assert tuple(section["method"] for section in found) == methods


def test_what_a_profile_leaves_out_stays_out():
    text = "[connection]\nid=eth0\nuuid=1\ntype=ethernet\n\n[ipv4]\nmethod=auto\n"
    assert edited(text, Link("eth0", "nic", mtu=9000)) == ({"method": "auto"}, None)
    assert edited(text, Link("eth0", "nic", ipv6="manual")) == ({"method": "auto"}, {"method": "link-local"})


def test_name_servers_go_to_their_family_and_other_keys_stay():
    text = STATIC.format("auto", "dns-priority=5\ndns=192.0.2.1;\n", "auto", "")
    four, six = edited(text, Link("eth0", "nic", dns=("192.0.2.53", "2001:db8::53"), dns_search=("example.org",)))
    assert four == {"method": "auto", "dns-priority": "5", "dns": "192.0.2.53;", "dns-search": "example.org;"}
    assert six == {"method": "auto", "dns": "2001:db8::53;"}
    assert edited(text, Link("eth0", "nic", dns=()))[0] == {"method": "auto", "dns-priority": "5"}
    assert edited(text, Link("eth0", "nic", mtu=1400))[0]["dns"] == "192.0.2.1;"


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"dns": ["2001:db8::53"]}, "keeps dns 2001:db8::53 only with an address of IPv6, which eth1 has not"),
        ({"dns_search": ["example.org"]}, "keeps dns_search only with an address, which eth1 has not"),
    ],
)
def test_name_servers_where_networkmanager_takes_none_are_refused(declared, said):
    state = on_disk(host(nic("eth1", ipv6="disabled")), "eth1")
    with pytest.raises(ReconcileError, match=said):
        plan(wanted(nics=[dict(declared, name="eth1")]), state)


def test_rules_of_a_profile_and_those_that_say_more_than_ours():
    foreign = "priority 9 from 192.0.2.0/24 table 5 suppress_prefixlength 0"
    text = STATIC.format(
        "manual",
        f"address1=192.0.2.1/24\nrouting-rule1=priority 7 from 192.0.2.1 table 5\nrouting-rule2={foreign}\n",
        "auto",
        "",
    )
    assert keyfile_ip.read(keyfile.parse(text))["rules"] == (Rule(7, 5, 4, "192.0.2.1/32"),)
    new = (Rule(8, 5, 4, None, None, "eth0", "0x1/0xf"), Rule(8, 5, 6))
    four, six = edited(text, Link("eth0", "nic", rules=new), nic("eth0", rules=new))
    assert four["routing-rule1"] == foreign
    assert four["routing-rule2"] == "priority 8 from 0.0.0.0/0 iif eth0 fwmark 0x1/0xf table 5"
    assert six["routing-rule1"] == "priority 8 from ::/0 table 5"
    assert "routing-rule3" not in four
    assert four["address1"] == "192.0.2.1/24"


def test_what_a_profile_says_is_read_back():
    declared = {
        "dns": ("192.0.2.53", "2001:db8::53"),
        "dns_search": ("example.org",),
        "dhcp4": True,
        "ipv6": "auto",
        "rules": (Rule(8, 5, 4, None, "10.0.0.0/8"), Rule(8, 5, 6, "2001:db8::/64")),
    }
    link = nic("eth0", **declared)
    assert keyfile_ip.read(keyfile.parse(keyfile.edit(None, link, link, None))) == declared


def test_vlans_of_a_port_and_a_bridge_as_profiles():
    state = BARE._replace(backend="networkmanager")
    declared = {
        "bridges": [
            {"name": "br0", "vlan_filtering": True, "vlan_default_pvid": 0, "vids": ["100"], "ports": ["eth1", "bond0"]}
        ],
        "bonds": [{"name": "bond0", "ports": ["eth2"], "bridge_port": {"vids": ["100-102"], "cost": 7}}],
        "nics": [{"name": "eth1", "bridge_port": {"pvid": 100}}],
    }
    found = written(plan(wanted(**declared), state))
    assert found["br0"]["bridge"]["vlans"] == "100"
    assert (found["br0"]["bridge"]["vlan-filtering"], found["br0"]["bridge"]["vlan-default-pvid"]) == ("true", "0")
    assert found["bond0"]["bridge-port"] == {"path-cost": "7", "vlans": "100-102"}
    assert found["eth1"]["bridge-port"] == {"vlans": "100 pvid untagged"}
    del declared["bridges"][0]["vlan_default_pvid"]
    with pytest.raises(ReconcileError, match="puts it into VLAN 1 besides.*declare vlan_default_pvid: 0 for br0"):
        plan(wanted(**declared), state)


def test_settings_are_reapplied_in_place_and_options_of_a_port_are_not():
    state = on_disk(BARE, "eth0")
    assert steps(state, nics=[{"name": "eth0", "dhcp4": True, "dns": ["192.0.2.53"]}])[-1] == (
        "reapply eth0: dhcp4 False -> True, dns none -> 192.0.2.53"
    )
    bridged = on_disk(BRIDGED, *BRIDGED.links)
    assert steps(bridged, nics=[{"name": "eth1", "bridge_port": {"cost": 7}}])[-1] == "restart eth1: as port cost 7"


def test_a_bond_that_is_there_is_pinned_by_its_first_profile():
    found = written(plan(wanted(bonds=[{"name": "bond0"}]), on_disk(BONDED, "eth1")))
    assert found["bond0"]["ethernet"] == {"cloned-mac-address": BONDED.links["bond0"].mac}
