# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host as ``tproxy`` sees it: observed as one state, changed step by step.

Private to the collection; not a public interface.
"""

import grp
import os
import pwd
import re

from .._core import files, guard
from .._core.command import run
from .._core.connection import ssh_connection
from .._core.reconcile import ReconcileError
from . import backends, paths, proxies, report, routing, sysctls
from .model import Command, Found, Place, Record, State

# rt_tables of iproute2, before and since 6.5; later ones add to earlier ones.
TABLES = ("/usr/share/iproute2/rt_tables", "/usr/lib/iproute2/rt_tables", "/etc/iproute2/rt_tables")

WAYS = ("route", "show", "table", "all", "type", "unicast")


def uid_of(text):
    """Return the number of a user, given by number or by name."""
    return _number(text, "user", lambda name: pwd.getpwnam(name).pw_uid)


def gid_of(text):
    """Return the number of a group, given by number or by name."""
    return _number(text, "group", lambda name: grp.getgrnam(name).gr_gid)


def _number(text, kind, look_up):
    if text.isdigit():
        return int(text)
    try:
        return look_up(text)
    except KeyError:
        raise ReconcileError(
            f"there is no {kind} '{text}' on this host; give the number, or make the {kind} before"
        ) from None


def observe(wanted):
    """Return the :class:`State` of all that is spoken of.

    :raises ReconcileError: a network namespace is not there, or a tool that is needed.
    """
    _refuse_twice(wanted.places)
    places = {netns: _observed(netns, wanted) for netns in wanted.places}
    names = [one.name for one in wanted.captures] + [name for _netns, name in wanted.absent]
    saved = {paths.SYSCTL_D} | ({paths.saved(wanted.save, name) for name in names} if wanted.save else set())
    return State(places, {path: files.read(path) for path in sorted(saved)})


def look(netns):
    """Return the :class:`Place` of a namespace, with all captures that are there.

    :raises ReconcileError: the namespace is not there, or a tool that is needed.
    """
    if not _exists(netns):
        raise ReconcileError(_no_namespace(netns))
    _refuse_own(netns)
    return _place(netns, ())


def _exists(netns):
    return netns is None or os.path.exists(paths.namespace(netns))


def _refuse_twice(places):
    """Refuse two names for one namespace, whose captures would not know of each other."""
    seen = {}
    for netns in places:
        if netns is not None and _exists(netns):
            found = os.stat(paths.namespace(netns))
            other = seen.setdefault((found.st_dev, found.st_ino), netns)
            if other != netns:
                raise ReconcileError(f"netns '{netns}' and '{other}' are one network namespace; use one of the names")


def _refuse_own(netns):
    """Refuse another name for the namespace of the task: its captures would get past what is seen to there."""
    if netns is not None and os.path.samefile(paths.namespace(netns), "/proc/self/ns/net"):
        raise ReconcileError(
            f"netns '{netns}' is the network namespace of the host itself, as the containers that share it have it; "
            "leave netns out"
        )


def _no_namespace(netns):
    return f"there is no network namespace '{netns}' ({paths.namespace(netns)}); see 'ip netns list'"


def _observed(netns, wanted):
    captures = [one for one in wanted.captures if one.netns == netns]
    if _exists(netns):
        _refuse_own(netns)
        return _place(netns, captures)
    if captures:
        raise ReconcileError(f"capture '{captures[0].name}': {_no_namespace(netns)}")
    return Place({}, found=_with_records(netns, {}), kept=_kept(netns))


def _place(netns, captures):
    """Return the :class:`Place` of a namespace.

    :param captures: those that are declared there; what they name is looked at, beside what those that are there do.
    """
    found, legacy = backends.captures(netns)
    usable, wildcard = backends.usable(netns, legacy)
    found = _with_records(netns, found)
    numbers = {one.table for one in captures} | {one.routing.table for one in found.values() if one.routing}
    tables, shown = _tables(), run(paths.inside(netns, ["ip", "-o", "-d", "link", "show"]))
    links = tuple(re.findall(r"^\d+: ([^\s@:]+)", shown, re.M))
    kept = _kept(netns)
    rules = [
        one
        for family, option in routing.OPTIONS.items()
        for one in routing.rules(family, run(paths.inside(netns, ["ip", option, "rule", "show"])), tables)
    ]
    return Place(
        usable,
        wildcard,
        found,
        tuple(rules),
        {(family, number): _routes(netns, family, number) for number in sorted(numbers) for family in (4, 6)},
        proxies.listeners(netns),
        _sysctls(netns, [*sysctls.names(links), *kept]),
        re.search(r" bridge (?!slave)", shown) is not None,
        re.search(r"^\d+: lo: <[^>]*\bUP\b", shown, re.M) is not None,
        backends.has_ipset(),
        _connection() if netns is None else None,
        links,
        _dead_ends(netns, links, report.named_links(captures, found.values())),
        kept,
    )


def _with_records(netns, found):
    """Add the captures of which only the record is left: what somebody has flushed."""
    for file in sorted(os.listdir(paths.RECORDS)) if os.path.isdir(paths.RECORDS) else ():
        where, _dot, name = file.rpartition(".")[0].partition(".")
        if where == paths.place(netns) and file.endswith(".json") and name not in found:
            text = files.read(os.path.join(paths.RECORDS, file))
            found[name] = Found(None, routing=report.recorded_routing(text), record=text)
    return found


def _routes(netns, family, number):
    # A table that was never used is an error to some versions, and nothing to others.
    shown = run(
        paths.inside(netns, ["ip", routing.OPTIONS[family], "route", "show", "table", str(number)]), ok=(0, 1, 2)
    )
    return tuple(line.strip() for line in shown.splitlines() if line.strip())


def _tables():
    """Return the numbers of routing tables by name; ip(8) prints names where it knows one."""
    found = {}
    for path in TABLES:
        many = [f"{path}.d/{name}" for name in sorted(os.listdir(f"{path}.d"))] if os.path.isdir(f"{path}.d") else []
        for line in "\n".join(files.read(one) or "" for one in (path, *many)).splitlines():
            words = line.split("#")[0].split()
            if len(words) == 2 and words[0].isdigit():
                found[words[1]] = int(words[0])
    return found


def _sysctls(netns, names):
    """Return {name: value} of the settings that there are, in one go: each is a file of the namespace."""
    shown = run(paths.inside(netns, ["grep", "-sH", "", *(f"/proc/sys/{name}" for name in names)]), ok=(0, 1, 2))
    pairs = (line.partition(":") for line in shown.splitlines())
    return {path[len("/proc/sys/") :]: value for path, _colon, value in pairs}


def _kept(netns):
    """Return what captures had set, by the record; after a reboot that is what is set again at boot."""
    text = files.read(paths.settings(netns))
    return sysctls.parsed(files.read(paths.SYSCTL_D)) if text is None and netns is None else sysctls.read(text)


def _dead_ends(netns, links, named):
    """Return {link: whether it has an IPv4 address} of those that are named, and no IPv4 route leads out by."""

    def shown(link, *what):
        return run(paths.inside(netns, ["ip", "-4", *what, "dev", link])).strip()

    ends = [one for one in sorted(named.intersection(links)) if not shown(one, *WAYS)]
    return {one: bool(shown(one, "address", "show")) for one in ends}


def _connection():
    """Return client, server and port of the ssh connection that the task came by."""
    found = ssh_connection()
    return found and (found.client, found.server, found.server_port)


def apply(step):
    """Carry out one step and return what undoes it; a step that fails half way is undone."""
    before = {one.path: files.take(one.path) for one, _back in step.data if hasattr(one, "path")}
    done = []

    def undo():
        errors = []
        for one, back in reversed(done):
            try:
                if hasattr(one, "path"):
                    files.restore(before[one.path])
                elif back is not None:
                    _run(back)
            except ReconcileError as error:
                errors += [] if back is not None and back.may_fail else [str(error)]
        if errors:
            raise ReconcileError("; ".join(errors))

    try:
        for one, back in step.data:
            _carry_out(one)
            done.append((one, back))
    except ReconcileError:
        if done:
            undo()
        raise
    return undo


def recorded(steps):
    """Return what takes the steps back as the guard records it, the last one first."""
    found = []
    for step in reversed(steps):
        for one, back in reversed(step.data):
            if hasattr(one, "path"):
                found.append(guard.file(files.take(one.path)))
            elif back is not None:
                found.append(guard.run(back.argv, stdin=back.stdin, may_fail=back.may_fail))
    return found


def _carry_out(one):
    if isinstance(one, Command):
        _run(one)
    elif isinstance(one, Record):
        rules = backends.list_rules(one.netns, one.backend, one.programs, one.name)
        sets = backends.list_sets(one.netns, rules)
        files.write(one.path, backends.digest(rules, sets) + "\n", mode=0o600)
    elif one.text is not None:
        files.write(one.path, one.text, mode=one.mode)
    elif os.path.exists(one.path):
        files.remove(one.path, prune=one.path.startswith(paths.RECORDS))


def _run(command):
    try:
        run(list(command.argv), timeout=backends.LONG, stdin=command.stdin)
    except ReconcileError:
        if not command.may_fail:
            raise
