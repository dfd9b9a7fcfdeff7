# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a module of the installed collection on this machine as a process of its own, as Ansible does, without a play."""

import json
import os
import signal
import subprocess
import sys

MAIN = """
import json, runpy, sys
from ansible.module_utils import basic
basic._ANSIBLE_ARGS, basic._ANSIBLE_PROFILE = sys.stdin.buffer.read(), "legacy"
runpy.run_module("ansible_collections.hostcraft.linux.plugins.modules." + sys.argv[1], run_name="__main__")
"""


def start(name, check=False, diff=True, env=None, **options):
    """Start a module; return its process, the leader of a process group of its own."""
    arguments = dict(options, _ansible_check_mode=check, _ansible_diff=diff)
    # The collection as it was installed for this run of the suite, without what else is on the path.
    paths = [path for path in os.environ.get("ANSIBLE_COLLECTIONS_PATH", "").split(":") if path]
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ, PYTHONPATH=":".join(paths), **env or {}),
        start_new_session=True,
    )
    process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}))
    process.stdin.close()
    process.stdin = None
    return process


def result(process, timeout=120):
    """Wait for a module and return its result; ``failed`` is always there."""
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    assert out.strip(), f"exit status {process.returncode}: {err}"
    found = dict({"failed": False}, **json.loads(out.strip().splitlines()[-1]))
    # The newest ansible-core wraps what a module warns of.
    texts = [one if isinstance(one, str) else one["event"]["msg"] for one in found.get("warnings", ())]
    return dict(found, warnings=texts)


def module(name, check=False, env=None, **options):
    """Run a module to its end and return its result."""
    return result(start(name, check, env=env, **options))
