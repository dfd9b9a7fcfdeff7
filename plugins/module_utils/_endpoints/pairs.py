# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which link of the host belongs to which endpoint, and what would go with it. Pure.

Private to the collection; not a public interface.
"""

from typing import NamedTuple, Optional

from . import facets
from .model import GROUP, Link, Space, path_of
from .operations import BARE, changes

# What the kernel puts into each new namespace while a module for tunnels is loaded (fb_tunnels_only_for_init_net).
FALLBACK = {"tunl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "sit0", "ip6tnl0", "ip6gre0"}


class Pair(NamedTuple):
    """A pair of ours: the link on the host, and where the other end is, as far as it can be reached."""

    name: str  # of the endpoint; empty where it was only half made
    link: Link
    path: str = ""
    space: Optional[Space] = None
    inner: Optional[Link] = None


def find(state):
    """Return all pairs of ours on the host, by the name of our end."""
    found = {}
    for link in state.links.values():
        if link.is_ours and not link.loopback:
            found[link.name] = _pair(link, state)
    return found


def _pair(link, state):
    if not link.endpoint:
        # Only half made. Its other end is looked for everywhere: nothing tells where it is.
        for path, space in state.spaces.items():
            if other_end(link, space):
                return Pair("", link, path, space, other_end(link, space))
        return Pair("", link)
    name, place = link.endpoint
    path = path_of(place)
    space = state.spaces.get(path)
    inner = other_end(link, space)
    return Pair(name, link, path, space if inner else None, inner)


def other_end(link, space):
    """Return the link of a namespace that is the other end of ``link``, or None."""
    if space is None or link.space != space.number:
        return None
    return next((one for one in space.links.values() if one.ifindex == link.peer and one.peer == link.ifindex), None)


def remaining(space, gone):
    """Return what a namespace has beside its loopback and the links ``gone``."""
    names = {one.name for one in gone}
    return sorted(one.name for one in space.links.values() if not one.loopback and one.name not in names | FALLBACK)


def removal(pair, state, with_space):
    """Return the operations that remove a pair (and its namespace), each with those that undo it."""
    again = []
    if pair.inner:
        had = facets.found(pair.link, pair.inner, pair.space, state)
        names = (pair.link.name, pair.path, pair.inner.name)
        again = [operation for operation, _back in creation(names, had["mac"], had["mtu"], had)]
    found = [(["link", "del", None, pair.link.name], again)]
    if with_space:
        found.append((["netns", "del", pair.path], [["netns", "add", pair.path, mark_of(pair.space)]]))
    return tuple(found)


def creation(names, mac, mtu, wanted, taken=None):
    """Return the operations that make a pair with these facets, each with those that undo it.

    With the link goes all that was set on it, but for a route that was taken over from another one.
    """
    host, path, inner = names
    before = dict(BARE, mac=mac, group=GROUP, **({"mtu": mtu, "inside mtu": mtu} if mtu else {}))
    known = {key: value for key, value in wanted.items() if value is not None}
    made = changes(before, known, names, taken)
    back = [["link", "del", None, host]]
    taken_over = ["route", "add", None, host]
    return (
        (["veth", host, mac, mtu, path, inner], back),
        *((one, undone if one[:4] == taken_over and one[4] in (taken or {}) else []) for one, undone in made),
    )


def mark_of(space):
    """Return the mark that a namespace of ours has."""
    return next(one.alias for one in space.links.values() if one.loopback)
