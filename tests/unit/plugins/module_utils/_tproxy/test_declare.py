# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the options to captures and back, what is refused, and how networks and ports are put together."""

import ipaddress

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import ReconcileError
from ansible_collections.hostcraft.linux.plugins.module_utils._tproxy import declare, networks, paths, ports, report
from ansible_collections.hostcraft.linux.plugins.module_utils._tproxy.model import ALL_PORTS, Mark
from hypothesis import given, settings
from hypothesis import strategies as st

INBOUND = {"mode": "tproxy", "port": 15006}
OUTBOUND = {"mode": "redirect", "port": 15001}
PROXY = {"uids": ["1337"]}


def number(text):
    """Stand for the lookup of a user or group."""
    if not text.isdigit():
        raise ReconcileError(f"there is no user '{text}' on this host")
    return int(text)


def capture(**options):
    """Return the capture of an item of the option."""
    return declare.capture(dict({"name": "web"}, **options), number, number)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "nothing is captured; give at least one of inbound, outbound and dns"),
        ({"outbound": OUTBOUND}, "proxy.uids, proxy.gids, proxy.marks or proxy.cgroups; or set allow_loop"),
        ({"dns": {"port": 53}}, "send it back to the proxy without end"),
        ({"inbound": {"port": 1}}, "inbound.mode is missing"),
        ({"inbound": {"mode": "tproxy"}}, "inbound.port is missing"),
        ({"inbound": dict(INBOUND, port=70000)}, "inbound.port: 70000 is no port"),
        ({"inbound": dict(INBOUND, ports=["0"])}, "inbound.ports: '0' is no port from 1 to 65535"),
        ({"inbound": dict(INBOUND, ports=["9-8"])}, "inbound.ports: '9-8' is no port"),
        ({"inbound": dict(INBOUND, ports=["80"], exclude_ports=["80"])}, "inbound: no port is left to capture"),
        ({"inbound": dict(INBOUND, cidrs=["10.0.0.1/8"])}, "inbound.cidrs: '10.0.0.1/8' is no network"),
        ({"inbound": dict(INBOUND, interfaces=["lo"])}, "what goes over lo stays within the host"),
        ({"inbound": dict(INBOUND, interfaces=['a"b'])}, "is no name of an interface"),
        ({"inbound": dict(INBOUND, mode="redirect", protocols=["udp"])}, "use mode tproxy for udp"),
        ({"inbound": INBOUND, "mark": "0x1000/0xfff"}, "mark: '0x1000/0xfff' is no mark such as 0x539/0xfff"),
        ({"inbound": INBOUND, "mark": "0/0xfff"}, "what packets have that nobody has marked"),
        ({"inbound": INBOUND, "mark": "0x1/0x1"}, "mark: 0x1/0x1 fills its mask"),
        ({"inbound": INBOUND, "mark": "0xffffffff"}, "must leave a bit of the mask clear"),
        ({"inbound": INBOUND, "table": 254}, "table: 254 is not free for use"),
        ({"inbound": INBOUND, "priority": 32766}, "priority: 32766 is not from 1 to 32765"),
        ({"inbound": INBOUND, "proxy": {"marks": ["0x539/0xfff"]}}, "is met by the capture's own mark"),
        ({"inbound": INBOUND, "proxy": {"uids": ["nobody-here"]}}, "there is no user 'nobody-here'"),
        ({"inbound": INBOUND, "proxy": {"cgroups": ['x"']}}, "is no path of a control group"),
        ({"inbound": dict(INBOUND, hairpin=True)}, "inbound.hairpin is for what the proxy's user sends"),
        ({"inbound": dict(INBOUND, hairpin=True), "proxy": PROXY}, "works with inbound.mode redirect only"),
        (
            {"outbound": OUTBOUND, "proxy": PROXY, "on_proxy_down": "bypass"},
            "bypass is possible for inbound with mode tproxy only, and outbound has mode redirect",
        ),
        ({"name": "Web", "inbound": INBOUND}, "use up to 10 of a-z and 0-9"),
        ({"name": "elevenchars", "inbound": INBOUND}, "use up to 10 of a-z and 0-9"),
        ({"inbound": INBOUND, "netns": "run/netns/x"}, "netns: 'run/netns/x' is no name as ip-netns(8) has it"),
        ({"inbound": INBOUND, "families": []}, "name at least one of ipv4 and ipv6"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(options, said):
    with pytest.raises(ReconcileError) as caught:
        declare.wanted({"captures": [dict({"name": "web"}, **options)]}, number, number)
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"capture '{options.get('name', 'web')}': ")


def test_a_name_is_declared_once_in_a_namespace():
    entry = {"name": "web", "inbound": INBOUND}
    with pytest.raises(ReconcileError, match="declared twice"):
        declare.wanted({"captures": [entry, dict(entry, state="absent")]}, number, number)
    declare.wanted({"captures": [entry, dict(entry, netns="blue")]}, number, number)


def test_a_namespace_is_the_same_by_its_name_and_by_its_path():
    assert {capture(inbound=INBOUND, netns=one).netns for one in ("n1", "/run/netns/n1", "/var/run/netns/n1")} == {"n1"}
    assert capture(inbound=INBOUND, netns="/proc/7/ns/net").netns == "/proc/7/ns/net"
    entry = {"name": "web", "inbound": INBOUND, "netns": "n1"}
    with pytest.raises(ReconcileError, match="declared twice"):
        declare.wanted({"captures": [entry, dict(entry, netns="/run/netns/n1")]}, number, number)
    names = [None, "a.b", "a-b", "a/b", "/a/b", "a_b", "a%2Eb", "host", "ä"]
    assert len({paths.place(one) for one in names}) == len(names)
    assert not [one for one in names if set("./") & set(paths.place(one))]


def test_a_capture_of_a_namespace_cannot_be_saved():
    with pytest.raises(ReconcileError, match="does not survive a reboot"):
        declare.wanted(
            {"captures": [{"name": "web", "netns": "x", "inbound": INBOUND}], "save": "/etc/x"}, number, number
        )


def test_a_loop_can_be_stated():
    assert capture(outbound=OUTBOUND, allow_loop=True).outbound.port == 15001


def test_what_is_not_said_has_a_safe_default():
    one = capture(inbound=dict(INBOUND, protocols=["tcp", "udp"]))
    assert (one.bypass, one.ssh_ports, one.mark, one.table, one.priority) == (
        False,
        (22,),
        Mark(0x539, 0xFFF),
        133,
        133,
    )
    assert one.families == (4, 6)
    assert one.inbound.tcp == ALL_PORTS
    assert not ports.contain(one.inbound.udp, 68), "the answers to a DHCP client of the host"
    assert not ports.contain(one.inbound.udp, 546)
    assert ports.contain(capture(inbound=dict(INBOUND, protocols=["udp"], ports=["68"])).inbound.udp, 68)
    assert networks.contain(one.inbound.exclude_networks, "224.0.0.251")
    assert networks.contain(one.inbound.exclude_networks, "ff02::fb")


def test_the_preset_is_istios_and_gives_way():
    one = capture(preset="istio_sidecar")
    assert (one.inbound.port, one.outbound.port, one.proxy.uids, one.proxy.gids) == (15006, 15001, (1337,), (1337,))
    assert (one.mark, one.table, one.inbound.hairpin) == (Mark(1337, 0xFFFFFFFF), 133, True)
    left_out = [port for port in (22, 80, 15008, 15020, 15021, 15090) if not ports.contain(one.inbound.tcp, port)]
    assert left_out == [15008, 15020, 15021, 15090]
    other = capture(preset="istio_sidecar", inbound={"port": 16006, "exclude_ports": ["9000"]}, proxy={"uids": ["5"]})
    assert (other.inbound.port, other.inbound.mode, other.proxy.gids) == (16006, "redirect", (1337,))
    assert ports.contain(other.inbound.tcp, 15008)
    assert other.proxy.uids == (5,)


ENTRIES = st.fixed_dictionaries(
    {},
    optional={
        "inbound": st.fixed_dictionaries(
            {"mode": st.just("tproxy"), "port": st.integers(1, 65535)},
            optional={
                "protocols": st.sampled_from([["tcp"], ["udp"], ["tcp", "udp"]]),
                "ports": st.sampled_from([["80"], ["1-65535"], ["60-70", "80"]]),
                "exclude_ports": st.sampled_from([["22"], ["68"], ["1-65"]]),
                "interfaces": st.sampled_from([["eth0"], ["eth1", "eth0"]]),
                "cidrs": st.sampled_from([["10.0.0.0/8"], ["fd00::/8", "10.0.0.0/9", "10.128.0.0/9"]]),
                "exclude_cidrs": st.sampled_from([["192.0.2.0/24"], ["::1/128"]]),
                "exclude_sources": st.sampled_from([["127.0.0.6/32"]]),
                "destinations": st.sampled_from(["all", "local", "forwarded"]),
            },
        ),
        "outbound": st.fixed_dictionaries(
            {"mode": st.just("redirect"), "port": st.integers(1, 65535)},
            optional={"exclude_ports": st.sampled_from([["22"], ["1-100"]])},
        ),
        "dns": st.fixed_dictionaries({"port": st.just(5353)}, optional={"servers": st.just(["127.0.0.53"])}),
        "preset": st.just("istio_sidecar"),
        "families": st.sampled_from([["ipv4"], ["ipv6"], ["ipv6", "ipv4"]]),
        "mark": st.sampled_from(["0x1", "0x5000/0xf000"]),
        "ssh_ports": st.sampled_from([[], ["2222"], ["22", "2200-2202"]]),
        "netns": st.just("blue"),
    },
)


@settings(deadline=None)
@given(ENTRIES)
def test_what_is_reported_declares_the_same(entry):
    entry = dict(entry, name="web", proxy={"uids": ["5"], "marks": ["0x70000000/0x70000000"], "cgroups": ["a.slice/b"]})
    if not {"inbound", "outbound", "dns", "preset"}.intersection(entry):
        entry["inbound"] = INBOUND
    if "preset" in entry and "inbound" in entry:
        entry["inbound"] = dict(entry["inbound"], hairpin=False)
    one = declare.capture(entry, number, number)
    assert declare.capture(report.declaration(one), number, number) == one


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(20, 32)), max_size=60))
def test_networks_are_aggregated_as_the_standard_library_does(pairs):
    many = [ipaddress.ip_network((number, length), strict=False) for number, length in pairs]
    found = networks.parse([str(one) for one in many], "x")
    assert networks.texts(found) == [str(one).replace("/32", "") for one in ipaddress.collapse_addresses(many)], (
        "the least number of networks"
    )
    for one in many:
        assert networks.contain(found, str(one[0]))


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 99), st.integers(1, 99)).map(sorted), max_size=8),
    st.lists(st.tuples(st.integers(1, 99), st.integers(1, 99)).map(sorted), max_size=8),
)
def test_ranges_of_ports_are_sets_of_ports(given_ranges, gone):
    def members(ranges):
        return {port for low, high in ranges for port in range(low, high + 1)}

    left = ports.without(ports.joined(map(tuple, given_ranges)), map(tuple, gone))
    assert members(left) == members(given_ranges) - members(gone)
    assert all(one[1] + 1 < other[0] for one, other in zip(left, left[1:])), "sorted, and none touches the next"
