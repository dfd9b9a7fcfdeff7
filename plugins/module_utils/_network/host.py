# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The links of this host: the kernel's, through ip(8), and what keeps them.

Private to the collection; not a public interface.
"""

import json
import os
import socket

from .._core import files, guard
from .._core.command import prints, run
from .._core.reconcile import ReconcileError
from . import ifcfg, initscripts, ip_json, networkmanager, owners, rules
from .model import Activate, State, Unless, Write

# What ip says when it is to take away what went by itself with an address or a link, or with NetworkManager's profile.
GONE = (
    "No such process",
    "No such device",
    "Cannot assign requested address",
    "Cannot find device",
    "No such file or directory",
)
# rt_tables of iproute2, before and since 6.5; later ones add to earlier ones.
TABLES = ("/usr/share/iproute2", "/usr/lib/iproute2", "/etc/iproute2")
SPECIAL = (Write, Unless, Activate)  # operations that are no command
ROUTES_AND_RULES = "route show table all\nrule show\n"  # of one IP version, in one batch of ip(8)
LONG = 120.0  # seconds that a command may take; nmcli waits for an activation


def observe(backend="runtime", names=()):
    """Return the :class:`State` of this network namespace.

    :param backend: ``networkmanager``, ``ifcfg`` or ``runtime``.
    :param names: the links that are to be configured.
    :raises ReconcileError: ip(8) is missing; a profile or file is not one that can be edited.
    """
    (shown, routed, vlans), tables = _told(), _tables()
    links, found_rules = ip_json.links(shown, routed, vlans, tables), ip_json.rules(routed, tables)
    found = State(links, owners.find(shown), backend, rules=found_rules, permanent=ip_json.permanent(shown))
    found = rules.given_out(found)
    if backend == "networkmanager":
        profiles = networkmanager.profiles()
        networkmanager.refuse_others(names, profiles)
        return found._replace(links=networkmanager.kept(found.links, found_rules, profiles), profiles=profiles)
    links = {name: link._replace(ipv6=_ipv6(name)) for name, link in found.links.items()}
    found = found._replace(links=links)
    if backend != "ifcfg":
        return found
    texts = initscripts.texts()
    initscripts.refuse_misnamed(names, texts)
    return ifcfg.kept(found, texts)


def find_backend(names):
    """Return who keeps the links ``names`` and what they are on, as far as they are there.

    That is ``networkmanager``, ``ifcfg`` or, nobody, ``runtime``.

    :raises ReconcileError: some are kept by one and some by another, or by a program that this module does not
        configure; names the links.
    """
    return owners.backend(*_keepers(sorted({*_there(names), *(lower for name in names for lower in _lower(name))})))


def observe_all():
    """Return the :class:`State` of this network namespace, as who keeps most of its links tells it."""
    found = observe()
    # NetworkManager has a hand in what it only sees others make, as libvirt's bridges.
    return observe(owners.backend_of_most(*_keepers([name for name in found.links if name not in found.owners])))


def _keepers(names):
    """Return who keeps each of these links, whether NetworkManager runs, and whether the initscripts are there."""
    managed = networkmanager.managed()
    networkd = [name for name in names if _is_configured_by_networkd(name)]
    there = initscripts.installed()
    scripts = initscripts.kept(names, initscripts.texts(), managed is None) if there else []
    keepers = {name: owners.NETWORKD if name in networkd else owners.SCRIPTS for name in (*scripts, *networkd)}
    keepers.update(
        (name, owners.MANAGER)
        for name in names
        if managed is not None and managed.get(name, True) and name not in keepers
    )
    return {name: keepers.get(name) for name in names}, managed is not None, there


def apply(step, known):
    """Carry out one step and return what undoes it; a step that fails half way is undone.

    :param known: set of NetworkManager's profiles that were seen active since they were loaded.
    """
    operations, back = step.data
    before = {one.path: files.take(one.path) for one in (*operations, *_plain(back)) if isinstance(one, Write)}

    def undo():
        errors = []
        for one, may_fail in _with_leave(back):
            try:
                _carry_out(one, known, before)
            except ReconcileError as error:
                errors += [] if may_fail else [str(error)]
        if errors:
            raise ReconcileError("; ".join(errors))

    done = 0
    try:
        for one in operations:
            _carry_out(one, known)
            done += 1
    except ReconcileError:
        if done:
            undo()
        raise
    return undo


def recorded(operations):
    """Return what takes a change back as the guard records it; files with all that belongs to them."""
    return [_recorded(one, may_fail) for one, may_fail in operations]


def _recorded(one, may_fail):
    if isinstance(one, Write):
        return guard.file(files.take(one.path))
    if isinstance(one, Unless):
        return guard.run(one.argv, timeout=LONG, may_fail=may_fail, unless=one.seen)
    return guard.run(one, timeout=LONG, may_fail=may_fail)


def _with_leave(back):
    """Give each operation whether it may fail; in an undo that has one, it is a pair already."""
    return [one if isinstance(one, tuple) and not isinstance(one, SPECIAL) else (one, False) for one in back]


def _plain(back):
    return [one for one, _may_fail in _with_leave(back)]


def _carry_out(one, known, before=None):
    """Carry out an operation; a file that ``before`` has is put back."""
    if isinstance(one, Write):
        if before is not None:
            files.restore(before[one.path])
        elif one.text is None:
            files.remove(one.path)
        else:
            files.write(one.path, one.text, mode=one.mode)
        return
    if isinstance(one, Unless):
        if not prints(one.seen):
            known.clear()
            run(one.argv, timeout=LONG)
        return
    if isinstance(one, Activate):
        networkmanager.activate(one, known)
        return
    known.clear()  # another command may take down what was up
    try:
        said = []
        run(one, timeout=LONG, log=said)
        if one[:3] == ["nmcli", "connection", "load"] and any(said):
            # It ends with 0 all the same.
            raise ReconcileError(
                f"NetworkManager does not take a profile: {said[0].strip()}; see why: journalctl -u NetworkManager"
            )
    except ReconcileError as error:
        gone = any(word in error.details.get("stderr", "") for word in GONE)
        if not (gone and one[0] == "ip" and "del" in one):
            raise


def _told():
    """Return what ip(8) prints of links and addresses, of routes and rules, and bridge(8) of VLANs; as Python has it.

    One that prints no JSON (iproute2 before 4.18, as the 4.11 of CentOS 7) is not asked: the kernel is.
    """
    try:
        shown = _ip("-details", "address", "show")
        routed = [(version, _ip(f"-{version}", "-batch", "-", stdin=ROUTES_AND_RULES)) for version in (4, 6)]
    except _NoJson:
        return _told_by_kernel()
    bridges = any(one.get("linkinfo", {}).get("info_kind") == "bridge" for one in shown)
    return shown, routed, _bridge_vlans() if bridges else ()


def _told_by_kernel():
    # Most hosts never need it, and each import is a file that is compiled anew for each task.
    from .._core.netlink import Netlink
    from . import rtnetlink, rtnetlink_routes

    with Netlink() as netlink:
        routed = rtnetlink_routes.routed(netlink, dict(socket.if_nameindex()))
        return rtnetlink.shown(netlink), routed, rtnetlink.vlans(netlink)


class _NoJson(Exception):
    """What ip(8) printed is no JSON."""


def _ip(*arguments, stdin=None):
    """Return the objects that ip(8) shows; of a batch, those of all its lines."""
    try:
        return ip_json.objects(run(["ip", "-json", *arguments], timeout=60.0, stdin=stdin))
    except ValueError as error:
        raise _NoJson from error
    except ReconcileError as error:
        if "-json" in error.details.get("stderr", ""):
            raise _NoJson from error
        raise


def _bridge_vlans():
    """Return what ``bridge -json vlan show`` prints, nothing where the kernel has no VLAN filtering."""
    try:
        return json.loads(run(["bridge", "-json", "vlan", "show"], timeout=60.0) or "[]")
    except (ReconcileError, ValueError):
        return []


def _tables():
    """Return the numbers of routing tables by name; ip prints names where it knows one."""
    found = {}
    for directory in TABLES:
        more = f"{directory}/rt_tables.d"
        paths = [f"{directory}/rt_tables"]
        paths += [f"{more}/{name}" for name in sorted(os.listdir(more))] if os.path.isdir(more) else []
        for line in "\n".join(files.read(path) or "" for path in paths).splitlines():
            words = line.split("#")[0].split()
            if len(words) == 2 and words[0].isdigit():
                found[words[1]] = int(words[0])
    return found


def _ipv6(name):
    """Return how the kernel does IPv6 on a link, one of ``model.IPV6``; None where it has none (ip-sysctl.rst)."""
    settings = {key: files.read(f"/proc/sys/net/ipv6/conf/{name}/{key}") for key in ("disable_ipv6", "accept_ra")}
    if None in settings.values():
        return None
    if settings["disable_ipv6"].strip() != "0":
        return "disabled"
    heeded = settings["accept_ra"].strip()
    forwards = heeded == "1" and (files.read(f"/proc/sys/net/ipv6/conf/{name}/forwarding") or "0").strip() != "0"
    return "manual" if heeded == "0" or forwards else "auto"


def _there(names):
    return [name for name in names if os.path.exists(f"/sys/class/net/{name}")]


def _lower(name):
    """Return what a link is built on; not the ports of a bridge, where those of virtual machines come and go."""
    directory = f"/sys/class/net/{name}"
    if not os.path.isdir(directory) or os.path.isdir(f"{directory}/bridge"):
        return []
    return [one[len("lower_") :] for one in os.listdir(directory) if one.startswith("lower_")]


def _is_configured_by_networkd(name):
    """Tell whether systemd-networkd says so of a link, in its state file (sd_network, ADMIN_STATE)."""
    index = files.read(f"/sys/class/net/{name}/ifindex")
    path = "/run/systemd/netif/links/{}".format((index or "").strip())
    return os.path.isfile(path) and "ADMIN_STATE=configured" in (files.read(path) or "")
