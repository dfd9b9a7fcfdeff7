# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rules an address belongs to, laid out for one or two lookups (DIR-24-8, Gupta et al. 1998). Pure.

Of many IPv4 prefixes each /24 has a byte in ``blocks``, its class: the number of the mask that all its addresses
have, or LONGER where longer prefixes split it; those are in ``hosts`` (/32) and ``prefixes``. All entries carry what
they inherit from the shorter prefixes around them, so that the longest match says all.
Private to the collection; not a public interface.
"""

import collections
from typing import Dict, List, NamedTuple, Optional

LONGER = 255
FEW = 64  # prefixes for which a trie alone is as good and 16 MiB are not spent


class Side(NamedTuple):
    """The lookups of sources, or of destinations. ``classes`` None: there are no blocks."""

    blocks: bytearray
    classes: Optional[List[int]]
    hosts: Dict[int, int]
    prefixes: Dict[int, int]
    six: Dict[int, int]


def side(sets, known=()):
    """Return the :class:`Side` of the prefixes of each rule, None for a rule that has none.

    :param known: masks of classes that keep their numbers.
    """
    four = _own([one and one.four for one in sets])
    six = _inherited(_own([one and one.six for one in sets]), 8, 128)
    if len(four) > FEW or known:
        found = _blocks(four, known)
        if found:
            return Side(*found, six)
    trie = _inherited(four, 6, 32)
    hosts = {key >> 6: trie.pop(key) for key in [key for key in trie if key & 63 == 32]}
    return Side(bytearray(), None, hosts, trie, six)


def _own(lists):
    """Return ``{prefix: mask of the rules that name it}``."""
    found: Dict[int, int] = {}
    for position, prefixes in enumerate(lists):
        if prefixes:
            bit = 1 << position
            if found:
                for prefix in prefixes:
                    found[prefix] = found.get(prefix, 0) | bit
            else:
                found = dict.fromkeys(prefixes, bit)
    return found


def _by_length(own, bits):
    """Return the prefixes, those of each length in a list."""
    buckets: Dict[int, List[int]] = collections.defaultdict(list)
    mask = (1 << bits) - 1
    for prefix in own:
        buckets[prefix & mask].append(prefix)
    return buckets


def _inherited(own, bits, width):
    """Return the prefixes with the masks of those around them added."""
    buckets, found = _by_length(own, bits), {}
    shorter: List[int] = []
    for length in sorted(buckets):
        for prefix in buckets[length]:
            found[prefix] = own[prefix] | _around(prefix >> bits, shorter, found, bits, width)
        shorter.insert(0, length)
    return found


def _around(network, lengths, found, bits, width):
    """Return the mask of the longest of the prefixes of these lengths, longest first, that are around a network."""
    for length in lengths:
        mask = found.get((network >> width - length << width - length) << bits | length)
        if mask is not None:
            return mask
    return 0


def _blocks(own, known):
    """Return blocks, classes, hosts and prefixes; None when there are more classes than a byte can number."""
    buckets = _by_length(own, 6)
    classes = list(known) or [0]
    numbers = {mask: number for number, mask in enumerate(classes)}
    table = bytearray(1 << 24)
    last, number = None, 0
    for length in sorted(one for one in buckets if one <= 24):
        size = 1 << (24 - length)
        for prefix in buckets[length]:
            start, mask = prefix >> 14, own[prefix]
            if table[start]:
                mask |= classes[table[start]]
            if mask != last:
                last, number = mask, numbers.setdefault(mask, len(classes))
                if number == len(classes):
                    classes.append(mask)
                if number >= LONGER:
                    return None
            if size == 1:
                table[start] = number
            else:
                table[start : start + size] = bytes((number,)) * size
    return (table, classes, *_longer(own, buckets, table, classes))


def _longer(own, buckets, table, classes):
    """Return the hosts and the prefixes longer than /24, and mark the blocks in which they are."""
    prefixes, hosts, lengths = {}, {}, []
    for length in sorted(one for one in buckets if one > 24):
        for prefix in buckets[length]:
            start, network = prefix >> 14, prefix >> 6
            if table[start] != LONGER:
                # What the rest of this /24 has.
                prefixes[start << 14 | 24] = classes[table[start]]
                table[start] = LONGER
            mask = own[prefix] | _around(network, [*lengths, 24], prefixes, 6, 32)
            if length == 32:
                hosts[network] = mask
            else:
                prefixes[prefix] = mask
        lengths.insert(0, length)
    return hosts, {prefix: mask for prefix, mask in prefixes.items() if mask}
