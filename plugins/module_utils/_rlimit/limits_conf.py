# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of limits.conf(5): what it says, and how it is changed line by line.

The rules are those of pam_limits(8): a later line wins over an earlier one for the same domain.
Private to the collection; not a public interface.
"""

import re
from typing import NamedTuple

from .._core.reconcile import ReconcileError
from .model import HEADER
from .resources import RESOURCES, UNLIMITED, UNLIMITED_WORDS, Limit, show

# limits.conf(5): user, @group, *, uid ranges min:max, min:, :max, and the same after @ for gids.
DOMAIN = re.compile(r"(\*|@?\d*:\d+|@?\d+:|@?[^\s#@%:*]+)\Z")


MAIN_FILE = "/etc/security/limits.conf"
DIRECTORY = "/etc/security/limits.d"


class Entry(NamedTuple):
    """One line that sets a limit, or with ``item`` empty frees its domain of all limits; ``line`` counts from 0."""

    line: int
    domain: str
    kind: str
    item: str
    value: str

    def __str__(self):
        return " ".join(self[1:]).rstrip()

    @property
    def frees(self):
        """Whether it is a line as ``bob -``: whoever is meant gets no limit at all, whatever else is there."""
        return not self.item

    def contradicts(self, limit):
        """Tell whether the entry sets a side that ``limit`` sets as well, to something else."""
        value = value_of(self.item, self.value)
        sides = {"soft": (limit.soft,), "hard": (limit.hard,), "-": limit}.get(self.kind, ())
        return value is not None and any(side is not None and side != value for side in sides)


def check_domain(domain):
    """Refuse a domain that pam_limits would not apply to a resource.

    :raises ReconcileError: says why, and what to write instead.
    """
    if domain.startswith("%"):
        raise ReconcileError(
            "session '{}': pam_limits takes '%' only for maxlogins, which is no resource limit; "
            "write '@{}' to limit the members of a group".format(domain, domain[1:] or "GROUP")
        )
    if not DOMAIN.match(domain):
        raise ReconcileError(
            f"session '{domain}': not a domain of limits.conf; write a user, @group, * or a range of uids "
            "as 1000:1999, 1000: or :1000"
        )


def order(path):
    """Sort key for the files that pam_limits reads: limits.conf, then limits.d by base name."""
    directory, _slash, base = path.rpartition("/")
    return (path != MAIN_FILE, base, directory)


def is_read(path):
    """Tell whether pam_limits reads ``path`` when its ``conf=`` option is not used."""
    return path == MAIN_FILE or (path.rpartition("/")[0] == DIRECTORY and path.endswith(".conf"))


def parse(text):
    """Return the entries of a file, in order; comments and what is no entry are passed over."""
    found = []
    for number, line in enumerate(text.splitlines()):
        words = line.partition("#")[0].split(None, 3)
        if len(words) == 2 and words[1][0] == "-" and words[0] != "*":  # nobody is freed by "* -"
            found.append(Entry(number, words[0], "-", "", ""))
        if len(words) == 4:
            found.append(Entry(number, words[0], words[1].lower(), words[2].lower(), words[3].strip().lower()))
    return found


def value_of(name, text):
    """Return the value of an entry in the kernel's unit, or None when pam_limits ignores it."""
    resource = RESOURCES[name]
    if resource.kind == "nice":
        if not re.match(r"[+-]?\d+", text):
            return None
        return 20 - max(-20, min(19, int(re.match(r"[+-]?\d+", text).group())))
    if text in UNLIMITED_WORDS or text == "-":
        return UNLIMITED
    match = re.match(r"\d+", text)
    return min(UNLIMITED, int(match.group()) * resource.pam_unit) if match else None


def text_of(name, value):
    """Return what an entry must say for ``value`` (kernel's unit).

    :raises ReconcileError: limits.conf cannot express it.
    """
    resource = RESOURCES[name]
    if resource.kind == "nice":
        if not 1 <= value <= 40:
            raise ReconcileError(f"nice: limits.conf takes nice levels from -20 to 19, not {show(name, value)}")
        return str(20 - value)
    if value == UNLIMITED:
        return "unlimited"
    if value % resource.pam_unit:
        unit = "minutes" if resource.kind == "seconds" else "KiB"
        raise ReconcileError(
            f"{name}: limits.conf counts in whole {unit}, and {value} is not a multiple of {resource.pam_unit}; "
            "round it, or leave out 'sessions'"
        )
    return str(value // resource.pam_unit)


def limits(text):
    """Return what a file sets: ``{(domain, resource): Limit}``, the last line winning."""
    found = {}
    for entry in parse(text):
        if entry.item in RESOURCES:
            key, value = (entry.domain, entry.item), value_of(entry.item, entry.value)
            before = found.get(key, Limit(None, None))
            found[key] = Limit(
                value if entry.kind in ("soft", "-") else before.soft,
                value if entry.kind in ("hard", "-") else before.hard,
            )
    return found


def render(wanted, others=()):
    """Return the whole text of a file that the module owns, or None when nothing is left in it.

    :param wanted: ``{(domain, resource): Limit}``.
    :param others: entries for items that are no resource limits; they are kept.
    """
    lines = [line for key in sorted(wanted) for line in _lines(key, wanted[key])]
    lines += [str(entry) for entry in others]
    return HEADER + "".join(line + "\n" for line in lines) if lines else None


def edit(text, wanted):
    """Return ``text`` with the limits in ``wanted`` set; all other lines stay as they are.

    :param wanted: ``{(domain, resource): Limit}``; None instead of a limit removes its lines.
    """
    lines = text.splitlines()
    have = limits(text)
    for key in sorted(wanted):
        if wanted[key] == have.get(key):
            continue
        places = [entry.line for entry in parse("\n".join(lines)) if (entry.domain, entry.item) == key]
        new = [] if wanted[key] is None else _lines(key, wanted[key])
        if places and new:
            comment = lines[places[-1]].partition("#")[2]
            new[-1] += " #" + comment if comment else ""
        at = places[-1] if places else _end(lines)
        lines[at : at + bool(places)] = new
        for place in reversed(places[:-1]):
            del lines[place]
    return "".join(line + "\n" for line in lines)


def _end(lines):
    """New entries go before the closing comment that distributions ship."""
    closing = [number for number, line in enumerate(lines) if re.match(r"#\s*end of file", line, re.IGNORECASE)]
    return closing[-1] if closing else len(lines)


def _lines(key, limit):
    domain, name = key
    sides = (("-", limit.hard),) if limit.soft == limit.hard else zip(("soft", "hard"), limit)
    return [f"{domain} {kind} {name} {text_of(name, value)}" for kind, value in sides if value is not None]
