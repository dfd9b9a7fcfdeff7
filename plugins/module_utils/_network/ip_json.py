# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``ip -json`` prints, read into links. Pure.

Private to the collection; not a public interface.
"""

import ipaddress
import json

from . import bridge_vlans, options
from .model import Link, Route, Rule

KINDS = {"bond": "bond", "vlan": "vlan", "bridge": "bridge"}
DEFAULT = {4: "0.0.0.0/0", 6: "::/0"}
LOCAL, MAIN, LAST = 255, 254, 253  # rtnetlink(7), RT_TABLE_LOCAL, RT_TABLE_MAIN, RT_TABLE_DEFAULT
NAMES = {"local": LOCAL, "main": MAIN, "default": LAST}
# What a rule of ours has; ip shows nothing else of one (print_rule in iproute2's ip/iprule.c).
RULE = {"priority", "src", "srclen", "dst", "dstlen", "iif", "fwmark", "fwmask", "table", "protocol"}
OURS = ("static", "boot")  # what a person or a tool set; not the kernel, a router or a DHCP client


def objects(text):
    """Return the objects of all lists in a text, one after the other; a batch of ip(8) prints one for each line.

    :raises ValueError: it is no JSON.
    """
    decode, found, text = json.JSONDecoder().raw_decode, [], text.strip()
    while text:
        some, end = decode(text)
        found += some
        text = text[end:].lstrip()
    return found


def links(shown, routed, vlans=(), tables=None):
    """Return ``{name: Link}`` of what ip printed.

    :param shown: ``ip -json -details address show``, ``routed``: pairs of the IP version and what a batch of
        ``ip -json -VERSION`` prints with routes of all tables and rules in it, ``vlans``: ``bridge -json vlan show``;
        each as Python has it.
    :param tables: the numbers of routing tables by name, beside those that every host has.
    """
    member = bridge_vlans.read(vlans)
    ways = {}
    for version, table in routed:
        for one in table:
            if one.get("protocol", "boot") in OURS and one.get("type", "unicast") == "unicast" and "dev" in one:
                ways.setdefault(one["dev"], []).append(_route(version, one, tables))
    found = {}
    for one in shown:
        name = one.get("ifname")
        if name and "LOOPBACK" not in one.get("flags", ()):
            leased, fixed = _addresses(one)
            link = _link(name, one, fixed, tuple(ways.get(name, ())))
            found[name] = link._replace(port=dict(link.port, **member.get(name, {})), dhcp4=leased)
    return found


def rules(routed, tables=None):
    """Return the rules that have the form of ours, without the kernel's own.

    :param routed: as for :func:`links`, and so ``tables``.
    """
    found = []
    for version, many in routed:
        for one in many:
            if not set(one) <= RULE:  # a route, or a rule of another form
                continue
            table = _table(one.get("table"), tables)
            if table not in (None, LOCAL, LAST) and (table, one.get("priority")) != (MAIN, 32766):
                ends = (_end(one.get(key), one.get(f"{key}len")) for key in ("src", "dst"))
                found.append(Rule(one["priority"], table, version, *ends, one.get("iif"), _mark(one)))
    return tuple(found)


def permanent(shown):
    """Return the MACs that ports of bonds have without it, ``{name: mac}``, of the same as :func:`links`."""
    found = {}
    for one in shown:
        data = one.get("linkinfo", {}).get("info_slave_data", {})
        mac = data.get("perm_hwaddr") or one.get("permaddr")
        found.update({one.get("ifname"): mac} if mac else {})
    return found


def _end(address, length):
    if address in (None, "all"):
        return None
    return str(ipaddress.ip_network(f"{address}/{length}" if length is not None else address))


def _mark(one):
    mark, mask = one.get("fwmark"), one.get("fwmask")
    return f"{mark}/{mask}" if mark is not None and mask is not None else mark


def _table(text, tables=None):
    """Return the number of a table; None for a name that nobody knows."""
    number = dict(NAMES, **(tables or {})).get(text, text)
    return int(number) if str(number).isdigit() else None


def _link(name, one, addresses, routes):
    info = one.get("linkinfo", {})
    kind = KINDS.get(info.get("info_kind"), "nic")
    data = info.get("info_data", {})
    known = _options(kind, data)
    if kind == "vlan":
        known["parent"] = one.get("link", one.get("link_index"))
    port = info.get("info_slave_data", {}) if info.get("info_slave_kind") == "bridge" else {}
    return Link(
        name,
        kind,
        known,
        one.get("master", ""),
        _read(options.PORT, port),
        one.get("mtu"),
        one.get("address"),
        addresses,
        routes,
        "UP" in one.get("flags", ()),
    )


def _options(kind, data):
    if kind == "bridge" and data.get("stp_state") and data.get("topology_change"):
        # What is shown of it is of this moment, not what was set (__br_set_topology_change() in net/bridge/br_stp.c).
        return dict(_read(options.BRIDGE, data), ageing_time=None)
    if kind != "vlan":
        return _read(options.KINDS[kind], data)
    flags = data.get("flags", ())
    found = {name: options.VLAN[name].shown in flags for name in ("reorder_headers", "gvrp", "mvrp", "loose_binding")}
    for name in ("ingress_qos_map", "egress_qos_map"):
        pairs = data.get(options.VLAN[name].shown, ())
        found[name] = tuple(sorted((pair["from"], pair["to"]) for pair in pairs))
    return dict(found, id=data.get("id"), protocol=data.get("protocol", "802.1Q"))


def _read(table, data):
    """Return the options of a table that are shown; what is not shown is not there in this mode or kernel."""
    found = {}
    for name, option in table.items():
        if option.shown in data:
            value = data[option.shown]
            if value is None and option.choices:
                value = option.choices[0]  # as ip prints arp_validate where it is none
            if option.type == "bool":
                value = bool(value)
            elif option.type == "list":
                value = tuple(value)
            found[name] = value
    return found


def _addresses(one):
    """Return whether a link has a leased IPv4 address, and the addresses that are configured."""
    leased, found = False, []
    for info in one.get("addr_info", ()):
        lent = info.get("dynamic") or info.get("temporary") or info.get("mngtmpaddr")
        leased = leased or bool(info.get("dynamic") and info.get("family") == "inet")
        if "local" in info and info.get("scope") != "link" and not lent:
            found.append("{}/{}".format(info["local"], info["prefixlen"]))
    return leased, tuple(found)


def _route(version, one, tables):
    to = one["dst"]
    if to == "default":
        to = DEFAULT[version]
    elif "/" not in to:
        to = f"{to}/{32 if version == 4 else 128}"
    table = _table(one.get("table", "main"), tables)
    via = one.get("gateway") or (one.get("via") or {}).get("host")
    return Route(str(ipaddress.ip_network(to)), via, one.get("metric"), None if table == MAIN else table).plain
