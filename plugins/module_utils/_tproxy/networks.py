# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of networks, read and aggregated. Pure.

Private to the collection; not a public interface.
"""

import bisect
import ipaddress
import re

from .._core.reconcile import ReconcileError
from .model import Networks

BITS = {4: 32, 6: 128}
# An IPv4 network in the usual words; anything else is left to ipaddress, which takes ten times as long.
BYTE = r"(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
USUAL = re.compile(rf"{BYTE}[.]{BYTE}[.]{BYTE}[.]{BYTE}(?:/(3[0-2]|[12]?[0-9]))?\Z").match


def parse(texts, what):
    """Return the :class:`Networks` of a list of addresses and prefixes, aggregated: neighbours are joined.

    Plain numbers, not objects, as there may be tens of thousands.

    :raises ReconcileError: names ``what`` and the one that is no network, or has bits behind its prefix.
    """
    found = {4: [], 6: []}
    for text in texts or ():
        usual = USUAL(text)
        if usual:
            one, two, three, four, length = usual.groups("32")
            number, length = int(one) << 24 | int(two) << 16 | int(three) << 8 | int(four), int(length)
            if not number & 0xFFFFFFFF >> length:
                found[4].append((number, length))
                continue
        try:
            network = ipaddress.ip_network(text)
        except ValueError as error:
            raise ReconcileError(f"{what}: '{text}' is no network: {error}") from error
        found[network.version].append((int(network.network_address), network.prefixlen))
    return Networks(_aggregated(found[4], 32), _aggregated(found[6], 128))


def _aggregated(pairs, bits):
    """Return the least number of networks with the same addresses, sorted."""
    done = []
    for pair in sorted(set(pairs)):
        if done and _covers(done[-1], pair, bits):
            continue
        done.append(pair)
        while len(done) > 1 and _are_halves(done[-2], done[-1], bits):
            done.pop()
            done[-1] = (done[-1][0], done[-1][1] - 1)
    return tuple(done)


def _covers(wide, narrow, bits):
    return wide[1] <= narrow[1] and wide[0] >> (bits - wide[1]) == narrow[0] >> (bits - wide[1])


def _are_halves(low, high, bits):
    size = 1 << (bits - low[1])
    return low[1] == high[1] > 0 and low[0] + size == high[0] and not low[0] & size


def text(family, network):
    """Return a network in the usual words; a single address without its prefix."""
    number, length = network
    if family == 4:
        address = f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    else:
        address = str(ipaddress.IPv6Address(number))
    return address if length == BITS[family] else f"{address}/{length}"


def texts(networks):
    """Return all of :class:`Networks` in the usual words."""
    return [text(family, one) for family in (4, 6) for one in networks.of(family)]


def contain(networks, address):
    """Tell whether one of the networks has the address."""
    one = ipaddress.ip_address(address)
    number, bits, many = int(one), BITS[one.version], networks.of(one.version)
    # They are sorted and have nothing in common: the last that begins before the address has it, or none.
    place = bisect.bisect_right(many, (number, bits)) - 1
    return place >= 0 and _covers(many[place], (number, bits), bits)


def union(first, second):
    """Return the networks of both."""
    return Networks(_aggregated(first.v4 + second.v4, 32), _aggregated(first.v6 + second.v6, 128))
