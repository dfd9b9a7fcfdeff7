# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From rules to what the program looks up: constants and the contents of its maps. Pure.

A rule is a bit, the first rule the lowest. src/bpf/xdp_drop.c says how the tables are used; names and numbers here
and there belong together. Private to the collection; not a public interface.
"""

import hashlib
import itertools
from typing import Dict, NamedTuple

from . import addresses
from .model import FIRST, ICMPV6, LATER, WHOLE

(
    ALL,
    USES,
    SOURCE_ANY,
    DESTINATION_ANY,
    PROTOCOL_ANY,
    SOURCE_PORT_ANY,
    DESTINATION_PORT_ANY,
    ICMP_ANY,
    TCP_FLAGS_ANY,
    VLAN_ANY,
    WHOLE_PART,
    FIRST_PART,
    LATER_PART,
    SETTLED,
) = range(14)
# The bits of the constant USES, by the condition of a rule or the map of an address that sets it.
CONDITIONS = (
    "source",
    "destination",
    "protocols",
    "source_ports",
    "destination_ports",
    "icmp_types",
    "tcp_flags",
    "vlans",
    "parts",
)
KINDS = ("blocks", "hosts", "prefixes", "six")
USE_BITS = {name: 1 << bit for bit, name in enumerate(CONDITIONS)}
USE_BITS.update(
    (f"{side}_{kind}", 1 << bit)
    for bit, (side, kind) in enumerate(itertools.product(("source", "destination"), KINDS), len(CONDITIONS))
)
# The constant of each condition on a number, the array of masks by that number, and how many there are.
NUMBERED = (
    (PROTOCOL_ANY, "protocols", 256),
    (SOURCE_PORT_ANY, "source_ports", 65536),
    (DESTINATION_PORT_ANY, "destination_ports", 65536),
    (ICMP_ANY, "icmp_types", 512),
    (TCP_FLAGS_ANY, "tcp_flags", 256),
    (VLAN_ANY, "vlans", 4096),
)
DE_BRUIJN = 0x03F79D71B4CB0A89


class Tables(NamedTuple):
    """What a program of some rules is made of.

    ``arrays`` maps the name of an array to its bytes; ``keyed`` the name of a hash or trie to its masks by key, where
    keys are IPv4 addresses as numbers or prefixes as in :class:`model.Prefixes`.
    """

    constants: Dict[int, int]
    arrays: Dict[str, bytes]
    keyed: Dict[str, Dict[int, int]]


def compiled(rules, known=None):
    """Return the :class:`Tables` of ``rules``.

    :param known: ``{"source": masks, "destination": masks}``, the classes of addresses that tables in use have; they
        keep their numbers, so that one table can be made into the other byte by byte.
    """
    uses = sum(USE_BITS[name] for name in CONDITIONS if any(getattr(rule, name) is not None for rule in rules))
    arrays, keyed, constants = {}, {}, {ALL: (1 << len(rules)) - 1}
    for number, side in ((SOURCE_ANY, "source"), (DESTINATION_ANY, "destination")):
        sets = [getattr(rule, side) for rule in rules]
        constants[number] = _mask(one is None for one in sets)
        found = addresses.side(sets, (known or {}).get(side, ()))
        if found.classes is not None:
            arrays[f"{side}_blocks"], arrays[f"{side}_classes"] = bytes(found.blocks), _packed(found.classes, 256)
        entries = {"hosts": found.hosts, "prefixes": found.prefixes, "six": found.six}
        keyed.update((f"{side}_{kind}", masks) for kind, masks in entries.items() if masks)
    uses |= sum(bit for name, bit in USE_BITS.items() if name in arrays or name in keyed)
    for number, name, size in NUMBERED:
        constants[number] = _mask(getattr(rule, name) is None for rule in rules)
        if uses & USE_BITS[name]:
            arrays[name] = _packed(_numbers(rules, name, size), size)
    for number, part in ((WHOLE_PART, WHOLE), (FIRST_PART, FIRST), (LATER_PART, LATER)):
        constants[number] = _mask(rule.parts is None or part in rule.parts for rule in rules)
    constants[SETTLED] = _mask(
        all(getattr(rule, name) is None for name in CONDITIONS if name != "source") for rule in rules
    )
    constants[USES] = uses
    return Tables(constants, arrays, keyed)


def verdict_key(position):
    """Return where the program looks for the verdict of the rule at this position."""
    return ((1 << position) * DE_BRUIJN & (1 << 64) - 1) >> 58


def digest(rules):
    """Return what tells these rules from all others (SHA-256, hexadecimal)."""
    found = hashlib.sha256()
    for rule in rules:
        plain = rule._replace(source=None, destination=None, protocols=_sorted(rule.protocols))
        plain = plain._replace(icmp_types=_sorted(rule.icmp_types), parts=_sorted(rule.parts))
        found.update(repr(tuple(plain)).encode())
        for one in (rule.source, rule.destination):
            found.update(b"any" if one is None else one.packed())
    return found.hexdigest()


def _sorted(values):
    return None if values is None else sorted(values)


def _mask(bits):
    return sum(1 << position for position, bit in enumerate(bits) if bit)


def _packed(masks, size):
    return b"".join(mask.to_bytes(8, "little") for mask in masks) + bytes(8 * (size - len(masks)))


def _numbers(rules, condition, size):
    """Return the masks of the rules that name each number in this condition."""
    masks = [0] * size
    for position, rule in enumerate(rules):
        wanted = getattr(rule, condition)
        if wanted is None:
            continue
        if condition == "protocols":
            numbers = wanted
        elif condition == "icmp_types":
            numbers = [kind | 256 * (ICMPV6 in rule.protocols) for kind in wanted]
        elif condition == "tcp_flags":
            numbers = [flags for flags in range(256) if flags & wanted[0] == wanted[1]]
        else:
            numbers = itertools.chain.from_iterable(range(first, last + 1) for first, last in wanted)
        for number in numbers:
            masks[number] |= 1 << position
    return masks
