# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which steps make one link what it is to be: its kind, its options, its ports, its addresses. Pure.

Private to the collection; not a public interface.
"""

from . import bridge_vlans, iproute, options, topology
from .ip_step import step
from .job import NOTHING
from .shown import changes, said, said_of_port


def remove(link):
    """Remove a link."""
    return [step("remove", link.name, link.kind, iproute.delete(link.name), _again(link))]


def _again(link):
    return [argv for argv, _may_fail in iproute.rebuild([link], [], {})] if link.kind != "nic" else []


def release(name, job):
    """Take a port out of a master that it leaves; before anything is built, or two ports might make a loop."""
    have = job.have.get(name, NOTHING)
    if not have.master or have.master == job.links[name].master:
        return []
    return [step("release", name, f"from {have.master}", iproute.release(name), _into(have, job.have))]


def recreate(link, have, changed):
    """Make a link anew that cannot be changed into what it is to be."""
    do = iproute.delete(link.name) + iproute.create(link)
    back = iproute.delete(link.name) + _again(have)
    return step("recreate", link.name, changes(changed, have), do, back)


def build(name, job, made):
    """Make one link what it is to be, up to and with its ports.

    :param made: it is there by now, and has nothing.
    """
    steps, late, link, have = [], [], job.links[name], job.have.get(name)
    if have:
        changed = _change(name, job.changed(name), job)
        # Once the ports are in their VLANs, or it would hold up what they carry.
        filters = job.changed(name).get("vlan_filtering")
        steps, late = ([], changed) if filters else (changed, [])
    elif not made:
        steps.append(step("create", name, said(link), iproute.create(link), iproute.delete(name)))
    ports = [step for one in sorted(job.links) if job.links[one].master == name for step in _enslave(one, link, job)]
    itself = _port(name, job) if link.kind == "bridge" else []
    ready = _up(link, have) + enable_ipv6(name, job) + addresses(name, job, "add")
    return steps + (ready + ports + itself if link.kind == "bridge" else ports + ready) + late


def _into(port, links):
    """Return the commands that make a link the port that it was; a bond without ports has lost its MAC."""
    kind, mac = (links[port.master].kind, links[port.master].mac) if port.master in links else ("bridge", None)
    pinned = iproute.attribute(port.master, "mac", mac) if kind == "bond" else []
    back = iproute.enslave(port.name, port.master, kind) + iproute.port(port.name, port.port)
    if kind != "bridge" or port.master not in links:
        return pinned + back
    fresh = bridge_vlans.of_new_port(links[port.master].options)
    return pinned + back + bridge_vlans.commands(port.name, port.port, fresh)


def _change(name, changed, job):
    steps, have = [], job.have[name]
    table = options.KINDS[have.kind]
    restart = sorted(key for key in changed if table[key].restart)
    if changed:
        old = {key: have.options[key] for key in changed if key in have.options}
        detail = f"({', '.join(restart)}) " if restart else ""
        do, back = (_set(have, given, before, restart, job) for given, before in ((changed, old), (old, changed)))
        steps.append(step("restart" if restart else "set", name, detail + changes(changed, have), do, back))
    for key in job.plain(name):
        old, new = getattr(have, key), getattr(job.declared[name], key)
        do, back = iproute.attribute(name, key, new), iproute.attribute(name, key, old)
        steps.append(step("set", name, f"{key} {old} -> {new}", do, back))
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
    lost = topology.above(link.name, job.have) if restart and link.up else []
    return found + iproute.after_down(lost)


def _enslave(name, master, job):
    steps, have = [], job.have.get(name, NOTHING)
    if have.master != master.name:
        do, back = iproute.enslave(name, master.name, master.kind), iproute.release(name)
        steps.append(step("enslave", name, f"to {master.name}", do, back))
    return steps + _port(name, job)


def _port(name, job):
    """Set what a port is to its bridge, or the VLANs that a bridge is in itself."""
    changed, known = job.port(name), job.port_known(name)
    if not changed:
        return []
    itself = job.links[name].kind == "bridge"
    old = {key: known[key] for key in changed if key in known}
    do = iproute.port(name, changed) + bridge_vlans.commands(name, changed, known, itself)
    back = iproute.port(name, old) + bridge_vlans.commands(name, old, dict(known, **changed), itself)
    return [step("set", name, f"{'itself' if itself else 'as port'}: {said_of_port(changed)}", do, back)]


def _up(link, have):
    enslaved = link.master and not (have and have.master == link.master)  # which takes it up
    if link.up and not (have and have.up) and not enslaved:
        do, back = iproute.attribute(link.name, "up", True), iproute.attribute(link.name, "up", False)
        return [step("start", link.name, "", do, back)]
    return []


def enable_ipv6(name, job):
    """Let a link do IPv6 as it is declared, before it gets its addresses."""
    new = job.settings(name).get("ipv6")
    return [_ipv6(name, new, job)] if new not in (None, "disabled") else []


def disable_ipv6(name, job):
    """Let a link do no IPv6, once its addresses are gone."""
    return [_ipv6(name, "disabled", job)] if job.settings(name).get("ipv6") == "disabled" else []


def _ipv6(name, new, job):
    old = job.have[name].ipv6 if name in job.have else None
    back = iproute.ipv6(name, old) if old else []
    return step("set", name, f"ipv6 {old or 'as new'} -> {new}", iproute.ipv6(name, new), back)


def addresses(name, job, verb):
    """Add the addresses that a link lacks, or (``del``) remove those that it is not to have."""
    have = job.have.get(name)
    old, new = (have.addresses if have else ()), job.links[name].addresses
    chosen, other, word, back = {"add": (new, old, "add", "del"), "del": (old, new, "remove", "add")}[verb]
    return [
        step(word, name, f"address {one}", iproute.address(verb, name, one), iproute.address(back, name, one))
        for one in chosen
        if one not in other
    ]
