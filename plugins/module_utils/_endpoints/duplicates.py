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

ETH_P_ARP = 0x0806
# Hardware and protocol type, their lengths, operation; then both MACs and addresses (RFC 826).
ARP = struct.Struct("!HHBBH6s4s6s4s")
REQUEST, REPLY = 1, 2
BROADCAST, NOBODY = b"\xff" * 6, b"\0" * 6
PROBES = 2  # a network may lose one


def find(wanted, state):
    """Return ``{address: (link, MAC)}`` of new IPv4 addresses that somebody has; waits ``wanted.probe`` seconds.

    :raises OSError: the question cannot be put.
    """
    asked = {}
    for address in _new(wanted, state):
        route = state.matches[address]
        link = state.links.get(route.dev) if route else None
        if link and link.up and not link.loopback and not link.is_ours and len(link.mac) == 17 and route.kind == 1:
            asked.setdefault(link.name, (link, []))[1].append(address)
    return _ask(asked, wanted.probe) if wanted.probe > 0 else {}


def _new(wanted, state):
    """Return the addresses that no endpoint and no link of this host answers for yet."""
    for one in wanted.endpoints:
        yield from one.family(4)
    for one in wanted.proxies:
        have = state.proxied.get(one.interface, ())
        yield from (address for address in one.addresses if ":" not in address and address not in have)


def _ask(asked, seconds):
    sockets, found = {}, {}
    try:
        for link, addresses in asked.values():
            one = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.htons(ETH_P_ARP))
            sockets[one] = (link, {socket.inet_aton(address) for address in addresses})
            one.bind((link.name, ETH_P_ARP))
        for _probe in range(PROBES):
            for one, (link, addresses) in sockets.items():
                for address in addresses:
                    one.send(_question(link, address))
            _hear(sockets, seconds / PROBES, found)
    finally:
        for one in sockets:
            one.close()
    return found


def _question(link, address):
    mac = bytes(int(byte, 16) for byte in link.mac.split(":"))
    body = ARP.pack(1, 0x0800, 6, 4, REQUEST, mac, b"\0" * 4, NOBODY, address)
    return BROADCAST + mac + struct.pack("!H", ETH_P_ARP) + body


def _hear(sockets, seconds, found):
    deadline = time.monotonic() + seconds
    while sockets and time.monotonic() < deadline:
        ready = select.select(list(sockets), [], [], max(0.0, deadline - time.monotonic()))[0]
        for one in ready:
            data = one.recv(2048)
            if len(data) < 14 + ARP.size:
                continue
            words = ARP.unpack_from(data, 14)
            link, addresses = sockets[one]
            mac = ":".join(f"{byte:02x}" for byte in words[5])
            # Whoever speaks of itself as the owner of the address, in an answer or of its own accord.
            if words[6] in addresses and mac != link.mac:
                found[str(ipaddress.IPv4Address(words[6]))] = (link.name, mac)
