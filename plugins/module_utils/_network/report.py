# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was found, in the words of the options: valid input of ``bond_vlan_bridge``. Pure.

Private to the collection; not a public interface.
"""

from . import bridge_vlans, options, topology
from .model import SETTINGS

LISTS = {"bond": "bonds", "vlan": "vlans", "bridge": "bridges", "nic": "nics"}
GATEWAYS = {"0.0.0.0/0": "gateway", "::/0": "gateway6"}


def declaration(state):
    """Return the lists ``bonds``, ``vlans``, ``bridges`` and ``nics`` that declare a :class:`State` as it is.

    What belongs to someone else is left out, and so are links that come and go with a virtual machine or container.
    """
    found = {name: [] for name in LISTS.values()}
    for name in topology.order(state.links):
        link = state.links[name]
        kept_by_others = name in state.owners or (link.kind == "nic" and link.master in state.owners)
        if not kept_by_others:
            found[LISTS[link.kind]].append(_entry(link, state))
    return found


def _entry(link, state):
    entry = {"name": link.name, "mtu": link.mtu, "addresses": list(link.addresses)}
    entry.update(_routes(link))
    entry.update(_options(link))
    if link.kind in ("bond", "bridge"):
        # Theirs depends on the order of the ports until it is set.
        entry["mac"] = link.mac
        entry["ports"] = sorted(
            one.name for one in state.links.values() if one.master == link.name and one.name not in state.owners
        )
    entry.update(_port(link, state))
    entry.update(_settings(link))
    return entry


def _port(link, state):
    """Return what a link is to its bridge, and the VLANs of a bridge itself; VLANs mean nothing where none filters."""
    bridge = link if link.kind == "bridge" else state.links.get(link.master)
    if bridge is None or bridge.kind != "bridge" or not link.port:
        return {}
    found = _said(options.PORT, link.port)
    if bridge.options.get("vlan_filtering"):
        found.update({"pvid": link.port["pvid"]} if "pvid" in link.port else {})
        found.update(
            {"vids": [str(one) for one in bridge_vlans.shown(link.port["vids"])]} if "vids" in link.port else {}
        )
    return found if link.kind == "bridge" else {"bridge_port": found}


def _settings(link):
    """Return rules, name servers and ways to get addresses, as far as they can be told."""
    entry = {"rules": [_rule(one) for one in link.rules]} if link.rules else {}
    for key in SETTINGS:
        value = getattr(link, key)
        # Of what a port has none of this is used.
        if value not in (None, (), False) and not link.master:
            entry[key] = list(value) if isinstance(value, tuple) else value
    return entry


def _rule(rule):
    entry = {"from": rule.source, "to": rule.to, "iif": rule.iif, "fwmark": rule.fwmark}
    entry = {key: value for key, value in entry.items() if value is not None}
    if rule.family == 6 and not (rule.source or rule.to):
        entry["family"] = "ipv6"
    return dict(entry, priority=rule.priority, table=rule.table)


def _routes(link):
    entry = {}
    for route in link.routes:
        if route.to in GATEWAYS and route == type(route)(route.to, route.via) and route.via:
            entry[GATEWAYS[route.to]] = route.via
        else:
            kept = {key: value for key, value in route._asdict().items() if value is not None}
            entry.setdefault("routes", []).append(kept)
    return entry or {"routes": []}


def _options(link):
    return _said(options.KINDS[link.kind], options.meant(link))


def _said(table, found):
    said = {}
    for name, option in table.items():
        value = found.get(name)
        if value not in (None, (), ""):
            if option.type == "dict":
                value = {str(key): to for key, to in value}
            elif option.type == "list":
                value = list(value)
            elif option.scale != 1:
                value //= option.scale
            said[name] = value
    return said
