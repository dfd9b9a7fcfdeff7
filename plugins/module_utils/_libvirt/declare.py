# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the options of the modules to what is wanted.

Private to the collection; not a public interface.
"""

from .._core.reconcile import ReconcileError
from . import definition
from .lifecycle import GOALS
from .model import Leftovers, Target, Wanted
from .select import is_pattern

KEPT = dict(type="str", choices=["keep", "remove"], default="keep")
EACH = dict(
    state=dict(type="str", choices=list(GOALS), default="defined"),
    xml=dict(type="str"),
    autostart=dict(type="bool"),
)
SELECTION = dict(
    argument_spec=dict(
        name=dict(type="list", elements="str", aliases=["names"]),
        tags=dict(type="list", elements="str"),
        uri=dict(type="str", default="qemu:///system"),
    ),
    mutually_exclusive=[("name", "tags")],
)
OPTIONS = dict(
    argument_spec=dict(
        EACH,
        domains=dict(type="list", elements="dict", options=dict(EACH, name=dict(type="str", required=True))),
        allow_data_loss=dict(type="bool", default=False),
        start_to_save=dict(type="bool", default=False),
        shutdown_by=dict(type="list", elements="str", choices=["agent", "acpi"], default=[]),
        timeout=dict(type="float", default=180.0),
        force_after=dict(type="float"),
        parallelism=dict(type="int", default=10),
        leftovers=dict(
            type="dict",
            default={},
            options=dict(
                nvram=KEPT,
                tpm=KEPT,
                snapshots=KEPT,
                checkpoints=KEPT,
                volumes=dict(type="list", elements="str", default=[]),
            ),
        ),
    ),
    mutually_exclusive=[("name", "tags", "domains"), ("xml", "tags"), ("xml", "domains"), ("autostart", "domains")],
    required_one_of=[("name", "tags", "domains", "xml")],
)


def wanted(params):
    """Return what the task asks for.

    :raises ReconcileError: options that contradict each other.
    """
    left = params["leftovers"] or {}
    removed = {key: left.get(key) == "remove" for key in ("nvram", "tpm", "snapshots", "checkpoints")}
    for option, least in (("timeout", 0.1), ("force_after", 0.0), ("parallelism", 1)):
        if params[option] is not None and params[option] < least:
            raise ReconcileError(f"{option}: {params[option]:g} is too small; {least:g} is the least")
    return Wanted(
        _targets(params),
        params["allow_data_loss"],
        params["start_to_save"],
        tuple(sorted(set(params["shutdown_by"]))),
        params["timeout"],
        params["force_after"],
        params["parallelism"],
        Leftovers(volumes=tuple(left.get("volumes") or ()), **removed),
    )


def _targets(params):
    if params["domains"] is not None:
        if params["state"] != "defined":
            raise ReconcileError("state: every item of 'domains' has its own; leave it out beside 'domains'")
        return tuple(Target(one["name"], (), one["state"], one["xml"], one["autostart"]) for one in params["domains"])
    rest = (params["state"], params["xml"], params["autostart"])
    if params["tags"] is not None:
        return (Target(None, tuple(params["tags"]), *rest),)
    names = params["name"]
    if params["xml"] is not None:
        if names is None:
            names = [definition.name_of(params["xml"])]
        if len(names) != 1 or is_pattern(names[0]):
            raise ReconcileError("xml: it defines one domain; give that name only, or use 'domains' for several")
    return tuple(Target(name, (), *rest) for name in names)


def selection(params):
    """Return the targets of ``libvirt_domain_state_info``: what is named, else every domain."""
    if params["tags"] is not None:
        return (Target(None, tuple(params["tags"])),)
    return tuple(Target(name) for name in (["*"] if params["name"] is None else params["name"]))
