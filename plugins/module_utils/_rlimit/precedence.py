# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom the domains of limits.conf(5) mean, and which of two lines pam_limits obeys; pure.

Private to the collection; not a public interface.
"""

from typing import NamedTuple

from .limits_conf import DOMAIN

# The ranks of pam_limits; the lower one wins wherever the line stands, and of two alike the later line.
USER, GROUP, EVERYBODY = 0, 1, 2
SHOWN = 3  # names in a message


class Person(NamedTuple):
    """A user of the host; ``groups`` are the names of those groups that domains name."""

    name: str
    uid: int
    gid: int
    gids: frozenset = frozenset()
    groups: frozenset = frozenset()


def rank(domain):
    """Return the rank of a domain; a range of uids has that of a user."""
    if domain == "*":
        return EVERYBODY
    return GROUP if domain.startswith("@") else USER


def means(domain, person):
    """Tell whether pam_limits applies a line for ``domain`` to a login of ``person``.

    Groups and ``*`` do not mean root (limits.conf(5) of Debian). A range of gids is compared with the login's own
    group, a single ``@:gid`` with all of its groups.
    """
    if person.uid == 0 and rank(domain) != USER:
        return False
    if domain in ("*", person.name):
        return True
    group = domain.startswith("@")
    low, colon, high = domain.lstrip("@").partition(":")
    if not colon:
        return group and low in person.groups
    if not low:
        return int(high) in person.gids if group else int(high) == person.uid
    number = person.gid if group else person.uid
    return int(low) <= number and (not high or number <= int(high))


def meant(domains, people):
    """Return ``{domain: names}`` of the ``people`` whom each domain means; what is no domain means nobody."""
    return {
        domain: frozenset(one.name for one in people if means(domain, one))
        for domain in domains
        if DOMAIN.match(domain)
    }


def why_it_wins(entry, domain, later, found):
    """Return why pam_limits obeys ``entry`` and not a line for ``domain``; None: it does not.

    :param later: whether the file of the entry is read after that of the line.
    :param found: ``{domain: names}`` as of :func:`meant`.
    """
    other = entry.domain
    if other == domain and not entry.frees:
        return "it is read later" if later else None
    if other not in found:
        return None  # pam_limits cannot read it, or not for a limit of resources
    both = sorted(found[other] & found.get(domain, frozenset()))
    # Whoever is not listed, as in a directory, may be meant all the same.
    if not both and (domain != "*" or found[other] == {"root"}):
        return None
    if entry.frees:
        return f"it frees {_listed(both)} of every limit of pam_limits"
    if rank(other) < rank(domain):
        return f"it means {_listed(both)}, and {domain} gives way to that"
    return f"it is read later, and means {_listed(both)} too" if later and rank(other) == rank(domain) else None


def _listed(names):
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more if names else "users that are not listed"
