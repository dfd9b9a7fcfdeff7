# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the program must say of a frame, in plain Python: the meaning of the rules, one condition after the other.

It shares nothing with the tables: ranges and prefixes are looked at as they are declared. Pure.
Private to the collection; not a public interface.
"""

from bisect import bisect_left
from typing import NamedTuple, Optional

from .model import FIRST, ICMP, ICMPV6, LATER, TCP, UNTAGGED, WHOLE, WITH_PORTS

VLAN_TAGS = (0x8100, 0x88A8)  # IEEE 802.1Q and 802.1ad
MOST_TAGS = 2
EXTENSIONS = (0, 43, 44, 51, 60)  # RFC 8200, section 4; RFC 4302
MOST_EXTENSIONS = 8
FRAGMENT, AUTHENTICATION = 44, 51


class Packet(NamedTuple):
    """What the conditions are about. ``ports``, ``icmp`` and ``flags`` are None where they cannot be read."""

    version: int
    source: int
    destination: int
    protocol: int
    vlan: int = UNTAGGED
    part: int = WHOLE
    ports: Optional[tuple] = None
    icmp: Optional[int] = None
    flags: Optional[int] = None


def first_match(rules, frame):
    """Return the position of the first rule that matches a frame, None when none does."""
    packet = parsed(frame)
    if packet is None:
        return None
    return next((position for position, rule in enumerate(rules) if matches(rule, packet)), None)


def matches(rule, packet):
    """Tell whether all conditions of a rule hold for a packet."""
    return (
        inside(rule.source, packet.version, packet.source)
        and inside(rule.destination, packet.version, packet.destination)
        and (rule.protocols is None or packet.protocol in rule.protocols)
        and _port(rule.source_ports, packet.ports and packet.ports[0])
        and _port(rule.destination_ports, packet.ports and packet.ports[1])
        and (rule.icmp_types is None or _icmp(rule, packet))
        and (
            rule.tcp_flags is None
            or (packet.flags is not None and packet.flags & rule.tcp_flags[0] == rule.tcp_flags[1])
        )
        and (rule.vlans is None or any(first <= packet.vlan <= last for first, last in rule.vlans))
        and (rule.parts is None or packet.part in rule.parts)
    )


def inside(prefixes, version, address):
    """Tell whether an address is in one of the prefixes; None stands for all addresses."""
    if prefixes is None:
        return True
    numbers, bits, width = (prefixes.four, 6, 32) if version == 4 else (prefixes.six, 8, 128)
    for length in range(width + 1):
        wanted = (address >> width - length << width - length) << bits | length
        place = bisect_left(numbers, wanted)
        if place < len(numbers) and numbers[place] == wanted:
            return True
    return False


def _port(ranges, port):
    return ranges is None or (port is not None and any(first <= port <= last for first, last in ranges))


def _icmp(rule, packet):
    """An ICMP type is one of the protocol that the rule names."""
    return packet.icmp in rule.icmp_types if packet.icmp is not None and packet.protocol in rule.protocols else False


def parsed(frame):
    """Return the :class:`Packet` in an Ethernet frame, None when there is none that Linux could take for one."""
    if len(frame) < 14:
        return None
    kind, at, vlan = int.from_bytes(frame[12:14], "big"), 14, UNTAGGED
    for _tag in range(MOST_TAGS):
        if kind not in VLAN_TAGS:
            break
        if len(frame) < at + 4:
            return None
        vlan = vlan or int.from_bytes(frame[at : at + 2], "big") & 0xFFF
        kind = int.from_bytes(frame[at + 2 : at + 4], "big")
        at += 4
    if kind == 0x0800:
        return _ipv4(frame, at, vlan)
    if kind == 0x86DD:
        return _ipv6(frame, at, vlan)
    return None


def _ipv4(frame, at, vlan):
    header = frame[at : at + 20]
    if len(header) < 20 or header[0] >> 4 != 4 or header[0] & 15 < 5:
        return None
    offset = int.from_bytes(header[6:8], "big")
    part = LATER if offset & 0x1FFF else FIRST if offset & 0x2000 else WHOLE
    packet = Packet(
        4,
        int.from_bytes(header[12:16], "big"),
        int.from_bytes(header[16:20], "big"),
        header[9],
        vlan,
        part,
    )
    return packet if part == LATER else _transport(packet, frame[at + 4 * (header[0] & 15) :])


def _ipv6(frame, at, vlan):
    header = frame[at : at + 40]
    if len(header) < 40 or header[0] >> 4 != 6:
        return None
    protocol, at, part = header[6], at + 40, WHOLE
    readable = True
    for _header in range(MOST_EXTENSIONS):
        if protocol not in EXTENSIONS:
            break
        extension = frame[at : at + 8]
        if len(extension) < 8:
            readable = False
            break
        length = {FRAGMENT: 8, AUTHENTICATION: 4 * (extension[1] + 2)}.get(protocol, 8 * (extension[1] + 1))
        if protocol == FRAGMENT:
            offset = int.from_bytes(extension[2:4], "big")
            part = LATER if offset & 0xFFF8 else FIRST if offset & 1 else part
        protocol, at = extension[0], at + length
        if part == LATER:
            readable = False
            break
    packet = Packet(6, int.from_bytes(header[8:24], "big"), int.from_bytes(header[24:40], "big"), protocol, vlan, part)
    return _transport(packet, frame[at:]) if readable else packet


def _transport(packet, segment):
    """Return the packet with what its transport header says, as far as it is there."""
    if packet.protocol in WITH_PORTS and len(segment) >= 4:
        ports = int.from_bytes(segment[0:2], "big"), int.from_bytes(segment[2:4], "big")
        packet = packet._replace(ports=ports)
    if packet.protocol == TCP and len(segment) >= 14:
        packet = packet._replace(flags=segment[13])
    if packet.protocol == (ICMP if packet.version == 4 else ICMPV6) and segment:
        packet = packet._replace(icmp=segment[0])
    return packet
