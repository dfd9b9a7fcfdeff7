# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``proxy_arp`` with real traffic: a host in namespaces, endpoints on it, and a machine outside."""

import json
import os
import signal
import time

import pytest

from tests.integration import modules
from tests.integration.routed_host import Host

WEB1 = {"name": "web1", "addresses": ["10.65.0.2", "fd65::2"]}
WEB2 = {"name": "web2", "addresses": ["10.65.0.3/32", "fd65::3/128"], "gateway6": "fe80::1", "mtu": 1400}
BOTH = {"endpoints": [WEB1, WEB2], "forwarding": "set", "probe": 0}
GONE = {"endpoints": [{"name": one["name"], "state": "absent"} for one in (WEB1, WEB2)]}


@pytest.fixture(scope="module")
def machine():
    host = Host()
    try:
        yield host
    finally:
        host.stop()


@pytest.fixture
def host(machine):
    """The host without endpoints, that forwards; all that a test has made is gone after it."""
    for path in ("ipv4/conf/up0/forwarding", "ipv6/conf/all/forwarding"):
        machine.sysctl(path, 1)
    before = machine.state()
    yield machine
    cleared = machine.proxy_arp(purge=True)
    assert not cleared["failed"], cleared
    assert machine.state() == before


def link_of(host, name):
    """Return the host's end of an endpoint, by its alias, as ip(8) shows it."""
    shown = json.loads(host.run("ip", "-json", "-details", "link", "show", "group", "26723"))
    return next(one for one in shown if f"endpoint {name} in" in one.get("ifalias", ""))


def test_four_beats_with_traffic(host):
    before = host.state()
    predicted = host.proxy_arp(check=True, **BOTH)
    assert host.state() == before
    applied = host.proxy_arp(**BOTH)
    assert not applied["failed"], applied
    assert (predicted["steps"], predicted["diff"]) == (applied["steps"], applied["diff"])
    assert [step.split(":")[0] for step in applied["steps"]] == ["add IPv6 source filter", "create web1", "create web2"]
    again = host.proxy_arp(**BOTH)
    assert (again["changed"], again["steps"]) == (False, [])
    for source, other in (("web1", "10.65.0.3"), ("web1", "fd65::3"), ("web2", "10.65.0.2"), ("web2", "fd65::2")):
        assert host.reaches(other, netns=source), f"{source} reaches the other endpoint by {other}"
    for outside in ("192.0.2.2", "2001:db8::2", "192.0.2.1", "198.51.100.1", "2001:db8:1::1"):
        assert host.reaches(outside, netns="web1"), f"web1 reaches {outside}"
    for address in ("10.65.0.2", "10.65.0.3", "fd65::2", "fd65::3"):
        assert host.reaches(address), f"the host reaches {address}"
        assert host.reaches(address, netns="outside"), f"the machine outside reaches {address}"
    assert "ee:ee:ee:ee:ee:ee" in host.run("ip", "neigh", "show", "169.254.1.1", netns="web1")
    assert "169.254.1.1" not in host.run("ip", "addr")
    mtus = [
        json.loads(host.run("ip", "-json", "link", "show", "eth0", netns=one))[0]["mtu"] for one in ("web1", "web2")
    ]
    assert mtus == [1500, 1400]
    removed = host.proxy_arp(**GONE)
    assert [step.split(":")[0] for step in removed["steps"]] == [
        "remove web1",
        "remove web2",
        "remove IPv6 source filter",
    ]
    assert host.state() == before
    assert host.proxy_arp(**GONE)["changed"] is False


def test_what_was_found_can_be_declared_again(host):
    host.proxy_arp(**BOTH)
    found = host.info()
    assert found["lost"] == []
    assert [one["addresses"] for one in found["endpoints"]] == [["10.65.0.2", "fd65::2"], ["10.65.0.3", "fd65::3"]]
    assert host.proxy_arp(endpoints=found["endpoints"], proxies=found["proxies"])["steps"] == []
    host.proxy_arp(**GONE)
    host.proxy_arp(endpoints=found["endpoints"], probe=0)
    assert host.reaches("10.65.0.3", netns="web1")
    assert host.info()["endpoints"] == found["endpoints"]


def test_proxy_arp_is_what_makes_it_work_and_drift_is_mended(host):
    host.proxy_arp(**BOTH)
    link = link_of(host, "web1")["ifname"]
    drift = {
        f"ipv4/conf/{link}/proxy_arp": ("0", "proxy_arp 0 -> 1"),
        f"ipv4/conf/{link}/rp_filter": ("0", "rp_filter 0 -> 1"),
        f"ipv4/neigh/{link}/proxy_delay": ("80", "proxy_delay 80 -> 0"),
        f"ipv6/conf/{link}/proxy_ndp": ("0", "proxy_ndp 0 -> 1"),
    }
    host.sysctl(f"ipv4/conf/{link}/proxy_arp", 0)
    host.run("ip", "neigh", "flush", "all", netns="web1")
    assert not host.reaches("192.0.2.2", netns="web1"), "nobody answers for the gateway"
    for path, (value, _said) in drift.items():
        host.sysctl(path, value)
    host.run("ip", "route", "del", "fd65::2")
    host.run("ip", "route", "del", "default", netns="web1")
    host.run("ip", "addr", "add", "10.65.9.9/32", "dev", "eth0", netns="web1")
    host.run("ip", "link", "add", "br9", "type", "bridge")
    host.run("ip", "link", "set", link, "master", "br9", "down")
    mended = host.proxy_arp(**BOTH)
    (step,) = mended["steps"]
    assert step.startswith("set web1: ")
    assert [said for _value, said in drift.values() if said not in step] == []
    assert "bridge br9 -> none" in step
    assert "up no -> yes" in step
    host.run("ip", "link", "del", "br9")
    assert host.reaches("198.51.100.1", netns="web1")
    assert host.reaches("2001:db8:1::1", netns="web1")
    assert host.reaches("fd65::2", netns="outside")
    assert "10.65.9.9" not in host.run("ip", "addr", netns="web1")
    assert host.proxy_arp(**BOTH)["changed"] is False


def test_a_source_that_is_not_its_own_is_dropped(host):
    host.proxy_arp(**BOTH)

    def dropped():
        words = [
            line.split() for line in host.run("cat", "/proc/net/netstat").splitlines() if line.startswith("TcpExt")
        ]
        return int(dict(zip(*words[:2], strict=True))["IPReversePathFilter"])

    before = dropped()
    assert host.reaches("198.51.100.1", netns="web1")
    host.run("ip", "addr", "add", "10.65.0.3/32", "dev", "eth0", netns="web1")
    assert not host.reaches("198.51.100.1", netns="web1", source="10.65.0.3")
    assert dropped() > before
    link = link_of(host, "web1")["ifname"]
    host.sysctl(f"ipv4/conf/{link}/rp_filter", 0)
    at_first = host.run("cat", "/proc/net/snmp", netns="outside")
    host.reaches("198.51.100.1", netns="web1", source="10.65.0.3")
    assert host.run("cat", "/proc/net/snmp", netns="outside") != at_first, "without the filter it gets out"


def test_an_ipv6_source_that_is_not_its_own_is_dropped(host):
    """To the outside, to the host and to another endpoint; by an address of another one, and by anybody's."""
    four = {"name": "four", "addresses": ["10.65.0.5"]}
    both = dict(BOTH, endpoints=[WEB1, dict(WEB2, addresses=["10.65.0.3", "fd65::3", "fd65::4"]), four])
    made = host.proxy_arp(**both)
    assert not made["failed"], made
    forged, targets = ("fd65::3", "2001:db8:1::7"), ("2001:db8:1::1", "2001:db8::2", "fd65::4")
    watch = """table ip6 watch {
    chain arrived {
        type filter hook postrouting priority 0
        ip6 saddr { fd65::3, 2001:db8:1::7 } icmpv6 type echo-request counter
    }
    chain here {
        type filter hook input priority 0
        ip6 saddr { fd65::3, 2001:db8:1::7 } icmpv6 type echo-request counter
    }
}
"""

    def arrived():
        """Send forged packets; return how many the host has let in, and dropped."""
        host.run("nft", "-f", "-", text=f"add table ip6 watch\ndelete table ip6 watch\n{watch}")
        for source in forged:
            host.run("ip", "addr", "replace", f"{source}/128", "dev", "eth0", "nodad", netns="web1")
            for target in targets:
                host.run("ping", "-n", "-q", "-c", "1", "-W", "0.2", "-I", source, target, netns="web1", ok=(0, 1, 2))
        # One that has no address of IPv6 takes one, and finds the host by its link-local address.
        near = json.loads(host.run("ip", "-json", "-6", "addr", "show", "dev", link_of(host, "four")["ifname"]))
        gateway = near[0]["addr_info"][0]["local"]
        host.run("ip", "addr", "replace", "2001:db8:1::7/128", "dev", "eth0", "nodad", netns="four")
        host.run("ip", "-6", "route", "replace", "default", "via", gateway, "dev", "eth0", netns="four")
        ping = ["ping", "-n", "-q", "-c", "1", "-W", "0.2", "-I", "2001:db8:1::7", "2001:db8:1::1"]
        host.run(*ping, netns="four", ok=(0, 1, 2))
        shown = json.loads(host.run("nft", "-j", "list", "table", "ip6", "watch"))["nftables"]
        rules = [one["rule"]["expr"] for one in shown if "rule" in one]
        return sum(part["counter"]["packets"] for rule in rules for part in rule if "counter" in part)

    try:
        assert arrived() == 0
        assert host.reaches("2001:db8:1::1", netns="web1", source="fd65::2")
        assert host.reaches("fd65::4", netns="web1", source="fd65::2")
        shown = host.run("nft", "list", "table", "ip6", "hostcraft_endpoints")
        assert "counter packets 0 " not in shown, "it is this rule that drops them"
        # A link that has left its group is no endpoint's to the rule, until the next run.
        host.run("ip", "link", "set", link_of(host, "web1")["ifname"], "group", "0")
        assert arrived() == 6
        step = host.proxy_arp(**both)["steps"][0]
        assert step.startswith("set web1: group 0 -> 26723, inside addresses ")
        assert arrived() == 0
        host.run("nft", "flush", "ruleset")
        assert arrived() == 7, "without the rule they get out"
        assert "add IPv6 source filter" in host.proxy_arp(**both)["steps"][0]
    finally:
        host.run("nft", "delete", "table", "ip6", "watch", ok=(0, 1))
    # One of two goes, and the other is still looked at.
    gone = [dict(one, state="absent") for one in (WEB1, WEB2)]
    assert [step.split(":")[0] for step in host.proxy_arp(endpoints=gone)["steps"]] == ["remove web1", "remove web2"]
    host.run("nft", "list", "table", "ip6", "hostcraft_endpoints")


def test_namespaces_by_name_path_and_pid(host):
    host.run("ip", "netns", "add", "there")
    host.run("sh", "-c", "mkdir -p /run/box && touch /run/box/ns && mount --bind /run/netns/there /run/box/ns")
    process = host.run("sh", "-c", "unshare --net sleep 600 >/dev/null 2>&1 </dev/null & echo $!").strip()
    deadline = time.monotonic() + 10
    while os.readlink(f"/proc/{process}/ns/net") == os.readlink(f"/proc/{host.process.pid}/ns/net"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    try:
        named = {"name": "named", "netns": "there", "interface": "net0", "addresses": ["10.65.1.1"], "create": False}
        path = {"name": "path", "netns": "/run/box/ns", "interface": "net1", "addresses": ["fd65::11"]}
        by_pid = {"name": "by-pid", "pid": int(process), "host_interface": "c1", "addresses": ["10.65.1.3"]}
        made = host.proxy_arp(endpoints=[named, path, by_pid], probe=0)
        assert len(made["steps"]) == 4, made
        assert host.reaches("10.65.1.1")
        assert host.reaches("fd65::11")
        assert host.reaches("10.65.1.3")
        assert {one["name"]: one.get("pid") for one in host.info()["endpoints"]} == {
            "named": None,
            "path": None,
            "by-pid": int(process),
        }
        assert host.proxy_arp(endpoints=[named, path, by_pid])["steps"] == []
        # A path that has gone: nobody is there to be reached.
        os.kill(int(process), signal.SIGKILL)
        deadline = time.monotonic() + 10
        while os.path.exists(f"/proc/{process}"):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        failed = host.proxy_arp(endpoints=[named, path, by_pid])
        assert "by-pid: the namespace of process" in failed["msg"]
        assert "missing_namespace" in failed["msg"]
        cleaned = host.proxy_arp(endpoints=[named, path, by_pid], missing_namespace="remove")
        assert not cleaned["failed"], cleaned
        assert "by-pid is left out" in " ".join(cleaned["warnings"])
        assert "10.65.1.3" not in host.run("ip", "route")
    finally:
        absent = [{"name": name, "state": "absent"} for name in ("named", "path", "by-pid")]
        host.proxy_arp(endpoints=absent)
        host.run("umount", "/run/box/ns")
        assert "there" in host.run("ls", "/run/netns"), "a namespace that somebody else has made stays"
        host.run("ip", "netns", "del", "there")


def test_a_namespace_that_was_replaced_gets_a_new_link(host):
    host.proxy_arp(**BOTH)
    # Somebody holds the old one open, so that its link lives on.
    held = host.run("sh", "-c", "ip netns exec web1 sleep 600 >/dev/null 2>&1 </dev/null & echo $!").strip()
    time.sleep(0.1)
    host.run("ip", "netns", "del", "web1")
    assert host.info()["lost"] == ["web1"]
    mended = host.proxy_arp(**BOTH)
    assert [step.split(":")[0] for step in mended["steps"]] == ["remove web1", "create web1"], mended
    assert host.reaches("10.65.0.3", netns="web1")
    host.run("kill", held)
    host.proxy_arp(**GONE)
    # A name without a namespace, as a reboot in the middle or an unmount leaves it.
    host.run("touch", "/run/netns/web1")
    assert host.proxy_arp(**GONE)["steps"] == ["remove netns web1: nothing is in it"]
    host.run("touch", "/run/netns/web1")
    host.proxy_arp(**BOTH)
    assert host.reaches("10.65.0.3", netns="web1")


def test_two_endpoints_in_one_namespace_and_addresses_that_move(host):
    one = {"name": "one", "netns": "box", "interface": "a", "addresses": ["10.65.2.1"]}
    two = {"name": "two", "netns": "box2", "interface": "b", "addresses": ["10.65.2.2"]}
    host.proxy_arp(endpoints=[one, two], probe=0)
    swapped = host.proxy_arp(endpoints=[dict(one, addresses=["10.65.2.2"]), dict(two, addresses=["10.65.2.1"])])
    assert not swapped["failed"], swapped
    assert host.reaches("10.65.2.1", netns="box")
    assert "10.65.2.1" in host.run("ip", "addr", netns="box2")
    third = {"name": "three", "netns": "box", "interface": "c", "addresses": ["fd65::2:3"]}
    assert not host.proxy_arp(endpoints=[third])["failed"]
    kept = host.proxy_arp(endpoints=[{"name": "one", "state": "absent"}])
    assert kept.get("warnings", []) == []
    assert host.reaches("fd65::2:3"), "the namespace stays as long as somebody is in it"
    host.proxy_arp(endpoints=[{"name": "three", "state": "absent"}])
    assert "box " not in host.run("ls", "/run/netns").replace("\n", " ")


def test_a_link_is_up_at_once_even_when_both_ends_have_the_same_index(host):
    first = {"name": "first", "addresses": ["10.65.5.1"]}
    host.proxy_arp(endpoints=[first], probe=0)
    index = link_of(host, "first")["ifindex"]
    host.run("ip", "netns", "add", "there")
    host.batch(f"link add eth9 index {index} type bridge\nlink del eth9\n", netns="there")
    host.run("ip", "link", "add", "arpx", "index", str(index + 1), "type", "bridge")
    host.run("ip", "link", "del", "arpx")
    host.run("ip", "-n", "there", "link", "add", "eth9", "index", str(index + 1), "type", "bridge")
    second = {"name": "second", "netns": "there", "addresses": ["10.65.5.2", "fd65::5:2"]}
    host.proxy_arp(endpoints=[second], probe=0)
    link = link_of(host, "second")
    inner = json.loads(host.run("ip", "-json", "link", "show", "eth0", netns="there"))[0]
    assert link["ifindex"] != inner["ifindex"]
    assert host.reaches("fd65::5:2")
    host.proxy_arp(endpoints=[{"name": "second", "state": "absent"}])
    host.run("ip", "netns", "del", "there")


def test_a_file_that_is_no_name_of_a_namespace_is_never_removed(host):
    host.run("touch", "/run/afile")
    host.proxy_arp(endpoints=[WEB1], probe=0)
    host.run("sh", "-c", "touch /run/other && mount --bind /run/netns/web1 /run/other")
    for path in ("/run/afile", "/run/other"):
        result = host.proxy_arp(endpoints=[{"name": "web1x", "netns": path, "state": "absent"}])
        assert result["steps"] == [], result
    by_path = {"name": "also", "netns": "/run/other", "interface": "x", "addresses": ["10.65.8.8"]}
    refused = host.proxy_arp(endpoints=[by_path], probe=0)
    assert "has a default route already" in refused["msg"]
    host.run("umount", "/run/other")
    host.run("ls", "/run/afile", "/run/other")


def many(count):
    """Return the declaration of so many endpoints."""
    one = [{"name": f"m{n}", "addresses": [f"10.65.7.{n}", f"fd65::7:{n:x}"]} for n in range(1, count + 1)]
    return {"endpoints": one, "probe": 0}


@pytest.mark.parametrize("after", [3, 20])
def test_killed_half_way_it_is_finished_or_removed_by_the_next_run(host, after):
    before = host.state()
    run = modules.start("proxy_arp", within=host.within, **many(40))
    deadline = time.monotonic() + 60
    while len(host.run("ls", "/run/netns").split()) <= after:
        assert time.monotonic() < deadline
    os.killpg(run.pid, signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    left = len(host.run("ls", "/run/netns").split()) - 1
    assert after <= left <= 40
    if after == 3:
        finished = host.proxy_arp(**many(40))
        assert not finished["failed"], finished
        assert host.proxy_arp(**many(40))["steps"] == []
        assert host.reaches("10.65.7.40", netns="m1")
    absent = [dict(one, state="absent") for one in many(40)["endpoints"]]
    assert not host.proxy_arp(endpoints=absent)["failed"]
    assert host.state() == before


def test_what_a_kill_leaves_of_one_endpoint_is_mended(host):
    host.proxy_arp(endpoints=[WEB1], probe=0)
    name = link_of(host, "web1")["ifname"]
    host.proxy_arp(endpoints=[dict(WEB1, state="absent")])
    # A namespace without its link; then a link that has its mark, and nothing else.
    host.run("ip", "netns", "add", "web1")
    host.run("ip", "-n", "web1", "link", "set", "lo", "up", "alias", "hostcraft.linux endpoint web1")
    host.proxy_arp(endpoints=[dict(WEB1, state="absent")])
    assert "web1" not in host.run("ls", "/run/netns")
    host.run("ip", "netns", "add", "web1")
    pair = ["type", "veth", "peer", "name", "eth0", "netns", "web1"]
    host.run("ip", "link", "add", name, "group", "26723", *pair)
    assert host.info()["lost"] == [name]
    mended = host.proxy_arp(endpoints=[WEB1], probe=0)
    heads = [step.split(":")[0] for step in mended["steps"]]
    assert heads == [f"remove {name} (half made)", "add IPv6 source filter", "create web1"], mended
    assert host.reaches("10.65.0.2")
    host.proxy_arp(endpoints=[dict(WEB1, state="absent")])
    host.run("ip", "netns", "del", "web1")


def test_a_step_that_fails_undoes_those_before_it(host):
    host.proxy_arp(endpoints=[WEB1], probe=0)
    # No link can be made with this name: an alternative name has it.
    host.run("ip", "link", "property", "add", "dev", "up0", "altname", "arpbad")
    bad = {"name": "bad", "host_interface": "arpbad", "addresses": ["10.65.0.99"]}
    before = host.state()
    failed = host.proxy_arp(endpoints=[dict(WEB1, addresses=["10.65.0.77"]), WEB2, bad], probe=0)
    host.run("ip", "link", "property", "del", "dev", "up0", "altname", "arpbad")
    assert failed["failed_step"].startswith("create bad: "), failed
    assert [step.split(":")[0] for step in failed["undone"]] == ["create web2", "set web1"]
    assert host.state() == before
    assert host.reaches("10.65.0.2", netns="outside")


def test_a_link_answers_for_addresses_behind_the_host(host):
    """The subnet of the link is split: some of its addresses are behind the host, and nobody outside is told."""
    before = host.state()
    behind = {"name": "behind", "addresses": ["192.0.2.130", "2001:db8::130"]}
    warned = host.proxy_arp(endpoints=[behind], probe=0)
    assert "192.0.2.130 lies in 192.0.2.0/24, the network on up0" in " ".join(warned["warnings"])
    assert not host.reaches("192.0.2.130", netns="outside")
    assert not host.reaches("2001:db8::130", netns="outside")
    proxies = [{"interface": "up0", "addresses": ["192.0.2.130/31", "2001:db8::130"]}]
    refused = host.proxy_arp(proxies=proxies)
    assert "192.0.2.131 is reached by up0 itself" in refused["msg"]
    proxies = [{"interface": "up0", "addresses": ["192.0.2.130/32", "2001:db8::130"]}]
    predicted = host.proxy_arp(check=True, endpoints=[behind], proxies=proxies)
    applied = host.proxy_arp(endpoints=[behind], proxies=proxies)
    assert predicted["steps"] == applied["steps"] != []
    assert applied.get("warnings", []) == []
    assert host.proxy_arp(endpoints=[behind], proxies=proxies)["steps"] == []
    host.run("ip", "neigh", "flush", "all", netns="outside")
    assert host.reaches("192.0.2.130", netns="outside")
    assert host.reaches("2001:db8::130", netns="outside")
    assert host.info()["proxies"] == [{"interface": "up0", "addresses": ["192.0.2.130", "2001:db8::130"]}]
    absent = [dict(proxies[0], state="absent")]
    host.proxy_arp(endpoints=[dict(behind, state="absent")], proxies=absent)
    assert host.state() == before


def test_it_is_made_again_at_boot_by_the_same_code(host):
    before = host.state()
    where = "/run/saved"
    predicted = host.proxy_arp(check=True, save=where, **BOTH)
    assert host.proxy_arp(save=where, **BOTH)["steps"] == predicted["steps"]
    assert host.proxy_arp(save=where, **BOTH)["steps"] == []
    made = host.info()
    # What a boot leaves: the files, and no forwarding.
    host.proxy_arp(**GONE)
    host.sysctl("ipv4/conf/up0/forwarding", 0)
    host.run("ip", "route", "del", "default")
    failed = host.run(f"{where}/apply", ok=(1,))
    assert failed == ""
    host.run("ip", "route", "add", "default", "via", "192.0.2.1")
    done = host.run(f"{where}/apply", "--wait", "5").splitlines()
    assert done[0] == "set forwarding: net.ipv4.conf.up0.forwarding 0 -> 1"
    assert [step.split(":")[0] for step in done[1:]] == ["add IPv6 source filter", "create web1", "create web2"]
    assert host.info() == made
    assert host.reaches("fd65::3", netns="web1")
    assert host.run(f"{where}/apply") == ""
    more = {"name": "more", "addresses": ["10.65.3.3"]}
    host.proxy_arp(save=where, endpoints=[more, dict(WEB1, state="absent")])
    kept = json.loads(host.run("cat", f"{where}/definition.json"))
    assert [one["name"] for one in kept["endpoints"]] == ["more", "web2"]
    assert kept["forwarding"] == "set", "this task has not said so, but the next boot needs it as the first one did"
    host.proxy_arp(save=where, purge=True)
    assert host.run("sh", "-c", f"test -e {where} || echo gone") == "gone\n"
    assert host.state() == before


REFUSED = {
    "a foreign link": ("ip link add arpx type dummy || ip link add arpx type bridge", {}, "arpx is there already"),
    "a foreign route": ("ip route add 10.65.0.9/32 via 192.0.2.1", {}, "10.65.0.9 is routed already, not by this"),
    "the host's own address": ("ip addr add 10.65.0.9/32 dev lo", {}, "10.65.0.9 is an address of this host (lo)"),
    "a gateway": ("ip route add 203.0.113.0/24 via 192.0.2.9", {"addresses": ["192.0.2.9"]}, "gateway of a route"),
    "policy routing": (
        "ip rule add to 10.65.0.9 table 77 priority 7 && ip route add default via 192.0.2.1 table 77",
        {},
        "a rule of policy routing sends 10.65.0.9",
    ),
    "no way to the gateway": ("ip route del default", {}, "no route of this host leads to the gateway 169.254.1.1"),
    "a loose filter": ("echo 2 > /proc/sys/net/ipv4/conf/all/rp_filter", {}, "net.ipv4.conf.all.rp_filter is 2"),
    "no forwarding": (
        "echo 0 > /proc/sys/net/ipv4/conf/up0/forwarding",
        {},
        "This host does not forward (net.ipv4.conf.",
    ),
    "no forwarding of IPv6": (
        "echo 0 > /proc/sys/net/ipv6/conf/all/forwarding",
        {"addresses": ["fd65::9"]},
        "net.ipv6.conf.all.forwarding 0 -> 1",
    ),
    "an address in use": (":", {"addresses": ["192.0.2.1"]}, "192.0.2.1 is in use"),
    "an IPv6 address in use": (":", {"addresses": ["2001:db8::1"]}, "2001:db8::1 is in use"),
    "no namespace": (":", {"netns": "nowhere", "create": False}, "netns nowhere is not there"),
    "the host's own namespace": (":", {"pid": "self"}, "is the host's own"),
    "a link in the namespace": (
        "ip link add eth0 netns outside type veth peer name oth0 netns outside",
        {"netns": "outside"},
        "netns outside has a link eth0 already, not made by this module (veth)",
    ),
    "where the connection comes from": (":", {"ssh": "10.65.0.9 4711 22"}, "10.65.0.9 is where this connection comes"),
}
UNDO = {
    "a foreign link": "ip link del arpx",
    "a foreign route": "ip route del 10.65.0.9/32",
    "the host's own address": "ip addr del 10.65.0.9/32 dev lo",
    "a gateway": "ip route del 203.0.113.0/24",
    "policy routing": "ip rule del priority 7; ip route flush table 77",
    "no way to the gateway": "ip route add default via 192.0.2.1",
    "a loose filter": "echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter",
    "no forwarding": "echo 1 > /proc/sys/net/ipv4/conf/up0/forwarding",
    "no forwarding of IPv6": "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding",
    "a link in the namespace": "ip -n outside link del eth0",
}


@pytest.mark.parametrize("what", list(REFUSED))
def test_what_would_clobber_or_silently_fail_is_refused(host, what):
    prepare, more, said = REFUSED[what]
    more = dict(more)
    env = {"SSH_CLIENT": more.pop("ssh")} if "ssh" in more else None
    if more.get("pid") == "self":
        more["pid"] = host.process.pid
    host.run("sh", "-c", prepare)
    try:
        before = host.state()
        one = {"name": "x", "host_interface": "arpx", "addresses": ["10.65.0.9"], **more}
        refused = modules.module("proxy_arp", within=host.within, env=env, endpoints=[one])
        assert refused["failed"], refused
        assert said in refused["msg"]
        assert host.state() == before
    finally:
        host.run("sh", "-c", UNDO.get(what, ":"))
