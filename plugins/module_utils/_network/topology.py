# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host's links are to become, the order in which they are built, and what cannot be.

Pure; every check is made before anything is touched. Private to the collection; not a public interface.
"""

import ipaddress

from .._core.reconcile import ReconcileError
from . import options
from .model import Link

# A bridge of NetworkManager speaks STP unless it is told otherwise, one of the kernel does not.
BLANK = {
    "bond": {"mode": "balance-rr"},
    "vlan": {"protocol": "802.1Q", "reorder_headers": True},
    "bridge": {"stp": False},
    "nic": {},
}


def target(wanted, state):
    """Return the links as they are to be, ``{name: Link}``: what is found with what is wanted over it.

    :raises ReconcileError: the declaration cannot be met on this host.
    """
    links = {name: link for name, link in state.links.items() if name not in wanted.absent}
    for name, link in wanted.links.items():
        below = state.links.get(name)
        if below is None:
            if link.kind == "nic":
                raise _missing(link, state)
            below = Link(name, link.kind, BLANK[link.kind], "", {}, None, None, (), (), False)
        whole = link._replace(kind=_kind(link, below)).over(below)
        links[name] = whole if name in state.links else _with_mac(whole, wanted, state)
    for name, link in links.items():
        listed = name in wanted.links and wanted.links[name].master is not None
        purged = link.master in wanted.purge and not listed
        if link.master in wanted.absent or purged:
            links[name] = link._replace(master="")
    # NetworkManager gives the routes of each link a metric of their own, so they do not take each other's place.
    ways = {} if state.backend == "networkmanager" else _ways(wanted)
    links.update(_moved(wanted, links, state.links, ways))
    _check(wanted, state, links)
    return links


def _with_mac(link, wanted, state):
    """Give a new bond the MAC of its first port by name; else it has that of whichever comes up first."""
    ports = sorted(name for name, one in wanted.links.items() if one.master == link.name)
    # That of a port of another bond is the other bond's.
    known = [state.links[name].mac for name in ports if name in state.links and not state.links[name].master]
    return link._replace(mac=known[0]) if link.kind == "bond" and not link.mac and known else link


def _moved(wanted, links, have, ways):
    """Yield the links that lose addresses or routes to another one: what is declared there moves there, and with the
    last address the routes that went by it."""
    homes = {one.partition("/")[0]: link.name for link in wanted.links.values() for one in link.addresses or ()}
    for name, link in links.items():
        declared = wanted.links.get(name, Link(name, link.kind))
        addresses, routes = link.addresses, link.routes
        if declared.addresses is None:
            addresses = tuple(one for one in addresses if homes.get(one.partition("/")[0], name) == name)
        if declared.routes is None:
            lost = not addresses and name in have and have[name].addresses
            routes = () if lost else tuple(one for one in routes if ways.get(one.place, name) == name)
        if (addresses, routes) != (link.addresses, link.routes):
            yield name, link._replace(addresses=addresses, routes=routes)


def _ways(wanted):
    """Return which link is declared to have the route of each place; there is one route in a place."""
    ways = {}
    for link in wanted.links.values():
        for route in link.routes or ():
            other = ways.setdefault(route.place, link.name)
            if other != link.name:
                raise ReconcileError(
                    f"route {route.to}: both '{other}' and '{link.name}' have it with the same metric; "
                    "take it from one of them, or give one another metric"
                )
    return ways


def _kind(link, below):
    """A port is named without its kind, so a NIC may turn out to be anything; the other kinds must agree."""
    if link.kind not in ("nic", below.kind):
        raise ReconcileError(f"{link.kind} '{link.name}': there is a link of this name, and it is a {below.kind}")
    return below.kind


def _missing(link, state):
    nics = ", ".join(sorted(name for name, one in state.links.items() if one.kind == "nic")) or "none"
    return ReconcileError(f"'{link.name}': there is no such link on this host, nor is it declared; its NICs: {nics}")


def _check(wanted, state, links):
    order(links)
    for name in sorted(wanted.links):
        link = links[name]
        _check_owner(link, state)
        if link.kind == "bond":
            options.check_bond(
                name, state.links[name].options if name in state.links else {}, wanted.links[name].options
            )
        if link.kind == "vlan":
            _check_vlan(link, links, state.links)
        have = state.links.get(name)
        if link.master and not (have and have.master == link.master):
            _check_port(link, links)
        _check_size(wanted.links[name], links, state.links)
        _check_gateways(link, wanted.links[name].addresses is not None or bool(have and have.addresses))
    _check_absent(wanted, links)


def _check_owner(link, state):
    """Refuse to take a link from whom it belongs to."""
    have = state.links.get(link.name)
    owner = have and (state.owners.get(link.name) or state.owners.get(have.master))
    if owner and have.master and link.master != have.master:
        vlan = "" if link.kind == "vlan" else f"; a VLAN of it can be: declare vlans: [{{parent: {link.name}, id: N}}]"
        raise ReconcileError(
            f"{link.kind} '{link.name}': it is a port of {have.master}, which belongs to {owner}, and a link has one "
            f"master. It cannot be put into '{link.master}' as well{vlan}"
        )
    if owner and not have.master and have.kind == "bridge":
        raise ReconcileError(f"bridge '{link.name}': it belongs to {owner}; declare it there")


def _check_vlan(link, links, have):
    parent = links.get(link.options.get("parent"))
    if parent is None or "id" not in link.options:
        found = link.options.get("parent")
        raise ReconcileError(
            f"vlan '{link.name}': " + (f"its parent '{found}' is not there" if found else "give its parent and its id")
        )
    if parent.master in links and links[parent.master].kind == "bond":
        raise ReconcileError(
            f"vlan '{link.name}': its parent {parent.name} is a port of {parent.master}; declare it with parent "
            f"{parent.master}"
        )
    for other in links.values():
        same = other.kind == "vlan" and all(
            other.options.get(key) == link.options.get(key) for key in ("parent", "id", "protocol")
        )
        if same and other.name != link.name:
            raise ReconcileError(
                f"vlan '{link.name}': id {link.options['id']} of {parent.name} is '{other.name}' already; "
                "the kernel knows each id once"
            )
    mtu = _mtu(parent, links, have)
    if link.mtu is not None and link.mtu > mtu:
        raise ReconcileError(
            f"vlan '{link.name}': its mtu {link.mtu} is above that of its parent {parent.name}, {mtu}; "
            f"declare mtu {link.mtu} for {parent.name} too"
        )


def _mtu(link, links, have):
    """Return the mtu that a link will have: a VLAN that is made gets its parent's, what else is made 1500."""
    if link.mtu is not None:
        return link.mtu
    if link.name in have:
        return have[link.name].mtu
    parent = links.get(link.options.get("parent"))
    return _mtu(parent, links, have) if parent else 1500


def _check_port(link, links):
    master = links.get(link.master)
    if master is None or master.kind not in ("bond", "bridge"):
        raise ReconcileError(f"port '{link.name}': its master '{link.master}' is no bond or bridge of this host")
    if link.addresses:
        raise ReconcileError(
            f"'{link.name}': it is to be a port of {master.name}, and an address on a port is never reached; "
            f"declare {', '.join(link.addresses)} on {master.name}, or addresses: [] for {link.name}"
        )
    if master.kind == "bond" and link.kind in ("bond", "bridge"):
        raise ReconcileError(f"port '{link.name}': a {link.kind} cannot be a port of the bond '{master.name}'")
    vlans = sorted(one.name for one in links.values() if one.kind == "vlan" and one.options["parent"] == link.name)
    if master.kind == "bond" and vlans:
        raise ReconcileError(
            f"'{link.name}': it is to be a port of {master.name}, and carries {', '.join(vlans)}; make it absent, and "
            f"declare it with parent {master.name} and another name"
        )


def _check_size(want, links, have):
    """A bond gives its ports its own mtu (bonding.rst)."""
    bond = links.get(links[want.name].master)
    if want.mtu is None or bond is None or bond.kind != "bond":
        return
    mtu = bond.mtu or (have[bond.name].mtu if bond.name in have else 1500)
    if want.mtu != mtu:
        raise ReconcileError(
            f"'{want.name}': it is a port of {bond.name} and gets its mtu, {mtu}; "
            f"declare mtu {want.mtu} for {bond.name}"
        )


def _check_gateways(link, complete):
    """Refuse a next hop that none of the link's networks has; when not ``complete``, a server may give it others."""
    networks = [ipaddress.ip_interface(one).network for one in link.addresses]
    for route in link.routes:
        via = route.via and ipaddress.ip_address(route.via)
        known = complete or networks
        if via and known and not via.is_link_local and not any(via in one for one in networks):
            raise ReconcileError(
                f"{link.kind} '{link.name}': {route.via} is in none of its networks "
                f"({', '.join(map(str, networks)) or 'it has no address'}), so it cannot be reached through it"
            )


def _check_absent(wanted, links):
    for link in links.values():
        parent = link.options.get("parent") if link.kind == "vlan" else None
        if parent in wanted.absent:
            raise ReconcileError(
                f"'{parent}': it cannot be absent while '{link.name}' is a VLAN of it; make that absent too"
            )


def below(link, links):
    """Return the names of the links that ``link`` is built on: its parent, its ports."""
    ports = [one.name for one in links.values() if one.master == link.name]
    parent = link.options.get("parent") if link.kind == "vlan" else None
    return sorted(ports + ([parent] if parent in links else []))


def order(links):
    """Return the names of all links, each after those that it is built on.

    :raises ReconcileError: they are built on each other in a circle.
    """
    done, way = [], []
    under = {name: [] for name in links}
    for link in links.values():
        if link.master in links:
            under[link.master].append(link.name)
        if link.kind == "vlan" and link.options.get("parent") in links:
            under[link.name].append(link.options["parent"])
    seen = set()

    def visit(name):
        if name in seen:
            return
        if name in way:
            raise ReconcileError("a circle: {}".format(" on ".join([*way[way.index(name) :], name])))
        way.append(name)
        for lower in sorted(under[name]):
            visit(lower)
        way.pop()
        seen.add(name)
        done.append(name)

    for name in sorted(links):
        visit(name)
    return done


def order_of_activation(links):
    """Return the names of all links, each after its master and its parent: as NetworkManager brings them up."""
    done = []

    def visit(name):
        link = links[name]
        for other in (link.master, link.options.get("parent")):
            if other in links and other not in done:
                visit(other)
        if name not in done:
            done.append(name)

    for name in sorted(links):
        visit(name)
    return done
