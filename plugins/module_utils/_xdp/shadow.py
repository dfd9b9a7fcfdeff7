# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules that can never match, because an earlier one takes all or because they contradict themselves. Pure.

Private to the collection; not a public interface.
"""

from .model import ICMP, ICMPV6


def warnings(rules):
    """Return a text for each rule that can never match; it names the rule, and the one that stands before it.

    Only what a single earlier rule takes is found, not what several take together.
    """
    found = []
    for position, rule in enumerate(rules):
        reason = _impossible(rule) or next(
            (_taken(earlier, rule) for earlier in rules[:position] if _covers(earlier, rule)), None
        )
        if reason:
            found.append(f"Rule '{rule.name}' can never match: {reason}")
    return tuple(found)


def _taken(earlier, rule):
    same = earlier._replace(name="", drop=True) == rule._replace(name="", drop=True)
    what = "has the same conditions" if same else "matches all that it could match"
    return f"rule '{earlier.name}' stands before it and {what}"


def _impossible(rule):
    """Return why no packet can meet all conditions of a rule, or None."""
    for side in ("source", "destination"):
        if getattr(rule, side) is not None and not any(getattr(rule, side)):
            return f"its list of {side} prefixes is empty"
    four = all(one is None or one.four for one in (rule.source, rule.destination))
    six = all(one is None or one.six for one in (rule.source, rule.destination))
    if not four and not six:
        return "its sources and its destinations are of different IP versions"
    if rule.icmp_types and not (four if rule.protocols == frozenset([ICMP]) else six):
        return "its ICMP types belong to the other IP version than its prefixes"
    return None


def _covers(earlier, rule):
    """Tell whether ``earlier`` matches all that ``rule`` matches."""
    return (
        (earlier.protocols is None or (rule.protocols is not None and rule.protocols <= earlier.protocols))
        and _ranges(earlier.source_ports, rule.source_ports)
        and _ranges(earlier.destination_ports, rule.destination_ports)
        and _ranges(earlier.vlans, rule.vlans)
        and (earlier.parts is None or (rule.parts is not None and rule.parts <= earlier.parts))
        and _types(earlier, rule)
        and _flags(earlier.tcp_flags, rule.tcp_flags)
        and _addresses(earlier.source, rule.source)
        and _addresses(earlier.destination, rule.destination)
    )


def _ranges(outer, inner):
    if outer is None:
        return True
    return inner is not None and all(any(low <= first and last <= high for low, high in outer) for first, last in inner)


def _types(earlier, rule):
    if earlier.icmp_types is None:
        return True
    same = earlier.protocols is not None and earlier.protocols.intersection((ICMP, ICMPV6)) == rule.protocols
    return same and rule.icmp_types is not None and rule.icmp_types <= earlier.icmp_types


def _flags(outer, inner):
    """A condition on more flags is met by fewer packets."""
    if outer is None:
        return True
    return inner is not None and inner[0] & outer[0] == outer[0] and inner[1] & outer[0] == outer[1]


def _addresses(outer, inner):
    if outer is None:
        return True
    if inner is None:
        return False
    return _inside(inner.four, outer.four, 6, 32) and _inside(inner.six, outer.six, 8, 128)


def _inside(inner, outer, bits, width):
    """Tell whether each prefix is within one of ``outer``; the first that is not ends it."""
    if not inner or inner == outer:
        return True
    known, mask = set(outer), (1 << bits) - 1
    lengths = sorted({prefix & mask for prefix in outer})
    return all(
        any(
            ((prefix >> bits) >> width - length << width - length) << bits | length in known
            for length in lengths
            if length <= prefix & mask
        )
        for prefix in inner
    )
