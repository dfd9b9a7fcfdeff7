# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The links of this host: the kernel's, through ip(8), and what keeps them.

Private to the collection; not a public interface.
"""

import json
import os

from .._core import files, guard
from .._core.command import run
from .._core.reconcile import ReconcileError
from . import ip_json, networkmanager, owners
from .model import State, Unless, Write

# What ip says when it is to take away what went by itself with an address or a link.
GONE = ("No such process", "Cannot assign requested address", "Cannot find device")
LONG = 120.0  # seconds that a command may take; nmcli waits for an activation


def observe(backend="runtime", names=()):
    """Return the :class:`State` of this network namespace.

    :param backend: ``networkmanager`` or ``runtime``.
    :param names: the links that are to be configured.
    :raises ReconcileError: ip(8) is missing, or too old to print JSON; a profile is not one that can be edited.
    """
    shown = _ip("-details", "link", "show")
    links = ip_json.links(
        shown,
        _ip("address", "show"),
        [(4, _ip("-4", "route", "show", "table", "all")), (6, _ip("-6", "route", "show", "table", "all"))],
    )
    found = State(links, owners.find(shown), backend)
    if backend != "networkmanager":
        return found
    profiles = networkmanager.profiles()
    networkmanager.refuse_others(names, profiles)
    plain = {name: networkmanager.plain_routes(link) for name, link in links.items()}
    return found._replace(links=plain, profiles=profiles)


def find_backend(names):
    """Return who keeps the links ``names``, as far as they are there: ``networkmanager`` or, nobody, ``runtime``.

    :raises ReconcileError: some are kept by NetworkManager and some are not, or by a program that this module does not
        configure; names the links.
    """
    kept = networkmanager.managed()
    names = [name for name in names if os.path.exists(f"/sys/class/net/{name}")]
    networkd = [name for name in names if _is_configured_by_networkd(name)]
    if networkd:
        raise ReconcileError(
            f"{', '.join(networkd)}: systemd-networkd keeps it; take it out of its .network files, or set "
            "backend: runtime to change the running kernel only"
        )
    if kept is None:
        return "runtime"
    left_out = [name for name in names if not kept.get(name, True)]
    if left_out and len(left_out) < len(names):
        raise ReconcileError(
            f"NetworkManager keeps {', '.join(sorted(set(names).difference(left_out)))} and does not keep "
            f"{', '.join(left_out)}; let it keep all of them ('nmcli device set NAME managed yes', and no "
            "unmanaged-devices in its configuration), or none"
        )
    return "runtime" if left_out else "networkmanager"


def apply(step):
    """Carry out one step and return what undoes it; a step that fails half way is undone."""
    operations, back = step.data
    before = {one.path: files.take(one.path) for one in (*operations, *_plain(back)) if isinstance(one, Write)}

    def undo():
        errors = []
        for one, may_fail in _with_leave(back):
            try:
                _carry_out(one, before)
            except ReconcileError as error:
                errors += [] if may_fail else [str(error)]
        if errors:
            raise ReconcileError("; ".join(errors))

    done = 0
    try:
        for one in operations:
            _carry_out(one)
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
    return [one if type(one) is tuple else (one, False) for one in back]


def _plain(back):
    return [one for one, _may_fail in _with_leave(back)]


def _carry_out(one, before=None):
    """Carry out an operation; a file that ``before`` has is put back."""
    if isinstance(one, Write):
        if before is not None:
            files.restore(before[one.path])
        elif one.text is None:
            files.remove(one.path)
        else:
            # NetworkManager reads only what nobody else can read (nm-settings-keyfile(5)).
            files.write(one.path, one.text, mode=0o600)
        return
    if isinstance(one, Unless):
        if not run(one.seen).strip():
            run(one.argv, timeout=LONG)
        return
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
        if not (gone and one[0] == "ip" and "del" in one and one[1] != "link"):
            raise


def _ip(*arguments):
    out = run(["ip", "-json", *arguments], timeout=60.0)
    try:
        return json.loads(out or "[]")
    except ValueError:
        raise ReconcileError(
            "ip(8) of this host prints no JSON; iproute2 4.14 or newer is needed (ip -Version)", stdout=out[:500]
        ) from None


def _is_configured_by_networkd(name):
    """Tell whether systemd-networkd says so of a link, in its state file (sd_network, ADMIN_STATE)."""
    index = files.read(f"/sys/class/net/{name}/ifindex")
    path = "/run/systemd/netif/links/{}".format((index or "").strip())
    return os.path.isfile(path) and "ADMIN_STATE=configured" in (files.read(path) or "")
