# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of a unit's drop-in as systemd.syntax(7) has it: what it says, and how it is changed.

Private to the collection; not a public interface.
"""

import re
from typing import NamedTuple

from .._core.reconcile import ReconcileError
from .model import HEADER
from .resources import RESOURCES, UNLIMITED, Limit, parse_value

NAMES = {one.directive: one.name for one in RESOURCES.values()}


class Setting(NamedTuple):
    """One assignment of a limit; ``line`` counts from 0."""

    line: int
    section: str
    name: str
    value: str

    def __str__(self):
        return f"{RESOURCES[self.name].directive}={self.value}"

    @property
    def limit(self):
        """The :class:`Limit` that systemd reads; None for an empty reset and for what it cannot read."""
        soft, colon, hard = self.value.partition(":")
        try:
            return Limit(_value(self.name, soft), _value(self.name, hard if colon else soft))
        except ReconcileError:
            return None


def parse(text):
    """Return the assignments of limits, in order. Continued lines are read as one."""
    found, section, pending = [], "", None
    for number, line in enumerate(text.splitlines()):
        bare = line.strip()
        if not bare or bare[0] in "#;":
            continue
        if pending:
            bare, first = pending[1] + " " + bare, pending[0]
        else:
            first = number
        if bare.endswith("\\"):
            pending = (first, bare[:-1].rstrip())
            continue
        pending = None
        if bare.startswith("["):
            section = bare.strip("[]")
            continue
        key, _equals, value = bare.partition("=")
        if key.strip() in NAMES:
            found.append(Setting(first, section, NAMES[key.strip()], value.strip()))
    return found


def _value(name, text):
    # systemd.exec(5): LimitNICE= is a nice level with a sign, the kernel's ceiling without.
    if name == "nice" and re.match(r"\d+\Z", text):
        return int(text)
    return parse_value(name, text)


def text_of(limit):
    """Return the value that gives ``limit``, both sides set, in the kernel's unit."""
    soft, hard = ("infinity" if value == UNLIMITED else str(value) for value in limit)
    return soft if soft == hard else f"{soft}:{hard}"


def limits(text, section):
    """Return what a drop-in sets: ``{resource: Limit}``, the last assignment winning."""
    found = {setting.name: setting.limit for setting in parse(text) if setting.section == section}
    return {name: limit for name, limit in found.items() if limit is not None}


def render(section, wanted):
    """Return the whole text of a drop-in that the module owns, or None when nothing is left in it."""
    if not wanted:
        return None
    lines = [f"{RESOURCES[name].directive}={text_of(wanted[name])}\n" for name in sorted(wanted)]
    return "{}[{}]\n{}".format(HEADER, section, "".join(lines))


def edit(text, section, wanted):
    """Return ``text`` with the limits in ``wanted`` set; all other lines stay as they are.

    :param wanted: ``{resource: Limit}``; None instead of a limit removes its assignments.
    """
    have = limits(text, section)
    lines = text.splitlines()
    for name in sorted(wanted):
        if wanted[name] == have.get(name):
            continue
        places = [one.line for one in parse("\n".join(lines)) if (one.section, one.name) == (section, name)]
        for place in reversed(places):
            last = place
            while lines[last].rstrip().endswith("\\") and last + 1 < len(lines):
                last += 1
            del lines[place : last + 1]
        if wanted[name] is not None:
            at = places[0] if places else _end_of(section, lines)
            lines[at:at] = [f"{RESOURCES[name].directive}={text_of(wanted[name])}"]
    return "".join(line + "\n" for line in lines)


def _end_of(section, lines):
    """Return where a new assignment goes: behind the section's last line; the section is made when missing."""
    headers = [number for number, line in enumerate(lines) if re.match(r"\s*\[.*\]\s*\Z", line)]
    ours = [number for number in headers if lines[number].strip() == f"[{section}]"]
    if not ours:
        lines.append(f"[{section}]")
        return len(lines)
    end = min([number for number in headers if number > ours[-1]] or [len(lines)])
    while not lines[end - 1].strip():
        end -= 1
    return end
