# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host as ``reboot_check`` sees it: its boot, the record of an earlier one, and what asks for a reboot.

Private to the collection; not a public interface.
"""

import os
import time

from .._core import files
from .._core.reconcile import ReconcileError
from . import kernels, procfs, required, tools, verdict


def boot(boot_id_file):
    """Return the :class:`Boot` that this host is in.

    :param boot_id_file: names of files, with commas between them.
    """
    return procfs.boot([one.strip() for one in boot_id_file.split(",") if one.strip()], tools.soft_reboots())


def record(path):
    """Return the :class:`Reference` that a file holds; one that cannot be read is one that says nothing."""
    try:
        return verdict.parse(files.read(path), path)
    except ReconcileError as error:
        return verdict.Reference(f"the record {path}", problem=str(error))


def write(path, found):
    """Record a boot; return what puts back the record of before.

    :raises ReconcileError: it cannot be written.
    """
    before = files.write(path, verdict.render(found, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())))
    return lambda: files.restore(before)


def signals(found):
    """Return the signals of all that this host has to say of whether it needs a reboot."""
    asked = (
        tools.marker(),
        tools.package_manager(),
        kernels.signal(procfs.kernels(), found.container),
        required.libraries(*procfs.deleted_libraries()),
    )
    return tuple(one for one in asked if one)


def kernel():
    """Return the release of the kernel that runs, as uname(2) has it."""
    return os.uname().release
