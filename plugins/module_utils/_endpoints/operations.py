# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From facets that differ to operations: lists that JSON can carry, for the task and for the guard. Pure.

Where an operation takes place is the path of a namespace, None for the host. They are::

    [netns, add|del, path, mark]        [veth, name, mac, mtu, path, inside]     [link, del, where, name]
    [link, set, where, name, values]    [address, add|del, where, name, address]
    [route, add|del, where, name, to, via]    [proxy, add|del, name, address]    [sysctl, where, path, value]
    [nft, text]

Private to the collection; not a public interface.
"""

LINK = {"mac": "mac", "group": "group", "alias": "alias", "mtu": "mtu", "up": "up"}
# A new pair has these, and of all others nothing that would do.
BARE = {"bridge": "none", "link-local": (), "inside addresses": (), "inside routes": (), "routes": ()}


def changes(before, after, names, taken=None):
    """Return the operations that make ``before`` what ``after`` says, in an order that works.

    :param names: ``(our end, path of the namespace, other end)``.
    :param taken: links of ours that a route is taken over from, by prefix; undone, it goes back there.
    :returns: pairs of an operation and the list of those that undo it.
    """
    found = []
    for key, value in after.items():
        if before.get(key) != value:
            found += _change(key, before.get(key), value, names, taken or {})
    return found


def _change(key, old, new, names, taken):
    host, path, inner = names
    where, name = (path, inner) if key.startswith("inside ") else (None, host)
    plain = key[len("inside ") :] if where else key
    if plain in LINK:
        back = [["link", "set", where, name, {plain: old}]] if old is not None else []
        return [(["link", "set", where, name, {plain: new}], back)]
    if plain == "bridge":
        return [(["link", "set", None, name, {"master": new}], [["link", "set", None, name, {"master": old}]])]
    if plain == "disable_ipv6":
        setting = f"ipv6/conf/{name}/disable_ipv6"
        back = [["sysctl", where, setting, old]] if old is not None else []
        return [(["sysctl", where, setting, new], back)]
    if "/" in plain:
        return [(["sysctl", None, plain, new], [["sysctl", None, plain, old]] if old is not None else [])]
    gone = [one for one in old or () if one not in new]
    come = [one for one in new if one not in (old or ())]
    if plain in ("link-local", "addresses"):
        words = [[where, name, f"{one}/64" if plain == "link-local" else one] for one in (*come, *gone)]
        kind = "address"
    else:
        # A way by a gateway comes after the route to it, and goes before.
        come.sort(key=lambda one: " via " in one)
        gone.sort(key=lambda one: " via " not in one)
        words = [[where, name, *_way(one)] for one in (*come, *gone)]
        kind = "route"
    replaced = {one[2]: one for one in words[len(come) :] if kind == "route"}
    added = [([kind, "add", *one], _unadd(kind, one, taken, replaced)) for one in words[: len(come)]]
    removed = [([kind, "del", *one], [[kind, "add", *one]]) for one in words[len(come) :]]
    # A default route is taken over in place; one that goes first would leave a moment without.
    return added + removed


def _unadd(kind, words, taken, replaced):
    """Return what undoes an addition: a route takes the place of the one to the same prefix, which comes back."""
    if kind == "route" and words[0] is None and words[2] in taken:
        return [["route", "add", None, taken[words[2]], *words[2:]]]
    if words[2] in replaced:
        return [["route", "add", *replaced[words[2]]]]
    return [[kind, "del", *words]]


def _way(text):
    to, _via, via = text.partition(" via ")
    return to, via or None
