# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ssh connection of a task, told by a variable that only a parent may have."""

import subprocess
import sys

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._core import connection

ASK = "import runpy, sys; print(runpy.run_path(sys.argv[1])['ssh_connection']())"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("192.0.2.9 50022 192.0.2.1 22", ("192.0.2.9", 50022, "192.0.2.1", 22)),
        ("fe80::9%eth0 50022 fe80::1%eth0 22", ("fe80::9", 50022, "fe80::1", 22)),
        ("", None),
        ("192.0.2.9 50022", None),
        ("192.0.2.9 x 192.0.2.1 22", None),
    ],
)
def test_the_variable_is_read(text, said):
    assert connection.parse(text) == said


@pytest.mark.parametrize("command", [[], ["env", "-i"], ["sh", "-c", 'env -i "$@"; true', "sh", "setsid", "--wait"]])
def test_the_nearest_parent_that_has_it_tells(command):
    """As sudo does it: without the variable, and with processes of its own in between."""
    asking = [*command, sys.executable, "-c", ASK, connection.__file__]
    # The shell stays the parent, as sshd's session is that of sudo.
    argv = ["sh", "-c", '"$@"; true', "sh", *asking]
    environment = {connection.VARIABLE: "fe80::9%eth0 50022 fe80::1%eth0 22", "PATH": "/usr/bin:/bin"}
    said = subprocess.check_output(argv, env=environment).decode()
    assert said.strip() == str(connection.Connection("fe80::9", 50022, "fe80::1", 22))
