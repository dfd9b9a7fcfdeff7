# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a declaration cannot be on this host, or would silently not work there. Pure.

Private to the collection; not a public interface.
"""

import ipaddress
from typing import NamedTuple

from .._core.reconcile import ReconcileError
from .model import LAST, LOCAL, MAIN, RTN_LOCAL, STATIC, State, Wanted, full, shown

SHOWN = 5  # problems that a message names
KINDS = {3: "a broadcast address", 4: "an anycast address", 5: "a multicast address"}  # RTN_ of rtnetlink(7)


class Seen(NamedTuple):
    """What an endpoint is held against: ``vias`` are routes by their gateway.

    ``inner`` are pairs by the path of the namespace and the link there, ``named`` the endpoints that are to be there.
    """

    wanted: Wanted
    state: State
    pairs: dict
    vias: dict
    inner: dict
    named: frozenset

    def is_going(self, name):
        """Tell whether the endpoint of a pair is removed."""
        return name in self.wanted.absent or (self.wanted.purge and name not in self.named)

    def may_replace(self, path, link):
        """Tell whether the default route by a link in a namespace is ours to change in this task."""
        pair = self.inner.get((path, link))
        return pair is not None and (pair.name in self.named or not pair.name or self.is_going(pair.name))


def check(wanted, state, pairs):
    """Refuse a declaration that cannot be met.

    :raises ReconcileError: names what is in the way and what to do, of up to five of them.
    """
    seen = Seen(
        wanted,
        state,
        pairs,
        {one.via: one for one in state.every_route() if one.via},
        {(one.path, one.inner.name): one for one in pairs.values() if one.inner},
        frozenset(one.name for one in wanted.endpoints),
    )
    found = []
    for endpoint in wanted.endpoints:
        found += [f"{endpoint.name}: {one}" for one in _endpoint(endpoint, seen)]
    found += _host(wanted, state, pairs)
    for proxy in wanted.proxies:
        found += [f"proxies, {proxy.interface}: {one}" for one in _proxy(proxy, seen)]
    if found:
        more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise ReconcileError("; ".join(found[:SHOWN]) + more, problems=found)


def warnings(wanted, state):
    """Return what works from the host, and not from everywhere else."""
    on_link = [
        (ipaddress.ip_network(one.to), one.dev)
        for one in state.every_route()
        if one.via is None and one.kind == 1 and one.table == MAIN and _is_network(one) and one.dev in state.links
        and not state.links[one.dev].is_ours
    ]  # fmt: skip
    answered = {(one.interface, address) for one in wanted.proxies for address in one.addresses}
    answered.update((dev, address) for dev, many in state.proxied.items() for address in many)
    silent = {}
    for endpoint in wanted.endpoints:
        for address in endpoint.addresses:
            one = ipaddress.ip_address(address)
            for network, dev in on_link:
                hears_all = one.version == 4 and state.settings.get(f"ipv4/conf/{dev}/proxy_arp") == "1"
                if one in network and (dev, address) not in answered and not hears_all:
                    silent.setdefault((str(network), dev), []).append(address)
    return tuple(
        "{} in {}, the network on {}: machines there ask for {} by ARP or neighbour discovery, and nobody answers; "
        "list {} in proxies for {}".format(
            _few(many), network, dev, *(("it", "it") if len(many) == 1 else ("them", "them")), dev
        )
        for (network, dev), many in silent.items()
    )


def _is_network(route):
    return not route.to.endswith(("/32", "/128", "/0")) and not route.to.startswith(("fe80:", "ff00:"))


def _few(many):
    lie = "lies" if len(many) == 1 else "lie"
    more = f" and {len(many) - 3} more" if len(many) > 3 else ""
    return f"{', '.join(many[:3])}{more} {lie}"


def _endpoint(endpoint, seen):
    if endpoint.path in seen.state.own:
        return [f"{shown(endpoint.place)} is the host's own; an endpoint needs one of its own"]
    return [
        *_namespace(endpoint, seen),
        *_host_interface(endpoint, seen),
        *_inside(endpoint, seen),
        *(one for address in endpoint.addresses for one in _address(address, seen)),
    ]


def _namespace(endpoint, seen):
    if seen.state.spaces.get(endpoint.path) or endpoint.create or seen.wanted.missing == "remove":
        return []
    there = f"{shown(endpoint.place)} is not there ({endpoint.path})"
    return [
        f"{there}. Start what it belongs to, or set missing_namespace to remove, which cleans up what is left of it"
    ]


def _host_interface(endpoint, seen):
    name, pairs = endpoint.host_interface, seen.pairs
    link = seen.state.links.get(name)
    if link is None or (name in pairs and pairs[name].name in ("", endpoint.name)):
        return []
    if name in pairs:
        other = pairs[name].name
        return (
            []
            if seen.is_going(other)
            else [f"{name} is the link of the endpoint {other}; choose another host_interface"]
        )
    kind = link.kind or "a device"
    return [
        f"{name} is there already and not made by this module ({kind}, MAC {link.mac}); choose another host_interface"
    ]


def _inside(endpoint, seen):
    space = seen.state.spaces.get(endpoint.path)
    if space is None:
        return []
    found, inner = [], space.links.get(endpoint.interface)
    if inner and (endpoint.path, inner.name) not in seen.inner:
        kind = inner.kind or "a device"
        has = f" with {', '.join(inner.addresses)}" if inner.addresses else ""
        found.append(
            f"{shown(endpoint.place)} has a link {endpoint.interface} already, not made by this module ({kind}{has}); "
            "choose another interface, or remove that one"
        )
    for route in space.routes:
        version = 6 if ":" in route.to else 4
        foreign = route.protocol != STATIC or not seen.may_replace(endpoint.path, route.dev)
        if route.to.endswith("/0") and route.table == MAIN and route.kind == 1 and foreign and endpoint.family(version):
            found.append(f"{shown(endpoint.place)} has a default route already: {route}; remove it first")
    return found


def _address(address, seen):
    if address == seen.state.controller:
        yield f"{address} is where this connection comes from; the host would no longer reach it"
    if address in seen.vias:
        yield f"{address} is the gateway of a route of this host ({seen.vias[address]}), which would lead nowhere"
    yield from _route(address, seen.state.matches.get(address), seen)
    if address in seen.state.answers:
        dev, mac = seen.state.answers[address]
        yield (
            f"{address} is in use: {mac} answers for it on {dev}. Take it away there, or set probe to 0 if that is a "
            "router which answers for everything"
        )


def _route(address, route, seen):
    if route is None:
        return
    pair = seen.pairs.get(route.dev)
    if route.kind == RTN_LOCAL:
        yield f"{address} is an address of this host ({route.dev})"
    elif route.kind in KINDS:
        yield f"{address} is {KINDS[route.kind]} of this host ({route.dev})"
    elif route.table not in (MAIN, LOCAL, LAST):
        yield (
            f"a rule of policy routing sends {address} by {route}, before the main table is asked; see ip rule, "
            "and let it leave out this address"
        )
    elif route.to == full(address) and pair is None:
        yield f"{address} is routed already, not by this module: {route}; remove that route, or choose another address"
    elif route.to == full(address) and pair.name and pair.name not in seen.named and not seen.is_going(pair.name):
        yield f"{address} is an address of the endpoint {pair.name}, which this task does not declare; declare both"


def _host(wanted, state, pairs):
    """Return what of the host would make its endpoints silently fail."""
    four = [one for one in wanted.endpoints if one.family(4)]
    six = [one for one in wanted.endpoints if one.family(6)]
    found = []
    if (six or any(":" in address for one in wanted.proxies for address in one.addresses)) and (
        "ipv6/conf/all/forwarding" not in state.settings
    ):
        found.append("this kernel has no IPv6 (or it is switched off at boot); leave out IPv6 addresses")
    if wanted.endpoints and state.settings.get("ipv4/conf/all/rp_filter") == "2":
        found.append(
            "net.ipv4.conf.all.rp_filter is 2, and the larger of it and a link's own counts (ip-sysctl): endpoints "
            "could send from any address. Run: sysctl -w net.ipv4.conf.all.rp_filter=0, and give links that need a "
            "loose filter their own 2"
        )
    for gateway in sorted({one.gateway for one in four}):
        route = state.matches.get(gateway)
        if route is None or route.dev in pairs:
            found.append(
                f"no route of this host leads to the gateway {gateway} (not even a default route), so it would not "
                f"answer ARP for it, and nothing would leave the endpoints. Give the host a default route, or run: "
                f"ip route add {gateway} dev lo"
            )
    return found


def _proxy(proxy, seen):
    wanted, state = seen.wanted, seen.state
    link = state.links.get(proxy.interface)
    if link is None or link.loopback:
        return ["there is no such link" if link is None else "the loopback answers nobody"]
    routed = {address: one.host_interface for one in wanted.endpoints for address in one.addresses}
    found = []
    for address in proxy.addresses:
        route = state.matches.get(address)
        if route and route.kind == RTN_LOCAL:
            found.append(f"{address} is an address of this host, which answers for it anyway")
        elif address not in routed and (route is None or route.dev == proxy.interface or _ends(route, seen)):
            way = f"by {route.dev}{' itself' if route.dev == proxy.interface else ''}" if route else "by no route"
            found.append(
                f"{address} is reached {way}, and the kernel answers only for what another link leads to; add its "
                "route first"
            )
        if address in state.answers and address not in routed:
            found.append(f"{address} is in use: {state.answers[address][1]} answers for it on {proxy.interface}")
    return found


def _ends(route, seen):
    """Tell whether a route, which no endpoint is declared to have, goes in this task."""
    pair = seen.pairs.get(route.dev)
    return pair is not None and (pair.name in seen.named or seen.is_going(pair.name))
