# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of prefixes, a line each, perhaps a million: read into numbers, and written again.

Private to the collection; not a public interface.
"""

import ipaddress
import itertools
import operator
import os
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton

from .._core.reconcile import ReconcileError
from .model import Prefixes

MOST_ERRORS = 5  # that are told at once
LENGTHS = {str(length): length for length in range(33)}
HOST_BITS = [(1 << (32 - length)) - 1 for length in range(33)]
COMMENTS = "#;"  # as the lists that are published have them


def read(path):
    """Return the :class:`Prefixes` in a file.

    :raises ReconcileError: it cannot be read, or has lines that are no prefixes; the first of them with their numbers.
    """
    try:
        with open(path, encoding="ascii", errors="surrogateescape") as stream:
            lines = stream.read().splitlines()
    except OSError as error:
        raise ReconcileError(f"Cannot read the prefixes in {path}: {error.strerror}", path=path) from error
    return parsed(lines, lambda number: f"{os.path.abspath(path)}, line {number}")


def parsed(lines, place):
    """Return the :class:`Prefixes` in lines of text.

    :param place: ``place(number) -> text`` says where a line is, counted from 1.
    :raises ReconcileError: names the place of what is no prefix, and what is wrong with it.
    """
    four, six, errors = [], [], []
    for number, line in enumerate(lines, 1):
        address, slash, length = line.partition("/")
        try:
            network = int.from_bytes(inet_pton(AF_INET, address), "big")
            bits = LENGTHS[length] if slash else 32
            if network & HOST_BITS[bits]:
                raise ValueError
            four.append(network << 6 | bits)
        except (OSError, KeyError, ValueError):
            try:
                _other(line, four, six)
            except ValueError as error:
                errors.append(f"{place(number)}: {error}")
                if len(errors) == MOST_ERRORS:
                    break
    if errors:
        raise ReconcileError("No prefixes: " + "; ".join(errors))
    return Prefixes(_distinct(four), _distinct(six))


def _distinct(numbers):
    """Return numbers sorted, each once; of a million that takes a tenth of what a set or dict of them does."""
    numbers.sort()  # lists are mostly sorted already
    return tuple(itertools.compress(numbers, map(operator.ne, numbers, itertools.chain((None,), numbers))))


def shown(prefixes):
    """Return the texts of prefixes, as they can be declared."""
    found = [f"{inet_ntop(AF_INET, (number >> 6).to_bytes(4, 'big'))}/{number & 63}" for number in prefixes.four]
    return found + [f"{inet_ntop(AF_INET6, (one >> 8).to_bytes(16, 'big'))}/{one & 255}" for one in prefixes.six]


def _other(line, four, six):
    """Add what is in a line that is not just an IPv4 prefix. Raises ``ValueError`` with what is wrong."""
    for comment in COMMENTS:
        line = line.partition(comment)[0]
    text = line.strip()
    if not text:
        return
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"'{text[:60]}' is neither an IPv4 nor an IPv6 prefix") from None
    if ipaddress.ip_interface(text).ip != network.network_address:
        raise ValueError(f"'{text}' has bits behind its length: write {network}, or {text.partition('/')[0]} alone")
    if network.version == 4:
        four.append(int(network.network_address) << 6 | network.prefixlen)
    else:
        six.append(int(network.network_address) << 8 | network.prefixlen)
