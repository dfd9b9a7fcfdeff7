# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``rlimit_info`` reads from a host.

Private to the collection; not a public interface.
"""

from .._core import files
from . import bounds, pam, procfs, systemd, usage
from .report import Found


def look(selectors, services):
    """Return what the host has: the processes, units and sessions asked for, as :class:`Found`.

    :raises ReconcileError: a unit does not exist.
    """
    processes = procfs.find(selectors)
    texts = tuple(files.read(path) or "" for path in pam.session_files())
    return Found(processes, usage.uses(processes), systemd.units(services), texts, bounds.nr_open())
