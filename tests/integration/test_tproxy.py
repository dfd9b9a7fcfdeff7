# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``tproxy`` with real traffic, in network namespaces of its own: client - router with the proxy - server."""

import itertools
import json
import re
import sys

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._tproxy.verdict import DIRECT, Flow

from tests.integration import istio
from tests.integration.captured import (
    APP,
    CLIENT,
    DNS,
    FLOWS,
    HERE,
    IN,
    IN_R,
    OUT,
    OUT_R,
    OUTSIDE,
    PROXY_USER,
    ROUTER,
    THERE,
    Net,
    became,
    expected,
    matrix,
)

# A listener at all addresses that is not IP_TRANSPARENT.
OPAQUE = """
import socket, sys, time
for family in (socket.AF_INET, socket.AF_INET6):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        one = socket.socket(family, kind)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", int(sys.argv[1])))
        kind == socket.SOCK_STREAM and one.listen()
        globals()[f"kept{family}{kind}"] = one
print("ready", flush=True)
time.sleep(600)
"""
BACKENDS = ("nftables", "iptables_nft", "iptables_legacy")
PROXY = {"uids": [str(PROXY_USER)]}
TRANSPARENT = {
    "name": "both",
    "inbound": {
        "mode": "tproxy",
        "port": IN,
        "protocols": ["tcp", "udp"],
        "ports": ["8080"],
        "exclude_cidrs": OUTSIDE,
    },
    "outbound": {
        "mode": "tproxy",
        "port": OUT,
        "protocols": ["tcp", "udp"],
        "ports": ["8080"],
        "exclude_cidrs": OUTSIDE,
    },
    "proxy": PROXY,
}
REVERSED = {
    "name": "rev",
    "inbound": {
        "mode": "redirect",
        "port": IN_R,
        "ports": ["8080"],
        "destinations": "local",
        "exclude_sources": [CLIENT[4]],
    },
    "outbound": {
        "mode": "tproxy",
        "port": OUT,
        "protocols": ["tcp", "udp"],
        "interfaces": ["r1"],
        "exclude_interfaces": ["r0"],
        "exclude_cidrs": OUTSIDE,
    },
    "proxy": PROXY,
    "mark": "0x5000/0xf000",
    "table": 900,
    "priority": 77,
}
# What the rules do to the bits of others, of packets and of connections, seen where the packets come back.
OTHERS = """
table inet others {
    chain before {
        type route hook output priority -160; policy accept;
        ct mark set ct mark | 0x70000 meta mark set meta mark | 0x70001
    }
    chain after {
        type filter hook prerouting priority -140; policy accept;
        iifname "lo" meta mark & 0xf000 == 0x5000 jump seen
    }
    chain seen {
        meta mark & 0xfffff == 0x75001 ct mark & 0xfffff == 0x7a000 counter return comment "kept"
        counter comment "lost"
    }
}
"""
REDIRECT = {
    "name": "redir",
    "inbound": {"mode": "redirect", "port": IN_R, "exclude_ports": ["8081"], "exclude_cidrs": OUTSIDE},
    "outbound": {"mode": "redirect", "port": OUT_R, "ports": ["8080"], "cidrs": ["10.9.2.2", "fd09:2::2"]},
    "proxy": {"gids": [str(PROXY_USER)]},
}
MIXED = {
    "name": "mixed",
    "inbound": {
        "mode": "tproxy",
        "port": IN,
        "protocols": ["tcp", "udp"],
        "ports": ["8000-8080", "53"],
        "interfaces": ["r0"],
        "destinations": "forwarded",
    },
    "outbound": {"mode": "redirect", "port": OUT_R, "exclude_cidrs": OUTSIDE},
    "families": ["ipv4"],
    "proxy": PROXY,
}


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    """The namespaces and all programs, for the whole file."""
    with Net(tmp_path_factory.mktemp("net")) as found:
        yield found


@pytest.fixture
def bare(net):
    """The same, without any capture before and after."""
    before = net.state()
    net.noted()
    yield net
    gone = [{"name": one["name"], "state": "absent"} for one in (TRANSPARENT, REDIRECT, MIXED, REVERSED)]
    net.tproxy(*gone)
    assert net.state() == before


def check_matrix(net, capture, backend, listening=()):
    """Send the whole matrix, and compare what became of each flow with the model."""
    flows = matrix()
    net.noted()
    answers = net.call(flows, [flow for flow in flows if expected(capture, flow, listening) == "dropped"])
    noted = net.noted()
    wrong = []
    for flow, answer in zip(flows, answers, strict=True):
        said, seen = expected(capture, flow, listening), became(flow, answer, noted)
        if said != seen:
            wrong.append((flow, said, seen, answer))
    assert not wrong, f"{len(wrong)} of {len(flows)} differ with {backend}: {wrong[:4]}"
    return {expected(capture, flow, listening) for flow in flows}


@pytest.mark.parametrize("capture", [TRANSPARENT, REDIRECT, MIXED], ids=lambda one: one["name"])
def test_every_backend_does_what_the_model_says(bare, capture):
    for backend in BACKENDS:
        planned = bare.tproxy(capture, backend=backend, check=True)
        done = bare.tproxy(capture, backend=backend)
        assert not done["failed"], done
        assert done["changed"]
        assert (planned["steps"], planned["diff"]) == (done["steps"], done["diff"])
        again = bare.tproxy(capture, backend=backend)
        assert (again["changed"], again["steps"]) == (False, []), again
        kinds = check_matrix(bare, capture, backend)
        assert len(kinds) > 2, "the matrix has a flow for each verdict"


def test_the_other_mixture_with_a_mark_of_its_own(bare):
    """Inbound by redirect and outbound by tproxy, chosen by interface and source; other bits of marks survive."""
    bare.run("r", "nft", "-f", "-", text=OTHERS)
    try:
        for backend in BACKENDS:
            done = bare.tproxy(REVERSED, backend=backend)
            assert not done["failed"], done
            assert check_matrix(bare, REVERSED, backend) == {IN_R, OUT, DIRECT}
        shown = json.loads(bare.run("r", "nft", "-j", "list", "table", "inet", "others"))
        rules = [one["rule"] for one in shown["nftables"] if "comment" in one.get("rule", ())]
        counted = {
            one["comment"]: part["counter"]["packets"] for one in rules for part in one["expr"] if "counter" in part
        }
        assert counted["lost"] == 0
        assert counted["kept"] >= 3 * 4 * 2, counted
        # And where the interfaces are the others.
        inbound = dict(REVERSED["inbound"], exclude_sources=[], exclude_interfaces=["r0"])
        outbound = dict(REVERSED["outbound"], interfaces=["r0"], exclude_interfaces=[])
        for backend in BACKENDS[::2]:
            other = dict(REVERSED, inbound=inbound, outbound=outbound)
            assert not bare.tproxy(other, backend=backend)["failed"]
            assert check_matrix(bare, other, backend) == {DIRECT}
    finally:
        bare.run("r", "nft", "delete", "table", "inet", "others")


def test_iptables_legacy_goes_on_where_it_has_rules_of_others(bare):
    bare.run("r", "iptables-legacy", "-t", "mangle", "-A", "FORWARD", "-j", "ACCEPT")
    try:
        assert bare.tproxy(TRANSPARENT)["changed"]
        assert bare.info()[1][0]["backend"] == "iptables_legacy"
    finally:
        bare.run("r", "iptables-legacy", "-t", "mangle", "-D", "FORWARD", "-j", "ACCEPT")


def test_without_a_proxy_every_backend_drops(bare):
    bare.stop_proxy()
    try:
        for backend in BACKENDS:
            done = bare.tproxy(TRANSPARENT, backend=backend)
            assert not done["failed"], done
            said = " ".join(done["warnings"])
            assert f"at tcp port {IN}, where inbound goes, nobody listens over IPv4 and IPv6" in said
            assert "what is captured is dropped until a proxy does" in said
            assert check_matrix(bare, TRANSPARENT, backend, listening=(1,)) == {"direct", "dropped"}
        assert not bare.tproxy({"name": "both", "state": "absent"}, dict(REDIRECT, inbound=None))["failed"]
        assert check_matrix(bare, dict(REDIRECT, inbound=None), "nftables", listening=(1,)) == {"direct", "refused"}
    finally:
        bare.start_proxy()


def test_a_capture_that_may_be_passed_by_is(bare):
    bypass = dict(TRANSPARENT, outbound=None, on_proxy_down="bypass")
    bare.stop_proxy()
    try:
        done = bare.tproxy(bypass)
        assert "what is captured passes by until a proxy does" in " ".join(done["warnings"])
        assert check_matrix(bare, bypass, "nftables", listening=(1,)) == {"direct"}
        refused = bare.tproxy(bypass, backend="iptables_nft")
        assert "on_proxy_down bypass cannot be had from iptables_nft" in refused["msg"]
    finally:
        bare.start_proxy()
    assert IN in check_matrix(bare, bypass, "nftables")


def test_a_listener_that_is_not_transparent_is_reported_and_gets_nothing(bare):
    bare.stop_proxy()
    opaque = bare.start("r", sys.executable, "-c", OPAQUE, str(IN))
    try:
        done = bare.tproxy(dict(TRANSPARENT, outbound=None))
        assert "over IPv4 and IPv6 is not IP_TRANSPARENT, and is none to the kernel" in " ".join(done["warnings"])
        kinds = check_matrix(bare, dict(TRANSPARENT, outbound=None), "nftables", listening=(1,))
        assert kinds == {"direct", "dropped"}
    finally:
        opaque.kill()
        opaque.wait()
        bare.start_proxy()


def test_a_listener_at_the_loopback_is_reported_and_gets_nothing_from_elsewhere(bare):
    bare.stop_proxy()
    near = bare.start("r", sys.executable, str(FLOWS), "serve", str(IN_R), "127.0.0.1", "::1")
    capture = dict(REDIRECT, outbound=None)
    try:
        done = bare.tproxy(capture)
        assert "somebody listens over IPv4 and IPv6 at the loopback alone" in " ".join(done["warnings"])
        assert check_matrix(bare, capture, "nftables", listening=(1,)) == {"direct", "refused"}
    finally:
        near.kill()
        near.wait()
        bare.start_proxy()


def test_a_proxy_is_known_by_its_mark_where_it_has_the_same_user(bare):
    bare.stop_proxy()
    bare.start_proxy("--mark", "0x70000", user=APP)
    try:
        marked = dict(TRANSPARENT, proxy={"marks": ["0x70000/0xf0000"]})
        for backend in BACKENDS:
            assert not bare.tproxy(marked, backend=backend)["failed"]
            flows = [flow for flow in matrix() if flow.uid == APP]
            answers = bare.call(flows)
            noted = bare.noted()
            for flow, answer in zip(flows, answers, strict=True):
                # That it is noted once is checked there: what the proxy sends itself does not come back.
                assert became(flow, answer, noted) == expected(marked, flow)
    finally:
        bare.stop_proxy()
        bare.start_proxy()


def test_questions_to_name_servers(bare):
    ask = Flow("out", "udp", ROUTER[4], THERE[4][0], 53, "r1", uid=APP, gid=APP)
    own = [ask._replace(uid=uid, gid=uid, proto=proto) for uid in (APP, PROXY_USER) for proto in ("udp", "tcp")]
    own += [ask._replace(source=ROUTER[6], destination=THERE[6][0]), ask._replace(destination=THERE[4][1])]
    stub = ask._replace(source="127.0.0.1", destination="127.0.0.53", interface="lo", to_host=True)
    own += [stub._replace(uid=uid, gid=uid, proto=proto) for uid in (APP, PROXY_USER) for proto in ("udp", "tcp")]
    local = bare.start("r", sys.executable, str(FLOWS), "serve", str(DNS), "127.0.0.1", "::1")
    resolver = bare.start("r", sys.executable, str(FLOWS), "serve", "53", stub.destination)
    try:
        for servers in ([], [stub.destination, THERE[6][0]]):
            capture = {"name": "both", "dns": {"port": DNS, "servers": servers}, "proxy": PROXY}
            for backend in BACKENDS:
                done = bare.tproxy(capture, backend=backend)
                assert not done["failed"], done
                # The kernel remembers an exchange of datagrams for a while, and each has a port of its own here.
                answers = bare.call(own)
                kinds = []
                for flow, answer in zip(own, answers, strict=True):
                    direct = answer.get("server") == flow.destination
                    assert direct or answer["server"] in ("127.0.0.1", "::1")
                    kinds.append((direct, flow.family, flow.interface))
                    assert direct == (expected(capture, flow) == DIRECT), (backend, servers, flow, answer)
                assert len({one[0] for one in kinds}) == 2
                assert ((False, 4, "lo") in kinds) == (stub.destination in servers), backend
                assert ((False, 6, "r1") in kinds) == (not servers or THERE[6][0] in servers), backend
    finally:
        for one in (local, resolver):
            one.kill()
            one.wait()


def test_what_is_read_declares_the_same(bare):
    assert bare.tproxy(TRANSPARENT)["changed"]
    captures, status = bare.info()
    assert [one["name"] for one in captures] == ["both"]
    assert (status[0]["intact"], status[0]["backend"], status[0]["warnings"]) == (True, "nftables", [])
    again = bare.tproxy(*captures)
    assert (again["failed"], again["changed"]) == (False, False), again


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_second_run_leaves_the_counters(bare, backend):
    bare.tproxy(TRANSPARENT, backend=backend)
    check_matrix(bare, TRANSPARENT, backend)
    # The one counter of nft is that of what was dropped; a table that is made anew has another handle.
    program = {"nftables": "nft -a list ruleset", "iptables_nft": "iptables-nft-save -c"}.get(
        backend, "iptables-legacy-save -c"
    )

    def lines():
        # Chains that the kernel asks count all packets, also those of the test itself.
        text = bare.run("r", *program.split())
        many = [line for line in text.splitlines() if "PUT" not in line and "ROUTING" not in line]
        return [line for line in many if "hct_" in line or "table inet hostcraft_" in line]

    before = lines()
    assert [line for line in before if "handle" in line or re.match(r"\[[1-9]", line)], "there is what to lose"
    assert not bare.tproxy(TRANSPARENT, backend=backend)["changed"]
    assert lines() == before
    assert bare.tproxy(dict(TRANSPARENT, ssh_ports=["2222"]), backend=backend)["changed"]
    assert lines() != before, "and it would be seen"


# Ports, users and groups: a question to a name server, and either half of the proxy's name.
PEOPLE = [(53, PROXY_USER, PROXY_USER), *((8080, uid, gid) for uid in (APP, PROXY_USER) for gid in (APP, PROXY_USER))]


def test_istios_preset_says_of_every_port_and_user_what_istios_rules_say():
    capture, wrong, kinds = {"name": "both", "preset": "istio_sidecar", "ssh_ports": []}, [], set()
    for family, proto, port in itertools.product((4, 6), ("tcp", "udp"), (22, 53, 8080, 15008, 15020, 15021, 15090)):
        here, local = HERE[family][0], {4: "127.0.0.1", 6: "::1"}[family]
        flows = [Flow("in", proto, CLIENT[family], here, port, "r0", to_host=True)]
        for uid, gid in itertools.product((APP, PROXY_USER), repeat=2):
            far = Flow("out", proto, ROUTER[family], THERE[family][0], port, "r1", uid=uid, gid=gid)
            near = far._replace(source=here, destination=here, interface="lo", to_host=True)
            passed = near._replace(source={4: "127.0.0.6", 6: "::6"}[family])
            flows += [far, near, passed, near._replace(source=local, destination=local)]
        said = [(flow, expected(capture, flow), istio.becomes(flow)) for flow in flows]
        wrong += [one for one in said if one[1] != one[2]]
        kinds |= {one[2] for one in said}
    assert not wrong, f"{len(wrong)} differ: {wrong[:4]}"
    assert kinds == {IN, OUT, DIRECT}
    # What the preset leaves alone beyond that, and with questions to name servers what Istio leaves as well.
    login = Flow("in", "tcp", CLIENT[4], HERE[4][0], 22, "r0", to_host=True)
    assert expected(dict(capture, ssh_ports=["22"]), login) == DIRECT
    asks = Flow("out", "tcp", HERE[4][0], HERE[4][0], 53, "lo", to_host=True, uid=PROXY_USER)
    assert (expected(capture, asks), expected(dict(capture, dns={"port": DNS}), asks)) == (IN, DIRECT)


def test_istios_preset_means_what_istios_rules_mean(bare):
    bare.stop_proxy()
    # Envoy calls the application beside it from an address that the rules know; the one of IPv6 has to be made.
    bare.run("r", "ip", "addr", "replace", "::6/128", "dev", "lo", "nodad")
    sources = ["--local-source", "127.0.0.6", "--local-source", "::6"]
    bare.start_proxy(*sources, tproxy=(), redirect=(IN, OUT))
    capture = {"name": "both", "preset": "istio_sidecar"}
    flows = [flow for flow in matrix() if flow.proto == "tcp" and flow.destination not in OUTSIDE]
    # The host's own addresses, called by its programs: the application's directly, the proxy's by the inbound port.
    for family in (4, 6):
        for port, uid, gid in PEOPLE:
            own = Flow("out", "tcp", HERE[family][0], HERE[family][0], port, "lo", to_host=True, uid=uid, gid=gid)
            flows += [own, own._replace(source=ROUTER[family], destination=THERE[family][0], interface="r1")]
    try:
        for family, text in istio.redirect().items():
            bare.run("r", f"{family}-legacy-restore", "--noflush", text=text)
        try:
            theirs = [became(*one, transparent=()) for one in answered(bare, flows)]
        finally:
            for family in istio.redirect():
                for flag in ("-F", "-X"):
                    bare.run("r", f"{family}-legacy", "-t", "nat", flag)
        assert [expected(capture, flow) for flow in flows] == theirs == [istio.becomes(flow) for flow in flows]
        for backend in BACKENDS:
            assert not bare.tproxy(capture, backend=backend)["failed"]
            ours = [became(*one, transparent=()) for one in answered(bare, flows)]
            assert ours == theirs
        assert set(theirs) == {IN, OUT, DIRECT}
    finally:
        bare.stop_proxy()
        bare.start_proxy()
        bare.run("r", "ip", "addr", "del", "::6/128", "dev", "lo")


def answered(net, flows):
    """Send flows; return each with its answer and what the proxy noted."""
    net.noted()
    answers = net.call(flows)
    noted = net.noted()
    return [(flow, answer, noted) for flow, answer in zip(flows, answers, strict=True)]


def test_bridged_frames_are_named_and_let_be_only_when_asked(bare):
    bare.run("r", "ip", "link", "add", "br9", "type", "bridge")
    name = "net.bridge.bridge-nf-call-iptables"
    before = bare.set(name, 1)
    inbound = dict(TRANSPARENT, outbound=None)
    try:
        there = bare.state()
        done = bare.tproxy(inbound)
        assert f"{name} is 1: frames that are only bridged here" in " ".join(done["warnings"])
        assert bare.settings()[name] == "1"
        done = bare.tproxy(inbound, set_sysctls=True)
        assert [step for step in done["steps"] if name in step and "1 -> 0" in step]
        assert bare.settings()[name] == "0"
        assert not bare.tproxy(inbound, set_sysctls=True)["changed"]
        gone = bare.tproxy({"name": "both", "state": "absent"})
        assert f"reset {name}: 0 -> 1: no capture needs it any more" in gone["steps"]
        assert bare.state() == there
    finally:
        bare.set(name, before)
        bare.run("r", "ip", "link", "del", "br9")


def four_beats(net, capture, name, flows, lost):
    """See flows get lost by a setting that is warned of, set it, see them arrive, and see it set back.

    :param lost: ``lost(flow, answer)`` tells whether the setting has done its harm to one.
    """
    there = net.state()
    done = net.tproxy(capture)
    said = [one for one in done["warnings"] if f"{name} is 1: " in one]
    assert said, done["warnings"]
    assert "set_sysctls sets it to" in said[0]
    harmed = net.call(flows, flows)
    assert all(map(lost, flows, harmed)), harmed
    planned = net.tproxy(capture, set_sysctls=True, check=True)
    done = net.tproxy(capture, set_sysctls=True)
    assert (planned["steps"], planned["diff"]) == (done["steps"], done["diff"])
    assert [one.split(":")[0] for one in done["steps"]] == [f"set {name}"]
    assert not [one for one in done["warnings"] if f"{name} is" in one]
    assert not net.tproxy(capture, set_sysctls=True)["changed"]
    net.noted()
    answers = net.call(flows)
    noted = net.noted()
    for flow, answer in zip(flows, answers, strict=True):
        assert became(flow, answer, noted) == expected(capture, flow)
    gone = net.tproxy({"name": capture["name"], "state": "absent"})
    assert [one.split(":")[0] for one in gone["steps"]][-1] == f"reset {name}"
    assert net.state() == there


def test_a_check_of_sources_by_the_mark_is_named_and_switched_off_when_asked(bare):
    name = "net.ipv4.conf.all.src_valid_mark"
    flows = [flow for flow in matrix() if flow.family == 4 and expected(TRANSPARENT, flow) in (IN, OUT)]
    before = bare.set(name, 1)
    try:
        four_beats(bare, TRANSPARENT, name, flows, lambda _flow, answer: answer.get("outcome") == "lost")
    finally:
        bare.set(name, before)


@pytest.mark.parametrize("address", [None, "10.9.3.1/32"])
def test_a_strict_filter_at_a_link_without_a_way_back_is_named_and_loosened_when_asked(bare, address):
    """The client sends by a second link, of which the router knows nothing."""
    capture = dict(MIXED, inbound=dict(MIXED["inbound"], interfaces=["r2"]), outbound=None)
    flow = Flow("in", "tcp", "10.9.1.2", THERE[4][0], 8080, "r2")
    bare.run("r", "ip", "link", "add", "r2", "address", "02:00:00:00:00:02", "type", "veth", "peer", "name", "c2")
    try:
        bare.run("r", "ip", "link", "set", "c2", "netns", bare.name("c"))
        bare.run("r", "ip", "link", "set", "r2", "up")
        address and bare.run("r", "ip", "address", "add", address, "dev", "r2")
        bare.run("c", "ip", "link", "set", "c2", "up")
        bare.run("c", "ip", "route", "add", THERE[4][0], "dev", "c2", "src", flow.source)
        bare.run("c", "ip", "neigh", "add", THERE[4][0], "lladdr", "02:00:00:00:00:02", "dev", "c2")
        bare.set("net.ipv4.conf.r2.rp_filter", 1)
        flows = [flow, flow._replace(proto="udp")]
        four_beats(bare, capture, "net.ipv4.conf.r2.rp_filter", flows, is_lost)
    finally:
        bare.run("r", "ip", "link", "del", "r2")


def is_lost(_flow, answer):
    return answer.get("outcome") == "lost"


def test_what_listens_on_the_loopback_alone_is_kept_from_the_link(bare):
    """A neighbour sends to an address of the loopback: neither the kernel nor the proxy may let it through."""
    address, name = "127.9.9.9", "net.ipv4.conf.r0.route_localnet"
    service = bare.start("r", sys.executable, str(FLOWS), "serve", "8080", address)
    flow = Flow("in", "tcp", "10.9.1.2", address, 8080, "r0", to_host=True)
    before = bare.set("net.ipv4.conf.c0.route_localnet", 1, place="c")
    bare.run("c", "ip", "route", "del", "table", "local", "local", "127.0.0.0/8", "dev", "lo")
    bare.run("c", "ip", "route", "add", address, "via", HERE[4][0])
    try:
        for capture in (TRANSPARENT, REDIRECT):
            for backend in BACKENDS:
                assert not bare.tproxy(capture, backend=backend)["failed"]
                (answer,) = bare.call([flow], [flow])
                assert answer.get("outcome") == "lost", (capture["name"], backend, answer)
            bare.tproxy({"name": capture["name"], "state": "absent"})
        was = bare.set(name, 1)
        there = bare.state()
        done = bare.tproxy(REDIRECT)
        assert f"{name} is 1: who is on the link reaches" in " ".join(done["warnings"])
        (answer,) = bare.call([flow])
        assert answer["server"] == address, "the kernel lets it pass by the proxy"
        done = bare.tproxy(REDIRECT, set_sysctls=True)
        assert [one.split(":")[0] for one in done["steps"]] == [f"set {name}"]
        (answer,) = bare.call([flow], [flow])
        assert answer.get("outcome") == "lost"
        bare.tproxy({"name": "redir", "state": "absent"})
        assert bare.state() == there
        bare.set(name, was)
    finally:
        service.kill()
        bare.run("c", "ip", "route", "del", address)
        bare.run("c", "ip", "route", "add", "table", "local", "local", "127.0.0.0/8", "dev", "lo", "src", "127.0.0.1")
        bare.set("net.ipv4.conf.c0.route_localnet", before, place="c")


def test_a_proxy_is_known_by_its_control_group(bare):
    """It runs as the user of the application; a group stands for all that are below it."""
    slice_, own, _other = bare.groups.make("proxies", "proxies/own", "others")
    grouped = dict(TRANSPARENT, proxy={"cgroups": [slice_]})
    bare.stop_proxy()
    bare.start_proxy(user=APP, group=own)
    flows = [flow for flow in matrix() if flow.way == "out" and flow.uid == APP]
    flows = [flow._replace(cgroup=f"{bare.mark}/{name}") for flow in flows for name in ("others", "proxies/own")]
    try:
        for backend in BACKENDS:
            done = bare.tproxy(grouped, backend=backend, within=bare.groups.WITHIN)
            assert not done["failed"], done
            assert not bare.tproxy(grouped, backend=backend, within=bare.groups.WITHIN)["changed"]
            kinds = set()
            for flow, answer, noted in answered(bare, flows):
                # That it is noted once is checked there: what the proxy sends itself does not come back.
                assert became(flow, answer, noted) == expected(grouped, flow), (backend, flow, answer)
                kinds.add((flow.cgroup, became(flow, answer, noted)))
            assert (f"{bare.mark}/others", OUT) in kinds
            assert (f"{bare.mark}/proxies/own", OUT) not in kinds
    finally:
        bare.stop_proxy()
        bare.start_proxy()
