# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links of a host: bonds, VLANs, bridges and NICs, as they are wanted and as they are found.

Private to the collection; not a public interface.
"""

from typing import NamedTuple, Optional, Tuple


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

    def __str__(self):
        words = [self.to]
        for word, value in (("via", self.via), ("metric", self.metric), ("table", self.table)):
            words += [word, str(value)] if value is not None else []
        return " ".join(words)


class Link(NamedTuple):
    """One link. As wanted, what is None (or not in a dict) stays as it is; as found, everything is set.

    ``master`` is the bond or bridge that it is a port of, empty for none; ``port`` are its options there.
    ``addresses`` are those that are configured, ``ip/prefix``, not the kernel's own or leased ones.
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

    def over(self, below):
        """Return this link with what it leaves alone taken from ``below``, but for mtu and mac."""
        return self._replace(
            options=dict(below.options, **self.options),
            port=dict(below.port, **self.port) if self.master in (None, below.master) else self.port,
            **{key: getattr(below, key) if getattr(self, key) is None else getattr(self, key) for key in SIMPLE},
        )


SIMPLE = ("master", "addresses", "routes", "up")


class Wanted(NamedTuple):
    """The declaration: the links that shall be there, and the names of those that shall not.

    ``purge`` names the bonds and bridges that shall have no other ports than those declared.
    """

    links: dict
    absent: Tuple[str, ...] = ()
    purge: Tuple[str, ...] = ()


class Write(NamedTuple):
    """An operation: a file gets this text; None removes it. As undo, whatever the text, it is put back as it was."""

    path: str
    text: Optional[str]


class Unless(NamedTuple):
    """An operation of an undo: run ``argv`` unless the command ``seen`` prints that there is no need to."""

    argv: list
    seen: list


class Profile(NamedTuple):
    """What NetworkManager keeps of a link; ``active`` tells whether the link runs on it."""

    uuid: str
    path: str
    text: str
    active: bool = False


class State(NamedTuple):
    """What was found: every link of the host by name, and who else holds links (``{name: owner}``).

    ``backend`` is what keeps the configuration, ``profiles`` are NetworkManager's by link.
    """

    links: dict
    owners: dict = {}
    backend: str = "runtime"
    profiles: dict = {}
