# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run modules of the installed collection on this machine, each as a process of its own, without a play around them.

Modules and their own imports are as on a host; see ``forks.py``.
"""

import json
import os

from tests.integration.forks import Run

PROGRAM = """
import runpy
from ansible.module_utils import basic

def run(order):
    basic._ANSIBLE_ARGS, basic._ANSIBLE_PROFILE = json.dumps(order["arguments"]).encode(), "legacy"
    runpy.run_module("ansible_collections.hostcraft.linux.plugins.modules." + order["name"], run_name="__main__")

serve(run)
"""


def start(chosen, check=False, diff=True, env=None, within=(), **options):
    """Start a module, in the namespaces that the command ``within`` enters; return its :class:`forks.Run`."""
    arguments = dict(options, _ansible_check_mode=check, _ansible_diff=diff)
    environment = dict(os.environ, **env or {})
    return Run(PROGRAM, {"name": chosen, "env": environment, "arguments": {"ANSIBLE_MODULE_ARGS": arguments}}, within)


def result(run, timeout=120):
    """Wait for a module and return its result; ``failed`` is always there."""
    status = run.wait(timeout)
    out, err = run.text()
    assert out.strip(), f"exit status {status}: {err}"
    found = dict({"failed": False}, **json.loads(out.strip().splitlines()[-1]))
    # The newest ansible-core wraps what a module warns of.
    texts = [one if isinstance(one, str) else one["event"]["msg"] for one in found.get("warnings", ())]
    return dict(found, warnings=texts)


def module(chosen, check=False, env=None, within=(), **options):
    """Run a module to its end and return its result."""
    return result(start(chosen, check, env=env, within=within, **options))
