# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of sources.py in the kernel, by nft(8).

Private to the collection; not a public interface.
"""

import shutil

from .._core.command import SYSTEM_PATH, run
from .._core.reconcile import ReconcileError
from . import sources


def listed():
    """Return the table as nft lists it, an empty text where there is none; None: nft or kernel cannot do it."""
    if not shutil.which("nft", path=SYSTEM_PATH):
        return None
    try:
        return run(["nft", "-s", "list", "table", *sources.TABLE.split()])
    except ReconcileError:
        return "" if _takes(sources.replaced(sources.TEXT)) else None


def load(text):
    """Carry out a text as one transaction.

    :raises ReconcileError: what nft says.
    """
    run(["nft", "-f", "-"], stdin=text)


def _takes(text):
    """Tell whether nft and the kernel would take a text; the kernel reads it, and does nothing."""
    try:
        run(["nft", "-c", "-f", "-"], stdin=text)
    except ReconcileError:
        return False
    return True
