# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``tproxy`` when something is wrong: no proxy, rules replaced under load, drift, what others own, a failing step."""

import json
import os
import re
import subprocess
import sys
import time

import pytest

from tests.integration import modules
from tests.integration.captured import APP, IN, OUT, OUT_R, OUTSIDE, PROXY_USER, THERE, Net
from tests.integration.netns import Box
from tests.integration.test_tproxy import BACKENDS, MIXED, REDIRECT, TRANSPARENT, check_matrix

# Packets that get past the proxy. What is proxied is never forwarded, and what the router sends of it is the proxy's.
WATCH = f"""
table inet watch {{
    chain through {{
        type filter hook forward priority 300; policy accept;
        iifname "r0" meta l4proto {{ tcp, udp }} th dport 8080 counter comment "through"
    }}
    chain out {{
        type filter hook postrouting priority 300; policy accept;
        oifname "r1" meta skuid {APP} meta l4proto {{ tcp, udp }} th dport 8080 counter comment "out"
    }}
}}
"""
# Starts to connect, or sends a datagram, so often, and does not wait for what becomes of it.
TRY = """
import socket, sys
many, first, addresses = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
for number in range(many):
    address = addresses[number % len(addresses)]
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = (socket.SOCK_STREAM, socket.SOCK_DGRAM)[number // len(addresses) % 2]
    with socket.socket(family, kind) as one:
        one.setblocking(False)
        first and one.bind(("", first + number))
        try:
            one.connect((address, 8080))
            kind == socket.SOCK_DGRAM and one.send(b"?")
        except (BlockingIOError, ConnectionRefusedError):
            pass
"""
# One connection that asks again and again, and one new connection after the other, until its input ends.
LOAD = """
import json, socket, sys, threading
stop, counts = threading.Event(), {"asked": 0, "opened": 0}
def ask(one):
    one.sendall(b"?")
    data = one.recv(4096)
    assert data, "the connection has ended"
    return json.loads(data)
def keep(address):
    with socket.create_connection((address, 8080), timeout=10) as one:
        while not stop.is_set():
            ask(one)
            counts["asked"] += 1
def open_new(address):
    while not stop.is_set():
        with socket.create_connection((address, 8080), timeout=10) as one:
            ask(one)
            counts["opened"] += 1
failed = []
def safely(target, address):
    try:
        target(address)
    except Exception as error:
        failed.append(f"{target.__name__} {address}: {error!r}")
pairs = [(target, address) for target in (keep, keep, open_new) for address in sys.argv[1:]]
threads = [threading.Thread(target=safely, args=pair) for pair in pairs]
for one in threads:
    one.start()
print("ready", flush=True)
sys.stdin.read()
stop.set()
for one in threads:
    one.join()
print(json.dumps(dict(counts, failed=failed)))
"""
# Connections that ask once, and again for each line of input.
IDLE = """
import json, socket, sys
many = [socket.create_connection((address, 8080), timeout=10) for address in sys.argv[1:]]
def ask(one):
    one.sendall(b"?")
    return json.loads(one.recv(4096))[2]
def asked(one):
    try:
        return ask(one)
    except Exception as error:
        return repr(error)
list(map(ask, many))
print("ready", flush=True)
for line in sys.stdin:
    print(json.dumps(list(map(asked, many))), flush=True)
"""
# Has the kernel forget all connections: IPCTNL_MSG_CT_DELETE without attributes (nfnetlink_conntrack.h).
FORGET = """
import socket, struct
with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as one:
    one.send(struct.pack("=IHHIIBBH", 20, 1 << 8 | 2, 5, 1, 0, 0, 0, 0))
    (error,) = struct.unpack_from("=i", one.recv(4096), 16)
    assert error == 0, error
"""
# A service that speaks first, for each line of input, and one that has called it and repeats what it hears.
SPEAKS = """
import socket, sys
with socket.create_server(("10.9.1.1", 7000)) as listener:
    print("ready", flush=True)
    one, _peer = listener.accept()
    for line in sys.stdin:
        one.sendall(line.encode())
"""
HEARS = """
import socket
with socket.create_connection(("10.9.1.1", 7000), timeout=10) as one:
    print("ready", flush=True)
    for line in one.makefile():
        print(line, end="", flush=True)
"""
ISTIO = "from all fwmark 0x539 lookup 133"


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    """The namespaces and all programs, for the whole file, with a watch for what gets past the proxy."""
    with Net(tmp_path_factory.mktemp("net")) as found:
        found.run("r", "nft", "-f", "-", text=WATCH)
        yield found


@pytest.fixture
def bare(net):
    """The same, without any capture before and after."""
    before = net.state()
    yield net
    net.tproxy(*({"name": one["name"], "state": "absent"} for one in (TRANSPARENT, REDIRECT, MIXED)))
    assert net.state() == before


def passed_by(net):
    """Return how many packets got past the proxy since the last time, {"through": n, "out": n}."""
    shown = json.loads(net.run("r", "nft", "-j", "list", "table", "inet", "watch"))
    net.run("r", "nft", "-f", "-", text=f"delete table inet watch\n{WATCH}")
    rules = [one["rule"] for one in shown["nftables"] if "rule" in one]
    return {one["comment"]: part["counter"]["packets"] for one in rules for part in one["expr"] if "counter" in part}


def dropped(net, backend):
    """Return how many packets the rules have dropped for want of a proxy, {"in": n, "out": n}."""
    if backend == "nftables":
        chains = {way: f"nft list chain inet hostcraft_tproxy_both proxy_{way}" for way in ("in", "out")}
        texts = {way: net.run("r", *command.split()) for way, command in chains.items()}
        return {way: int(re.search(r"counter packets (\d+)", text).group(1)) for way, text in texts.items()}
    # Here the target itself drops.
    flavour = backend.partition("_")[2]
    text = "".join(net.run("r", f"{one}-{flavour}-save", "-c") for one in ("iptables", "ip6tables"))
    found = re.findall(r"^\[(\d+):\d+\] -A hct_both_proxy_(in|out) .*-j TPROXY", text, re.M)
    return {way: sum(int(many) for many, one in found if one == way) for way in ("in", "out")}


def attempt(net, many, first=0):
    """Try so often to reach the server from the client, and as often from the router itself.

    :param first: the port that the first is sent from; 0: any of those that the kernel gives.
    """
    addresses = [THERE[4][0], THERE[6][0]]
    for place, user in (("c", ()), ("r", net.as_user(APP))):
        net.run(place, *user, sys.executable, "-c", TRY, str(many), str(first), *addresses)


def quiet(net):
    """Wait for the last packets of connections from before the capture, which it leaves alone; at most 30 s."""
    passed_by(net)
    for _turn in range(60):
        time.sleep(0.5)
        if not any(passed_by(net).values()):
            return
    raise AssertionError("connections from before the capture do not end")


def test_nothing_passes_by_while_the_proxy_is_down(bare):
    bare.stop_proxy()
    try:
        # From ports that no later try gets: the kernel remembers datagrams for 30 s, and a capture leaves alone what
        # was there before it.
        attempt(bare, 20, 20_000)
        assert min(passed_by(bare).values()) >= 20, "without a capture the watch sees them"
        for backend, many in zip(BACKENDS, (10_000, 1_000, 1_000), strict=True):
            assert not bare.tproxy(TRANSPARENT, backend=backend)["failed"]
            quiet(bare)
            before = dropped(bare, backend)
            attempt(bare, many)
            assert passed_by(bare) == {"through": 0, "out": 0}, backend
            # Not all: a burst may be more than what the links or the table of neighbours keep.
            now = dropped(bare, backend)
            assert min(now[way] - before[way] for way in ("in", "out")) > 0.9 * many, (backend, before, now)
    finally:
        bare.start_proxy()


def test_a_connection_whose_proxy_dies_does_not_go_on_without_it(bare):
    assert not bare.tproxy(TRANSPARENT)["failed"]
    load = subprocess.Popen(
        bare.argv("c", sys.executable, "-c", LOAD, THERE[4][0], THERE[6][0]),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert load.stdout.readline() == "ready\n"
    time.sleep(0.3)
    passed_by(bare)
    bare.stop_proxy()
    try:
        told = json.loads(load.communicate("", timeout=60)[0])
        assert len(told["failed"]) == 6, told
        assert passed_by(bare) == {"through": 0, "out": 0}
    finally:
        bare.start_proxy()


@pytest.mark.parametrize(("backend", "times"), [("nftables", 200), ("iptables_nft", 26), ("iptables_legacy", 26)])
def test_rules_are_replaced_under_load(bare, backend, times):
    from ansible_collections.hostcraft.linux.plugins.module_utils._tproxy import declare, host
    from ansible_collections.hostcraft.linux.plugins.module_utils._tproxy.plan import plan

    def steps(*ports):
        """Return the steps from the rules that are there to these."""
        inbound = dict(TRANSPARENT["inbound"], ports=["8080", *ports])
        entry = dict(TRANSPARENT, inbound=inbound, netns=bare.name("r"))
        wanted = declare.wanted({"captures": [entry], "backend": backend}, int, int)
        return plan(wanted, host.observe(wanted)).steps

    for step in steps():
        host.apply(step)
    loads = []
    for place, user in (("c", ()), ("r", bare.as_user(APP))):
        argv = bare.argv(place, *user, sys.executable, "-c", LOAD, THERE[4][0], THERE[6][0])
        loads.append(subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
    for load in loads:
        assert load.stdout.readline() == "ready\n"
    time.sleep(0.2)
    passed_by(bare)
    (there,) = steps("9000")
    host.apply(there)
    (back,) = steps()
    host.apply(back)
    for number in range(times - 2):
        host.apply((there, back)[number % 2])
    for load in loads:
        told = json.loads(load.communicate("", timeout=60)[0])
        assert told["failed"] == []
        assert min(told["asked"], told["opened"]) > 10, told
    assert passed_by(bare) == {"through": 0, "out": 0}
    assert steps() == ()


def test_a_connection_that_was_there_before_goes_on(bare):
    """Both through the router and to it; a new one is captured."""
    load = subprocess.Popen(
        bare.argv("c", sys.executable, "-c", LOAD, THERE[4][0], "10.9.1.1"),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert load.stdout.readline() == "ready\n"
    time.sleep(0.2)
    assert not bare.tproxy(TRANSPARENT)["failed"]
    time.sleep(0.2)
    bare.noted()
    time.sleep(0.2)
    told = json.loads(load.communicate("", timeout=60)[0])
    assert told["failed"] == []
    assert {one["destination"][0] for one in bare.noted()} == {THERE[4][0], "10.9.1.1"}


def start_talking(net, place, program, *arguments, user=()):
    """Start one of the programs that wait for their input; return its process."""
    argv = net.argv(place, *user, sys.executable, "-c", program, *arguments)
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    net.running.append(process)
    assert process.stdout.readline() == "ready\n"
    return process


def tell(process):
    process.stdin.write("go on\n")
    process.stdin.flush()


def asked_again(process):
    tell(process)
    return json.loads(process.stdout.readline())


def test_an_idle_connection_that_nothing_had_tracked_goes_on(tmp_path):
    """To the router, through it and from it; and that of a service which is the first to speak, as sshd may be."""
    whole = dict(TRANSPARENT, **{way: dict(TRANSPARENT[way], ports=[]) for way in ("inbound", "outbound")})
    with Net(tmp_path, "idle") as net:

        def tracked():
            return net.run("r", "sysctl", "-n", "net.netfilter.nf_conntrack_count")

        for backend in BACKENDS[::2]:
            before = tracked()
            to, own = [THERE[4][0], THERE[6][0], "10.9.1.1", "fd09:1::1"], [THERE[4][0], THERE[6][0]]
            outside = start_talking(net, "c", IDLE, *to)
            inside = start_talking(net, "r", IDLE, *own, user=net.as_user(APP))
            speaks = start_talking(net, "r", SPEAKS, user=net.as_user(APP))
            hears = start_talking(net, "c", HEARS)
            assert tracked() == before, "the kernel has no reason to track connections"
            assert not net.tproxy(whole, backend=backend)["failed"]
            net.noted()
            for _turn in range(2):
                tell(speaks)
                assert hears.stdout.readline() == "go on\n", backend
                assert asked_again(outside) == to, backend
                assert asked_again(inside) == own, backend
            assert net.noted() == []
            # What is new is the proxy's, and stays it when the kernel forgets all connections.
            new = (
                start_talking(net, "c", IDLE, THERE[4][0]),
                start_talking(net, "r", IDLE, THERE[4][0], THERE[6][0], user=net.as_user(APP)),
            )
            assert len(net.noted()) == 3
            net.run("r", sys.executable, "-c", FORGET)
            assert tracked() == "0\n"
            for _turn in range(2):
                assert [asked_again(one) for one in new] == [own[:1], own], backend
            assert not net.tproxy({"name": "both", "state": "absent"})["failed"]
            for one in (outside, inside, speaks, hears, *new):
                one.kill()
                one.wait()


@pytest.mark.parametrize("backend", BACKENDS[::2])
def test_what_the_proxy_has_stays_with_it_when_less_is_captured(bare, backend):
    """And a port in use is taken out on both ways, and comes back."""
    less = dict(TRANSPARENT, **{way: dict(TRANSPARENT[way], ports=["9000"]) for way in ("inbound", "outbound")})
    assert not bare.tproxy(TRANSPARENT, backend=backend)["failed"]
    bare.noted()
    addresses = THERE[4][0], THERE[6][0]
    held = [
        start_talking(bare, place, IDLE, *addresses, user=user) for place, user in (("c", ()), ("r", bare.as_user(APP)))
    ]
    assert len(bare.noted()) == 4
    passed_by(bare)
    for capture in (less, TRANSPARENT):
        assert bare.tproxy(capture, backend=backend)["changed"]
        assert [asked_again(one) for one in held] == [list(addresses)] * 2, capture
    assert passed_by(bare) == {"through": 0, "out": 0}


def test_what_has_passed_by_a_proxy_goes_on_when_it_comes(bare):
    bypass = dict(TRANSPARENT, outbound=None, on_proxy_down="bypass")
    bare.stop_proxy()
    try:
        assert not bare.tproxy(bypass)["failed"]
        held = start_talking(bare, "c", IDLE, THERE[4][0], "10.9.1.1")
    finally:
        bare.start_proxy()
    bare.noted()
    for _turn in range(2):
        assert asked_again(held) == [THERE[4][0], "10.9.1.1"]
    assert bare.noted() == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_drift_is_seen_and_put_right(bare, backend):
    program = {"iptables_nft": "iptables-nft", "iptables_legacy": "iptables-legacy"}.get(backend)
    changes = [
        ["ip", "rule", "del", "pref", "133"],
        ["ip", "-6", "rule", "del", "pref", "133"],
        ["ip", "-6", "route", "flush", "table", "133"],
    ]
    if program:
        changes.append([program, "-t", "mangle", "-I", "hct_both_out_hook", "-j", "ACCEPT"])
        changes.append([program, "-t", "mangle", "-D", "PREROUTING", "-j", "hct_both_pre"])
    else:
        changes.append(["nft", "add rule inet hostcraft_tproxy_both out_hook accept"])
        changes.append(["nft", "delete table inet hostcraft_tproxy_both"])
    assert bare.tproxy(TRANSPARENT, backend=backend)["changed"]
    whole = bare.state()
    for change in changes:
        bare.run("r", *change)
        _captures, status = bare.info()
        assert not status[0]["intact"], change
        done = bare.tproxy(TRANSPARENT, backend=backend)
        assert (done["failed"], done["changed"], len(done["steps"])) == (False, True, 1), (change, done)
        assert bare.state() == whole, change
        assert not bare.tproxy(TRANSPARENT, backend=backend)["changed"]


def test_a_change_of_the_backend_that_was_killed_is_ended(bare):
    """The new rules are there, and so are the old ones."""
    from ansible_collections.hostcraft.linux.plugins.module_utils._tproxy import declare, host
    from ansible_collections.hostcraft.linux.plugins.module_utils._tproxy.plan import plan

    assert bare.tproxy(TRANSPARENT, backend="iptables_legacy")["changed"]
    whole = bare.state()
    assert bare.tproxy(TRANSPARENT, backend="nftables")["changed"]
    wanted = declare.wanted(
        {"captures": [dict(TRANSPARENT, netns=bare.name("r"))], "backend": "iptables_legacy"}, int, int
    )
    (capture, _release) = plan(wanted, host.observe(wanted)).steps
    host.apply(capture)
    assert bare.tproxy(TRANSPARENT)["steps"] == [f"release {bare.name('r')}/both: its rules in nftables"]
    assert bare.state() == whole


def test_all_that_is_left_of_a_flushed_capture_is_removed(bare):
    before = bare.state()
    assert bare.tproxy(TRANSPARENT)["changed"]
    again = modules.module("tproxy", captures=[dict(TRANSPARENT, netns=f"/run/netns/{bare.name('r')}")])
    assert again["changed"] is False, "by its path it is the same"
    twice = [dict(TRANSPARENT, netns=one) for one in (bare.name("r"), f"/proc/{bare.proxy.pid}/ns/net")]
    assert "are one network namespace" in modules.module("tproxy", captures=twice)["msg"]
    own = modules.module("tproxy", captures=[dict(TRANSPARENT, netns="/proc/self/ns/net")])
    assert "netns '/proc/self/ns/net' is the network namespace of the host itself" in own["msg"]
    bare.run("r", "nft", "delete", "table", "inet", "hostcraft_tproxy_both")
    gone = bare.tproxy({"name": "both", "state": "absent"})
    assert gone["changed"]
    assert bare.state() == before
    assert not bare.tproxy({"name": "both", "state": "absent"})["changed"]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["rule", "add", "fwmark", "0x539", "lookup", "133"], f"{ISTIO} (as Istio has it)"),
        (
            ["rule", "add", "fwmark", "0x39/0xff", "lookup", "900", "pref", "50"],
            "0x39/0xff lookup 900 (somebody else's)",
        ),
        (["rule", "add", "not", "fwmark", "0xca6c", "lookup", "51820", "pref", "99"], "as wg-quick (WireGuard) has it"),
        (["rule", "add", "from", "10.0.0.0/8", "lookup", "133", "pref", "98"], "from 10.0.0.0/8 lookup 133"),
        (
            ["rule", "add", "to", "10.9.2.0/24", "lookup", "main", "pref", "40"],
            "'ip -4 rule' 40: from all to 10.9.2.0/24 lookup main (somebody else's; it is asked first",
        ),
        (["route", "add", "192.0.2.0/24", "dev", "r0", "table", "133"], "a route in table 133: 192.0.2.0/24 dev r0"),
    ],
    ids=["istio", "mark", "all", "table", "earlier", "route"],
)
def test_what_others_have_is_refused_with_its_owner(bare, argv, said):
    before = bare.state()
    bare.run("r", "ip", *argv)
    try:
        there = bare.state()
        refused = bare.tproxy(TRANSPARENT)
        assert refused["failed"]
        assert said in refused["msg"]
        assert "Give the capture another mark, table or priority" in refused["msg"]
        assert said in " ".join(refused["foreign"])
        assert bare.state() == there
    finally:
        bare.run("r", "ip", argv[0], "del", *argv[2:])
    assert bare.state() == before


def test_two_captures_share_neither_mark_nor_traffic(bare):
    outbound = {"mode": "redirect", "port": OUT_R, "ports": ["9000"]}
    other = dict(MIXED, inbound=dict(MIXED["inbound"], ports=["9000"]), outbound=outbound)
    refused = bare.tproxy(TRANSPARENT, dict(MIXED, mark="0x5000/0xf000", table=134))
    assert "both take inbound tcp 8080" in refused["msg"]
    refused = bare.tproxy(TRANSPARENT, other)
    assert "they have the same mark or table" in refused["msg"]
    assert bare.tproxy(TRANSPARENT)["changed"]
    refused = bare.tproxy(other)
    assert "they have the same mark or table" in refused["msg"]
    refused = bare.tproxy(dict(MIXED, inbound=None))
    assert "both take outbound tcp 8080" in refused["msg"]
    done = bare.tproxy(TRANSPARENT, dict(other, mark="0x5000/0xf000", table=134, priority=134))
    assert not done["failed"], done
    assert [step for step in done["steps"] if step.startswith("capture")]
    assert IN in check_matrix(bare, TRANSPARENT, "nftables")


def test_an_error_in_the_transaction_leaves_the_old_rules(bare):
    """The kernel knows no such control group, which is found out when the rules are loaded."""
    broken = dict(TRANSPARENT, proxy={"uids": [str(PROXY_USER)], "cgroups": ["no-such.slice"]})
    for backend in BACKENDS:
        assert not bare.tproxy(TRANSPARENT, backend=backend)["failed"]
        before = bare.state()
        failed = bare.tproxy(broken, backend=backend)
        assert failed["failed"]
        assert failed["failed_step"].startswith("replace ")
        assert bare.state() == before
        assert not bare.tproxy(TRANSPARENT, backend=backend)["changed"]
    assert {IN, OUT, "direct"} == check_matrix(bare, TRANSPARENT, BACKENDS[-1])


def test_half_of_a_change_is_taken_back(bare, tmp_path):
    """The rules of IPv4 are loaded, those of IPv6 are not."""
    ambush = tmp_path / "ip6tables-legacy-restore"
    ambush.write_text('#!/bin/sh\ncase "$*" in *--test*) exit 0 ;; esac\ncat > /dev/null\necho ambush >&2\nexit 1\n')
    ambush.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    setting = "net.ipv4.conf.all.src_valid_mark"
    value = bare.set(setting, 1)
    before = bare.state()
    inbound = dict(
        TRANSPARENT["inbound"], ports=["9000"], exclude_cidrs=[f"10.{number}.0.0/17" for number in range(70)]
    )
    other = dict(TRANSPARENT, inbound=inbound, mark="0x5000/0xf000", table=134)
    failed = bare.tproxy(
        dict(TRANSPARENT, inbound=inbound), backend="iptables_legacy", env=environment, set_sysctls=True
    )
    assert "ambush" in failed["msg"]
    assert len(failed["undone"]) == 5, "the setting and the routing that came before"
    assert bare.state() == before
    bare.set(setting, value)
    assert not bare.tproxy(TRANSPARENT, backend="iptables_legacy")["failed"]
    before = bare.state()
    failed = bare.tproxy(other, backend="iptables_legacy", env=environment)
    assert "ambush" in failed["msg"]
    assert bare.state() == before
    assert not bare.tproxy(TRANSPARENT)["changed"]


def test_a_namespace_that_is_gone_leaves_nothing(bare):
    bare.run("r", "ip", "netns", "add", f"{bare.mark}x")
    entry = dict(TRANSPARENT, netns=f"{bare.mark}x")
    refused = modules.module("tproxy", captures=[entry])
    assert f"bring it up: nsenter --net=/run/netns/{bare.mark}x -- ip link set lo up" in refused["msg"]
    bare.run("r", "ip", "-n", f"{bare.mark}x", "link", "set", "lo", "up")
    assert modules.module("tproxy", captures=[entry])["changed"]
    bare.run("r", "ip", "netns", "del", f"{bare.mark}x")
    refused = modules.module("tproxy", captures=[entry])
    assert f"there is no network namespace '{bare.mark}x'" in refused["msg"]
    gone = modules.module("tproxy", captures=[dict(entry, state="absent")])
    assert (gone["failed"], gone["changed"]) == (False, True), gone
    assert not modules.module("tproxy", captures=[dict(entry, state="absent")])["changed"]


def test_thousands_of_networks(bare):
    """One in ten of them is that of a flow; neighbours are joined to the least number of networks."""
    apart = [f"172.{16 + number // 4096}.{number // 16 % 256}.{number % 16 * 16}/29" for number in range(9_000)]
    joined = [f"198.18.{number // 256}.{number % 256}" for number in range(1_024)]
    many = dict(
        TRANSPARENT, outbound=None, inbound=dict(TRANSPARENT["inbound"], exclude_cidrs=OUTSIDE + apart + joined)
    )
    for backend in BACKENDS:
        began = time.perf_counter()
        done = bare.tproxy(many, backend=backend)
        assert not done["failed"], done
        print(f"{backend}: {time.perf_counter() - began:.2f} s")
        assert not bare.tproxy(many, backend=backend)["changed"]
        assert IN in check_matrix(bare, many, backend)
    captures, _status = bare.info()
    assert len(captures[0]["inbound"]["exclude_cidrs"]) == len(OUTSIDE) + len(apart) + 1
    # Whoever changes what is in a set changes what is captured.
    (name,) = [one for one in bare.run("r", "ipset", "list", "-n").split() if "_4" in one]
    whole = bare.run("r", "ipset", "save", name, "-sorted").splitlines()[1:]
    for change in (["add", name, "10.9.2.2"], ["del", name, "172.16.0.0/29"]):
        bare.run("r", "ipset", *change)
    assert not bare.info()[1][0]["intact"]
    (step,) = bare.tproxy(many, backend=BACKENDS[-1])["steps"]
    assert step.startswith("repair ")
    assert bare.run("r", "ipset", "save", name, "-sorted").splitlines()[1:] == whole
    # Shorter lists, whose old sets are gone afterwards.
    assert bare.tproxy(dict(TRANSPARENT, outbound=None), backend=BACKENDS[-1])["changed"]
    assert "hct_" not in bare.run("r", "ipset", "list", "-n")


# Makes captures in this namespace, forgets them as a reboot does, and loads what was saved, twice.
SAVED = """
import os, subprocess, sys
sys.path[:0] = sys.argv[2:]
from ansible_collections.hostcraft.linux.plugins.module_utils._tproxy import declare, host
from ansible_collections.hostcraft.linux.plugins.module_utils._tproxy.plan import plan
import json
many = [f"10.{number}.0.0/17" for number in range(100)]
params = {"captures": json.load(sys.stdin), "backend": sys.argv[1], "save": "/run/saved"}
params["captures"][0]["inbound"]["exclude_cidrs"] += many
wanted = declare.wanted(params, int, int)
def flush():
    for command in ("nft flush ruleset", "ip rule flush", "ip -6 rule flush", "ip route flush table 133",
                    "ip -6 route flush table 133", "iptables-legacy -t mangle -F", "iptables-legacy -t mangle -X",
                    "iptables-legacy -t nat -F", "iptables-legacy -t nat -X", "ip6tables-legacy -t mangle -F",
                    "ip6tables-legacy -t mangle -X", "ip6tables-legacy -t nat -F", "ip6tables-legacy -t nat -X",
                    "ipset destroy", "rm -rf /run/hostcraft-tproxy"):
        subprocess.run(command.split(), stderr=subprocess.DEVNULL)
    for family in ("-4", "-6"):
        for table, priority in (("local", "0"), ("main", "32766")):
            subprocess.run(["ip", family, "rule", "add", "pref", priority, "lookup", table], stderr=subprocess.DEVNULL)
for step in plan(wanted, host.observe(wanted)).steps:
    host.apply(step)
assert plan(wanted, host.observe(wanted)).steps == ()
flush()
assert any("capture" == step.verb for step in plan(wanted, host.observe(wanted)).steps)
for _number in range(2):
    for name in sorted(os.listdir("/run/saved")):
        subprocess.run(["/bin/sh", f"/run/saved/{name}"], check=True)
    left = [str(step) for step in plan(wanted, host.observe(wanted)).steps]
    assert left == [], left
print(sorted(os.listdir("/run/saved")))
flush()
"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_saved_loads_the_very_same(net, backend):
    paths = os.environ["ANSIBLE_COLLECTIONS_PATH"].split(":")
    one = dict(TRANSPARENT, dns={"port": 15053}, outbound=dict(TRANSPARENT["outbound"], ports=["8080"]))
    inside = [
        "unshare",
        "--net",
        "--mount",
        "sh",
        "-c",
        'mount -t tmpfs none /run && ip link set lo up && exec "$@"',
        "sh",
    ]
    argv = [*inside, sys.executable, "-c", SAVED, backend, *paths]
    assert net.run("r", *argv, text=json.dumps([one])) == "['both.sh']\n"


def test_settings_come_back_with_the_boot_and_go_with_the_capture():
    """A boot by hand: what is in /run is gone and settings are the kernel's, then come sysctl.d and the script."""
    name, file, save = "net.ipv4.conf.all.src_valid_mark", "/etc/sysctl.d/90-hostcraft-tproxy.conf", "/run/saved"
    capture = {"name": "web", "inbound": dict(TRANSPARENT["inbound"], exclude_cidrs=[])}
    box = Box()

    def tproxy(**options):
        return box.module("tproxy", captures=[dict(capture, **options)], save=save, set_sysctls=True)

    try:
        box.run("sysctl", "-q", "-w", f"{name}=1")
        steps = tproxy()["steps"]
        assert [one for one in steps if one.startswith(f"save {file}: ")], steps
        assert tproxy()["steps"] == []
        box.run("rm", "-r", "/run/hostcraft-tproxy")
        box.run("nft", "delete", "table", "inet", "hostcraft_tproxy_web")
        box.run("sysctl", "-q", "-w", f"{name}=1")
        box.run("sysctl", "-q", "-p", file)
        assert box.run("sysctl", "-n", name) == "0\n"
        box.run("sh", f"{save}/web.sh")
        assert tproxy()["steps"] == []
        assert f"reset {name}: 0 -> 1: no capture needs it any more" in tproxy(state="absent")["steps"]
        assert box.run("sysctl", "-n", name) == "1\n"
        box.run("test", "!", "-e", file)
        assert tproxy(state="absent")["steps"] == []
    finally:
        box.close()
