# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which steps make the endpoints of a host what is declared. Pure: nothing of the system is touched here.

Private to the collection; not a public interface.
"""

from .._core.reconcile import Plan, Step
from . import definition, facets, pairs, plan_host, refusals, sources
from .model import MARK, full, has_name, path_of, shown
from .operations import changes


def plan(wanted, state):
    """Return the :class:`Plan` that makes ``state`` what is ``wanted``.

    What goes comes first, since it may hold names and addresses of what comes; endpoints that exist come before new
    ones. ``Step.data`` are the operations of a step, each with the list of those that undo it.

    :raises ReconcileError: the declaration cannot be met on this host; nothing has been changed.
    """
    found = pairs.find(state)
    refusals.check(wanted, state, found)
    there = tuple(one for one in wanted.endpoints if one.create or state.spaces.get(one.path))
    lost = tuple(one for one in wanted.endpoints if one not in there)
    wanted = wanted._replace(endpoints=there)
    gone, kept = _split(wanted, [one.name for one in lost], found)
    others = [pair for pair in found.values() if pair not in gone and pair.name not in kept]
    filtered, unfiltered = sources.plan(wanted, state, others)
    whole = _removals(wanted, state, gone, found).then(plan_host.forwarding(wanted, state)).then(filtered)
    links = [pair.link.name for pair in kept.values()]
    routed, made = {route.to: link for link in links for route in state.routes.get(link, ())}, set()
    for endpoint in there:
        if endpoint.name in kept:
            whole = _merge(whole, _set(endpoint, state, kept[endpoint.name], routed))
    for endpoint in there:
        if endpoint.name not in kept:
            whole = _merge(whole, _create(endpoint, state, routed, made))
    warned = Plan({}, {}, (), _lost(lost) + refusals.warnings(wanted, state))
    for later in (unfiltered, plan_host.proxies(wanted, state), definition.plan(wanted.save, state), warned):
        whole = whole.then(later)
    return whole


def undo(todo):
    """Return the operations that take a plan back, from wherever it was left."""
    return [one for step in reversed(todo.steps) for _operation, back in reversed(step.data) for one in back]


def _merge(whole, parts):
    """Add one object's plan in place: a copy of all before for each of hundreds would be quadratic."""
    before, after, step = parts
    if step is None:
        return whole
    for name, had in before.items():
        whole.before.setdefault(name, had)  # what is removed to be made anew was there
    whole.after.update(after)
    return whole._replace(steps=(*whole.steps, step))


def _lost(endpoints):
    return tuple(
        f"{one.name} is left out: {shown(one.place)} is not there; what was left of the endpoint is removed"
        for one in endpoints
    )


def _split(wanted, lost, found):
    """Return the pairs that go, and those that stay by the name of their endpoint."""
    named = {one.name: one for one in wanted.endpoints}
    links = {one.host_interface for one in wanted.endpoints} | {link for _place, link in wanted.absent.values()}
    gone, kept = [], {}
    for pair in found.values():
        endpoint = named.get(pair.name)
        if endpoint is None:
            half = not pair.name and pair.link.name in links
            if pair.name in wanted.absent or pair.name in lost or half or wanted.purge:
                gone.append(pair)
        elif _fits(endpoint, pair) and endpoint.name not in kept:
            kept[endpoint.name] = pair
        else:
            gone.append(pair)
    return gone, kept


def _fits(endpoint, pair):
    return bool(
        pair.inner
        and pair.link.name == endpoint.host_interface
        and pair.path == endpoint.path
        and pair.inner.name == endpoint.interface
    )


def _removals(wanted, state, gone, found):
    """Return the plan that removes pairs, namespaces of ours that are then empty, and names without a namespace."""
    needed = {one.path for one in wanted.endpoints} | {one.path for one in found.values() if one not in gone}
    last = {pair.path: pair for pair in gone if _is_last(pair, needed)}
    whole, warned = Plan({}, {}, ()), []
    for pair in gone:
        with_space = last.get(pair.path) is pair
        others = pairs.remaining(pair.space, [one.inner for one in gone if one.path == pair.path]) if with_space else ()
        if others:
            warned.append(
                f"netns {pair.path} is kept: it has other links, not made by this module: {', '.join(others)}"
            )
        operations = pairs.removal(pair, state, with_space and not others)
        name = pair.name or f"{pair.link.name} (half made)"
        also = f" and {pair.path}" if with_space and not others else ""
        had = (
            facets.found(pair.link, pair.inner, pair.space, state) if pair.inner else {"host interface": pair.link.name}
        )
        whole = _merge(whole, ({name: had}, {name: None}, Step("remove", name, pair.link.name + also, operations)))
    for path in _emptied(wanted, state):
        if path not in needed and path not in last:
            space = state.spaces[path]
            name = f"netns {path.rpartition('/')[2]}"
            back = [["netns", "add", path, pairs.mark_of(space)]] if space else []
            step = Step("remove", name, "nothing is in it", ((["netns", "del", path], back),))
            whole = _merge(whole, ({name: "empty"}, {name: None}, step))
    return whole._replace(warnings=tuple(warned))


def _is_last(pair, needed):
    """Tell whether the namespace of a pair may go with it."""
    return bool(pair.space and pair.space.is_ours and has_name(pair.path) and pair.path not in needed)


def _emptied(wanted, state):
    """Return the paths of namespaces of ours that nothing is in, and of names without a namespace, that shall go."""
    named = {path_of(place): name for name, (place, _link) in wanted.absent.items()}
    for path in filter(has_name, state.spaces):
        space = state.spaces[path]
        stale = path in state.stale and path in named
        empty = space and space.is_ours and not pairs.remaining(space, ())
        if stale or (empty and (wanted.purge or named.get(path) == _owner(space))):
            yield path


def _owner(space):
    return pairs.mark_of(space)[len(MARK) :]


def _set(endpoint, state, pair, routed):
    """Return before, after and the step that mends an endpoint that is there."""
    want = facets.wanted(endpoint, state)
    have = facets.found(pair.link, pair.inner, pair.space, state)
    differ = [key for key, value in want.items() if have.get(key) != value]
    if not differ:
        return {}, {}, None
    made = changes(have, want, _names(endpoint), _taken(endpoint, routed))
    detail = ", ".join(f"{_word(key, endpoint)} {_text(have.get(key))} -> {_text(want[key])}" for key in differ)
    before, after = ({key: side.get(key) for key in differ} for side in (have, want))
    step = Step("set", endpoint.name, detail, tuple(made))
    return {endpoint.name: before}, {endpoint.name: after}, step


def _create(endpoint, state, routed, made):
    """Return before, after and the step that makes an endpoint, and its namespace unless it is there or ``made``."""
    want = facets.wanted(endpoint, state)
    operations = []
    is_new = state.spaces.get(endpoint.path) is None and endpoint.path not in made
    if is_new:
        made.add(endpoint.path)
        operations.append(
            (["netns", "add", endpoint.path, f"{MARK}{endpoint.name}"], [["netns", "del", endpoint.path]])
        )
    taken = _taken(endpoint, routed)
    operations += pairs.creation(_names(endpoint), endpoint.mac, endpoint.mtu, want, taken)
    new = " (new)" if is_new else ""
    detail = f"{endpoint.host_interface} to {endpoint.interface} in {shown(endpoint.place)}{new}, " + ", ".join(
        endpoint.addresses
    )
    return {endpoint.name: None}, {endpoint.name: want}, Step("create", endpoint.name, detail, tuple(operations))


def _taken(endpoint, routed):
    """Return the links of other endpoints, of those that stay, that routes of this one are taken over from."""
    own = {to: routed[to] for to in map(full, endpoint.addresses) if to in routed}
    return {to: link for to, link in own.items() if link != endpoint.host_interface}


def _names(endpoint):
    return endpoint.host_interface, endpoint.path, endpoint.interface


def _word(key, endpoint):
    """Say a sysctl as sysctl(8) does, without the link, which the reader knows."""
    return key.replace(f"/{endpoint.host_interface}/", "/").rpartition("/")[2] if key.startswith("ipv") else key


def _text(value):
    if isinstance(value, tuple):
        return "+".join(value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)
