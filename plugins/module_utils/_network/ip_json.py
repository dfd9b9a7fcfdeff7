# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``ip -json`` prints, read into links. Pure.

Private to the collection; not a public interface.
"""

import ipaddress

from . import options
from .model import Link, Route

KINDS = {"bond": "bond", "vlan": "vlan", "bridge": "bridge"}
DEFAULT = {4: "0.0.0.0/0", 6: "::/0"}
MAIN = {"main": None, "254": None, None: None}
OURS = ("static", "boot")  # what a person or a tool set; not the kernel, a router or a DHCP client


def links(shown, addresses, routes):
    """Return ``{name: Link}`` of what ip printed.

    :param shown: ``ip -json -details link show``, ``addresses``: ``ip -json address show``, ``routes``: pairs of
        the IP version and ``ip -json -VERSION route show table all``; each as Python has it.
    """
    configured = {one["ifname"]: _addresses(one) for one in addresses if "ifname" in one}
    ways = {}
    for version, table in routes:
        for one in table:
            if one.get("protocol", "boot") in OURS and one.get("type", "unicast") == "unicast" and "dev" in one:
                ways.setdefault(one["dev"], []).append(_route(version, one))
    found = {}
    for one in shown:
        name = one.get("ifname")
        if name and "LOOPBACK" not in one.get("flags", ()):
            found[name] = _link(name, one, configured.get(name, ()), tuple(ways.get(name, ())))
    return found


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
            if option.type == "bool":
                value = bool(value)
            elif option.type == "list":
                value = tuple(value)
            found[name] = value
    return found


def _addresses(one):
    found = []
    for info in one.get("addr_info", ()):
        leased = info.get("dynamic") or info.get("temporary") or info.get("mngtmpaddr")
        if "local" in info and info.get("scope") != "link" and not leased:
            found.append("{}/{}".format(info["local"], info["prefixlen"]))
    return tuple(found)


def _route(version, one):
    to = one["dst"]
    if to == "default":
        to = DEFAULT[version]
    elif "/" not in to:
        to = f"{to}/{32 if version == 4 else 128}"
    table = MAIN.get(one.get("table"), one.get("table"))
    via = one.get("gateway") or (one.get("via") or {}).get("host")
    metric = one.get("metric")
    # IP6_RT_PRIO_USER: what a route of IPv6 has when it is given none (include/uapi/linux/ipv6_route.h).
    usual = 1024 if version == 6 else 0
    return Route(str(ipaddress.ip_network(to)), via, None if metric == usual else metric, int(table) if table else None)
