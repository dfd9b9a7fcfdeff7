# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes an endpoint work, as flat words that compare: wanted, and found. Pure.

Sysctls are those of ip-sysctl.rst of the kernel. Private to the collection; not a public interface.
"""

from .model import GROUP, MAIN, STATIC, full

ANY = {4: "0.0.0.0/0", 6: "::/0"}
# rp_filter: what comes from the endpoint has an address that is routed to it. accept_ra: nobody in it becomes the
# host's router.
ALWAYS = {"ipv4/conf/{}/rp_filter": "1", "ipv6/conf/{}/accept_ra": "0"}
FOUR = {"ipv4/conf/{}/proxy_arp": "1", "ipv4/conf/{}/forwarding": "1", "ipv4/neigh/{}/proxy_delay": "0"}
# addr_gen_mode 1: the kernel makes no address of its own, which would be tested for a second before it answers.
SIX = {
    "ipv6/conf/{}/disable_ipv6": "0",
    "ipv6/conf/{}/addr_gen_mode": "1",
    "ipv6/conf/{}/proxy_ndp": "1",
    "ipv6/conf/{}/forwarding": "1",
    "ipv6/neigh/{}/proxy_delay": "0",
}


def settings(link, versions=(4, 6)):
    """Return the sysctls of our end of a pair, ``{path below net: value}``."""
    found = dict(ALWAYS)
    for version, more in ((4, FOUR), (6, SIX)):
        found.update(more if version in versions else {})
    return {path.format(link): value for path, value in found.items()}


def wanted(endpoint, state):
    """Return the facets of an endpoint as they are to be. What is not among them is left alone."""
    six = endpoint.family(6)
    versions = [version for version in (4, 6) if endpoint.family(version)]
    has_ipv6 = "ipv6/conf/all/forwarding" in state.settings
    sysctls = settings(endpoint.host_interface, versions).items()
    return {
        "alias": endpoint.alias,
        "group": GROUP,
        "mac": endpoint.mac,
        **({"mtu": endpoint.mtu, "inside mtu": endpoint.mtu} if endpoint.mtu else {}),
        "bridge": "none",
        **{path: value for path, value in sysctls if has_ipv6 or path.startswith("ipv4")},
        "up": True,
        "inside up": True,
        **({"link-local": (endpoint.gateway6,), "inside disable_ipv6": "0"} if six else {}),
        "inside addresses": tuple(sorted(map(full, endpoint.addresses))),
        "inside routes": _ways(endpoint),
        "routes": tuple(sorted(map(full, endpoint.addresses))),
    }


def found(link, inner, space, state):
    """Return the same facets as they are found.

    :param link: our end; ``inner`` the other one, in ``space``.
    """
    routes = [one for one in state.routes.get(link.name, ()) if _is_ours(one) and one.via is None]
    ways = [one for one in space.routes if one.dev == inner.name and _is_ours(one)]
    return {
        "alias": link.alias,
        "group": link.group,
        "mac": link.mac,
        "mtu": link.mtu,
        "inside mtu": inner.mtu,
        "bridge": next((one.name for one in state.links.values() if one.ifindex == link.master), "none"),
        **{path: state.settings.get(path) for path in settings(link.name)},
        "up": link.up,
        "inside up": inner.up,
        "link-local": tuple(one.split("/")[0] for one in link.addresses if one.startswith("fe80:")),
        "inside disable_ipv6": inner.settings.get("ipv6/conf/disable_ipv6"),
        "inside addresses": tuple(sorted(one for one in inner.addresses if not one.startswith("fe80:"))),
        "inside routes": tuple(sorted(map(_way, ways))),
        "routes": tuple(sorted(one.to for one in routes)),
    }


def _ways(endpoint):
    """Return the routes of the namespace: to the gateway, and by it to everywhere."""
    four = [(f"{endpoint.gateway}/32", None), (ANY[4], endpoint.gateway)] if endpoint.family(4) else []
    six = [(ANY[6], endpoint.gateway6)] if endpoint.family(6) else []
    return tuple(sorted(f"{to} via {via}" if via else to for to, via in four + six))


def _way(route):
    return f"{route.to} via {route.via}" if route.via else route.to


def _is_ours(route):
    return route.table == MAIN and route.protocol == STATIC and not route.to.startswith(("fe80:", "ff00:"))
