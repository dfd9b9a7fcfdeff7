# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was found, in the words of the options.

Private to the collection; not a public interface.
"""

from . import definition
from .lifecycle import CRASHED, SHUTOFF, STOPPING
from .model import TAGS_URI

# What cannot be asked for, and what to ask for instead when it is declared again.
DECLARABLE = {CRASHED: SHUTOFF, STOPPING: SHUTOFF}


def domains(found):
    """Return the domains as ``libvirt_domain_state_info`` returns them, sorted by name."""
    return [_domain(one) for one in found]


def _domain(one):
    return dict(
        {
            "name": one.name,
            "uuid": one.uuid,
            "state": one.state,
            "persistent": one.persistent,
            "autostart": one.autostart,
            "snapshots": one.snapshots,
            "checkpoints": one.checkpoints,
        },
        **_defined(one),
    )


def _defined(one):
    """Return what only the definition tells."""
    if one.inactive is None:
        return {}
    differing = definition.restart_required(one.inactive, one.live) if one.live is not None else []
    return {
        "xml": one.inactive,
        "agent": one.agent,
        "tags": list(definition.tags(one.inactive, TAGS_URI)),
        "disks": definition.disks(one.inactive),
        "restart_required": differing,
    }


def declarations(found):
    """Return the domains as the option ``domains`` takes them, so that they can be declared again as they are.

    A transient domain has no definition to be declared, and its autostart cannot be set.
    """
    declared = []
    for one in found:
        item = {"name": one.name, "state": DECLARABLE.get(one.state, one.state)}
        if one.persistent:
            item["autostart"] = one.autostart
            if one.inactive is not None:
                item["xml"] = one.inactive
        declared.append(item)
    return declared
