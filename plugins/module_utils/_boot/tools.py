# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd and the package manager say: soft reboots, and whether a reboot is needed.

Private to the collection; not a public interface.
"""

import os
import shutil

from .._core import command
from .._core.reconcile import ReconcileError
from . import required

MARKERS = ("/run/reboot-required", "/var/run/reboot-required")
PATIENCE = 120.0  # seconds; dnf reads all that is installed


def soft_reboots():
    """Return how often the userspace was restarted since the kernel started, None where systemd does not count it.

    org.freedesktop.systemd1(5), SoftRebootsCount; an older systemd prints nothing for a property that it lacks.
    """
    if not os.path.isdir("/run/systemd/system"):  # sd_booted(3)
        return None
    try:
        said = command.run(["systemctl", "show", "--property=SoftRebootsCount", "--value"])
    except ReconcileError:
        return None
    return int(said) if said.strip().isdigit() else None


def marker():
    """Return the signal of the file that Debian's packages make; None: there is none."""
    for path in MARKERS:
        if os.path.exists(path):
            return required.marker(path, _lines(f"{path}.pkgs"))
    return None


def package_manager():
    """Return the signal of the package manager's own tool; None where it has none."""
    argv = _tool()
    if argv is None:
        return None
    try:
        return required.tool(argv, 0, command.run(argv, timeout=PATIENCE), "")
    except ReconcileError as error:
        told = error.details
        return required.tool(argv, told.get("rc"), told.get("stdout", ""), told.get("stderr") or str(error))


def _tool():
    """Return the command that tells, None where the host has no such tool."""
    path = f"{os.environ.get('PATH', '')}:{command.SYSTEM_PATH}"
    if shutil.which("needs-restarting", path=path):
        return ["needs-restarting", "-r"]
    dnf = shutil.which("dnf", path=path)
    if dnf is None:
        return None
    # Without its cache dnf asks its servers; of dnf5 the plain command is what -r is of dnf.
    return ["dnf", "--cacheonly", "needs-restarting", *([] if os.path.realpath(dnf).endswith("dnf5") else ["-r"])]


def _lines(path):
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as stream:
            return stream.read().split()
    except OSError:
        return []
