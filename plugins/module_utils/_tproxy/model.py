# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is captured for which proxy, and what was found of it on the host.

Private to the collection; not a public interface.
"""

from typing import NamedTuple, Optional, Tuple

ALL_PORTS = ((0, 65535),)
# By whether questions to name servers are captured: those of the proxy are not for the application (Istio's run.go).
# The other port is that of Istio's tunnel, which the proxy takes by itself.
SPARED_BY_HAIRPIN = {False: (15008,), True: (53, 15008)}
LOOPBACK = 1 << 16  # added to the port of who listens at an address of the loopback alone


class Mark(NamedTuple):
    """A value of the packet mark, and the bits of it that count."""

    value: int
    mask: int

    def __str__(self):
        return f"{self.value:#x}/{self.mask:#x}"

    @property
    def of_connections(self):
        """The value that captured connections carry in their own mark, within the same bits.

        Not the packets' value: a rule of somebody else that gives packets the mark of their connection would send what
        the proxy answers to the proxy.
        """
        return Mark(~self.value & self.mask, self.mask)

    @property
    def of_older(self):
        """The value of connections from before the capture, where their own packets had to tell; unlike the others."""
        return Mark(self.mask, self.mask)


class Networks(NamedTuple):
    """Networks of both families, aggregated; each is a pair of the number of its address and the prefix length."""

    v4: Tuple = ()
    v6: Tuple = ()

    def of(self, family):
        """Return those of a family, 4 or 6."""
        return self.v4 if family == 4 else self.v6

    def __bool__(self):
        return bool(self.v4 or self.v6)


class Side(NamedTuple):
    """What one direction captures. ``tcp`` and ``udp`` are ranges of ports; an empty inclusion means all.

    ``destinations`` (all, local, forwarded), ``exclude_sources`` and ``hairpin`` are those of inbound.
    """

    mode: str
    port: int
    tcp: Tuple = ALL_PORTS
    udp: Tuple = ()
    interfaces: Tuple[str, ...] = ()
    exclude_interfaces: Tuple[str, ...] = ()
    networks: Networks = Networks()
    exclude_networks: Networks = Networks()
    exclude_sources: Networks = Networks()
    destinations: str = "all"
    hairpin: bool = False


class Dns(NamedTuple):
    """Questions to name servers (all, or these) that go to a port of this host."""

    port: int
    servers: Networks = Networks()


class Proxy(NamedTuple):
    """What the proxy's own traffic is known by; any of it is enough."""

    uids: Tuple[int, ...] = ()
    gids: Tuple[int, ...] = ()
    marks: Tuple[Mark, ...] = ()
    cgroups: Tuple[str, ...] = ()


class Capture(NamedTuple):
    """A capture as it is to be. ``netns`` None means the network namespace that the task runs in."""

    name: str
    netns: Optional[str] = None
    inbound: Optional[Side] = None
    outbound: Optional[Side] = None
    dns: Optional[Dns] = None
    proxy: Proxy = Proxy()
    families: Tuple[int, ...] = (4, 6)
    bypass: bool = False
    mark: Mark = Mark(0x539, 0xFFF)
    table: int = 133
    priority: int = 133
    ssh_ports: Tuple[int, ...] = (22,)

    @property
    def key(self):
        """How it is called in steps and results."""
        return self.name if self.netns is None else f"{self.netns}/{self.name}"

    @property
    def uses_tproxy(self):
        """Whether packets are handed to the proxy unchanged, which needs a routing table of its own."""
        return any(side is not None and side.mode == "tproxy" for side in (self.inbound, self.outbound))

    @property
    def routing(self):
        """The :class:`Routing` that it needs, or None."""
        return Routing(self.mark, self.table, self.priority, self.families) if self.uses_tproxy else None


class Routing(NamedTuple):
    """Packets with this mark are looked up in a table whose only route leads to this host itself."""

    mark: Mark
    table: int
    priority: int
    families: Tuple[int, ...]


class Rule(NamedTuple):
    """A rule of policy routing as ip-rule(8) shows it; ``plain`` if it asks for nothing but the mark."""

    family: int
    priority: int
    mark: Optional[Mark]
    table: Optional[int]
    text: str
    plain: bool = False


class Found(NamedTuple):
    """A capture that is there, by the label in its rules or by what was recorded of it.

    :ivar backend: who has its rules; None when only the record is left.
    :ivar digest: of the declaration that its rules were made of.
    :ivar intact: whether its rules are those that were loaded, and nobody has changed them since.
    :ivar record: what was recorded of it, as text; None when that is lost.
    :ivar rules: what is there of it: {4 or 6: pairs of table and line} for iptables, {0: text} for nft.
    :ivar sets: {name: text that makes it anew} of its sets of ipset(8).
    :ivar hidden: what other backends have of it: a change of the backend came to no end.
    """

    backend: Optional[str]
    digest: str = ""
    routing: Optional[Routing] = None
    intact: bool = False
    record: Optional[str] = None
    rules: dict = {}
    sets: dict = {}
    hidden: Tuple = ()

    @property
    def every(self):
        """What each backend has of it."""
        return (self._replace(hidden=()), *self.hidden)

    def by(self, backend):
        """Return the same, as that of a backend if that has any of it."""
        every = self.every
        first = next((one for one in every if one.backend == backend), every[0])
        return first._replace(hidden=tuple(one for one in every if one is not first))


class Place(NamedTuple):
    """A network namespace as it was found.

    :ivar backends: {backend: its programs} of those that work there, the best first.
    :ivar wildcard: whether nft knows the match of that name.
    :ivar routes: {(family, table): (text, ...)} of the tables that are asked for.
    :ivar listeners: {(proto, family, port): transparent} of all listening sockets; None when that cannot be told.
    :ivar bridges: whether it has a bridge; ``loopback``: whether its loopback is up; ``links``: the names of all.
    :ivar dead_ends: {link: whether it has an IPv4 address} of those that captures name for what comes in, and by which
        no IPv4 route leads out.
    :ivar kept: {name: Kept} of the settings that captures had set.
    :ivar connection: client, server and port of the ssh connection of the task, in its own namespace.
    """

    backends: dict
    wildcard: bool = True
    found: dict = {}
    rules: Tuple[Rule, ...] = ()
    routes: dict = {}
    listeners: Optional[dict] = None
    sysctls: dict = {}
    bridges: bool = False
    loopback: bool = True
    has_ipset: bool = False
    connection: Optional[Tuple] = None
    links: Tuple[str, ...] = ()
    dead_ends: dict = {}
    kept: dict = {}


class State(NamedTuple):
    """All network namespaces that are spoken of, and the saved files: {path: text or None}."""

    places: dict
    files: dict = {}


class Command(NamedTuple):
    """A command to run in a network namespace.

    :ivar may_fail: when it undoes something, whether there may be nothing to undo.
    """

    argv: Tuple[str, ...]
    stdin: Optional[str] = None
    may_fail: bool = False


class Write(NamedTuple):
    """A file to write, or to remove when ``text`` is None; undone by putting back what was there."""

    path: str
    text: Optional[str]
    mode: int = 0o600


class Record(NamedTuple):
    """The rules of a capture, as they are listed once they are loaded, to be noted in a file as a digest."""

    path: str
    backend: str
    programs: Tuple[str, ...]
    netns: Optional[str]
    name: str


class Wanted(NamedTuple):
    """What the task asks for. ``absent`` are pairs of namespace and name."""

    captures: Tuple[Capture, ...]
    absent: Tuple = ()
    backend: str = "auto"
    save: Optional[str] = None
    set_sysctls: bool = False
    guarded: bool = False

    @property
    def places(self):
        """The namespaces that are spoken of, each once."""
        return tuple(dict.fromkeys([one.netns for one in self.captures] + [netns for netns, _name in self.absent]))
