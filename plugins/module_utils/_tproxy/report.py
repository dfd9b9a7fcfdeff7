# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Captures in the words of the options, and the record of them. Pure.

Private to the collection; not a public interface.
"""

import json

from . import declare, networks, ports
from .declare import ALWAYS_OUT, parse_mark
from .model import ALL_PORTS, Routing

ALWAYS = frozenset(networks.texts(ALWAYS_OUT))
FAMILIES = {4: "ipv4", 6: "ipv6"}


def declaration(capture):
    """Return what the option ``captures`` takes for a capture; a preset is written out."""
    found = {"name": capture.name, "state": "present"}
    if capture.netns is not None:
        found["netns"] = capture.netns
    found["families"] = [FAMILIES[one] for one in capture.families]
    for name, side in (("inbound", capture.inbound), ("outbound", capture.outbound)):
        if side:
            found[name] = _side(name, side)
    if capture.dns:
        found["dns"] = {"port": capture.dns.port, "servers": networks.texts(capture.dns.servers)}
    proxy = capture.proxy
    found["proxy"] = {
        "uids": [str(one) for one in proxy.uids],
        "gids": [str(one) for one in proxy.gids],
        "marks": [str(one) for one in proxy.marks],
        "cgroups": list(proxy.cgroups),
    }
    found["allow_loop"] = bool(capture.outbound or capture.dns) and not any(proxy)
    found["on_proxy_down"] = "bypass" if capture.bypass else "drop"
    found.update(mark=str(capture.mark), table=capture.table, priority=capture.priority)
    found["ssh_ports"] = [str(one) for one in capture.ssh_ports]
    return found


def _side(name, side):
    ranges = side.tcp or side.udp
    found = {
        "mode": side.mode,
        "port": side.port,
        "protocols": [proto for proto in ("tcp", "udp") if getattr(side, proto)],
        "ports": [],
        "exclude_ports": [],
        "interfaces": list(side.interfaces),
        "exclude_interfaces": list(side.exclude_interfaces),
        "cidrs": networks.texts(side.networks),
        "exclude_cidrs": [one for one in networks.texts(side.exclude_networks) if one not in ALWAYS],
    }
    # Nobody can name port 0: where it is included, all are but for those that are left out.
    if ranges[0][0] == 0:
        found["exclude_ports"] = ports.texts(ports.without(ALL_PORTS, ranges))
    else:
        found["ports"] = ports.texts(ranges)
    if name == "inbound":
        found["exclude_sources"] = networks.texts(side.exclude_sources)
        found.update(destinations=side.destinations, hairpin=side.hairpin)
    return found


def summary(capture):
    """Say in a few words what a capture does, and what it leaves alone."""
    parts = []
    for name, side in (("inbound", capture.inbound), ("outbound", capture.outbound)):
        if side:
            what = [f"{proto} {_ports(getattr(side, proto))}" for proto in ("tcp", "udp") if getattr(side, proto)]
            parts.append(f"{name} {' and '.join(what)} by {side.mode} to port {side.port}")
    if capture.dns:
        parts.append(f"dns to port {capture.dns.port}")
    if capture.inbound:
        spared = ", ".join(map(str, capture.ssh_ports))
        parts.append(
            f"ssh to this host (tcp {spared}) is left alone" if spared else "ssh to this host is CAPTURED as well"
        )
    return "; ".join(parts)


def _ports(ranges):
    if ranges == ALL_PORTS or len(ranges) > 5:
        return "all ports" if ranges == ALL_PORTS else f"{len(ranges)} ranges of ports"
    return ", ".join(ports.texts(ranges))


def record(capture, backend):
    """Return the text of the record that is kept beside the rules."""
    routing = capture.routing
    told = None if routing is None else [str(routing.mark), routing.table, routing.priority, list(routing.families)]
    found = {"declaration": declaration(capture), "backend": backend, "routing": told}
    return json.dumps(found, indent=1, sort_keys=True) + "\n"


def recorded(text):
    """Return what was recorded; an empty dict for what cannot be read."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def together(many):
    """Return {name: Found} of pairs; of those with the same name it is the one whose backend was recorded last."""
    found = {}
    for name, one in many:
        before = found[name].every if name in found else ()
        found[name] = one._replace(hidden=before).by(recorded(one.record).get("backend"))
    return found


def declared(many):
    """Return the captures of :class:`Found` ones, as far as they are recorded; users and groups are numbers there."""
    entries = map(_recorded_declaration, many)
    return [declare.capture(one, int, int) for one in entries if one]


def named_links(captures, many):
    """Return the links that captures, and :class:`Found` ones as far as they are recorded, name for what comes in."""
    sides = [declaration["inbound"] for declaration in map(_recorded_declaration, many) if declaration.get("inbound")]
    named = {link for one in captures if one.inbound for link in one.inbound.interfaces}
    return named.union(*(side["interfaces"] for side in sides))


def _recorded_declaration(one):
    return recorded(one.record).get("declaration") or {}


def recorded_routing(text):
    """Return the :class:`Routing` of a record, or None."""
    told = recorded(text).get("routing")
    return Routing(parse_mark(told[0], "record"), told[1], told[2], tuple(told[3])) if told else None
