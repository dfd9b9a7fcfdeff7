# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans of links that the initscripts keep: the files and the kernel end the same, and all can be taken back."""

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import ReconcileError
from ansible_collections.hostcraft.linux.plugins.module_utils._network import ifcfg, report
from ansible_collections.hostcraft.linux.plugins.module_utils._network.model import Link, Rule, State, Write
from ansible_collections.hostcraft.linux.plugins.module_utils._network.plan_ifcfg import plan, undo
from ansible_collections.hostcraft.linux.tests.unit.plugins.module_utils._network.model_kernel import Kernel
from ansible_collections.hostcraft.linux.tests.unit.plugins.module_utils._network.test_ifcfg import (
    VERIFIED,
    assignments,
)
from ansible_collections.hostcraft.linux.tests.unit.plugins.module_utils._network.test_plan import (
    BARE,
    BONDED,
    BRIDGED,
    OF_OVS,
    TABLE,
    nic,
    same,
    wanted,
)
from ansible_collections.hostcraft.linux.tests.unit.plugins.module_utils._network.test_profiles import SEED

DIRECTORY = "/etc/sysconfig/network-scripts/"


class Host:
    """A model of the kernel with the files beside it, that the initscripts read at boot."""

    def __init__(self, state):
        self.kernel, self.files, self.scripts = Kernel(state), dict(state.files), []

    def carry_out(self, operations, before=None, may_fail=False):
        """Carry out operations; with ``before``, the files of then, a file is put back as it was there."""
        for one in operations:
            if isinstance(one, Write):
                name = one.path.replace(DIRECTORY, "")
                text = one.text if before is None else before.get(name)
                self.files.pop(name, None)
                self.files.update({name: text} if text is not None else {})
            elif one[0] in ("ip", "bridge", "sysctl"):
                self.kernel.carry_out([one], may_fail)
            else:
                self.scripts.append(one)

    def state(self):
        """Return what would be found now."""
        return kept(self.kernel.state(), self.files)


def kept(state, files):
    """Return a state whose links the initscripts keep."""
    return ifcfg.kept(state, files)._replace(backend="ifcfg")


def of_initscripts(state, *names):
    """Return the state with files of these links that say what the kernel has."""
    files = {}
    for name in names:
        link = state.links[name]._replace(ipv6=None, dns=(), dns_search=())
        link = link if link.kind == "bond" else link._replace(mac=None)
        port = {key: value for key, value in link.port.items() if key not in ("pvid", "vids")}
        rendered = ifcfg.render(link._replace(port=port), state.links, {})
        files.update({file: text for file, text in rendered.items() if text is not None})
    return kept(state, files)


KEPT = {id(one): of_initscripts(one, *(name for name in one.links if name != "ovs-system")) for one in
        (BARE, BONDED, BRIDGED, OF_OVS)}  # fmt: skip
REFUSED = ("802.1ad", "vids", "disabled")  # by this backend; see below
ROWS = [row for row in TABLE if id(row[1]) in KEPT and not any(word in str(row[2]) for word in REFUSED)]


def test_the_seed_topology_as_files_is_what_real_initscripts_were_given():
    host = Host(kept(BARE, {}))
    declared = {**SEED, "bridges": [{**SEED["bridges"][0], "forward_delay": 2}]}
    todo = plan(wanted(**declared), host.state())
    for step in todo.steps:
        host.carry_out(step.data[0])
    assert sorted(host.files) == sorted(f"ifcfg-{name}" for name in VERIFIED)
    for name, text in VERIFIED.items():
        ours, verified = assignments(host.files[f"ifcfg-{name}"]), assignments(text)
        # The declaration has a gateway, ours pin the MAC, and 10.00 takes DELAY, but not what goes to sysfs, for
        # hundredths.
        for key in ("DEFROUTE", "GATEWAY", "MACADDR", "BRIDGING_OPTS"):
            ours.pop(key, None)
            verified.pop(key, None)
        assert ours == verified, name
    assert assignments(host.files["ifcfg-bond0"])["MACADDR"] == "52:54:00:00:00:01"
    assert assignments(host.files["ifcfg-bond0.100"])["GATEWAY"] == "10.10.100.1"


@pytest.mark.parametrize(("what", "have", "want", "_expected"), ROWS, ids=[row[0] for row in ROWS])
def test_files_and_kernel_end_the_same_and_what_is_read_is_as_declared(what, have, want, _expected):
    host = Host(KEPT[id(have)])
    todo = plan(wanted(**want), host.state())
    assert bool(todo.steps) == (todo.before != todo.after)
    verbs = [step.verb for step in todo.steps]
    last_write = max((number for number, verb in enumerate(verbs) if verb == "write"), default=-1)
    assert all(verb == "write" for verb in verbs[: last_write + 1]), "the files come first"
    for step in todo.steps:
        host.carry_out(step.data[0])
    after = host.state()
    assert [str(step) for step in plan(wanted(**want), after).steps] == []
    for name in todo.after:
        if todo.after[name] is None:
            assert not [file for file in ifcfg.names(name) if file in host.files]
            continue
        link, boot = after.links[name], ifcfg.parse(name, host.files)
        master = "" if link.master in after.owners else link.master
        assert (boot.master, boot.addresses, set(boot.routes)) == (master, link.addresses, set(link.routes))
        assert {key: link.options.get(key, value) for key, value in boot.options.items()} == boot.options
        assert boot.mtu in (None, link.mtu)
        assert boot.mac in (None, link.mac)


@pytest.mark.parametrize(("what", "have", "want", "_expected"), ROWS, ids=[row[0] for row in ROWS])
def test_stopped_after_any_operation_files_and_kernel_can_be_put_back(what, have, want, _expected):
    before = KEPT[id(have)]
    todo = plan(wanted(**want), before)
    operations = [one for step in todo.steps for one in step.data[0]]
    for number in range(len(operations) + 1):
        host = Host(before)
        host.carry_out(operations[:number])
        for one, may_fail in undo(before, todo):
            host.carry_out([one], before.files, may_fail)
        assert same(host.state()) == same(before), (what, number)
        assert host.files == before.files


def test_the_move_of_the_hosts_address_writes_first_and_then_moves_in_place():
    state = KEPT[id(OF_OVS)]
    move = {"name": "br0", "ports": ["bond0.100"], "addresses": ["192.0.2.10/24"], "gateway": "192.0.2.1"}
    assert [str(step) for step in plan(wanted(bridges=[move]), state).steps] == [
        f"write {DIRECTORY}ifcfg-bond0.100: of bond0.100",
        f"write {DIRECTORY}ifcfg-br0: new, of br0",
        "create br0: bridge stp False",
        "start br0",
        "add br0: address 192.0.2.10/24",
        "enslave bond0.100: to br0",
        "move br0: route 0.0.0.0/0 via 192.0.2.1 from bond0.100",
        "remove bond0.100: address 192.0.2.10/24",
    ]


def test_absent_removes_the_files_and_the_link_that_ifdown_leaves():
    state = KEPT[id(BRIDGED)]
    steps = [str(step) for step in plan(wanted(bridges=[{"name": "br0", "state": "absent"}]), state).steps]
    assert steps[-2:] == ["remove br0: bridge", f"delete {DIRECTORY}ifcfg-br0: of br0"]
    only_file = state._replace(links={"eth1": BARE.links["eth1"]})
    steps = [str(step) for step in plan(wanted(bridges=[{"name": "br0", "state": "absent"}]), only_file).steps]
    assert steps == [f"delete {DIRECTORY}ifcfg-br0: of br0"]


def test_a_file_that_is_lost_is_written_and_the_link_left_alone():
    state = kept(BONDED, {file: text for file, text in KEPT[id(BONDED)].files.items() if file != "ifcfg-bond0"})
    todo = plan(wanted(bonds=[{"name": "bond0"}]), state)
    assert [str(step) for step in todo.steps] == [f"write {DIRECTORY}ifcfg-bond0: new, of bond0"]
    written = assignments(todo.steps[0].data[0][0].text)
    assert written["MACADDR"] == BONDED.links["bond0"].mac, "or it would depend on which port comes up first"
    assert written["BONDING_OPTS"] == "mode=802.3ad miimon=100 lacp_rate=slow xmit_hash_policy=layer2"


def test_a_lease_restarts_the_link_through_the_scripts_and_says_so():
    state = KEPT[id(BARE)]
    todo = plan(wanted(nics=[{"name": "eth1", "dhcp4": True}]), state)
    assert [str(step) for step in todo.steps] == [
        f"write {DIRECTORY}ifcfg-eth1: of eth1",
        "restart eth1: (dhcp4) dhcp4 False -> True",
    ]
    assert todo.steps[1].data[0] == [["ifdown", "eth1"], ["ifup", "eth1"]]
    back = undo(state, todo)
    assert back[:2] == [(Write(f"{DIRECTORY}ifcfg-eth1", None), False), (Write("/etc/resolv.conf", None), False)]
    assert back[-2:] == [(["ifdown", "eth1"], True), (["ifup", "eth1"], True)]
    leased = kept(
        state, dict(state.files, **{"ifcfg-eth1": "DEVICE=eth1\nONBOOT=yes\nBOOTPROTO=dhcp\nNM_CONTROLLED=no\n"})
    )
    assert plan(wanted(nics=[{"name": "eth1", "dhcp4": True}]), leased).steps == ()
    static = plan(wanted(nics=[{"name": "eth1", "dhcp4": False}]), leased)
    assert str(static.steps[-1]) == "restart eth1: (dhcp4) dhcp4 True -> False"


def test_what_stands_on_a_restarted_link_gets_back_what_it_loses():
    state = KEPT[id(BONDED)]
    last = plan(wanted(bonds=[{"name": "bond0", "ipv6": "dhcp"}]), state).steps[-1]
    assert str(last) == "restart bond0: (ipv6) ipv6 auto -> dhcp"
    assert last.data[0] == [
        ["ifdown", "bond0"],
        ["ifup", "bond0"],
        ["ip", "addr", "replace", "2001:db8::10/64", "dev", "bond0.100", "nodad"],
        ["ip", "route", "replace", "0.0.0.0/0", "via", "192.0.2.1", "dev", "bond0.100"],
    ]


def test_name_servers_are_handed_to_the_scripts_and_the_resolver_is_put_back():
    state = KEPT[id(BARE)]
    todo = plan(wanted(nics=[{"name": "eth0", "dns": ["2001:db8::53", "192.0.2.53"], "dns_search": ["Example.org"]}]),
                state)  # fmt: skip
    assert str(todo.steps[-1]) == ("apply eth0: dns none -> 192.0.2.53 2001:db8::53, dns_search none -> example.org")
    assert todo.steps[-1].data[0] == [[f"{DIRECTORY}ifup-post", "ifcfg-eth0"]]
    written = assignments(todo.steps[0].data[0][0].text)
    assert (written["DNS1"], written["DNS2"], written["DOMAIN"]) == ("192.0.2.53", "2001:db8::53", "example.org")
    assert (Write("/etc/resolv.conf", None), False) in undo(state, todo)


def test_rules_are_in_the_file_and_in_the_kernel():
    host = Host(KEPT[id(BARE)])
    declared = {"nics": [{"name": "eth0", "rules": [{"priority": 7, "table": 9, "from": "192.0.2.10/32"}]}]}
    for step in plan(wanted(**declared), host.state()).steps:
        host.carry_out(step.data[0])
    assert host.files["rule-eth0"] == "priority 7 from 192.0.2.10/32 table 9\n"
    assert host.kernel.rules == [Rule(7, 9, 4, "192.0.2.10/32")]
    assert plan(wanted(**declared), host.state()).steps == ()
    for step in plan(wanted(nics=[{"name": "eth0", "rules": []}]), host.state()).steps:
        host.carry_out(step.data[0])
    assert ("rule-eth0" in host.files, host.kernel.rules) == (False, [])


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"vlans": [{"parent": "eth1", "id": 7, "protocol": "802.1ad"}]}, "the initscripts know no protocol 802.1ad"),
        ({"vlans": [{"parent": "eth1", "id": 7, "mvrp": True}]}, "the initscripts know no mvrp"),
        (
            {
                "bridges": [{"name": "br0", "ports": ["eth1"], "vlan_filtering": True}],
                "nics": [{"name": "eth1", "bridge_port": {"pvid": 5}}],
            },
            "nic 'eth1': the initscripts know no pvid",
        ),
        ({"nics": [{"name": "eth1", "ipv6": "disabled"}]}, "the initscripts cannot disable IPv6 of one link"),
        (
            {"nics": [{"name": "eth1", "dhcp4": True, "addresses": ["198.51.100.1/24"]}]},
            "the initscripts give it no address beside that of DHCP, so 198.51.100.1/24 would be lost",
        ),
        ({"nics": [{"name": "eth0", "dhcp4": True}]}, "beside that of DHCP, so 192.0.2.10/24 would be lost"),
    ],
)
def test_what_the_initscripts_cannot_keep_is_refused(declared, said):
    with pytest.raises(ReconcileError) as caught:
        plan(wanted(**declared), KEPT[id(BARE)])
    assert said in str(caught.value)


@pytest.mark.parametrize("have", [BARE, BONDED, BRIDGED, OF_OVS])
def test_what_is_reported_of_it_can_be_declared_and_changes_nothing_of_the_links(have):
    state = KEPT[id(have)]
    steps = [str(step) for step in plan(wanted(**report.declaration(state)), state).steps]
    assert [one for one in steps if not one.startswith("write ")] == []


def test_only_declared_keys_of_a_file_change():
    text = "# mine\nDEVICE=eth1\nHWADDR=52:54:00:00:00:01\nONBOOT=yes\nBOOTPROTO=none\nZONE=dmz\nNM_CONTROLLED=no\n"
    todo = plan(wanted(nics=[{"name": "eth1", "mtu": 9000}]), kept(State({"eth1": nic("eth1")}), {"ifcfg-eth1": text}))
    assert todo.steps[0].data[0] == [Write(f"{DIRECTORY}ifcfg-eth1", f"{text}MTU=9000\n", 0o644)]
    assert todo.after["eth1"] == {"mtu": 9000, "ifcfg": {"MTU": "9000"}}
    assert Link("eth1", "nic").mtu is None
