# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules, as values that compare. Private to the collection; not a public interface."""

import array
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

    def packed(self):
        """Return bytes that differ for sets that differ."""
        return array.array("Q", self.four).tobytes() + b"".join(one.to_bytes(17, "big") for one in self.six)


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


class Live(NamedTuple):
    """A program of ours on an interface, or one that was there: what is kept of it and what is in its maps.

    :ivar generation: under which name it is pinned.
    :ivar mode: native or generic; None: it is no longer attached.
    :ivar digest: of the rules that it was made of (:func:`tables.digest`), ``shown`` their texts by name.
    :ivar slots: ``{rule name: slot of the counters}``.
    :ivar verdicts: (drop, slot) of each rule, as they are in the map.
    """

    generation: str
    mode: Optional[str]
    digest: str
    shown: dict
    slots: dict
    verdicts: tuple = ()
    constants: dict = {}
    arrays: dict = {}
    keyed: dict = {}
    room: dict = {}


class Link(NamedTuple):
    """A symbolic link among the files that are wanted or found."""

    target: str


class Device(NamedTuple):
    """An interface as the plan sees it.

    :ivar foreign: texts on XDP programs that are not ours.
    :ivar advice: why the program cannot or should not be here, and where it belongs; "" if it does.
    :ivar strips_tags: the NIC takes VLAN tags off before the program sees a frame.
    """

    name: str
    exists: bool = True
    foreign: Tuple[str, ...] = ()
    advice: str = ""
    strips_tags: bool = False
    live: Optional[Live] = None


class Wanted(NamedTuple):
    """What the task asks for.

    :ivar in_place: prefixes may be changed in the tables that are in use; otherwise the tables from before are kept,
        so that a guard can go back to them.
    :ivar files: ``{path: text or Link}`` that must be there, None for what must not.
    """

    interfaces: Tuple[str, ...]
    rules: Tuple[Rule, ...] = ()
    mode: str = "auto"
    present: bool = True
    in_place: bool = True
    files: dict = {}
