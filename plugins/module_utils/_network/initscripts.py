# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The initscripts of EL7 and EL8: whether they are there, and the files that they have of links.

Private to the collection; not a public interface.
"""

import os
import re

from .._core import files
from .._core.reconcile import ReconcileError
from . import ifcfg
from .ifcfg_text import Text, is_true

# Not what the scripts skip: leftovers of editors and packages (is_ignored_file); nor ifcfg-eth0:1, more addresses of
# another file (ifup-aliases).
FILE = re.compile(r"(ifcfg|route6?|rule6?)-[^~:]+\Z")
IGNORED = (".bak", ".old", ".orig", ".rpmnew", ".rpmorig", ".rpmsave")


def installed():
    """Tell whether the scripts are there; without them nobody heeds the files."""
    return os.access(f"{ifcfg.DIRECTORY}/ifup-eth", os.X_OK)


def texts():
    """Return the texts of their files by name."""
    there = os.listdir(ifcfg.DIRECTORY) if os.path.isdir(ifcfg.DIRECTORY) else ()
    return {name: files.read(f"{ifcfg.DIRECTORY}/{name}") for name in sorted(there) if _heeded(name)}


def _heeded(name):
    return bool(FILE.match(name)) and not name.endswith(IGNORED)


def kept(names, found, alone):
    """Return which of these links are configured by a file that the initscripts heed.

    :param found: the texts of the files.
    :param alone: NetworkManager does not run, which else reads the same files unless they forbid it.
    """
    own = [name for name in names if f"ifcfg-{name}" in found]
    return [name for name in own if alone or _forbids(found[f"ifcfg-{name}"])]


def refuse_misnamed(names, found):
    """Refuse links that a file of another name configures: a second one would contradict it."""
    homes = {Text(text).get("DEVICE"): file for file, text in found.items() if file.startswith("ifcfg-")}
    for name in names:
        file = homes.get(name, f"ifcfg-{name}")
        if file != f"ifcfg-{name}" and f"ifcfg-{name}" not in found:
            raise ReconcileError(
                f"'{name}': {ifcfg.DIRECTORY}/{file} configures it, and this module edits ifcfg-{name}; rename it"
            )


def _forbids(text):
    value = Text(text).get("NM_CONTROLLED")
    return value is not None and not is_true(value)
