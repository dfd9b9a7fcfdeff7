# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names and types of systemd units, as far as limits care.

Private to the collection; not a public interface.
"""

import re

from .._core.reconcile import ReconcileError

# The unit types that run processes (systemd.exec(5)), and the section that takes the limits.
SECTIONS = {"service": "Service", "socket": "Socket", "mount": "Mount", "swap": "Swap"}


def unit_name(name):
    """Return the full name of a unit; without a type it is a service.

    :raises ReconcileError: the type runs no processes, or the name is none (systemd.unit(5)).
    """
    full = name if "." in name and name.rpartition(".")[2] in SECTIONS else name + ".service"
    if re.search(r"\.(target|timer|path|slice|scope|device|automount)\.service\Z", full):
        raise ReconcileError(
            "service '{}': a unit of this type runs no processes of its own; name a {}".format(
                name, ", ".join(sorted(SECTIONS))
            )
        )
    if not name or not re.match(r"[A-Za-z0-9:_.\\@-]{1,255}\Z", full):
        raise ReconcileError(f"service '{name}': not the name of a systemd unit")
    return full


def section_of(unit):
    """Return the section of ``unit``'s file that takes limits."""
    return SECTIONS[unit.rpartition(".")[2]]
