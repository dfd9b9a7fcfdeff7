# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a change of endpoints is put back when nobody confirms it, for the guard.

Private to the collection; not a public interface.
"""

import json
import os

from .._core import files, guard
from . import program
from .plan import undo

LONG = 300.0  # seconds that putting back hundreds of endpoints may take


def recorded(todo, directory):
    """Return what takes a plan back as the guard records it; the program for it is put into the guard's directory.

    The files are put back by the guard itself, also after a power cycle, which all the rest does not survive.
    """
    operations = undo(todo)
    path = os.path.join(directory, "endpoints")
    files.write_bytes(path, program.packed(), mode=0o700)
    kept = [guard.file(files.take(one[1])) for one in operations if one[0] == "file"]
    rest = [one for one in operations if one[0] != "file"]
    return [*kept, guard.run([path, "undo"], stdin=json.dumps(rest), timeout=LONG)]
