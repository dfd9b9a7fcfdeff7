# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Endpoints behind proxy ARP, as they are wanted and as they are found.

Private to the collection; not a public interface.
"""

from typing import NamedTuple, Optional, Tuple

# The group of a link (ip-link(8)) that tells one of ours from the moment that it exists: "hc".
GROUP = 0x6863
# How the alias of our end begins; the endpoint's name and where its other end is follow.
MARK = "hostcraft.linux endpoint "
SPACES = "/run/netns"  # where ip-netns(8) has namespaces by name
LOCAL, MAIN, LAST = 255, 254, 253  # tables, rtnetlink(7)
STATIC = 4  # RTPROT_STATIC: the mark of our routes on links of ours
RTN_LOCAL = 2  # the type of a route to an address of the host


class Endpoint(NamedTuple):
    """A pair of links: ``interface`` in a namespace, its other end ``host_interface`` on the host.

    ``addresses`` are without prefix. ``place`` is where the namespace is: a name, a path, or ``pid:N``.
    """

    name: str
    place: str
    create: bool
    interface: str
    host_interface: str
    addresses: Tuple[str, ...]
    gateway: str
    gateway6: str
    mac: str
    mtu: Optional[int] = None

    @property
    def path(self):
        """Return the path of the namespace."""
        return path_of(self.place)

    @property
    def alias(self):
        """Return what tells whose the link is, for people and for the next run."""
        return f"{MARK}{self.name} in {self.place}"

    def family(self, version):
        """Return the addresses of an IP version."""
        return tuple(one for one in self.addresses if (":" in one) == (version == 6))


class Proxy(NamedTuple):
    """The addresses that a link of the host answers for."""

    interface: str
    addresses: Tuple[str, ...]


class Save(NamedTuple):
    """Where the declaration is kept for the next boot, with the program that carries it out there (base64)."""

    directory: str
    params: dict
    program: str
    purge: bool = False


class Wanted(NamedTuple):
    """The declaration. ``absent`` are names of endpoints, where their namespaces would be, and their links' names.

    ``forwarding`` is check, set or ignore; ``missing`` is fail or remove; ``probe`` are seconds.
    """

    endpoints: Tuple[Endpoint, ...]
    absent: dict = {}
    proxies: Tuple[Proxy, ...] = ()
    unproxied: Tuple[Proxy, ...] = ()
    purge: bool = False
    forwarding: str = "check"
    missing: str = "fail"
    probe: float = 0.0
    save: Optional[Save] = None


class Link(NamedTuple):
    """A link as it is found. ``peer`` is the index of the other end, ``space`` the id of the namespace it is in.

    ``settings`` are sysctls of the link by their path below net, without its name: ``ipv4/conf/proxy_arp``.
    """

    name: str
    ifindex: int
    kind: str = ""
    mac: str = ""
    mtu: int = 1500
    up: bool = False
    alias: str = ""
    group: int = 0
    peer: int = 0
    space: Optional[int] = None
    master: int = 0
    addresses: Tuple[str, ...] = ()
    loopback: bool = False
    settings: dict = {}

    @property
    def is_ours(self):
        """Tell whether this module has made it."""
        return self.group == GROUP or self.alias.startswith(MARK)

    @property
    def endpoint(self):
        """Return the name and place in the alias; None: not ours, or only half made."""
        if not self.alias.startswith(MARK):
            return None
        name, _in, place = self.alias[len(MARK) :].partition(" in ")
        return name, place


class Route(NamedTuple):
    """A route as it is found; ``kind`` and ``protocol`` are the kernel's numbers."""

    to: str
    dev: str = ""
    via: Optional[str] = None
    table: int = MAIN
    protocol: int = STATIC
    kind: int = 1
    metric: int = 0

    def __str__(self):
        words = [self.to] + (["via", self.via] if self.via else []) + (["dev", self.dev] if self.dev else [])
        return " ".join(words + (["table", str(self.table)] if self.table not in (MAIN, LOCAL) else []))


class Space(NamedTuple):
    """A network namespace. ``number`` is its id as links of the host name it."""

    number: int
    links: dict
    routes: Tuple[Route, ...] = ()

    @property
    def is_ours(self):
        """Tell whether this module has made it: its loopback says so."""
        return any(one.loopback and one.alias.startswith(MARK) for one in self.links.values())


class State(NamedTuple):
    """What was found.

    ``routes`` are tuples by link, without those of the table local. ``spaces`` are namespaces by path, None for one
    that is not there; ``stale`` are paths of files that are none. ``settings`` are sysctls below net, by their path.
    ``matches`` are the routes that the host takes to an address, ``answers`` who answered when asked for one:
    ``{address: (link, mac)}``. ``own`` are paths of the host's own namespace. ``files`` are contents, in base64.
    ``sources`` is the filter of sources as it is listed, empty where there is none, None where it cannot be had.
    """

    links: dict
    routes: dict = {}
    spaces: dict = {}
    stale: Tuple[str, ...] = ()
    settings: dict = {}
    proxied: dict = {}
    matches: dict = {}
    answers: dict = {}
    own: Tuple[str, ...] = ()
    controller: str = ""
    files: dict = {}
    sources: Optional[str] = ""

    def every_route(self):
        """Return the routes of all links."""
        return [one for many in self.routes.values() for one in many]


def path_of(place):
    """Return the path of the namespace at a place."""
    if place.startswith("pid:"):
        return f"/proc/{place[4:]}/ns/net"
    return place if place.startswith("/") else f"{SPACES}/{place}"


def has_name(path):
    """Tell whether a path is a name of a namespace, which goes with it. What is elsewhere is never removed."""
    return path.startswith(f"{SPACES}/")


def shown(place):
    """Return a place as people read it."""
    return f"the namespace of process {place[4:]}" if place.startswith("pid:") else f"netns {place}"


def full(address):
    """Return an address as the prefix that has it alone."""
    return f"{address}/128" if ":" in address else f"{address}/32"
