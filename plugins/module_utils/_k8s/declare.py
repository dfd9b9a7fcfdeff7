# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the options of the modules to what is wanted.

Private to the collection; not a public interface.
"""

from .._core.reconcile import ReconcileError
from .model import Selection, Wanted
from .names import is_namespace
from .read import is_pattern

SELECTION = dict(
    argument_spec=dict(
        name=dict(type="list", elements="str", aliases=["names", "namespace"]),
        label_selectors=dict(type="list", elements="str"),
        min_age=dict(type="float", default=60.0),
        parallelism=dict(type="int", default=8),
    ),
    mutually_exclusive=[("name", "label_selectors")],
)
OPTIONS = dict(
    argument_spec=dict(
        state=dict(type="str", choices=["finalized", "orphans_removed"], default="finalized"),
        object_finalizers=dict(type="list", elements="str", default=[]),
        namespace_finalizers=dict(type="list", elements="str", default=[]),
        force=dict(type="bool", default=False),
        timeout=dict(type="float", default=60.0),
    ),
)


def selection(params):
    """Return the :class:`Selection` of a task.

    :raises ReconcileError: a list that is empty, or a name or number that makes no sense.
    """
    for option in ("name", "label_selectors"):
        if params[option] == []:
            raise ReconcileError(f"{option}: the list is empty. Leave it out to mean every Terminating namespace")
    for option, least in (("min_age", 0), ("parallelism", 1)):
        if params[option] < least:
            raise ReconcileError(f"{option}: {params[option]:g} is too small; {least:g} is the least")
    for name in params["name"] or ():
        if not is_pattern(name) and not is_namespace(name):
            raise ReconcileError(
                f"name: {name!r} is no name of a namespace: lower case letters, digits and '-', 63 at most. "
                "A pattern has '*', '?' or '['"
            )
    return Selection(tuple(params["name"] or ()), tuple(params["label_selectors"] or ()), params["min_age"])


def wanted(params):
    """Return the :class:`Wanted` of a task.

    :raises ReconcileError: options that make no sense, or contradict each other.
    """
    chosen = selection(params)
    if params["timeout"] < 0:
        raise ReconcileError(f"timeout: {params['timeout']:g} is less than nothing")
    orphans = params["state"] == "orphans_removed"
    if orphans and params["force"]:
        raise ReconcileError("force: there is nothing to be forced with 'state: orphans_removed'")
    if orphans and chosen.labels:
        raise ReconcileError("label_selectors: namespaces that are gone have no labels; give 'name'")
    if "kubernetes" in params["namespace_finalizers"]:
        raise ReconcileError(
            "namespace_finalizers: 'kubernetes' stands for the content of the namespace. It goes when that is gone; "
            "'force: true' removes it before, and leaves orphans"
        )
    return Wanted(
        chosen,
        orphans,
        tuple(params["object_finalizers"]),
        tuple(params["namespace_finalizers"]),
        params["force"],
        params["timeout"],
        params["parallelism"],
    )
