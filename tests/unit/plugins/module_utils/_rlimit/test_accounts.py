# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The users of this machine, as domains of limits.conf mean them."""

import grp
import pwd

from ansible_collections.hostcraft.linux.plugins.module_utils._rlimit import accounts, precedence


def test_everybody_who_is_listed_with_the_groups_that_are_asked_for():
    group = grp.getgrgid(0).gr_name
    people = {one.name: one for one in accounts.people(["daemon", f"@{group}", "1000:"])}
    assert set(people) == {entry.pw_name for entry in pwd.getpwall()}
    assert people["root"].groups == {group}
    assert people["daemon"].uid == pwd.getpwnam("daemon").pw_uid
    assert people["daemon"].groups == frozenset()


def test_what_can_be_no_name_means_nobody():
    domains = ["a\0b", "@a\0b", "nobody-here", "@nobody-here", "%", "x:y"]
    found = precedence.meant(domains, accounts.people(domains))
    assert set().union(*found.values()) == set()
