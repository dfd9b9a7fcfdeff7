# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask the networks of this host whether somebody has an address already (RFC 5227, section 2.1.1).

All addresses are asked for at once, so that hundreds take no longer than one. Private to the collection.
"""

import ipaddress
import select
import socket
import struct
import time
from contextlib import ExitStack

ETH_P_ARP = 0x0806
ETH_P_IPV6 = 0x86DD
ICMPV6, FILTER = 58, 1  # and ICMPV6_FILTER
SOLICITATION, ADVERTISEMENT = 135, 136  # RFC 4861, section 4
LINK_LAYER_ADDRESS = 2  # the option of an answer
ALL_GROUPS = b"\xff\x02" + bytes(9) + b"\x01\xff"  # the beginning of a solicited-node address (RFC 4291, section 2.7.1)
# Hardware and protocol type, their lengths, operation; then both MACs and addresses (RFC 826).
ARP = struct.Struct("!HHBBH6s4s6s4s")
REQUEST, REPLY = 1, 2
BROADCAST, NOBODY = b"\xff" * 6, b"\0" * 6
PROBES = 2  # a network may lose one


def find(wanted, state):
    """Return ``{address: (link, MAC)}`` of new addresses that somebody has; waits ``wanted.probe`` seconds.

    :raises OSError: the question cannot be put.
    """
    asked = {}
    for address in _new(wanted, state):
        route = state.matches[address]
        link = state.links.get(route.dev) if route else None
        if link and link.up and not link.loopback and not link.is_ours and len(link.mac) == 17 and route.kind == 1:
            asked.setdefault((link.name, ":" in address), (link, []))[1].append(address)
    return _ask(asked, wanted.probe) if wanted.probe > 0 else {}


def _new(wanted, state):
    """Return the addresses that no endpoint and no link of this host answers for yet."""
    for one in wanted.endpoints:
        yield from one.addresses
    for one in wanted.proxies:
        have = state.proxied.get(one.interface, ())
        yield from (address for address in one.addresses if address not in have)


def _ask(asked, seconds):
    sockets, questions, found = {}, [], {}
    with ExitStack() as opened:
        for (_name, six), (link, addresses) in asked.items():
            if six and link.settings.get("ipv6/conf/disable_ipv6") != "0":
                continue
            protocol = 0 if six else ETH_P_ARP
            sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.htons(protocol))
            opened.callback(sender.close)
            sender.bind((link.name, protocol))
            hearer = sender
            if six:
                hearer = _hearer(link)
                opened.callback(hearer.close)
            sockets[hearer] = (link, {_packed(one) for one in addresses}, _advertised if six else _replied)
            questions += [(sender, (_solicitation if six else _question)(link, _packed(one))) for one in addresses]
        for _probe in range(PROBES):
            for sender, question in questions:
                sender.send(question)
            _hear(sockets, seconds / PROBES, found)
    return found


def _hearer(link):
    """Return a socket that gets the advertisements that come to a link, and nothing else."""
    one = socket.socket(socket.AF_INET6, socket.SOCK_RAW | socket.SOCK_CLOEXEC, ICMPV6)
    # A bit for each type that is kept out (RFC 3542, section 3.2).
    mask = [0xFFFFFFFF] * 8
    mask[ADVERTISEMENT >> 5] &= ~(1 << (ADVERTISEMENT & 31))
    one.setsockopt(ICMPV6, FILTER, struct.pack("=8I", *mask))
    one.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, link.name.encode())
    return one


def _packed(address):
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def _mac(link):
    return bytes(int(byte, 16) for byte in link.mac.split(":"))


def _question(link, address):
    mac = _mac(link)
    body = ARP.pack(1, 0x0800, 6, 4, REQUEST, mac, b"\0" * 4, NOBODY, address)
    return BROADCAST + mac + struct.pack("!H", ETH_P_ARP) + body


def _solicitation(link, address):
    """Return the frame by which a host looks whether an address that it is about to take is free (RFC 4862, 5.4.2)."""
    group = ALL_GROUPS + address[-3:]
    body = struct.pack("!BBHI", SOLICITATION, 0, 0, 0) + address
    whole = bytes(16) + group + struct.pack("!II", len(body), ICMPV6) + body
    words = sum(struct.unpack(f"!{len(whole) // 2}H", whole))
    words = (words & 0xFFFF) + (words >> 16)
    checksum = ~((words & 0xFFFF) + (words >> 16)) & 0xFFFF
    header = struct.pack("!IHBB", 6 << 28, len(body), ICMPV6, 255) + bytes(16) + group
    frame = b"\x33\x33" + group[-4:] + _mac(link) + struct.pack("!H", ETH_P_IPV6)
    return frame + header + body[:2] + struct.pack("!H", checksum) + body[4:]


def _replied(data):
    """Return the address and the MAC that a frame of ARP is about, whoever was asked; None: too short."""
    if len(data) < 14 + ARP.size:
        return None
    words = ARP.unpack_from(data, 14)
    # Whoever speaks of itself as the owner of the address, in an answer or of its own accord.
    return words[6], words[5]


def _advertised(data):
    """Return the address and the MAC of an advertisement; None: it does not tell."""
    if len(data) < 32 or data[0] != ADVERTISEMENT or data[24] != LINK_LAYER_ADDRESS:
        return None
    return data[8:24], data[26:32]


def _hear(sockets, seconds, found):
    deadline = time.monotonic() + seconds
    while sockets and time.monotonic() < deadline:
        ready = select.select(list(sockets), [], [], max(0.0, deadline - time.monotonic()))[0]
        for one in ready:
            link, addresses, read = sockets[one]
            address, mac = read(one.recv(2048)) or (None, b"")
            if address in addresses and mac != _mac(link):
                text = ":".join(f"{byte:02x}" for byte in mac)
                found[str(ipaddress.ip_address(address))] = (link.name, text)
