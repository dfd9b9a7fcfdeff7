# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the options of a task to what is wanted; pure but for looking up user names through ``uid_of``.

Private to the collection; not a public interface.
"""

import re

from .._core.reconcile import ReconcileError
from . import limits_conf
from .model import Declaration, Selector, Wanted
from .resources import RESOURCES, parse_limit
from .unit_names import unit_name

SELECTOR_OPTIONS = dict(
    pid=dict(type="int"),
    user=dict(type="str"),
    command=dict(type="str"),
    unit=dict(type="str"),
    cgroup=dict(type="path"),
)

SUBJECTS = dict(
    argument_spec=dict(
        processes=dict(type="list", elements="dict", options=SELECTOR_OPTIONS),
        services=dict(type="list", elements="str"),
        sessions=dict(type="list", elements="str"),
    )
)

LIMITS_OPTIONS = dict(
    SUBJECTS["argument_spec"],
    resources=dict(type="dict", options={name: dict(type="raw") for name in RESOURCES}),
)


def wanted(params, uid_of):
    """Return the :class:`Wanted` of the options of ``rlimit``.

    :param uid_of: ``uid_of(name) -> uid``, for the users in selectors.
    :raises ReconcileError: names the entry, counted from 1, and what is wrong with it.
    """
    name = params["name"]
    if not re.match(r"[A-Za-z0-9_.-]+\Z", name):
        raise ReconcileError(f"name '{name}': it becomes a file's name; use letters, digits, '.', '_' and '-'")
    present = params["state"] == "present"
    declarations = []
    for number, entry in enumerate(params["limits"], 1):
        try:
            declarations.append(_declaration(entry, present, uid_of))
        except ReconcileError as error:
            raise ReconcileError(f"limits, entry {number}: {error}") from error
    return Wanted(
        tuple(declarations),
        params["limits_file"] or f"{limits_conf.DIRECTORY}/{name}.conf",
        name + ".conf",
        present,
        params["purge"],
    )


def _declaration(entry, present, uid_of):
    values = {key: value for key, value in (entry["resources"] or {}).items() if value is not None}
    if present and not values:
        raise ReconcileError("no limit is given; set at least one of resources: {}".format(", ".join(RESOURCES)))
    if not any(entry[subject] for subject in ("sessions", "services", "processes")):
        raise ReconcileError("nobody is limited; give at least one of sessions, services and processes")
    if entry["processes"] and not present:
        raise ReconcileError(
            "state 'absent' cannot give running processes their old limits back, which nobody knows; "
            "leave out processes, or declare what they shall have"
        )
    one = Declaration(
        {name: parse_limit(name, values[name]) for name in sorted(values)},
        tuple(entry["sessions"] or ()),
        tuple(unit_name(unit) for unit in entry["services"] or ()),
        selectors(entry["processes"], uid_of),
    )
    for domain in one.sessions:
        limits_conf.check_domain(domain)
        for name, limit in one.limits.items():
            for side in limit:
                if side is not None:
                    limits_conf.text_of(name, side)
    return one


def selectors(entries, uid_of):
    """Return the selectors of a list of ``processes`` entries.

    :raises ReconcileError: an entry has no condition, or a condition cannot be read.
    """
    return tuple(_selector(entry, uid_of) for entry in entries or ())


def _selector(entry, uid_of):
    if all(value is None for value in entry.values()):
        raise ReconcileError("processes: an entry without a condition would mean every process of the host")
    if entry["command"] is not None:
        try:
            re.compile(entry["command"])
        except re.error as error:
            shown = entry["command"]
            raise ReconcileError(f"processes: command '{shown}' is no regular expression: {error}") from error
    return Selector(
        entry["pid"],
        None if entry["user"] is None else uid_of(entry["user"]),
        entry["command"],
        None if entry["unit"] is None else unit_name(entry["unit"]),
        entry["cgroup"],
    )
