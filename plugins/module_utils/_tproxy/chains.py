# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of a capture, in the order in which they are asked and in the words of no backend. Pure.

Every match is positive, since iptables cannot deny a list: what is to be included is a jump to the next chain. So both
backends say the same. The kernel's documents: tproxy.rst, nft(8), iptables-extensions(8).
Private to the collection; not a public interface.
"""

import hashlib
from typing import NamedTuple, Optional, Tuple

from .model import ALL_PORTS, SPARED_BY_HAIRPIN, Mark, Routing

VERSION = 1  # of the rules that are made of a declaration
LABEL = "hostcraft.linux.tproxy"
SYN, NOT_SYN, TRANSPARENT, REPLY, BROADCAST, ESTABLISHED = (
    ("syn",),
    ("not_syn",),
    ("transparent",),
    ("reply",),
    ("broadcast",),
    ("established",),
)
RETURN, DROP = ("return",), ("drop",)
LOOPBACK = {4: ((127 << 24 | 1, 32),), 6: ((1, 128),)}


class Rule(NamedTuple):
    """Matches, all of which must hold, and what is done then."""

    matches: Tuple
    action: Tuple


class Chain(NamedTuple):
    """A list of rules; one with a hook (type, where) is asked by the kernel, another one is jumped to."""

    name: str
    rules: Tuple[Rule, ...]
    hook: Optional[Tuple[str, str]] = None


def chains(capture):
    """Return the :class:`Chain` tuple of a capture; a chain comes before those that jump to it."""
    found = []
    if capture.uses_tproxy:
        found += _mangle(capture)
    if capture.dns or any(side and side.mode == "redirect" for side in (capture.inbound, capture.outbound)):
        found += _nat(capture)
    return tuple(found)


def _mangle(capture):
    inbound, outbound = (_with(side, "tproxy") for side in (capture.inbound, capture.outbound))
    found, rules = [], []
    if outbound:
        found += _looped(outbound, capture)
        rules.append(Rule((("iif", ("lo",)), ("mark", capture.mark)), ("jump", "looped")))
    rules += [*_diverted(("divert", capture.mark)), Rule((("iif", ("lo",)),), RETURN)]
    if inbound:
        found.append(_to_proxy("proxy_in", inbound, capture))
        found += _selected("in", "iif", inbound, ("jump", "proxy_in"), _in_head(capture))
        # Not by the state: where nothing was tracked before, the first packet of an old connection is new to conntrack.
        old = Rule((NOT_SYN, ("not_connmark", capture.mark.of_connections)), RETURN)
        rules += [Rule((REPLY,), RETURN), old, Rule((), ("jump", "in"))]
    found.append(Chain("pre", _families(capture, rules), ("filter", "prerouting")))
    if outbound:
        found += _outbound(outbound, capture)
    return found


def _diverted(action):
    """Return the rules for what a socket of the proxy has already.

    A first packet is tproxy's: that knows what to do when an earlier connection had the same addresses and ports.
    """
    return [Rule((NOT_SYN, TRANSPARENT), action), Rule((("proto", "udp"), TRANSPARENT), action)]


def _looped(outbound, capture):
    """Return the chains, the last of them ``looped``, for what this host has sent and the mark has brought back.

    A packet in the middle of a connection that conntrack sees for the first time is that of the proxy if a socket of
    the proxy takes it: somebody has emptied the table. If not, the connection is older than the capture, or than any
    tracking. The packet is on its way to this host, and cannot leave any more; but it is sent again, and then the mark
    of its connection lets it go.
    """
    mine, old = ("connmark", capture.mark.of_connections), ("connmark", capture.mark.of_older)
    rules = [*_diverted(("jump", "known")), Rule((NOT_SYN, ("not_connmark", mine[1])), ("jump", "older"))]
    return [
        _to_proxy("proxy_out", outbound, capture),
        Chain("known", (Rule((), mine), Rule((), ("divert", capture.mark)))),
        Chain("older", (Rule((), old), Rule((), DROP))),
        Chain("looped", (*rules, Rule((), ("jump", "proxy_out")))),
    ]


def _outbound(outbound, capture):
    """Return the chains that mark what this host sends, the last of them the one that the kernel asks."""
    mine, tcp = capture.mark.of_connections, ("proto", "tcp")
    firsts = [Rule((one,), ("connmark", mine)) for one in (SYN, ("proto", "udp"))]
    found = [Chain("marked", (*firsts, Rule((), ("mark", capture.mark))))]
    found += _selected("out", "oif", outbound, ("jump", "marked"))
    rules = [*_of_proxy(capture), Rule((("oif", ("lo",)),), RETURN), Rule((REPLY,), RETURN)]
    rules.append(Rule((NOT_SYN, ("in_connmark", capture.mark.of_older)), RETURN))
    rules.append(Rule((tcp, ESTABLISHED, ("not_connmark", mine)), RETURN))
    # What the proxy has stays with it, whatever is included by now.
    rules.append(Rule((tcp, ESTABLISHED, ("in_connmark", mine)), ("jump", "marked")))
    rules += [*_dns(capture, RETURN), Rule((), ("jump", "out"))]
    return [*found, Chain("out_hook", _families(capture, rules), ("route", "output"))]


def _nat(capture):
    inbound, outbound = (_with(side, "redirect") for side in (capture.inbound, capture.outbound))
    found = []
    if inbound:
        found += _selected("in", "iif", inbound, ("redirect", inbound.port), _in_head(capture))
        rules = [Rule((("iif", ("lo",)),), RETURN), Rule((), ("jump", "in"))]
        found.append(Chain("nat_pre", _families(capture, rules), ("nat", "prerouting")))
    rules = []
    if inbound and inbound.hairpin:
        found.append(_hairpin(inbound, capture.dns))
        rules.append(Rule((("oif", ("lo",)), ("uid", capture.proxy.uids)), ("jump", "hairpin")))
    if outbound or capture.dns:
        rules += _of_proxy(capture)
        lo = [Rule((("oif", ("lo",)),), RETURN)]
        dns = _dns(capture, ("redirect", capture.dns.port)) if capture.dns else []
        rules += dns + lo if capture.dns and capture.dns.servers else lo + dns
    if outbound:
        found += _selected("nat_out", "oif", outbound, ("redirect", outbound.port))
        rules.append(Rule((), ("jump", "nat_out")))
    if rules:
        found.append(Chain("nat_out_hook", _families(capture, rules), ("nat", "output")))
    return found


def _with(side, mode):
    return side if side and side.mode == mode else None


def _families(capture, rules):
    return tuple(Rule((("family", one),), RETURN) for one in (4, 6) if one not in capture.families) + tuple(rules)


def _in_head(capture):
    """Return what is asked first of what comes in."""
    rules = [Rule((BROADCAST,), RETURN)]
    if capture.ssh_ports:
        ranges = tuple((port, port) for port in capture.ssh_ports)
        rules.append(Rule((("dport", "tcp", ranges), ("local", True)), RETURN))
    local = {"local": False, "forwarded": True}
    if capture.inbound.destinations in local:
        rules.append(Rule((("local", local[capture.inbound.destinations]),), RETURN))
    return rules


def _selected(name, way, side, action, head=()):
    """Return the chains that do ``action`` with what a side includes; the one to jump to is called ``name``."""
    rules = list(head)
    if side.exclude_interfaces:
        rules.append(Rule(((way, side.exclude_interfaces),), RETURN))
    rules += _each_family("src", side.exclude_sources, f"{name}_source", RETURN)
    rules += _each_family("dst", side.exclude_networks, f"{name}_except", RETURN)
    stages = []
    if side.interfaces:
        stages.append(lambda onward: [Rule(((way, side.interfaces),), onward)])
    if side.networks:
        stages.append(lambda onward: _each_family("dst", side.networks, f"{name}_only", onward))
    names = [name] + [f"{name}_{number}" for number in range(2, len(stages) + 2)]
    found = []
    for number, stage in enumerate(stages):
        found.append(Chain(names[number], tuple(rules + stage(("jump", names[number + 1])))))
        rules = []
    protocols = (("tcp", side.tcp), ("udp", side.udp))
    for proto, ranges in protocols:
        if ranges:
            which = ("proto", proto) if ranges == ALL_PORTS else ("dport", proto, ranges)
            rules.append(Rule((which,), action))
    return ([*found, Chain(names[-1], tuple(rules))])[::-1]


def _each_family(kind, networks, label, action):
    return [Rule(((kind, one, networks.of(one), label),), action) for one in (4, 6) if networks.of(one)]


def _to_proxy(name, side, capture):
    """Return the chain that hands a packet to the proxy; where there is none it is dropped, unless it may pass.

    What passes is none of the proxy's connections, and is not marked as one: it goes on when a proxy comes.
    """
    mine = capture.mark.of_connections
    if capture.bypass:
        return Chain(name, (Rule((), ("tproxy", side.port, capture.mark, mine)),))
    return Chain(name, (Rule((), ("connmark", mine)), Rule((), ("tproxy", side.port, capture.mark)), Rule((), DROP)))


def _of_proxy(capture):
    proxy = capture.proxy
    owners = [one for one in (("uid", proxy.uids), ("gid", proxy.gids)) if one[1]]
    owners += [("mark", one) for one in proxy.marks] + [("cgroup", one) for one in proxy.cgroups]
    return [Rule((one,), RETURN) for one in owners]


def _dns(capture, action):
    if not capture.dns:
        return []
    servers = capture.dns.servers
    asked = [("dport", proto, ((53, 53),)) for proto in ("udp", "tcp")]
    if not servers:
        return [Rule((one,), action) for one in asked]
    return [
        Rule((("dst", family, servers.of(family), "dns"), one), action)
        for family in (4, 6)
        if servers.of(family)
        for one in asked
    ]


def _hairpin(inbound, dns):
    """Return the chain for what the proxy's user sends to an address of its own host, as Istio has it.

    Istio's rules for the group come after those that have let go all other users.
    """
    rules = _each_family("src", inbound.exclude_sources, "in_source", RETURN)
    rules += [Rule((("dst", family, LOOPBACK[family], "loopback"),), RETURN) for family in (4, 6)]
    spared = tuple((port, port) for port in SPARED_BY_HAIRPIN[bool(dns)])
    rules.append(Rule((("dport", "tcp", spared),), RETURN))
    rules.append(Rule((("proto", "tcp"),), ("redirect", inbound.port)))
    return Chain("hairpin", tuple(rules))


def label(capture, flavour):
    """Return the comment by which the rules of a capture are known again, at most 128 characters.

    :param flavour: what else the rules depend on.
    """
    digest = hashlib.sha256(repr((VERSION, flavour, capture.routing, chains(capture))).encode()).hexdigest()[:32]
    routing = capture.routing
    if routing is None:
        return f"{LABEL} {digest} -"
    families = "".join(map(str, routing.families))
    return f"{LABEL} {digest} {routing.mark} {routing.table} {routing.priority} {families}"


def read_label(text):
    """Return the digest and the :class:`Routing` (or None) of a label; None for another text."""
    words = text.split()
    if words[:1] != [LABEL] or len(words) not in (3, 6):
        return None
    if len(words) == 3:
        return words[1], None
    try:
        value, mask = (int(part, 0) for part in words[2].split("/"))
        families = tuple(int(one) for one in words[5])
        return words[1], Routing(Mark(value, mask), int(words[3]), int(words[4]), families)
    except ValueError:
        return None
