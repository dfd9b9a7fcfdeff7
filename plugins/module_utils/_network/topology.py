# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host's links are to become, and the order in which they are built. Pure.

Private to the collection; not a public interface.
"""

from .._core.reconcile import ReconcileError
from . import options, refusals, rules
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
            below = Link(
                name,
                link.kind,
                BLANK[link.kind],
                "",
                {},
                None,
                None,
                (),
                (),
                False,
                rules.coming_in_by(name, state.rules),
            )
        whole = link._replace(kind=_kind(link, below)).over(below)
        links[name] = whole if name in state.links else _with_mac(whole, wanted, state)
    for name, link in links.items():
        listed = name in wanted.links and wanted.links[name].master is not None
        # What someone else put there, as a virtual machine's tap, is not ours to count.
        purged = link.master in wanted.purge and not listed and name not in state.owners
        if link.master in wanted.absent or purged:
            links[name] = link._replace(master="")
    # NetworkManager gives the routes of each link a metric of their own, so they do not take each other's place.
    ways = {} if state.backend == "networkmanager" else _ways(wanted)
    links.update(_moved(wanted, links, state.links, ways))
    links.update(_without_ipv6(wanted, links))
    links.update(_leases_moved(wanted, links, state.links))
    order(links)
    refusals.check(wanted, state, links)
    return links


def named(wanted):
    """Return the names of all links that a declaration is about."""
    parents = [link.options["parent"] for link in wanted.links.values() if link.options.get("parent")]
    return [*dict.fromkeys([*wanted.links, *wanted.absent, *parents])]


def _blank(link, state):
    """Return what a link is that is just made."""
    about_it = rules.coming_in_by(link.name, state.rules)
    return Link(link.name, link.kind, BLANK[link.kind], "", {}, None, None, (), (), False, about_it)


def _with_mac(link, wanted, state):
    """Give a new bond the MAC of its first port by name; else it has that of whichever comes up first."""
    ports = sorted(name for name, one in wanted.links.items() if one.master == link.name)
    # That of a port of another bond is the other bond's.
    known = [
        state.permanent.get(name, state.links[name].mac)
        for name in ports
        if name in state.links and (name in state.permanent or not state.links[name].master)
    ]
    pinned = link.kind == "bond" and not link.mac and options.has_own_mac(link.options)
    return link._replace(mac=known[0]) if pinned and known else link


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


def _without_ipv6(wanted, links):
    """Yield the links that lose their IPv6 addresses and routes because it is disabled; declared ones are refused."""
    for name, want in wanted.links.items():
        link = links[name]
        if want.ipv6 == "disabled":
            addresses, routes = link.addresses, link.routes
            if want.addresses is None:
                addresses = tuple(one for one in addresses if ":" not in one)
            if want.routes is None:
                routes = tuple(one for one in routes if ":" not in one.to)
            yield name, link._replace(addresses=addresses, routes=routes)


def _leases_moved(wanted, links, have):
    """Yield the ports that have had a lease until now, where their new master asks for one instead."""
    for name, link in links.items():
        new = link.master and not (name in have and have[name].master == link.master)
        master, declared = wanted.links.get(link.master), wanted.links.get(name)
        if new and link.dhcp4 and master and master.dhcp4 and not (declared and declared.dhcp4):
            yield name, link._replace(dhcp4=False)


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


def below(link, links):
    """Return the names of the links that ``link`` is built on: its parent, its ports."""
    ports = [one.name for one in links.values() if one.master == link.name]
    parent = link.options.get("parent") if link.kind == "vlan" else None
    return sorted(ports + ([parent] if parent in links else []))


def above(name, links):
    """Return a link and all that is built on it, which are down while it is."""
    found = [name]
    for other in order(links):
        if set(below(links[other], links)).intersection(found):
            found.append(other)
    return [links[one] for one in found]


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
    """Return the names of all links as NetworkManager brings them up: each after its master and its parent.

    A VLAN comes after the ports of its parent as well: without one a bond has no carrier, for which the VLAN waits.
    """
    done = []
    ports = {}
    for name in sorted(links):
        ports.setdefault(links[name].master, []).append(name)

    def visit(name):
        link = links[name]
        parent = link.options.get("parent")
        for other in (link.master, parent, *(ports.get(parent, ()) if parent else ())):
            if other in links and other not in done:
                visit(other)
        if name not in done:
            done.append(name)

    for name in sorted(links):
        visit(name)
    return done
