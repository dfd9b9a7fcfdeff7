# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which steps make the links of a host that NetworkManager keeps what is declared. Pure.

Profiles are written and loaded first, so that NetworkManager's own autoconnect works for the change and not against it;
then each link that differs is reapplied in place where that is possible, else activated, from below. What takes all of
it back is the undo of the first step: profiles must be back before a link is activated with them.
Private to the collection; not a public interface.
"""

from .._core.reconcile import Plan, ReconcileError, Step
from . import bridge_vlans, iproute, keyfile, options, topology
from .job import NOTHING, anew, in_the_way, job_of
from .model import ACTIVATION, Activate, Unless, Write
from .shown import changes, said_of_port, said_of_settings, shown, warnings, with_keys

DIRECTORY = "/etc/NetworkManager/system-connections"
WAIT = str(ACTIVATION)


def plan(wanted, state):
    """Return the :class:`Plan` that makes ``state`` what is ``wanted``, through NetworkManager.

    :raises ReconcileError: the declaration cannot be met on this host; nothing has been changed.
    """
    job = job_of(wanted, state)
    _check(job)
    order = topology.order(job.links)
    differing = [name for name in order if job.differs(name)]
    gone = [name for name in wanted.absent if name in state.links or name in state.profiles]
    texts = {name: _text(name, job, state) for name in order if name in wanted.links or name in differing}
    stale = [name for name, text in texts.items() if _differs(text, state.profiles.get(name))]
    again = anew(job)
    early = in_the_way([name for name in gone if name in state.links], again, job) | again
    steps = []
    for name in reversed(topology.order(state.links)):
        if name in early:
            steps.append(_step("remove", name, state.links[name].kind, [_ip(argv) for argv in iproute.delete(name)]))
    for name in stale:
        steps.append(_step("write", _path(name, state), _said(name, state), [Write(_path(name, state), texts[name])]))
    if stale:
        files = [_path(name, state) for name in topology.order_of_activation(job.links) if name in stale]
        steps.append(_step("load", "NetworkManager", ", ".join(stale), [["nmcli", "connection", "load", *files]]))
    coming = tuple(_uuid(name, state) for name in differing if name in stale and _comes_up(name, state, again))
    steps += [
        _activate(name, job, state, name in again, coming)
        for name in topology.order_of_activation(job.links)
        if name in differing
    ]
    for name in [one for one in reversed(topology.order(state.links)) if one in gone]:
        steps += _remove(name, name in early, state)
    named = [*differing, *(name for name in stale if name not in differing), *gone]
    old = {name: profile.text for name, profile in state.profiles.items()}
    new = {name: texts[name] for name in stale}
    todo = Plan(
        {
            name: _shown(state.links.get(name), name, job, old.get(name) if name in new else None, new.get(name))
            for name in named
        },
        {name: _shown(job.links.get(name), name, job, new.get(name), old.get(name)) for name in named},
        tuple(steps),
        warnings(differing, job),
    )
    return _with_undo(todo, undo(state, todo))


def _check(job):
    """Refuse VLANs of a port without the one that NetworkManager gives it besides (bridge-port.vlans)."""
    for name, link in job.links.items():
        want = job.declared[name].port if name in job.declared else {}
        bridge = link if link.kind == "bridge" else job.links.get(link.master)
        if not bridge_vlans.given_any(want) or bridge is None:
            continue
        usual = bridge.options.get("vlan_default_pvid", 1)
        port = bridge_vlans.whole(want, job.port_known(name))
        if usual and usual not in (port["pvid"], *port["vids"]):
            raise ReconcileError(
                f"'{name}': NetworkManager puts it into VLAN {usual} besides, as all of {bridge.name} "
                f"(vlan_default_pvid); declare vlan_default_pvid: 0 for {bridge.name}, or {usual} among the vids"
            )


def _with_undo(todo, back):
    """Let the undo of the first step, which is undone last, be that of all."""
    if not todo.steps:
        return todo
    first = todo.steps[0]
    return todo._replace(steps=(first._replace(data=(first.data[0], back)), *todo.steps[1:]))


def _step(verb, name, detail, do):
    return Step(verb, name, detail, (do, ()))


def _ip(argv):
    return iproute.command(argv)


def _path(name, state):
    profile = state.profiles.get(name)
    return profile.path if profile else f"{DIRECTORY}/{name}.nmconnection"


def _text(name, job, state):
    link, profile = job.links[name], state.profiles.get(name)
    kind = job.links[link.master].kind if link.master in job.links else None
    if kind not in ("bond", "bridge"):
        # It is somebody else's port, as of Open vSwitch, who will take it again after a boot.
        kept = name in state.links and link.master == state.links[name].master
        link, kind = link._replace(master=None if link.master and kept else ""), None
    bridge = link if link.kind == "bridge" else job.links.get(link.master)
    if bridge is None or not bridge.options.get("vlan_filtering"):  # then they mean nothing
        link = link._replace(port={key: value for key, value in link.port.items() if key not in bridge_vlans.NAMES})
    if profile is None and link.kind == "bond" and not link.mac and options.has_own_mac(link.options):
        link = link._replace(mac=state.links[name].mac)  # else it would depend on which port comes up first
    declared = job.declared.get(name)
    if declared is None:  # it loses an address, a route or its master to a link that is declared
        declared = type(link)(name, link.kind, addresses=link.addresses, routes=link.routes)
    if name in state.links and link.rules != state.links[name].rules:
        declared = declared._replace(rules=link.rules)
    uuids = {other: one.uuid for other, one in state.profiles.items()}
    return keyfile.edit(profile.text if profile else None, link, declared, kind, uuids)


def _differs(text, profile):
    return profile is None or keyfile.parse(text) != keyfile.parse(profile.text)


def _said(name, state):
    return f"profile of {name}" if name in state.profiles else f"new profile of {name}"


def _uuid(name, state):
    profile = state.profiles.get(name)
    return profile.uuid if profile else keyfile.identity(name)


def _comes_up(name, state, again):
    """Tell whether NetworkManager brings a link up by itself when its profile is loaded: it does not run on it yet."""
    profile = state.profiles.get(name)
    return name not in again and (name not in state.links or not (profile and profile.active))


def _activate(name, job, state, again, coming):
    """Take a link to what its profile says: in place where NetworkManager and the kernel can.

    :param coming: the profiles with which links come up by themselves.
    """
    link, have = job.links[name], state.links.get(name)
    profile = state.profiles.get(name)
    changed = job.changed(name) if have else {}
    # NMDeviceVlan has no can_reapply_change() of its own, so nothing of a VLAN can be reapplied but what any link has.
    restart = sorted(key for key in changed if link.kind == "vlan" or options.KINDS[link.kind][key].restart)
    in_place = have and have.up and profile and profile.active and not again and not restart
    in_place = in_place and link.master == have.master and "mac" not in job.plain(name)
    in_place = in_place and (link.kind == "bridge" or not job.port(name))
    if in_place:
        return _step("reapply", name, _what(name, job), [["nmcli", "--wait", WAIT, "device", "reapply", name]])
    uuid = _uuid(name, state)
    do = Activate(uuid, _up(uuid), coming) if uuid in coming else _up(uuid)
    if have is None or again:
        return _step("create", name, _what(name, job), [do])
    reason = f"({', '.join(restart)}) " if restart else ""
    verb = "restart" if profile and profile.active else "activate"
    anew = _anew(link, have.options, changed, do)
    return _step(verb, name, reason + _what(name, job), [*anew, *_up_again(name, job, state)])


def _anew(link, before, changed, do):
    """Return what runs a link on its profile anew, with all options that changed.

    NetworkManager sets what the kernel changes only while the link is down in vain, and says nothing of it; and an
    option of a bond's mode can be set when it has that mode.
    """
    table = options.KINDS[link.kind]
    given = {key: link.options[key] for key in changed if key in link.options and table[key].restart == "down"}
    down = [_ip(argv) for argv in iproute.change(link.kind, link.name, given, before, up=False)] if given else []
    return [do, *down, do] if down and "mode" in changed else [*down, do]


def _up_again(name, job, state):
    """Bring up the ports of a link that is restarted, as far as NetworkManager has not done so by itself."""
    ports = [one for one in sorted(state.links) if state.links[one].master == name == job.links[one].master]
    ports = [one for one in ports if one in state.profiles and state.profiles[one].active]
    return [_up_unless_port(one, name, state.profiles[one]) for one in ports]


def _up_unless_port(name, master, profile):
    """Bring up a port that its master has lost; one that it has would be taken out of it once more for that."""
    return Unless(_up(profile.uuid), _ip(iproute.is_port(name, master)))


def _up(uuid):
    return ["nmcli", "--wait", WAIT, "connection", "up", "uuid", uuid]


def _what(name, job):
    """Say what changes of a link."""
    link, have = job.links[name], job.have.get(name)
    if have is None:
        said = [link.kind, *(f"address {one}" for one in link.addresses), *(f"route {one}" for one in link.routes)]
        said += [str(one) for one in link.rules or ()] + said_of_settings(job.settings(name), NOTHING)
        return ", ".join(said + ([f"to {link.master}"] if link.master else []))
    said = [changes(job.changed(name), have)] if job.changed(name) else []
    said += [f"{key} {getattr(have, key)} -> {getattr(job.declared[name], key)}" for key in job.plain(name)]
    if link.master != have.master:
        said.append(f"master {have.master or 'none'} -> {link.master or 'none'}")
    itself = "itself" if link.kind == "bridge" else "as port"
    said += [f"{itself} {said_of_port(job.port(name))}"] if job.port(name) else []
    said += said_of_settings(job.settings(name), have)
    for word, key in (("address ", "addresses"), ("route ", "routes"), ("", "rules")):
        old, new = (getattr(one, key) or () for one in (have, link))
        said += [f"add {word}{one}" for one in new if one not in old]
        said += [f"remove {word}{one}" for one in old if one not in new]
    return ", ".join(said)


def _remove(name, early, state):
    steps, profile = [], state.profiles.get(name)
    if profile:
        reload = ["nmcli", "connection", "reload"]
        steps.append(_step("delete", profile.path, f"profile of {name}", [Write(profile.path, None), reload]))
    if not early and name in state.links:
        steps.append(_step("remove", name, state.links[name].kind, [_ip(argv) for argv in iproute.delete(name)]))
    return steps


def undo(state, todo):
    """Return what takes a change back, from whatever state the host is in: operations, each with whether it may fail.

    Files first, then NetworkManager. As the last resort the addresses and routes are given back without it.

    :param todo: the plan that is carried out.
    """
    found = [(Write(one.path, None), False) for step in todo.steps for one in step.data[0] if isinstance(one, Write)]
    touched = list(todo.before)
    removed = [step.target for step in todo.steps if step.verb == "remove"]
    restarted = [step.target for step in todo.steps if step.verb == "restart"]
    made = [name for name in touched if name not in state.links or name in removed]
    # Starting it does nothing but wait when it is just being restarted.
    found += [(["systemctl", "start", "NetworkManager"], True), (["nmcli", "connection", "reload"], False)]
    # Not before it has forgotten the profiles: it would make the links once more.
    found += [(_ip(argv), True) for name in made for argv in iproute.delete(name)]
    with_others = _with_those_on_them(touched, state)
    for name in [one for one in topology.order_of_activation(state.links) if one in with_others]:
        link, profile = state.links[name], state.profiles.get(name)
        if not (profile and profile.active):
            continue
        if name not in touched:
            found.append((_up_unless_active(link, state), False))
            continue
        up, changed = _up(profile.uuid), todo.before.get(name) or ()
        found += [(do, do is not up) for do in _anew(link, link.options, changed if name in restarted else (), up)]
    links = [state.links[name] for name in topology.order(state.links) if name in with_others]
    return found + [
        (Unless(_ip(argv), _ip(seen)) if seen else _ip(argv), True) for argv, seen in iproute.last_resort(links)
    ]


def _up_unless_active(link, state):
    """Bring up what is only on a changed link, unless it came back with that: it may be how the host is reached."""
    profile = state.profiles[link.name]
    if link.master in state.profiles:
        return _up_unless_port(link.name, link.master, profile)
    seen = ["nmcli", "-g", "GENERAL.STATE", "connection", "show", "uuid", profile.uuid]
    return Unless(_up(profile.uuid), seen)


def _with_those_on_them(names, state):
    touched = set(names)
    for name in topology.order(state.links):
        if touched.intersection(topology.below(state.links[name], state.links)):
            touched.add(name)
    touched |= {link.name for link in state.links.values() if link.master in touched}
    return touched


def _shown(link, name, job, mine, other):
    return with_keys(shown(link, name, job), "profile", _keys(mine), _keys(other))


def _keys(text):
    return {
        f"{section}.{key}": value for section, keys in keyfile.parse(text or "").items() for key, value in keys.items()
    }
