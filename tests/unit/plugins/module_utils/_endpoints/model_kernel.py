# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kernel as far as endpoints need one: links in namespaces, their addresses, routes and sysctls."""

import ipaddress

from ansible_collections.hostcraft.linux.plugins.module_utils._endpoints import facets, sources
from ansible_collections.hostcraft.linux.plugins.module_utils._endpoints.model import (
    GROUP,
    LOCAL,
    Link,
    Route,
    Space,
    State,
)

UPLINK = Link("eth0", 2, "", "52:54:00:00:00:01", 1500, True, addresses=("192.0.2.2/24", "2001:db8::2/64"))
DEFAULTS = {"proxy_arp": "0", "forwarding": "1", "rp_filter": "2", "proxy_delay": "80", "accept_ra": "1"}


class Kernel:
    """The host and its namespaces; carries out what operations.py describes."""

    def __init__(self, forwards=True):
        self.links = {None: {"lo": Link("lo", 1, loopback=True), "eth0": UPLINK}}
        self.routes = {None: [Route("0.0.0.0/0", "eth0", "192.0.2.1", protocol=3), Route("192.0.2.0/24", "eth0")]}
        self.numbers, self.settings, self.proxied, self.files = {}, {}, {}, {}
        on = "1" if forwards else "0"
        for path in ("ipv4/conf/eth0/forwarding", "ipv6/conf/all/forwarding", "ipv6/conf/eth0/forwarding"):
            self.settings[None, path] = on
        self.settings.update({(None, "ipv6/conf/eth0/accept_ra"): "1", (None, "ipv6/conf/eth0/proxy_ndp"): "0"})
        self.settings[None, "ipv4/conf/all/rp_filter"] = "0"
        self.next, self.sources = 10, ""

    def run(self, operation):
        kind, *rest = operation
        getattr(self, kind)(*rest)

    def netns(self, verb, path, mark=None):
        if verb == "add":
            assert path not in self.links, "exists"
            self.links[path] = {"lo": Link("lo", 1, alias=mark, loopback=True)}
            self.routes[path] = []
            self.next += 1
            self.numbers[path] = self.next
            return
        for name in list(self.links[path]):
            if name != "lo":
                self._gone(path, name)
        del self.links[path], self.routes[path]

    def veth(self, name, mac, mtu, path, inside):
        assert name not in self.links[None]
        assert inside not in self.links[path]
        ours, theirs = self.next + 1, self.next + 2
        self.next += 2
        size = mtu or 1500
        number = self.numbers[path]
        self.links[None][name] = Link(name, ours, "veth", mac, size, False, "", GROUP, theirs, number)
        self.links[path][inside] = Link(
            inside, theirs, "veth", "52:54:00:00:00:02", size, peer=ours, settings={"ipv6/conf/disable_ipv6": "1"}
        )
        for setting in facets.settings(name):
            self.settings[None, setting] = DEFAULTS.get(setting.rpartition("/")[2], "0")

    def link(self, verb, where, name, values=None):
        if verb == "del":
            if name in self.links[where]:
                self._gone(where, name)
            return
        link = self.links[where][name]
        values = {key: value for key, value in values.items() if key != "master"}
        self.links[where][name] = link._replace(**values)

    def _gone(self, where, name):
        link = self.links[where].pop(name)
        self.routes[where] = [one for one in self.routes[where] if one.dev != name]
        for place, links in self.links.items():
            for other in list(links.values()):
                if other.peer == link.ifindex and link.peer == other.ifindex:
                    self._gone(place, other.name)

    def address(self, verb, where, name, address):
        link = self.links[where][name]
        left = tuple(one for one in link.addresses if one != address)
        self.links[where][name] = link._replace(addresses=(*left, address) if verb == "add" else left)

    def route(self, verb, where, name, to, via):
        assert name in self.links[where]
        assert not via or ":" in via or any(one.to == f"{via}/32" for one in self.routes[where]), "gateway unreachable"
        same = [one for one in self.routes[where] if one.to == to]
        if verb == "add":
            self.routes[where] = [one for one in self.routes[where] if one not in same] + [Route(to, name, via)]
        else:
            gone = Route(to, name, via)
            self.routes[where] = [one for one in self.routes[where] if one != gone]

    def proxy(self, verb, name, address):
        left = [one for one in self.proxied.get(name, ()) if one != address]
        self.proxied[name] = [*left, address] if verb == "add" else left

    def sysctl(self, where, path, value):
        if where is None:
            self.settings[where, path] = value
            return
        name = path.split("/")[2]
        link = self.links[where][name]
        settings = dict(link.settings, **{path.replace(f"/{name}/", "/"): value})
        self.links[where][name] = link._replace(settings=settings)

    def nft(self, text):
        _none, there, self.sources = text.partition(sources.NONE)
        assert there, "it must not matter whether there is a table"

    def file(self, path, content, _mode):
        self.files[path] = content

    def state(self, wanted):
        """Return what host.py would observe of it."""
        spaces = {path: self._space(path) for path in self.links if path}
        for one in wanted.endpoints:
            spaces.setdefault(one.path, None)
        asked = {address for one in wanted.endpoints for address in (*one.addresses, one.gateway)}
        asked.update(address for one in wanted.proxies for address in one.addresses)
        routes = {}
        for one in self.routes[None]:
            routes.setdefault(one.dev, []).append(one)
        return State(
            dict(self.links[None]),
            {dev: tuple(many) for dev, many in routes.items()},
            spaces,
            settings={path: value for (where, path), value in self.settings.items() if where is None},
            proxied={dev: tuple(many) for dev, many in self.proxied.items() if many},
            matches={address: self._match(address) for address in asked},
            files=dict(self.files),
            sources=self.sources,
        )

    def _space(self, path):
        return Space(self.numbers[path], dict(self.links[path]), tuple(self.routes[path]))

    def _match(self, address):
        one = ipaddress.ip_address(address)
        for link in self.links[None].values():
            if any(address == own.split("/")[0] for own in link.addresses):
                return Route(f"{address}/32", link.name, table=LOCAL, kind=2)
        fitting = [route for route in self.routes[None] if one in ipaddress.ip_network(route.to)]
        return max(fitting, key=lambda route: int(route.to.split("/")[1])) if fitting else None

    def compared(self):
        """Return all of it in a form that compares, whatever the order in which it came to be."""
        links = {
            where: {
                name: (
                    one.mac if name != "eth0" else "",
                    one.mtu,
                    one.up,
                    one.alias,
                    sorted(one.addresses),
                    one.settings,
                )
                for name, one in many.items()
            }
            for where, many in self.links.items()
        }
        routes = {where: sorted(map(str, many)) for where, many in self.routes.items()}
        there = {
            key: value
            for key, value in self.settings.items()
            if key[0] is None and key[1].split("/")[2] in ("all", "eth0")
        }
        ends = {
            key: value for key, value in self.settings.items() if key[1].split("/")[2] in self.links.get(key[0], ())
        }
        proxied = {dev: sorted(many) for dev, many in self.proxied.items() if many}
        return self.sources, links, routes, there, ends, proxied
