# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Units as systemd has them, through systemctl(1).

Private to the collection; not a public interface.
"""

import os
import shlex
import time

from .._core.command import run
from .._core.reconcile import ReconcileError
from .model import Unit
from .resources import RESOURCES, UNLIMITED, Limit

PROPERTIES = ["Id", "LoadState", "NeedDaemonReload", "DropInPaths"] + [
    one.directive + side for one in RESOURCES.values() for side in ("", "Soft")
]
# What systemctl says when the manager goes while it waits (measured with systemd 252), or is not back yet.
MANAGER_WENT = ("disconnected from message bus", "Connection reset by peer", "Connection refused", "is not active")
PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0)  # seconds


def is_running():
    """Tell whether systemd manages this host (sd_booted(3))."""
    return os.path.isdir("/run/systemd/system")


def units(names, missing_ok=False):
    """Return ``{name: Unit}`` for the units asked for, all in one call of systemctl.

    :param missing_ok: take a unit that systemd does not know as one without settings.
    :raises ReconcileError: systemd does not run here, or does not know a unit.
    """
    if not names:
        return {}
    if not is_running():
        raise ReconcileError(
            f"service '{names[0]}': systemd does not run on this host (no /run/systemd/system); "
            "leave out services, or name their processes by user or command"
        )
    asked = [name for name in names if "@." not in name]
    found = {name: _template(name, missing_ok) for name in names if "@." in name}
    if asked:
        out = _systemctl(["show", "--no-pager", "--property=" + ",".join(PROPERTIES), "--", *asked])
        found.update((name, _unit(name, block, missing_ok)) for name, block in zip(asked, out.strip().split("\n\n")))
    return found


def reload():
    """Make systemd read its unit files again."""
    _systemctl(["daemon-reload"], timeout=90.0)


def _systemctl(arguments, **options):
    """Run systemctl, and again when the manager executed itself meanwhile (daemon-reexec, an update of systemd).

    It leaves the bus for that moment and its answer is lost; all that is asked here may be asked twice.
    """
    for pause in PAUSES:
        try:
            return run(["systemctl", *arguments], **options)
        except ReconcileError as error:
            if not any(word in error.details.get("stderr", "") for word in MANAGER_WENT):
                raise
            time.sleep(pause)
    return run(["systemctl", *arguments], **options)


def _unit(name, block, missing_ok):
    shown = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
    if shown["LoadState"] == "not-found" and not missing_ok:
        raise _unknown(name)
    return Unit(
        shown["Id"],
        {key: _limit(shown, one) for key, one in RESOURCES.items()},
        tuple(shlex.split(shown["DropInPaths"])),
        shown["NeedDaemonReload"] == "yes",
    )


def _template(name, missing_ok):
    """A template has no properties of its own; that it exists is all that systemd can say."""
    listed = _systemctl(["list-unit-files", "--no-pager", "--no-legend", "--", name], ok=(0, 1))
    if not listed.strip() and not missing_ok:
        raise _unknown(name)
    directories = ("/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
    drop_ins = {}
    for directory in reversed(directories):
        folder = f"{directory}/{name}.d"
        for base in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
            drop_ins[base] = os.path.join(folder, base)
    return Unit(name, {}, tuple(drop_ins[base] for base in sorted(drop_ins) if base.endswith(".conf")))


def _unknown(name):
    return ReconcileError(
        "service '{}': systemd knows no such unit; look for it with: systemctl list-unit-files '*{}*'".format(
            name, name.partition(".")[0].rstrip("@")
        )
    )


def _limit(shown, resource):
    sides = (shown[resource.directive + "Soft"], shown[resource.directive])
    return Limit(*(UNLIMITED if side == "infinity" else int(side) for side in sides))
