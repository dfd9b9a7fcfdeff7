# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules, as values that compare. Private to the collection; not a public interface."""

from typing import FrozenSet, NamedTuple, Optional, Tuple

MOST_RULES = 64
WHOLE, FIRST, LATER = 0, 1, 2  # what a packet may be a part of
UNTAGGED = 0  # the VLAN of a frame without a tag, or with a tag that only carries a priority
TCP, UDP, DCCP, SCTP, UDPLITE = 6, 17, 33, 132, 136
WITH_PORTS = (TCP, UDP, DCCP, SCTP, UDPLITE)
ICMP, ICMPV6 = 1, 58


class Prefixes(NamedTuple):
    """A set of prefixes, sorted, each once: IPv4 as ``network << 6 | length``, IPv6 as ``network << 8 | length``."""

    four: Tuple[int, ...] = ()
    six: Tuple[int, ...] = ()


class Rule(NamedTuple):
    """One rule; None stands for a condition that is not set. All that are set must hold.

    Ports and VLANs are ranges (first, last). ``tcp_flags`` is (mask, value): the bits that count, and what they are.
    """

    name: str
    drop: bool
    source: Optional[Prefixes] = None
    destination: Optional[Prefixes] = None
    protocols: Optional[FrozenSet[int]] = None
    source_ports: Optional[Tuple[Tuple[int, int], ...]] = None
    destination_ports: Optional[Tuple[Tuple[int, int], ...]] = None
    icmp_types: Optional[FrozenSet[int]] = None
    tcp_flags: Optional[Tuple[int, int]] = None
    vlans: Optional[Tuple[Tuple[int, int], ...]] = None
    parts: Optional[FrozenSet[int]] = None
