# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that a host runs by itself, at boot and for a guard (see ``boot.py``)::

    xdp_drop apply FILE                          attach what a file declares, or bring it up to date
    xdp_drop restore INTERFACE GENERATION MODE   go back to a program that is still pinned
    xdp_drop remove INTERFACE                    take our program off
    xdp_drop collect INTERFACE                   let go of the programs that it does not run

Private to the collection; not a public interface.
"""

import json
import sys

from .._core import files
from .._core.reconcile import ReconcileError
from . import host, loader, task


def main(argv):
    """Run the command in ``argv``; return the exit status."""
    commands = {"apply": (apply, 1), "restore": (host.restore, 3), "remove": (host.remove, 1), "collect": (collect, 1)}
    command, count = commands.get(argv[1] if argv[1:] else "", (None, -1))
    if len(argv) - 2 != count:
        usage = "apply FILE | restore INTERFACE GENERATION MODE | remove INTERFACE | collect INTERFACE"
        sys.stderr.write(f"usage: {argv[0]} {usage}\n")
        return 2
    try:
        command(*argv[2:])
    except ReconcileError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def apply(path):
    """Let an interface run what the file declares."""
    text = files.read(path)
    if text is None:
        raise ReconcileError(f"There is no file {path}")
    content = json.loads(text)
    features = loader.features()
    wanted = task.wanted_of([content["interface"]], content["rules"], content["mode"])
    planned = task.tried_planner(wanted, features, allow_lockout=True)
    for step in planned(host.observe(wanted.interfaces, wanted.mode, features)).steps:
        told = []
        host.apply(step, features, told)
        sys.stdout.write("\n".join([str(step), *told]) + "\n")
    host.collect(wanted.interfaces)


def collect(name):
    """Let go of the programs of an interface that it does not run."""
    host.collect([name])
