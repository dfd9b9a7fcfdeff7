# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``tproxy`` with real traffic, in network namespaces of its own: client - router with the proxy - server."""

import sys

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._tproxy.verdict import DIRECT, Flow

from tests.integration import istio
from tests.integration.captured import (
    APP,
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
    gone = [{"name": one["name"], "state": "absent"} for one in (TRANSPARENT, REDIRECT, MIXED)]
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
    local = bare.start("r", sys.executable, str(FLOWS), "serve", str(DNS), "127.0.0.1", "::1")
    try:
        for servers in ([], [THERE[4][0]]):
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
                    kinds.append(direct)
                    assert direct == (expected(capture, flow) == DIRECT), (backend, servers, flow, answer)
                assert len(set(kinds)) == 2
    finally:
        local.kill()


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
    program = {"nftables": "nft list ruleset", "iptables_nft": "iptables-nft-save -c"}.get(
        backend, "iptables-legacy-save -c"
    )
    before = bare.run("r", *program.split())
    assert not bare.tproxy(TRANSPARENT, backend=backend)["changed"]
    texts = (before, bare.run("r", *program.split()))
    # Chains that the kernel asks count all packets, also those of the test itself.
    lines = [[line for line in text.splitlines() if "PUT" not in line and "ROUTING" not in line] for text in texts]
    lines = [[line for line in many if not line.startswith("#")] for many in lines]
    assert lines[0] == lines[1]


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
        for uid in (APP, PROXY_USER):
            own = Flow("out", "tcp", HERE[family][0], HERE[family][0], 8080, "lo", to_host=True, uid=uid, gid=uid)
            flows.append(own)
    try:
        for family, text in istio.redirect().items():
            bare.run("r", f"{family}-legacy-restore", "--noflush", text=text)
        try:
            theirs = [became(*one, transparent=()) for one in answered(bare, flows)]
        finally:
            for family in istio.redirect():
                for flag in ("-F", "-X"):
                    bare.run("r", f"{family}-legacy", "-t", "nat", flag)
        assert [expected(capture, flow) for flow in flows] == theirs
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


def test_settings_of_the_kernel_are_named_and_set_only_when_asked(bare):
    bare.run("r", "ip", "link", "add", "br9", "type", "bridge")
    name = "net.bridge.bridge-nf-call-iptables"
    try:
        bare.run("r", "sysctl", "-q", "-w", f"{name}=1")
        inbound = dict(TRANSPARENT, outbound=None)
        done = bare.tproxy(inbound)
        assert f"{name} is 1: frames that are only bridged here" in " ".join(done["warnings"])
        assert bare.run("r", "sysctl", "-n", name).strip() == "1"
        done = bare.tproxy(inbound, set_sysctls=True)
        assert [step for step in done["steps"] if name in step and "1 -> 0" in step]
        assert bare.run("r", "sysctl", "-n", name).strip() == "0"
        assert not bare.tproxy(inbound, set_sysctls=True)["changed"]
    finally:
        bare.run("r", "ip", "link", "del", "br9")
