# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""This domain as a program that needs nothing of a task: for the next boot, and for the guard.

It is an executable zip file (zipapp) of the very files that the module runs::

    apply            make what definition.json beside it says
    apply --wait N   the same; what the host still lacks at boot (a default route) is waited for, up to N seconds
    apply undo       carry out the operations on standard input, whatever fails

Private to the collection; not a public interface.
"""

import io
import json
import os
import sys
import time
import zipfile

from .._core import command, files, netlink, reconcile
from .._core.reconcile import ReconcileError
from . import (
    arguments,
    declare,
    definition,
    duplicates,
    facets,
    host,
    model,
    namespaces,
    nftables,
    operations,
    pairs,
    plan,
    plan_host,
    refusals,
    rtnetlink,
    sources,
    sysctl,
)

CORE = (command, files, netlink, reconcile)
OWN = (
    arguments, declare, definition, duplicates, facets, host, model, namespaces, nftables, operations, pairs,
    plan, plan_host, refusals, rtnetlink, sources, sysctl,
)  # fmt: skip
MAIN = """import sys
from hostcraft._endpoints.program import main
sys.exit(main(sys.argv))
"""
PAUSE = 1.0  # seconds between two attempts at boot


def packed():
    """Return the program; the same files give the same bytes."""
    buffer = io.BytesIO()
    buffer.write(f"#!{sys.executable}\n".encode())
    sources = {"__main__.py": MAIN, "hostcraft/__init__.py": ""}
    for package, modules in (("_core", CORE), ("_endpoints", (*OWN, sys.modules[__name__]))):
        sources[f"hostcraft/{package}/__init__.py"] = ""
        for module in modules:
            name = module.__name__.rpartition(".")[2]
            sources[f"hostcraft/{package}/{name}.py"] = module.__loader__.get_source(module.__name__)
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(sources):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, sources[name])
    return buffer.getvalue()


def main(argv):
    """Run the program; return the exit status."""
    if argv[1:] == ["undo"]:
        kernel = host.Kernel()
        errors = kernel.restore(json.load(sys.stdin))
        kernel.close()
        sys.stderr.write("".join(f"{one}\n" for one in errors))
        return 1 if errors else 0
    if argv[1:] and not (len(argv) == 3 and argv[1] == "--wait" and argv[2].isdigit()):
        sys.stderr.write(f"usage: {argv[0]} [--wait SECONDS | undo]\n")
        return 2
    deadline = time.monotonic() + (int(argv[2]) if argv[1:] else 0)
    path = os.path.join(os.path.dirname(os.path.abspath(argv[0])), definition.NAME)
    while True:
        try:
            return _apply(path)
        except ReconcileError as error:
            if time.monotonic() >= deadline:
                sys.stderr.write(f"{error}\n")
                return 1
            time.sleep(PAUSE)


class Console:
    """What :func:`reconcile` needs of a module, where there is none."""

    check_mode = False

    def warn(self, text):
        """Say it where systemd keeps it."""
        sys.stderr.write(f"{text}\n")

    def fail_json(self, msg, **_details):
        """Give up, for this time."""
        raise ReconcileError(msg)


def _apply(path):
    text = files.read(path)
    if text is None:
        raise ReconcileError(f"there is no {path}")
    wanted = declare.wanted(definition.params(text))
    kernel = host.Kernel()
    try:
        result = reconcile.reconcile(
            Console(),
            observe=lambda: host.observe(wanted),
            plan=lambda state: plan.plan(wanted, state),
            apply=kernel.apply,
        )
    finally:
        kernel.close()
    sys.stdout.write("".join(f"{step}\n" for step in result["steps"]))
    return 0
