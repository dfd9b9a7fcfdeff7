# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose the rules of policy routing are: the kernel has them for the whole host, a declaration by link. Pure.

Private to the collection; not a public interface.
"""

import ipaddress

from .._core.reconcile import ReconcileError
from .model import ANY, Rule


def from_words(version, given):
    """Return the rule of such words as ip-rule(8) has, ``{word: value}``; None where a value is none of ours."""
    try:
        ends = [_end(given.get(key)) for key in ("from", "to")]
        return Rule(int(given["priority"]), int(given["table"]), version, *ends, given.get("iif"), given.get("fwmark"))
    except ValueError:
        return None


def _end(text):
    return None if text in (None, "all", *ANY.values()) else str(ipaddress.ip_network(text))


def given_out(state):
    """Return the state with each rule at the link that it is about, as far as that can be told.

    That is the link that its packets come in by, or the only one that has routes in its table, or that has the
    address that the packets come from.
    """
    links = {name: link._replace(rules=()) for name, link in state.links.items()}
    for rule in state.rules:
        home = _home(rule, state.links)
        if home is not None:
            links[home] = links[home]._replace(rules=(*links[home].rules, rule))
    return state._replace(links=links)


def _home(rule, links):
    if rule.iif in links:
        return rule.iif
    routed = {link.name for link in links.values() for route in link.routes if route.table == rule.table}
    source = (rule.source or "").partition("/")[0]
    holders = {link.name for link in links.values() for one in link.addresses if one.partition("/")[0] == source}
    for found in (holders, routed):
        if len(found) == 1:
            return found.pop()
    return None


def coming_in_by(name, found):
    """Return the rules that are about packets from a link; they may be there before the link is."""
    return tuple(one for one in found if one.iif == name)


def claimed(state, claims):
    """Return the state with the rules that are there at the links that claim them, and no more at others.

    :param claims: rules by link, as it is declared or as a file has it; a rule that is not there is not made up.
    """
    homes = {rule: name for name, rules in claims.items() for rule in rules or () if rule in state.rules}
    links = {}
    for name, link in state.links.items():
        kept = tuple(rule for rule in link.rules or () if homes.get(rule, name) == name)
        fresh = tuple(rule for rule, home in homes.items() if home == name and rule not in kept)
        links[name] = link if (kept, fresh) == (link.rules, ()) else link._replace(rules=kept + fresh)
    return state._replace(links=links)


def check(wanted):
    """Refuse a rule that two links declare: the host has it once."""
    homes = {}
    for link in wanted.links.values():
        for rule in link.rules or ():
            other = homes.setdefault(rule, link.name)
            if other != link.name:
                raise ReconcileError(f"{rule}: both '{other}' and '{link.name}' have it; the host has a rule once")
