# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was found, in the words of the options. Pure.

Private to the collection; not a public interface.
"""

from . import declare, facets, pairs


def endpoints(state):
    """Return the endpoints of the host as the option ``endpoints`` takes them, by name.

    One whose namespace cannot be reached is not among them; see :func:`lost`.
    """
    found = [_endpoint(pair, state) for pair in pairs.find(state).values() if pair.name and pair.inner]
    return sorted(found, key=lambda one: one["name"])


def lost(state):
    """Return the names of endpoints (of the link, where it was only half made) that do not work any more."""
    return sorted(pair.name or pair.link.name for pair in pairs.find(state).values() if not (pair.name and pair.inner))


def proxies(state):
    """Return the addresses that links of the host answer for, as the option ``proxies`` takes them."""
    return [{"interface": link, "addresses": sorted(state.proxied[link])} for link in sorted(state.proxied)]


def _endpoint(pair, state):
    had = facets.found(pair.link, pair.inner, pair.space, state)
    place = pair.link.endpoint[1]
    vias = [one.partition(" via ")[2] for one in had["inside routes"]]
    found = {
        "name": pair.name,
        **({"pid": int(place[4:])} if place.startswith("pid:") else {"netns": place}),
        # A namespace that somebody else has made is not to be made by this module later.
        "create": pair.space.is_ours,
        "interface": pair.inner.name,
        "host_interface": pair.link.name,
        "addresses": sorted({one.split("/")[0] for one in (*had["inside addresses"], *had["routes"])}),
        "mac": had["mac"],
        "mtu": had["mtu"],
    }
    four, six = [one for one in vias if "." in one], [one for one in vias if ":" in one]
    found.update({"gateway": four[0]} if four else {})
    found.update({"gateway6": six[0]} if six and six[0] != declare.link_local(had["mac"]) else {})
    return found
