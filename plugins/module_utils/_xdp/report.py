# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules in the words of the options: to be declared again, and short, to be read. Pure.

Private to the collection; not a public interface.
"""

import hashlib

from .declare import ICMP_TYPES, PROTOCOLS, TCP_FLAGS
from .model import ICMP, ICMPV6, UNTAGGED, WHOLE

NAMES = {number: name for name, number in PROTOCOLS.items()}


def options(rule, shown):
    """Return the options that declare a rule.

    :param shown: ``shown(prefixes) -> texts``.
    """
    found = {"name": rule.name, "action": "drop" if rule.drop else "pass"}
    for side in ("source", "destination"):
        if getattr(rule, side) is not None:
            found[side] = shown(getattr(rule, side))
    if rule.protocols is not None:
        found["protocol"] = [NAMES.get(number, str(number)) for number in sorted(rule.protocols)]
    for side in ("source_ports", "destination_ports"):
        if getattr(rule, side) is not None:
            found[side] = _ranges(getattr(rule, side))
    if rule.icmp_types is not None:
        protocol = ICMP if ICMP in rule.protocols else ICMPV6
        names = {number: name for name, number in ICMP_TYPES[protocol].items()}
        found["icmp_types"] = [names.get(number, str(number)) for number in sorted(rule.icmp_types)]
    if rule.tcp_flags is not None:
        mask, value = rule.tcp_flags
        found["tcp_flags"] = [
            name if value & bit else f"!{name}" for name, bit in sorted(TCP_FLAGS.items()) if mask & bit
        ]
    if rule.vlans is not None:
        found["vlan"] = [
            "untagged" if pair == (UNTAGGED, UNTAGGED) else text
            for pair, text in zip(_split(rule.vlans), _ranges(_split(rule.vlans)))
        ]
    if rule.parts is not None:
        found["fragment"] = WHOLE not in rule.parts
    return found


def short(rule):
    """Return a text on a rule that differs for rules that differ: long lists of prefixes with their digest."""
    words = [
        f"{key} {_listed(value)}" for key, value in options(rule, _counted).items() if key not in ("name", "action")
    ]
    return " ".join(["drop" if rule.drop else "pass", ", ".join(words)]).strip()


def _counted(prefixes):
    count = len(prefixes.four) + len(prefixes.six)
    digest = hashlib.sha256(prefixes.packed()).hexdigest()[:8]
    return f"{count} prefixes ({digest})"


def _listed(value):
    return " ".join(value) if isinstance(value, list) else str(value).lower()


def _split(ranges):
    """Return the ranges with untagged apart from VLAN 1 and on."""
    if ranges[0][0] == UNTAGGED and ranges[0][1] > UNTAGGED:
        return ((UNTAGGED, UNTAGGED), (1, ranges[0][1]), *ranges[1:])
    return ranges


def _ranges(ranges):
    return [str(first) if first == last else f"{first}-{last}" for first, last in ranges]
