# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was found, in the words of the options: valid input of ``bond_vlan_bridge``. Pure.

Private to the collection; not a public interface.
"""

from . import options, topology

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
    if link.kind == "nic" and link.port:
        entry["bridge_port"] = _said(options.PORT, link.port)
    return entry


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
