# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules as text, for both backends, and what is read back of them."""

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._tproxy import (
    chains,
    declare,
    networks,
    proxies,
    routing,
    ruleset_iptables,
    ruleset_nft,
    saved,
)
from ansible_collections.hostcraft.linux.plugins.module_utils._tproxy.model import Mark, Place, Routing, Rule

WEB = {
    "name": "web",
    "inbound": {"mode": "tproxy", "port": 15006, "ports": ["80", "8000-8099"], "interfaces": ["eth1"]},
    "families": ["ipv4"],
}
NFT = """\
add table inet hostcraft_tproxy_web
delete table inet hostcraft_tproxy_web
table inet hostcraft_tproxy_web {
    set in_except4 {
        type ipv4_addr
        flags interval
        elements = { 127.0.0.0/8, 224.0.0.0/4, 255.255.255.255 }
    }
    set in_except6 {
        type ipv6_addr
        flags interval
        elements = { ff00::/8 }
    }
    chain label {
        counter comment "LABEL"
    }
    chain proxy_in {
        ct mark set ct mark & 0xfffff000 | 0xac6
        meta nfproto ipv4 meta l4proto { tcp, udp } tproxy ip to :15006 TO_PROXY
        meta nfproto ipv6 meta l4proto { tcp, udp } tproxy ip6 to :15006 TO_PROXY
        counter drop
    }
    chain in_2 {
        tcp dport { 80, 8000-8099 } jump proxy_in
    }
    chain in {
        meta pkttype { broadcast, multicast } return
        tcp dport 22 fib daddr type local return
        ip daddr @in_except4 return
        ip6 daddr @in_except6 return
        iifname "eth1" jump in_2
    }
    chain pre {
        type filter hook prerouting priority -150; policy accept;
        meta nfproto ipv6 return
        tcp flags & (syn | ack) != syn socket transparent 1 socket wildcard 0 TO_PROXY
        meta l4proto udp socket transparent 1 socket wildcard 0 TO_PROXY
        iifname "lo" return
        ct direction reply return
        tcp flags & (syn | ack) != syn ct mark & 0xfff != 0xac6 return
        jump in
    }
}
"""
NFT = NFT.replace("TO_PROXY", "meta mark set meta mark & 0xfffff000 | 0x539 accept")
IPTABLES = """\
*mangle
:hct_web_divert - [0:0]
:hct_web_in - [0:0]
:hct_web_in_2 - [0:0]
:hct_web_label - [0:0]
:hct_web_pre - [0:0]
:hct_web_proxy_in - [0:0]
-I PREROUTING -j hct_web_pre
-A hct_web_label -m comment --comment "LABEL" -j RETURN
-A hct_web_divert -j MARK --set-xmark 0x539/0xfff
-A hct_web_divert -j ACCEPT
-A hct_web_proxy_in -j CONNMARK --set-xmark 0xac6/0xfff
-A hct_web_proxy_in -p tcp -j TPROXY --on-port 15006 --tproxy-mark 0x539/0xfff
-A hct_web_proxy_in -p udp -j TPROXY --on-port 15006 --tproxy-mark 0x539/0xfff
-A hct_web_proxy_in -j DROP
-A hct_web_in_2 -p tcp -m multiport --dports 80,8000:8099 -j hct_web_proxy_in
-A hct_web_in -m pkttype --pkt-type broadcast -j RETURN
-A hct_web_in -m pkttype --pkt-type multicast -j RETURN
-A hct_web_in -p tcp -m multiport --dports 22 -m addrtype --dst-type LOCAL -j RETURN
-A hct_web_in -d 127.0.0.0/8 -j RETURN
-A hct_web_in -d 224.0.0.0/4 -j RETURN
-A hct_web_in -d 255.255.255.255 -j RETURN
-A hct_web_in -i eth1 -j hct_web_in_2
-A hct_web_pre -p tcp ! --syn -m socket --transparent -j hct_web_divert
-A hct_web_pre -p udp -m socket --transparent -j hct_web_divert
-A hct_web_pre -i lo -j RETURN
-A hct_web_pre -m conntrack --ctdir REPLY -j RETURN
-A hct_web_pre -p tcp ! --syn -m connmark ! --mark 0xac6/0xfff -j RETURN
-A hct_web_pre -j hct_web_in
COMMIT
"""


def capture(**options):
    return declare.capture(dict(WEB, **options), int, int)


def test_the_whole_text_for_nft():
    label = chains.label(capture(), ruleset_nft.flavour(True))
    assert ruleset_nft.render(capture()) == NFT.replace("LABEL", label)


def test_the_whole_text_for_iptables():
    label = chains.label(capture(), "iptables_legacy")
    found = ruleset_iptables.render(capture(), 4, "iptables_legacy", ())
    assert found == {"mangle": IPTABLES.replace("LABEL", label)}


def test_without_a_drop_a_capture_may_be_passed_by():
    text = ruleset_nft.render(capture(on_proxy_down="bypass"))
    assert "drop" not in text
    assert ruleset_nft.render(capture()).count("counter drop") == 1


def test_names_stay_within_what_the_kernel_takes():
    name = "a" * declare.NAME
    whole = capture(
        name=name,
        inbound=dict(WEB["inbound"], cidrs=["10.0.0.0/8"]),
        outbound={"mode": "redirect", "port": 1, "cidrs": ["10.0.0.0/8"], "interfaces": ["eth0"]},
        proxy={"uids": ["1"]},
        mark="0xfffffffe",
        table=2**32 - 1,
        priority=32765,
        families=["ipv4", "ipv6"],
    )
    names = [line[1:].split()[0] for _table, line in ruleset_iptables.outline(whole) if line[0] == ":"]
    assert max(map(len, names)) <= 28
    assert len(chains.label(whole, "x")) <= 128
    assert len(ruleset_iptables.set_name(name, 4, ())) <= 31
    assert chains.read_label(chains.label(whole, "x"))[1] == whole.routing


@pytest.mark.parametrize("text", ["", "hello", f"{chains.LABEL} x", f"{chains.LABEL} x 0x1 2 3 4", "other x -"])
def test_what_is_no_label_of_ours(text):
    assert chains.read_label(text) is None


def test_the_digest_depends_on_all_that_the_rules_do():
    changes = ({}, {"mark": "0x1/0xff"}, {"table": 7}, {"ssh_ports": []}, {"on_proxy_down": "bypass"})
    labels = [chains.label(capture(**options), "x") for options in changes] + [chains.label(capture(), "y")]
    assert len({chains.read_label(one)[0] for one in labels}) == len(labels)


def test_long_lists_are_sets_for_iptables():
    many = [f"10.0.{number}.0/25" for number in range(ruleset_iptables.IN_RULES + 1)]
    one = capture(inbound=dict(WEB["inbound"], exclude_cidrs=many))
    sets = ruleset_iptables.sets(one, 4)
    name = next(iter(sets))
    text = ruleset_iptables.render(one, 4, "iptables_nft", ())["mangle"]
    assert f"-m set --match-set {name} dst -j RETURN" in text
    made = ruleset_iptables.render_sets(sets, 4)
    assert made.count("\nadd ") == len(many) + 3
    assert ruleset_iptables.sets(one, 6) == {}
    assert networks.text(4, sets[name][0]) in made


def test_ports_beyond_what_a_rule_can_name():
    ports = [str(port) for port in range(1, 40, 2)]
    text = ruleset_iptables.render(capture(inbound=dict(WEB["inbound"], ports=ports)), 4, "iptables_nft", ())["mangle"]
    lists = [
        line.split("--dports ")[1].split()[0].split(",")
        for line in text.splitlines()
        if "--dports 1," in line or "--dports 31" in line
    ]
    assert [len(one) for one in lists] == [15, 5]


def test_jumps_that_are_there_stay_and_others_go():
    one = capture()
    present = ruleset_iptables.outline(one) | {("nat", "-A OUTPUT -j hct_web_x"), ("nat", ":hct_web_x")}
    found = ruleset_iptables.render(one, 4, "iptables_nft", tuple(present))
    assert "PREROUTING" not in found["mangle"]
    assert found["nat"] == "*nat\n-D OUTPUT -j hct_web_x\n-F hct_web_x\n-X hct_web_x\nCOMMIT\n"
    back = ruleset_iptables.restore(tuple(present), ruleset_iptables.outline(one))
    assert back["nat"] == "*nat\n:hct_web_x - [0:0]\n-I OUTPUT -j hct_web_x\nCOMMIT\n"


RULES = """0:	from all lookup local
100:	from 10.0.0.0/8 fwmark 0x5 lookup blue
131:	not from all fwmark 0xca6c lookup 51820
133:	from all fwmark 0x539/0xfff lookup 133
32766:	from all lookup main
"""


def test_rules_of_policy_routing_are_read():
    found = routing.rules(4, RULES, {"blue": 7})
    assert [(one.priority, one.mark, one.table, one.plain) for one in found] == [
        (0, None, 255, True),
        (100, Mark(5, 0xFFFFFFFF), 7, False),
        (131, None, 51820, False),
        (133, Mark(0x539, 0xFFF), 133, True),
        (32766, None, 254, True),
    ]


@pytest.mark.parametrize(
    ("rule", "route", "said"),
    [
        (Rule(4, 9, Mark(0x39, 0xFF), 7, "x"), "", "'ip -4 rule' 9: x (somebody else's)"),
        (Rule(4, 9, Mark(0x40000, 0x40000), 7, "x"), "", None),
        (Rule(4, 9, Mark(0x1, 0xFFF), 7, "x"), "", None),
        (Rule(6, 9, Mark(0x539, 0xFFF), 7, "x"), "", None),
        (Rule(4, 9, None, 133, "x"), "", "(as Istio has it)"),
        (Rule(4, 9, None, 51820, "not from all fwmark 0xca6c lookup 51820"), "", "as wg-quick (WireGuard) has it"),
        (Rule(4, 900, None, 51820, "not from all fwmark 0xca6c lookup 51820"), "", None),
        (Rule(4, 50, None, 100, "from 192.0.2.1 lookup 100"), "", "choose a priority below 50 for the capture"),
        (Rule(4, 133, None, 254, "from all to 192.0.2.0/24 lookup main"), "", "it is asked first"),
        (Rule(4, 1, None, None, "from all iif eth1 blackhole"), "", "give that rule a later priority"),
        (Rule(4, 134, None, 254, "from all to 192.0.2.0/24 lookup main"), "", None),
        (Rule(4, 9, None, 255, "from all lookup local"), "", None),
        (Rule(4, 9, None, None, "from all nop"), "", None),
        (Rule(6, 50, None, 100, "from 2001:db8::1 lookup 100"), "", None),
        (None, "default via 192.0.2.1 dev eth0", "a route in table 133: default via 192.0.2.1 dev eth0"),
        (None, "local default dev lo scope host", None),
    ],
)
def test_what_is_in_the_way_of_a_routing(rule, route, said):
    place = Place({}, rules=(rule,) if rule else (), routes={(4, 133): (route,) if route else ()})
    found = routing.foreign(Routing(Mark(0x539, 0xFFF), 133, 133, (4,)), [], {}, place)
    assert (said in found[0]) if said else not found


SS = """udp UNCONN 0      0         [::]:15006    [::]:*
    inet-sockopt: ( v6only mc_loop transparent)
tcp LISTEN 0      128    0.0.0.0:15006 0.0.0.0:*
    inet-sockopt: ( is_icsk mc_loop mc_all)
tcp LISTEN 0      128          *:15001       *:*
    inet-sockopt: ( is_icsk mc_loop)
"""


def test_listeners_are_read():
    assert proxies.read(SS, tells=True) == {
        ("udp", 6, 15006): True,
        ("tcp", 4, 15006): False,
        ("tcp", 4, 15001): False,
        ("tcp", 6, 15001): False,
    }
    old = "".join(line for line in SS.splitlines(True) if "sockopt" not in line)
    assert set(proxies.read(old, tells=False).values()) == {None}


def test_a_saved_capture_is_a_script_that_can_run_again():
    text = saved.script(capture(), "nftables", Place({"nftables": ("nft",)}))
    lines = text.splitlines()
    assert lines[0] == "#!/bin/sh"
    assert lines.index("set -e") < lines.index("ip -4 route del local default dev lo table 133 2>/dev/null || :")
    assert NFT.splitlines()[2] in lines
    assert "ip -6" not in text
    legacy = {"iptables_legacy": ("iptables-legacy", "ip6tables-legacy")}
    text = saved.script(capture(), "iptables_legacy", Place(legacy))
    assert "iptables-legacy -w 5 -t mangle -D PREROUTING -j hct_web_pre 2>/dev/null || :" in text
    assert "ip6tables-legacy-restore" not in text
    text = saved.script(capture(proxy={"cgroups": ["proxies.slice/own"]}), "nftables", Place({"nftables": ("nft",)}))
    lines = text.splitlines()
    made = lines.index("mkdir -p '/sys/fs/cgroup/proxies.slice/own' 2>/dev/null || :")
    assert lines.index("set -e") < made < lines.index("nft -f - <<'HOSTCRAFT_END'")
