# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ranges of ports, read, added and taken away. Pure.

Private to the collection; not a public interface.
"""

import re

from .._core.reconcile import ReconcileError
from .model import ALL_PORTS


def parse(texts, what):
    """Return the sorted, disjoint ranges of a list such as ``["80", "8000-8099"]``.

    :raises ReconcileError: names ``what`` and the one that is no port.
    """
    found = []
    for text in texts or ():
        match = re.match(r"(\d+)(?:-(\d+))?\Z", str(text).strip())
        low, high = (int(match.group(1)), int(match.group(2) or match.group(1))) if match else (1, 0)
        if not 0 < low <= high <= ALL_PORTS[0][1]:
            raise ReconcileError(f"{what}: '{text}' is no port from 1 to 65535, and no range of them such as 8000-8099")
        found.append((low, high))
    return joined(found)


def joined(ranges):
    """Return ranges that mean the same, sorted and disjoint."""
    done = []
    for low, high in sorted(ranges):
        if done and low <= done[-1][1] + 1:
            done[-1] = (done[-1][0], max(high, done[-1][1]))
        else:
            done.append((low, high))
    return tuple(done)


def without(ranges, gone):
    """Return what is left of ranges."""
    left = list(ranges)
    for low, high in gone:
        left = [
            part for one in left for part in ((one[0], min(one[1], low - 1)), (max(one[0], high + 1), one[1]))
            if part[0] <= part[1]
        ]  # fmt: skip
    return joined(left)


def texts(ranges):
    """Return ranges in the words of the options."""
    return [str(low) if low == high else f"{low}-{high}" for low, high in ranges]


def contain(ranges, port):
    """Tell whether a port is in one of the ranges."""
    return any(low <= port <= high for low, high in ranges)
