# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's links, through ip(8).

Private to the collection; not a public interface.
"""

import json

from .._core.command import run
from .._core.reconcile import ReconcileError
from . import ip_json, owners
from .model import State

# What ip says when it is to take away what went by itself with an address or a link.
GONE = ("No such process", "Cannot assign requested address", "Cannot find device")


def observe():
    """Return the :class:`State` of this network namespace.

    :raises ReconcileError: ip(8) is missing, or too old to print JSON.
    """
    shown = _ip("-details", "link", "show")
    links = ip_json.links(
        shown,
        _ip("address", "show"),
        [(4, _ip("-4", "route", "show", "table", "all")), (6, _ip("-6", "route", "show", "table", "all"))],
    )
    return State(links, owners.find(shown))


def apply(step):
    """Carry out one step and return what undoes it; a step that fails half way is undone."""
    commands, back = step.data

    def undo():
        for argv in back:
            _run(argv)

    done = 0
    try:
        for argv in commands:
            _run(argv)
            done += 1
    except ReconcileError:
        if done:
            undo()
        raise
    return undo


def _run(argv):
    try:
        run(["ip", *argv])
    except ReconcileError as error:
        gone = any(word in error.details.get("stderr", "") for word in GONE)
        if not (gone and "del" in argv and argv[0] != "link"):
            raise


def _ip(*arguments):
    out = run(["ip", "-json", *arguments], timeout=60.0)
    try:
        return json.loads(out or "[]")
    except ValueError:
        raise ReconcileError(
            "ip(8) of this host prints no JSON; iproute2 4.14 or newer is needed (ip -Version)", stdout=out[:500]
        ) from None
