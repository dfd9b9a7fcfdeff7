# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run ansible-playbook, whose imports are half of what a small play takes; see ``forks.py``."""

import os
import sys
from pathlib import Path

from tests.integration.forks import Run

PROGRAM = """
import atexit
from ansible.cli.playbook import main
from ansible.executor import playbook_executor, process, stats, task_executor, task_queue_manager
from ansible.plugins.action import normal
from ansible.plugins.callback import default
from ansible.plugins.connection import local, ssh
from ansible.plugins.shell import sh
from ansible.plugins.strategy import linear

def run(order):
    atexit._clear()  # of the temporary directory, which all runs share
    sys.argv = order["argv"]
    os.chdir(order["directory"])
    main(sys.argv)

serve(run)
"""


def play(*arguments, timeout=240, **variables):
    """Run ansible-playbook to its end; return its exit status, and what it said on both of its streams.

    :param timeout: seconds after which it is killed.
    :param variables: more of them for its environment.
    :raises TimeoutError: it was killed.
    """
    programs = Path(sys.executable).parent
    environment = {**os.environ, **variables, "PATH": f"{programs}:{os.environ['PATH']}"}
    order = {"argv": [str(programs / "ansible-playbook"), *arguments], "env": environment, "directory": os.getcwd()}
    # Ansible reads these when it is imported.
    kept = tuple((name, value) for name, value in sorted(environment.items()) if name.startswith("ANSIBLE_"))
    run = Run(PROGRAM, order, kept=kept)
    status = run.wait(timeout)
    return status, "".join(run.text())
