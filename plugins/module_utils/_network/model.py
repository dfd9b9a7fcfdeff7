# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links of a host: bonds, VLANs, bridges and NICs, as they are wanted and as they are found.

Private to the collection; not a public interface.
"""

from typing import NamedTuple, Optional, Tuple

# The metric of a route that is given none: of IPv6 it is IP6_RT_PRIO_USER (include/uapi/linux/ipv6_route.h).
USUAL_METRIC = {4: 0, 6: 1024}


class Route(NamedTuple):
    """A route out of a link: ``to`` is a prefix, ``0.0.0.0/0`` and ``::/0`` the gateways."""

    to: str
    via: Optional[str] = None
    metric: Optional[int] = None
    table: Optional[int] = None

    @property
    def place(self):
        """What only one route of the host can have at a time (ip-route(8), replace)."""
        return self.to, self.metric, self.table

    @property
    def usual_metric(self):
        """The metric that the kernel gives it when it has none; ``ip route`` does not tell the two apart."""
        return USUAL_METRIC[6 if ":" in self.to else 4]

    @property
    def plain(self):
        """The same route as it is found in the kernel."""
        return self._replace(metric=None) if self.metric == self.usual_metric else self

    def __str__(self):
        words = [self.to]
        for word, value in (("via", self.via), ("metric", self.metric), ("table", self.table)):
            words += [word, str(value)] if value is not None else []
        return " ".join(words)


class Rule(NamedTuple):
    """A rule of policy routing (ip-rule(8)): which packets look for their way in which table."""

    priority: int
    table: int
    family: int = 4
    source: Optional[str] = None
    to: Optional[str] = None
    iif: Optional[str] = None
    fwmark: Optional[str] = None

    def words(self):
        """Return the rule as ip-rule(8), NetworkManager and the initscripts write it."""
        words = ["priority", str(self.priority), "from", self.source or ANY[self.family]]
        for word, value in (("to", self.to), ("iif", self.iif), ("fwmark", self.fwmark)):
            words += [word, value] if value is not None else []
        return [*words, "table", str(self.table)]

    def __str__(self):
        words = self.words()
        return " ".join(["rule", *words[1:2], *(words[2:] if self.source else words[4:])])


ANY = {4: "0.0.0.0/0", 6: "::/0"}


class Link(NamedTuple):
    """One link. As wanted, what is None (or not in a dict) stays as it is; as found, everything is set.

    ``master`` is the bond or bridge that it is a port of, empty for none; ``port`` are its options there.
    ``addresses`` are those that are configured, ``ip/prefix``, not the kernel's own or leased ones. The ``port`` of a
    bridge are the VLANs that it is in itself, where it filters them. ``ipv6`` is one of :data:`IPV6`.
    What is found may leave ``dns``, ``dns_search``, ``dhcp4`` and ``ipv6`` out, where nobody can tell; so it is with an
    option that is None, which is not compared.
    """

    name: str
    kind: str
    options: dict = {}
    master: Optional[str] = None
    port: dict = {}
    mtu: Optional[int] = None
    mac: Optional[str] = None
    addresses: Optional[Tuple[str, ...]] = None
    routes: Optional[Tuple[Route, ...]] = None
    up: Optional[bool] = None
    rules: Optional[Tuple[Rule, ...]] = None
    dns: Optional[Tuple[str, ...]] = None
    dns_search: Optional[Tuple[str, ...]] = None
    dhcp4: Optional[bool] = None
    ipv6: Optional[str] = None

    def over(self, below):
        """Return this link with what it leaves alone taken from ``below``, but for mtu and mac."""
        return self._replace(
            options=dict(below.options, **self.options),
            port=dict(below.port, **self.port) if self.master in (None, below.master) else self.port,
            **{key: getattr(below, key) if getattr(self, key) is None else getattr(self, key) for key in SIMPLE},
        )


SETTINGS = ("dns", "dns_search", "dhcp4", "ipv6")
SIMPLE = ("master", "addresses", "routes", "up", "rules", *SETTINGS)
# disabled: none at all; manual: what is configured, beside the link-local address; auto: what routers advertise, too;
# dhcp: what a DHCPv6 server says, too.
IPV6 = ("disabled", "manual", "auto", "dhcp")


class Wanted(NamedTuple):
    """The declaration: the links that shall be there, and the names of those that shall not.

    ``purge`` names the bonds and bridges that shall have no other ports than those declared.
    """

    links: dict
    absent: Tuple[str, ...] = ()
    purge: Tuple[str, ...] = ()


class Write(NamedTuple):
    """An operation: a file gets this text; None removes it. As undo, whatever the text, it is put back as it was.

    A new file gets the mode; without another one nobody else can read it.
    """

    path: str
    text: Optional[str]
    mode: int = 0o600


class Unless(NamedTuple):
    """An operation: run ``argv`` unless the command ``seen`` prints that there is no need to."""

    argv: list
    seen: list


ACTIVATION = 90  # seconds that an activation by NetworkManager may take


class Activate(NamedTuple):
    """An operation: NetworkManager shall run a link on the profile ``uuid``, which it was just given.

    ``argv`` brings it up where NetworkManager does not by itself; ``coming`` are all profiles that were given with it.
    """

    uuid: str
    argv: list
    coming: Tuple[str, ...]


class Profile(NamedTuple):
    """What NetworkManager keeps of a link; ``active`` tells whether the link runs on it."""

    uuid: str
    path: str
    text: str
    active: bool = False


class State(NamedTuple):
    """What was found: every link of the host by name, and who else holds links (``{name: owner}``).

    ``backend`` is what keeps the configuration, ``profiles`` are NetworkManager's by link, ``files`` the texts of the
    initscripts' by file name. ``rules`` are all rules of policy routing that have the form of ours. ``permanent`` are
    the MACs that ports of a bond have without it.
    """

    links: dict
    owners: dict = {}
    backend: str = "runtime"
    profiles: dict = {}
    files: dict = {}
    rules: Tuple[Rule, ...] = ()
    permanent: dict = {}
