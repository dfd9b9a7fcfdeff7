# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Policy routing: what ip(8) prints of it, what a capture needs, and who else is in the way. Pure.

Text is read, not JSON: the ip(8) of CentOS 7 has none.
Private to the collection; not a public interface.
"""

from .declare import overlap, parse_mark
from .model import Rule

OPTIONS = {4: "-4", 6: "-6"}
ROUTE = ("local", "default", "dev", "lo")
TABLES = {"local": 255, "main": 254, "default": 253}
# Who is known to use a mark or a table: rules of ip-rule(8) have no owner.
MARKS = {0x539: "Istio", 0x80000: "Tailscale", 0xCA6C: "wg-quick (WireGuard)", 0x2023: "sing-box", 0x200: "Cilium"}
NUMBERS = {133: "Istio", 52: "Tailscale", 51820: "wg-quick (WireGuard)", 2004: "Cilium", 2005: "Cilium"}


def rules(family, shown, tables):
    """Return the :class:`Rule` tuple of what ``ip rule show`` printed.

    :param tables: the numbers of routing tables by name, beside those that every host has.
    """
    found = []
    for line in shown.splitlines():
        number, colon, text = line.partition(":")
        words = text.split()
        if not colon or not words:
            continue
        values = dict(zip(words, words[1:]))
        mark = parse_mark(values["fwmark"], "ip rule") if "fwmark" in values and words[0] != "not" else None
        name = values.get("lookup", values.get("table", ""))
        table = dict(TABLES, **tables).get(name, int(name) if name.isdigit() else None)
        plain = words[:2] == ["from", "all"] and set(words[::2]) <= {"from", "fwmark", "lookup", "proto", "protocol"}
        found.append(Rule(family, int(number), mark, table, " ".join(words), plain))
    return tuple(found)


def is_met(rule, routing):
    """Tell whether a rule is the one that a capture has."""
    return rule.plain and (rule.priority, rule.mark, rule.table) == (routing.priority, routing.mark, routing.table)


def missing(routing, place):
    """Return the (family, "rule" or "route") that a capture needs and the namespace has not."""
    found = []
    for family in routing.families:
        if not any(is_local(route) for route in place.routes.get((family, routing.table), ())):
            found.append((family, "route"))
        if not any(rule.family == family and is_met(rule, routing) for rule in place.rules):
            found.append((family, "rule"))
    return found


def left(routing, place):
    """Return the (family, "rule" or "route") that are there of a routing."""
    every = [(family, kind) for family in routing.families for kind in ("rule", "route")]
    gone = missing(routing, place)
    return [one for one in every if one not in gone]


def is_local(route):
    """Tell whether a route sends everything to this host."""
    return tuple(route.split()[:4]) == ROUTE


def command(verb, family, kind, routing):
    """Return the argument list of ip(8) that adds or deletes (``add``, ``del``) a rule or a route."""
    if kind == "route":
        return ["ip", OPTIONS[family], "route", verb, *ROUTE, "table", str(routing.table)]
    selector = ["pref", str(routing.priority), "fwmark", str(routing.mark), "lookup", str(routing.table)]
    return ["ip", OPTIONS[family], "rule", verb, *selector]


def shown(family, kind, routing):
    """Describe a rule or a route of a capture."""
    if kind == "route":
        return f"IPv{family} default to this host in table {routing.table}"
    return f"IPv{family} mark {routing.mark} to table {routing.table} at priority {routing.priority}"


def foreign(routing, own, others, place):
    """Return what of others is in the way of a routing, as texts; none when it is free.

    :param own: routings of the same capture, that it has had.
    :param others: {name of a capture: its routing}.
    """
    found = []
    for rule in place.rules:
        if rule.family not in routing.families or any(is_met(rule, one) for one in (routing, *own)):
            continue
        marked = rule.mark is not None and overlap(rule.mark, routing.mark)
        first = _comes_first(rule, routing)
        if marked or rule.table == routing.table or first:
            whose = _owner(rule, others)
            if first and not marked and rule.table != routing.table:
                whose += f"; it is asked first, and what it meets would pass by: {_way_past(rule)}"
            found.append(f"'ip {OPTIONS[rule.family]} rule' {rule.priority}: {rule.text} ({whose})")
    for family in routing.families:
        for route in place.routes.get((family, routing.table), ()):
            if not is_local(route):
                owner = NUMBERS.get(routing.table)
                owner = f"as {owner} has it" if owner else "somebody else's"
                found.append(f"a route in table {routing.table}: {route} ({owner})")
    found += [
        f"capture '{name}' with mark {one.mark} and table {one.table}"
        for name, one in others.items()
        if overlap(one.mark, routing.mark) or one.table == routing.table
    ]
    return list(dict.fromkeys(found))


def _comes_first(rule, routing):
    """Tell whether a rule is asked earlier and may take packets with the mark of a capture, whatever else it asks for.

    That of wg-quick takes what does not have its mark. What the local table leads to is here already.
    """
    earlier = rule.priority <= routing.priority and rule.table != TABLES["local"] and not rule.text.endswith(" nop")
    return earlier and (rule.mark is None or overlap(rule.mark, routing.mark))


def _way_past(rule):
    if rule.priority > 1:
        return f"choose a priority below {rule.priority} for the capture, or a later one for that rule"
    return "give that rule a later priority"


def _owner(rule, others):
    for name, routing in others.items():
        if is_met(rule, routing):
            return f"capture '{name}'"
    known = (MARKS.get(rule.mark.value) if rule.mark else None) or NUMBERS.get(rule.table)
    return f"as {known} has it" if known else "somebody else's"
