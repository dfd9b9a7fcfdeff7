# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The 16 resources of Linux and their units: what users write, what is shown, what the kernel has.

Values are kept in the kernel's own unit everywhere (setrlimit(2)): bytes, seconds, microseconds,
numbers, and for ``nice`` the ceiling 20 - n. Private to the collection; not a public interface.
"""

import re
from typing import NamedTuple, Optional

from .._core.reconcile import ReconcileError

# RLIM64_INFINITY, include/uapi/linux/resource.h: larger than every other value, so it compares well.
UNLIMITED = 2**64 - 1
UNLIMITED_WORDS = ("unlimited", "infinity", "-1")
LARGEST = 2**63 - 1  # what a signed rlim_t of the C library and Python's resource module can carry

SIZES = {"": 1, "B": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50, "E": 2**60}

# systemd.time(7), in microseconds.
TIMES = {
    "us usec µs": 1,
    "ms msec": 10**3,
    "s sec second seconds": 10**6,
    "m min minute minutes": 60 * 10**6,
    "h hr hour hours": 3600 * 10**6,
    "d day days": 86400 * 10**6,
    "w week weeks": 604800 * 10**6,
}
MICROSECONDS = {name: factor for names, factor in TIMES.items() for name in names.split()}


class Resource(NamedTuple):
    """One resource: its name, number, kind and the kernel units in one unit of limits.conf(5)."""

    name: str
    number: int
    kind: str
    pam_unit: int = 1

    @property
    def directive(self):
        """The name that systemd.exec(5) has for it."""
        return "Limit" + self.name.upper()


# Numbers: include/uapi/asm-generic/resource.h. Units: setrlimit(2), limits.conf(5).
RESOURCES = {
    one.name: one
    for one in (
        Resource("as", 9, "bytes", 1024),
        Resource("core", 4, "bytes", 1024),
        Resource("cpu", 0, "seconds", 60),
        Resource("data", 2, "bytes", 1024),
        Resource("fsize", 1, "bytes", 1024),
        Resource("locks", 10, "number"),
        Resource("memlock", 8, "bytes", 1024),
        Resource("msgqueue", 12, "bytes"),
        Resource("nice", 13, "nice"),
        Resource("nofile", 7, "number"),
        Resource("nproc", 6, "number"),
        Resource("rss", 5, "bytes", 1024),
        Resource("rtprio", 14, "number"),
        Resource("rttime", 15, "microseconds"),
        Resource("sigpending", 11, "number"),
        Resource("stack", 3, "bytes", 1024),
    )
}

EXPECTED = {
    "bytes": "write bytes, a size to the base of 1024 as 64K or 8G, or 'unlimited'",
    "seconds": "write whole seconds, a duration as 90s, 5min or 2h, or 'unlimited'",
    "microseconds": "write microseconds, a duration as 500ms or 2s, or 'unlimited'",
    "nice": "write a nice level from 20 (may not be raised at all) to -20",
    "number": "write a whole number or 'unlimited'",
}


class Limit(NamedTuple):
    """A soft and a hard limit in the kernel's unit; None leaves that one as it is."""

    soft: Optional[int]
    hard: Optional[int]

    def over(self, below):
        """Return this limit with the sides that it leaves alone taken from ``below``.

        A hard limit that comes to lie under the soft one takes the soft one down with it.
        """
        hard = below.hard if self.hard is None else self.hard
        soft = below.soft if self.soft is None else self.soft
        if self.soft is None and None not in (soft, hard):
            soft = min(soft, hard)
        return Limit(soft, hard)


UNSET = Limit(None, None)


def parse_limit(name, value):
    """Read what a user wrote for a resource and return a :class:`Limit`.

    :param name: the resource, a key of ``RESOURCES``.
    :param value: a number, a text as ``64K``, ``5min``, ``unlimited`` or ``soft:hard``, or a dict
        with ``soft`` and ``hard``.
    :raises ReconcileError: names the resource, what was found and what would be right.
    """
    if isinstance(value, dict):
        unknown = sorted(set(value) - {"soft", "hard"})
        if unknown or not value:
            found = f"unknown key {unknown[0]}" if unknown else "nothing"
            raise ReconcileError(f"{name}: give 'soft', 'hard' or both; found {found}")
        soft, hard = value.get("soft"), value.get("hard")
    else:
        soft, colon, hard = str(value).partition(":")
        hard = hard if colon else soft
    limit = Limit(*(None if one is None else parse_value(name, one) for one in (soft, hard)))
    if limit == UNSET:
        raise ReconcileError(f"{name}: give 'soft', 'hard' or both; found neither")
    check_order(name, name, limit, "lower the soft or raise the hard one")
    return limit


def check_order(subject, name, limit, remedy):
    """Refuse a soft limit above its hard limit, as setrlimit(2) would (EINVAL).

    :raises ReconcileError: begins with ``subject`` and ends with ``remedy``.
    """
    if None not in limit and limit.soft > limit.hard:
        soft, hard = (show(name, side) for side in limit)
        raise ReconcileError(f"{subject}: the soft limit {soft} is above the hard limit {hard}; {remedy}")


def parse_value(name, value):
    """Return one value of a resource in the kernel's unit.

    :raises ReconcileError: names the resource, what was found and what would be right.
    """
    text = str(value).strip()
    kind = RESOURCES[name].kind
    if text in UNLIMITED_WORDS and (kind != "nice" or text != "-1"):
        return UNLIMITED
    number = {"bytes": _size, "seconds": _seconds, "microseconds": _microseconds, "nice": _nice}.get(kind, _number)(
        text
    )
    if number is None or not 0 <= number <= LARGEST:
        raise ReconcileError(f"{name}: '{text}' is not a limit; {EXPECTED[kind]}")
    return number


def show(name, value):
    """Return a value as a user would write it: an int in the unit of the options, or 'unlimited'."""
    if value == UNLIMITED:
        return "unlimited"
    return 20 - value if RESOURCES[name].kind == "nice" else value


def show_limit(name, limit):
    """Return ``soft:hard``, as steps and diffs have it; a side that is left alone is a ``-``."""
    return ":".join("-" if value is None else str(show(name, value)) for value in limit)


def _number(text):
    return int(text) if re.match(r"\d+\Z", text) else None


def _size(text):
    match = re.match(r"(\d+)\s*([BKMGTPE]?)(iB)?\Z", text, re.IGNORECASE)
    return int(match.group(1)) * SIZES[match.group(2).upper()] if match else None


def _seconds(text):
    if re.match(r"\d+\Z", text):
        return int(text)
    number = _microseconds(text)
    return None if number is None or number % 10**6 else number // 10**6


def _microseconds(text):
    """Read a number of microseconds or a time span of systemd.time(7) as ``1min 30s``."""
    if re.match(r"\d+\Z", text):
        return int(text)
    if not re.match(r"(\d+\s*[a-zµ]+\s*)+\Z", text):
        return None
    parts = [(int(number), MICROSECONDS.get(unit)) for number, unit in re.findall(r"(\d+)\s*([a-zµ]+)", text)]
    return None if any(factor is None for _n, factor in parts) else sum(number * factor for number, factor in parts)


def _nice(text):
    """RLIMIT_NICE is a ceiling: nice may be raised to 20 - rlim_cur (getrlimit(2))."""
    match = re.match(r"[+-]?\d+\Z", text)
    return 20 - int(text) if match and -20 <= int(text) <= 20 else None
