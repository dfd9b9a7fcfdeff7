# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Synthetic frames: one that a rule matches, one that it does not, and those of a management connection. Pure.

Private to the collection; not a public interface.
"""

from typing import NamedTuple

from .model import FIRST, ICMPV6, LATER, TCP, UNTAGGED, WHOLE, WITH_PORTS
from .reference import EXTENSIONS, inside

FIN, SYN, PSH, ACK = 1, 2, 8, 16
# Of a connection that is in use: what only acknowledges, what carries data, and its end.
IN_USE = (ACK, PSH | ACK, FIN | ACK)
NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT = 135, 136
# New connections come from any of the ports that systems choose (RFC 6056, and Linux' own range).
NEW_PORTS = (1024, 32768, 49152, 60999)
# Few systems choose lower ones, which are the ports of services as well; a rule on these is no danger.
CHOSEN = (32768, 65535)
# Those that have ports first, so that a condition on these is met; and no extension header of IPv6, behind which
# another protocol would count.
PROTOCOLS = (*WITH_PORTS, *(number for number in range(1, 256) if number not in EXTENSIONS))
LINK_LOCAL = 0xFE80 << 112 | 1
SOLICITED_NODE = 0xFF02 << 112 | 0x1FF << 24  # RFC 4291, section 2.7.1, before the last 24 bits of the address


class Session(NamedTuple):
    """A TCP connection as this host receives it.

    :ivar vlan: the tag with which its frames reach the interface, ``stripped`` the one that they have lost before.
    """

    client: str
    client_port: int
    server: str
    server_port: int
    version: int
    source: int
    destination: int
    vlan: int = UNTAGGED
    stripped: int = UNTAGGED


def of_session(session, rules=()):
    """Yield (what it is, frame) for all that must get through: the connection, a new one, and IPv6 neighbours.

    :param rules: that are to be tried; a new connection comes from each port where one of them begins or ends.
    """
    source, destination = session.source, session.destination

    def segment(port, flags):
        return frame(session.version, source, destination, TCP, session.vlan, _tcp(port, session.server_port, flags))

    for flags in IN_USE:
        yield "a packet of the connection that this task runs over", segment(session.client_port, flags)
    for port in (session.client_port, *new_ports(rules)):
        for flags in (SYN, *IN_USE):
            yield "a new connection from the controller", segment(port, flags)
    if session.version == 6:
        # RFC 4861, section 4.3: who does not know this host's link-layer address asks a group, who knows it asks it.
        group = SOLICITED_NODE | destination & 0xFFFFFF
        for kind, to in (
            (NEIGHBOUR_SOLICITATION, group),
            (NEIGHBOUR_SOLICITATION, destination),
            (NEIGHBOUR_ADVERTISEMENT, destination),
        ):
            for neighbour in (LINK_LOCAL, source):
                yield (
                    "neighbour discovery (ICMPv6), without which IPv6 does not work",
                    frame(6, neighbour, to, ICMPV6, session.vlan, bytes([kind]) + bytes(23)),
                )


def new_ports(rules):
    """Return source ports of new connections: some that are common, and one of each set that rules tell apart."""
    ranges = [pair for rule in rules for pair in rule.source_ports or ()]
    edges = {port for first, last in ranges for port in (first, last + 1)}
    return sorted({*NEW_PORTS, *(port for port in edges if CHOSEN[0] <= port <= CHOSEN[1])})


class Fields(NamedTuple):
    """What the conditions of rules are about, of a frame that is to be made."""

    version: int
    source: int
    destination: int
    protocol: int
    vlan: int
    part: int
    source_port: int
    destination_port: int
    icmp: int
    flags: int


def hit(rule):
    """Return a frame that the rule matches, None when there can be none."""
    fields = _fields(rule)
    return None if fields is None else _of(fields)


def misses(rule):
    """Yield frames that fail one condition of the rule each."""
    fields = _fields(rule)
    if fields is None:
        return
    for side in ("source", "destination"):
        outside = _outside(getattr(rule, side), fields.version)
        if outside is not None:
            yield _of(fields._replace(**{side: outside}))
    for field, other in (
        ("protocol", _first_not_in(rule.protocols, PROTOCOLS)),
        ("source_port", _other(rule.source_ports)),
        ("destination_port", _other(rule.destination_ports)),
        ("icmp", _first_not_in(rule.icmp_types, range(256))),
        ("vlan", None if rule.vlans is None else next((one for one in range(4095) if not _in(rule.vlans, one)), None)),
        ("part", _first_not_in(rule.parts, (WHOLE, FIRST, LATER))),
    ):
        if other is not None:
            yield _of(fields._replace(**{field: other}))
    for bit in (1 << number for number in range(8)):
        if rule.tcp_flags is not None and rule.tcp_flags[0] & bit:
            yield _of(fields._replace(flags=fields.flags ^ bit))


def _fields(rule):
    """Return the :class:`Fields` of a frame that the rule matches, None when there can be none."""
    version = next((one for one in (4, 6) if _possible(rule, one)), None)
    part = min(rule.parts) if rule.parts else WHOLE
    later = part == LATER and (rule.source_ports or rule.destination_ports or rule.icmp_types or rule.tcp_flags)
    if version is None or later:
        return None
    return Fields(
        version,
        _address(rule.source, version),
        _address(rule.destination, version),
        _protocol(rule, version),
        rule.vlans[0][0] if rule.vlans else UNTAGGED,
        part,
        _first(rule.source_ports),
        _first(rule.destination_ports),
        min(rule.icmp_types) if rule.icmp_types else 0,
        rule.tcp_flags[1] if rule.tcp_flags else ACK,
    )


def _of(fields):
    if fields.protocol in WITH_PORTS:
        content = _tcp(fields.source_port, fields.destination_port, fields.flags)
    else:
        content = bytes([fields.icmp]) + bytes(7)
    addresses = (fields.source, fields.destination)
    return frame(fields.version, *addresses, fields.protocol, fields.vlan, content, fields.part)


def frame(version, source, destination, protocol, vlan, content, part=WHOLE):  # noqa: PLR0917 in their order in a frame
    """Return an Ethernet frame around a transport segment."""
    tag = b"" if vlan == UNTAGGED else b"\x81\x00" + vlan.to_bytes(2, "big")
    if version == 4:
        offset = {WHOLE: 0, FIRST: 0x2000, LATER: 0x2001}[part]
        head = bytes([0x45, 0]) + (20 + len(content)).to_bytes(2, "big") + bytes(2) + offset.to_bytes(2, "big")
        head += bytes([64, protocol, 0, 0]) + source.to_bytes(4, "big") + destination.to_bytes(4, "big")
        return bytes(12) + tag + b"\x08\x00" + head + content
    following = protocol
    if part != WHOLE:
        content = bytes([protocol, 0]) + {FIRST: 1, LATER: 9}[part].to_bytes(2, "big") + bytes(4) + content
        following = 44
    head = bytes([0x60, 0, 0, 0]) + len(content).to_bytes(2, "big") + bytes([following, 64])
    return bytes(12) + tag + b"\x86\xdd" + head + source.to_bytes(16, "big") + destination.to_bytes(16, "big") + content


def _tcp(source_port, destination_port, flags):
    ports = source_port.to_bytes(2, "big") + destination_port.to_bytes(2, "big")
    return ports + bytes(8) + bytes([0x50, flags]) + bytes(6)


def _possible(rule, version):
    sides = [one for one in (rule.source, rule.destination) if one is not None]
    wanted = ICMPV6 if version == 6 else 1
    return all(one.four if version == 4 else one.six for one in sides) and not (
        rule.icmp_types and wanted not in rule.protocols
    )


def _protocol(rule, version):
    if rule.icmp_types:
        return ICMPV6 if version == 6 else 1
    if rule.tcp_flags:
        return TCP
    if rule.protocols:
        ports = [number for number in WITH_PORTS if number in rule.protocols]
        return ports[0] if ports else min(rule.protocols)
    return TCP


def _address(prefixes, version):
    if prefixes is None:
        return 0xC0000201 if version == 4 else 0x20010DB8 << 96 | 1  # of documentation, RFC 5737 and RFC 3849
    return prefixes.four[0] >> 6 if version == 4 else prefixes.six[0] >> 8


def _outside(prefixes, version):
    """Return an address in none of the prefixes, None when there is none or it is not found at once."""
    if prefixes is None:
        return None
    numbers, bits, width = (prefixes.four, 6, 32) if version == 4 else (prefixes.six, 8, 128)
    mask = (1 << bits) - 1
    behind = [(one >> bits) + (1 << width - (one & mask)) for one in (numbers[-1], numbers[0])]
    before = [(numbers[0] >> bits) - 1]
    candidates = [address for address in behind + before if 0 <= address < 1 << width]
    return next((address for address in candidates if not inside(prefixes, version, address)), None)


def _first(ranges):
    return ranges[0][0] if ranges else 40000


def _other(ranges):
    """Return a port in none of the ranges, None when there is none or all will do."""
    if ranges is None:
        return None
    return next((port for port in range(65535, -1, -1) if not _in(ranges, port)), None)


def _first_not_in(values, candidates):
    """Return one of the candidates that is none of the values, None when there is none or all will do."""
    if values is None:
        return None
    return next((one for one in candidates if one not in values), None)


def _in(ranges, number):
    return any(first <= number <= last for first, last in ranges)
