# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must hold between the rungs, on any machine. Never a time of its own: that says more of the machine."""

from tests.bench.ladder.rounds import Row

# A rung, one that must be faster, and how many times at least.
FASTER = (
    ("recvmmsg", "socket_filter", 1.0),
    ("recvmmsg", "input", 1.0),
    ("input_conntrack", "input", 1.0),
    ("socket_filter", "raw", 1.0),
    ("input", "raw", 1.0),
    ("raw", "tc", 1.0),
    ("nftables", "tc", 1.0),
    ("tc", "generic", 1.0),
    ("generic", "native", 1.5),
    ("raw", "ours", 4.0),
    ("nftables_set", "ours", 4.0),
)


def broken(rows: dict[str, Row]) -> list[str]:
    """Return a sentence for each ordering that does not hold."""
    return [
        f"{rows[fast].title} ({rows[fast].least:.0f} ns) is {rows[slow].least / rows[fast].least:.2f} times as fast as "
        f"{rows[slow].title} ({rows[slow].least:.0f} ns), not {factor:g} times or more"
        for slow, fast, factor in FASTER
        if rows[slow].least < rows[fast].least * factor
    ]
