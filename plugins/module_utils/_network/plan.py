# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which steps make the links of a host what is declared, in an order that works. Pure.

The data of a step is the pair of the operations that do it and those that undo it: argument lists, here all of ip(8).
Private to the collection; not a public interface.
"""

from typing import NamedTuple

from .._core.reconcile import Plan, Step
from . import iproute, options, topology
from .model import Link

PLAIN = ("mtu", "mac")
NOTHING = Link("", "nic")


class Job(NamedTuple):
    """What a plan is made of: the links as they are to be, what is declared of them, and the links as they are.

    What is not declared is not compared: the kernel changes it with the rest, as the MAC of a port with its bond's.
    """

    links: dict
    declared: dict
    have: dict

    def without(self, names):
        """Return the job that is left once these links are removed; they keep their mtu where the parent allows."""
        links = dict(self.links)
        for name in set(names).intersection(links):
            parent = links[name].options["parent"]
            most = links[parent].mtu or (self.have[parent].mtu if parent in self.have else 0)
            kept = self.have[name].mtu if self.have[name].mtu <= most else None
            links[name] = links[name]._replace(mtu=links[name].mtu or kept)
        have = {name: link for name, link in self.have.items() if name not in names}
        return self._replace(links=links, have=have)

    def changed(self, name):
        """Return the options of a link that are declared and differ; of a new one, all."""
        have, want = self.have.get(name), self.declared.get(name, NOTHING)
        if have is None:
            return self.links[name].options
        return {key: value for key, value in want.options.items() if have.options.get(key) != value}

    def plain(self, name):
        """Return which of mtu and mac are declared and differ, of a link that is there."""
        have, want = self.have[name], self.declared.get(name, NOTHING)
        return [key for key in PLAIN if getattr(want, key) not in (None, getattr(have, key))]

    def port(self, name):
        """Return the options of a bridge's port that are declared and differ."""
        have, link = self.have.get(name, NOTHING), self.links[name]
        known = have.port if have.master == link.master else {}
        want = self.declared.get(name, NOTHING).port
        return {key: value for key, value in want.items() if known.get(key) != value}

    def differs(self, name):
        """Tell whether a link has to change at all."""
        have, link = self.have.get(name), self.links[name]
        if have is None:
            return True
        return (
            bool(self.changed(name) or self.plain(name) or self.port(name))
            or (link.master, link.up) != (have.master, have.up)
            or set(link.addresses) != set(have.addresses)
            or set(link.routes) != set(have.routes)
        )


def plan(wanted, state):
    """Return the :class:`Plan` that makes ``state`` what is ``wanted``.

    What is built comes first and from below: a bond's ports are in it before it goes up, a parent is there before
    its VLAN. A bridge has its address before the port that had it until then comes into it, so that the address is
    without a home for no longer than that takes; then the routes move, and the old addresses go last.

    :raises ReconcileError: the declaration cannot be met on this host; nothing has been changed.
    """
    job = Job(topology.target(wanted, state), wanted.links, state.links)
    touched = [name for name in topology.order(job.links) if job.differs(name)]
    gone = [name for name in wanted.absent if name in state.links]
    again = anew(job)
    early = in_the_way(gone, again, job)
    steps = [
        step for name in reversed(topology.order(state.links)) if name in early for step in _remove(state.links[name])
    ]
    rest = job.without(again | early)
    steps += [step for name in touched for step in _release(name, rest)]
    masters = {job.links[name].master for name in touched}
    for name in topology.order(job.links):
        if name in again and name not in early:
            steps.append(_recreate(rest.links[name], state.links[name], job.changed(name)))
        steps += _build(name, rest, name in again - early) if name in touched or name in masters else []
    steps += _routes(touched, rest)
    for name in touched:
        steps += _addresses(name, rest, "del")
    for name in reversed([one for one in topology.order(state.links) if one in gone and one not in early]):
        steps += _remove(state.links[name])
    return Plan(
        {name: shown(state.links.get(name), name, job) for name in touched + gone},
        {name: shown(job.links.get(name), name, job) for name in touched + gone},
        tuple(steps),
        warnings(touched, job),
    )


def undo(state, todo):
    """Return the operations that bring back the touched links of ``state``, each with whether it may fail.

    :param todo: the plan that is carried out.
    """
    remade = [name for name in todo.before if name in state.links and _other(name, todo)]
    touched = [*todo.before, *(link.name for link in state.links.values() if link.master in remade)]
    # What stands on a touched link goes with it: a VLAN with its parent.
    for name in topology.order(state.links):
        if name not in touched and set(topology.below(state.links[name], state.links)).intersection(touched):
            touched.append(name)
    before = [state.links[name] for name in topology.order(state.links) if name in touched]
    created = [*remade, *(name for name in touched if name not in state.links)]
    return [(["ip", *argv], may_fail) for argv, may_fail in iproute.rebuild(before, created, todo.after)]


def _other(name, todo):
    """Tell whether a link becomes one that cannot be changed back while it has ports, or at all."""
    kind = todo.before[name] and todo.before[name].get("kind")
    tables = [options.KINDS[kind]] if kind else options.KINDS.values()
    changed = set(todo.after.get(name) or ())
    return any(one.restart in ("new", "empty") and one.name in changed for table in tables for one in table.values())


def _step(verb, name, detail, do, back):
    return Step(verb, name, detail, ([["ip", *argv] for argv in do], [["ip", *argv] for argv in back]))


def anew(job):
    """Return the names of the VLANs that the kernel can only make anew, and of those on them."""
    found = set()
    for name in topology.order(job.links):
        link = job.links[name]
        new = any(options.KINDS[link.kind][key].restart == "new" for key in job.changed(name))
        if name in job.have and (new or (link.kind == "vlan" and link.options["parent"] in found)):
            found.add(name)
    return found


def in_the_way(gone, again, job):
    """Return which of these VLANs have to go first: the kernel knows an id of a parent once, and VLANs go with it."""
    taken = {_identity(link): name for name, link in job.links.items() if name not in job.have or name in again}
    parents = {job.have[name].options["parent"] for name in again}
    vlans = [name for name in (*gone, *again) if job.have[name].kind == "vlan"]
    conflicts = {name for name in vlans if taken.get(_identity(job.have[name]), name) != name}
    return conflicts | {name for name in again if name in parents or job.have[name].options["parent"] in again}


def _identity(link):
    return tuple(link.options.get(key) for key in ("parent", "id", "protocol"))


def _remove(link):
    return [_step("remove", link.name, link.kind, iproute.delete(link.name), _again(link))]


def _again(link):
    return [argv for argv, _may_fail in iproute.rebuild([link], [], {})] if link.kind != "nic" else []


def _release(name, job):
    """Take a port out of a master that it leaves; before anything is built, or two ports might make a loop."""
    have = job.have.get(name, NOTHING)
    if not have.master or have.master == job.links[name].master:
        return []
    return [_step("release", name, f"from {have.master}", iproute.release(name), _into(have, job.have))]


def _recreate(link, have, changed):
    do = iproute.delete(link.name) + iproute.create(link)
    back = iproute.delete(link.name) + _again(have)
    return _step("recreate", link.name, changes(changed, have), do, back)


def _build(name, job, made):
    """Make one link what it is to be, up to and with its ports.

    :param made: it is there by now, and has nothing.
    """
    steps, link, have = [], job.links[name], job.have.get(name)
    if have:
        steps += _change(name, job.changed(name), job)
    elif not made:
        steps.append(_step("create", name, _said(link), iproute.create(link), iproute.delete(name)))
    ports = [step for one in sorted(job.links) if job.links[one].master == name for step in _enslave(one, link, job)]
    ready = _up(link, have) + _addresses(name, job, "add")
    return steps + (ready + ports if link.kind == "bridge" else ports + ready)


def _into(port, links):
    """Return the commands that make a link the port that it was; a bond without ports has lost its MAC."""
    kind, mac = (links[port.master].kind, links[port.master].mac) if port.master in links else ("bridge", None)
    pinned = iproute.attribute(port.master, "mac", mac) if kind == "bond" else []
    return pinned + iproute.enslave(port.name, port.master, kind) + iproute.port(port.name, port.port)


def _change(name, changed, job):
    steps, have = [], job.have[name]
    table = options.KINDS[have.kind]
    restart = sorted(key for key in changed if table[key].restart)
    if changed:
        old = {key: have.options[key] for key in changed if key in have.options}
        detail = f"({', '.join(restart)}) " if restart else ""
        do, back = (_set(have, given, before, restart, job) for given, before in ((changed, old), (old, changed)))
        steps.append(_step("restart" if restart else "set", name, detail + changes(changed, have), do, back))
    for key in job.plain(name):
        old, new = getattr(have, key), getattr(job.declared[name], key)
        do, back = iproute.attribute(name, key, new), iproute.attribute(name, key, old)
        steps.append(_step("set", name, f"{key} {old} -> {new}", do, back))
    return steps


def _set(link, given, before, restart, job):
    """Return the commands that set options, with what a restart takes down besides: ports, addresses and routes."""
    table = options.KINDS[link.kind]
    ports = []
    if any(table[key].restart == "empty" for key in restart):
        ports = [one for one in job.have.values() if link.name == one.master == job.links[one.name].master]
    found = [argv for port in ports for argv in iproute.release(port.name)]
    found += iproute.change(link.kind, link.name, given, before, link.up)
    found += [argv for port in ports for argv in _into(port, job.have)]
    lost = _above(link.name, job.have) if restart and link.up else []
    return found + iproute.after_down(lost)


def _above(name, links):
    """Return a link and all that is built on it, which are down while it is."""
    found = [name]
    for other in topology.order(links):
        if set(topology.below(links[other], links)).intersection(found):
            found.append(other)
    return [links[one] for one in found]


def _enslave(name, master, job):
    steps, have = [], job.have.get(name, NOTHING)
    if have.master != master.name:
        do, back = iproute.enslave(name, master.name, master.kind), iproute.release(name)
        steps.append(_step("enslave", name, f"to {master.name}", do, back))
        have = have._replace(port={})
    changed = job.port(name)
    if changed:
        old = {key: have.port[key] for key in changed if key in have.port}
        said = ", ".join(f"{key} {value}" for key, value in sorted(changed.items()))
        steps.append(_step("set", name, f"as port: {said}", iproute.port(name, changed), iproute.port(name, old)))
    return steps


def _up(link, have):
    enslaved = link.master and not (have and have.master == link.master)  # which takes it up
    if link.up and not (have and have.up) and not enslaved:
        do, back = iproute.attribute(link.name, "up", True), iproute.attribute(link.name, "up", False)
        return [_step("start", link.name, "", do, back)]
    return []


def _addresses(name, job, verb):
    have = job.have.get(name)
    old, new = (have.addresses if have else ()), job.links[name].addresses
    chosen, other, word, back = {"add": (new, old, "add", "del"), "del": (old, new, "remove", "add")}[verb]
    return [
        _step(word, name, f"address {one}", iproute.address(verb, name, one), iproute.address(back, name, one))
        for one in chosen
        if one not in other
    ]


def _routes(touched, job):
    """Give the links their routes, and take away the old ones whose place no new one took."""
    there = {one.place: (link.name, one) for link in job.have.values() for one in link.routes}
    new = {one.place: (name, one) for name in touched for one in job.links[name].routes}
    steps = []
    for place, (name, one) in new.items():
        old = there.get(place)
        if old != (name, one):
            do = iproute.route("replace", name, one)
            back = iproute.route("replace", *old) if old else iproute.route("del", name, one)
            steps.append(_step(*_replacing(name, one, old), do, back))
    for place, (name, one) in there.items():
        if place not in new and name in touched and one not in job.links[name].routes:
            do, back = iproute.route("del", name, one), iproute.route("replace", name, one)
            steps.append(_step("remove", name, f"route {one}", do, back))
    return steps


def _replacing(name, route, old):
    """Return verb, target and detail of a step that gives a link a route, which there was by ``old`` until then."""
    if old is None:
        return "add", name, f"route {route}"
    if old[0] == name:
        return "set", name, f"route {old[1]} -> {route}"
    return (
        "move",
        name,
        f"route {old[1]} from {old[0]}" if old[1] == route else f"route {old[1]} from {old[0]} -> {route}",
    )


def _said(link):
    """Describe a link that is made: its kind, and the options that are given."""
    words = [f"{key} {_text(value)}" for key, value in sorted(link.options.items())]
    words += [f"{key} {getattr(link, key)}" for key in PLAIN if getattr(link, key) is not None]
    return " ".join([link.kind, ", ".join(words)]).strip()


def changes(changed, have):
    return ", ".join(f"{key} {_text(have.options.get(key))} -> {_text(changed[key])}" for key in sorted(changed))


def _text(value):
    if isinstance(value, tuple):
        return " ".join(f"{one[0]}:{one[1]}" if isinstance(one, tuple) else str(one) for one in value) or "none"
    return str(value)


def shown(link, name, job):
    """Return what a diff shows of a link on either side: what is to change; None for no link."""
    if link is None:
        return None
    after, have = job.links.get(name), job.have.get(name)
    if have is None or after is None:
        found = {"kind": link.kind, "up": link.up, "addresses": list(link.addresses)}
        found.update({key: getattr(link, key) for key in ("master", *PLAIN, "port") if getattr(link, key)})
        found.update(link.options)
    else:
        found = {key: link.options.get(key) for key in job.changed(name)}
        found.update({key: getattr(link, key) for key in job.plain(name)})
        found.update({key: getattr(link, key) for key in ("master", "up") if getattr(after, key) != getattr(have, key)})
        found.update({"port": link.port} if job.port(name) else {})
        found.update({"addresses": list(link.addresses)} if set(after.addresses) != set(have.addresses) else {})
    if set(after.routes if after else ()) != set(have.routes if have else ()):
        found["routes"] = [str(one) for one in link.routes]
    return found


def warnings(touched, job):
    """Warn of addresses that no link has any more."""
    homes = {one.partition("/")[0] for link in job.links.values() for one in link.addresses}
    return tuple(
        f"{one} is taken from {name} and given to no other link"
        for name in touched
        for one in (job.have[name].addresses if name in job.have else ())
        if one.partition("/")[0] not in homes
    )
