# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What outlives the task: the declaration for the next boot, and what the guard puts a change back with.

The program that both need is imported where it is used: it is not compiled on the host for other tasks.
Private to the collection; not a public interface.
"""

import base64
import json
import os

from .._core import files, guard
from .model import Save
from .plan import undo

LONG = 300.0  # seconds that putting back hundreds of endpoints may take


def saved(wanted, params):
    """Return ``wanted`` with what is to be kept of it, if the option ``save`` says so."""
    if not params["save"]:
        return wanted
    from . import program

    packed = base64.b64encode(program.packed()).decode()
    return wanted._replace(save=Save(params["save"], params, packed, params["purge"]))


def recorded(todo, directory):
    """Return what takes a plan back as the guard records it; the program for it is put into the guard's directory.

    The files are put back by the guard itself, also after a power cycle, which all the rest does not survive.
    """
    from . import program

    operations = undo(todo)
    path = os.path.join(directory, "endpoints")
    files.write_bytes(path, program.packed(), mode=0o700)
    kept = [guard.file(files.take(one[1])) for one in operations if one[0] == "file"]
    rest = [one for one in operations if one[0] != "file"]
    return [*kept, guard.run([path, "undo"], stdin=json.dumps(rest), timeout=LONG)]
