# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the options of a rule to the rule. Pure, but for the files of prefixes, which are read by ``read``.

Private to the collection; not a public interface.
"""

from .._core.reconcile import ReconcileError
from .model import FIRST, ICMP, ICMPV6, LATER, MOST_RULES, TCP, WHOLE, WITH_PORTS, Rule

ACTIONS = ("drop", "pass")
# https://www.iana.org/assignments/protocol-numbers
PROTOCOLS = {
    "icmp": ICMP,
    "igmp": 2,
    "tcp": TCP,
    "udp": 17,
    "dccp": 33,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "icmpv6": ICMPV6,
    "ospf": 89,
    "vrrp": 112,
    "sctp": 132,
    "udplite": 136,
}
# https://www.iana.org/assignments/icmp-parameters and icmpv6-parameters
ICMP_TYPES = {
    ICMP: {
        "echo-reply": 0,
        "destination-unreachable": 3,
        "source-quench": 4,
        "redirect": 5,
        "echo-request": 8,
        "router-advertisement": 9,
        "router-solicitation": 10,
        "time-exceeded": 11,
        "parameter-problem": 12,
        "timestamp-request": 13,
        "timestamp-reply": 14,
        "address-mask-request": 17,
        "address-mask-reply": 18,
    },
    ICMPV6: {
        "destination-unreachable": 1,
        "packet-too-big": 2,
        "time-exceeded": 3,
        "parameter-problem": 4,
        "echo-request": 128,
        "echo-reply": 129,
        "router-solicitation": 133,
        "router-advertisement": 134,
        "neighbour-solicitation": 135,
        "neighbour-advertisement": 136,
        "redirect": 137,
    },
}
# RFC 9293, section 3.1, and RFC 3168
TCP_FLAGS = {"fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16, "urg": 32, "ece": 64, "cwr": 128}


# Of these an empty list is refused: it may mean any or none. A list of prefixes comes from elsewhere and may be empty.
NEVER_EMPTY = ("protocol", "source_ports", "destination_ports", "icmp_types", "tcp_flags", "vlan")


def rules(options, read, parse):
    """Return the :class:`Rule` of each rule in the options.

    :param options: list of dicts, the option ``rules``.
    :param read: ``read(path) -> Prefixes`` of a file.
    :param parse: ``parse(lines, place) -> Prefixes`` of lines of text.
    :raises ReconcileError: names the rule and what is wrong with it.
    """
    if len(options) > MOST_RULES:
        raise ReconcileError(
            f"{len(options)} rules are declared, and {MOST_RULES} fit into one program. A rule can have a million "
            "prefixes and many ports: put rules together that differ in nothing else"
        )
    names = [one["name"] for one in options]
    for name in names:
        if names.count(name) > 1:
            raise ReconcileError(f"Two rules are called '{name}'; counters are kept by name, so give each its own")
    return tuple(_rule(one, read, parse) for one in options)


def _rule(one, read, parse):
    def fail(text):
        raise ReconcileError(f"Rule '{one['name']}': {text}")

    for option in NEVER_EMPTY:
        if one.get(option) is not None and not one[option]:
            fail(f"{option} is an empty list. Leave it out for a rule that has no such condition, or list what it is")
    protocols = _protocols(one.get("protocol"), fail)
    ports = {side: _ranges(one.get(side), 0, 65535, "port", fail) for side in ("source_ports", "destination_ports")}
    if any(ports.values()) and protocols is not None and not protocols.intersection(WITH_PORTS):
        fail("it has ports, and none of its protocols does; tcp, udp, dccp, sctp and udplite have")
    flags = _tcp_flags(one.get("tcp_flags"), fail)
    if flags and protocols is not None and TCP not in protocols:
        fail("tcp_flags are asked for, and tcp is not among its protocols")
    fragment = one.get("fragment")
    return Rule(
        one["name"],
        one["action"] == "drop",
        _prefixes(one, "source", read, parse),
        _prefixes(one, "destination", read, parse),
        protocols,
        ports["source_ports"],
        ports["destination_ports"],
        _icmp_types(one.get("icmp_types"), protocols, fail),
        flags,
        _vlans(one.get("vlan"), fail),
        None if fragment is None else frozenset((FIRST, LATER) if fragment else (WHOLE,)),
    )


def _prefixes(one, side, read, parse):
    lines, path = one.get(side), one.get(f"{side}_file")
    if lines is not None and path is not None:
        raise ReconcileError(f"Rule '{one['name']}': {side} and {side}_file are both given; choose one")
    if path is not None:
        return read(path)
    if lines is None:
        return None
    return parse(lines, lambda number: f"rule '{one['name']}', {side}, entry {number}")


def _protocols(values, fail):
    if values is None:
        return None
    found = set()
    for value in values:
        number = PROTOCOLS.get(value.lower(), int(value) if value.isdigit() else -1)
        if not 0 <= number <= 255:
            fail(f"'{value}' is no protocol; write a number up to 255 or one of {', '.join(PROTOCOLS)}")
        found.add(number)
    return frozenset(found)


def _ranges(values, lowest, highest, what, fail):
    if values is None:
        return None
    found = []
    for value in values:
        first, dash, last = value.partition("-")
        pair = (first, last if dash else first)
        if not all(side.isdigit() and lowest <= int(side) <= highest for side in pair):
            fail(f"'{value}' is no {what} and no range of them, like {highest - 5}-{highest}")
        if int(pair[0]) > int(pair[1]):
            fail(f"the range of {what}s {value} ends before it begins")
        found.append((int(pair[0]), int(pair[1])))
    return _merged(found)


def _merged(ranges):
    """Return the same numbers as few ranges, sorted, so that two ways to write them compare equal."""
    found = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return tuple(found)


def _vlans(values, fail):
    if values is None:
        return None
    tagged = [value for value in values if value != "untagged"]
    found = list(_ranges(tagged, 1, 4094, "VLAN", fail))
    return _merged(([(0, 0)] if len(tagged) < len(values) else []) + found)


def _icmp_types(values, protocols, fail):
    if values is None:
        return None
    if protocols not in (frozenset([ICMP]), frozenset([ICMPV6])):
        fail("icmp_types need the protocol icmp or icmpv6, one of them: their numbers differ")
    names = ICMP_TYPES[min(protocols)]
    found = set()
    for value in values:
        number = names.get(value, int(value) if value.isdigit() else -1)
        if not 0 <= number <= 255:
            fail(f"'{value}' is no such ICMP type; write a number up to 255 or one of {', '.join(names)}")
        found.add(number)
    return frozenset(found)


def _tcp_flags(values, fail):
    if values is None:
        return None
    mask = value = 0
    for one in values:
        bit = TCP_FLAGS.get(one.lstrip("!").lower())
        if bit is None:
            fail(
                f"'{one}' is no TCP flag; write one of {', '.join(TCP_FLAGS)}, with ! before it when it must not be set"
            )
        if mask & bit:
            fail(f"the TCP flag {one.lstrip('!')} is named twice")
        mask |= bit
        value |= 0 if one.startswith("!") else bit
    return mask, value
