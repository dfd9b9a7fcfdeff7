# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The users of the host and their groups (passwd(5), group(5), nsswitch.conf(5)).

Private to the collection; not a public interface.
"""

import grp
import os
import pwd

from .precedence import Person

UNKNOWN = (KeyError, ValueError)  # the latter for what can be no name, with a NUL byte in it


def people(domains):
    """Return the users whom domains can mean: those that the host lists, and those that are named.

    A directory that does not list its users (sssd(8), enumerate) is asked only for the named ones.
    """
    entries = {entry.pw_name: entry for entry in pwd.getpwall()}
    for name in domains:
        if name[0] not in "@*%" and ":" not in name and name not in entries:
            entries[name] = _user(name)
    groups = {domain[1:]: _gid(domain[1:]) for domain in domains if domain[0] == "@" and ":" not in domain}
    grouped = any(domain[0] == "@" for domain in domains)  # to ask for the groups of each costs the most
    found = []
    for name, entry in entries.items():
        if entry:
            gids = frozenset(os.getgrouplist(name, entry.pw_gid) if grouped else ())
            mine = frozenset(group for group, gid in groups.items() if gid in gids)
            found.append(Person(name, entry.pw_uid, entry.pw_gid, gids, mine))
    return found


def _user(name):
    try:
        return pwd.getpwnam(name)
    except UNKNOWN:
        return None


def _gid(group):
    try:
        return grp.getgrnam(group).gr_gid
    except UNKNOWN:
        return None
