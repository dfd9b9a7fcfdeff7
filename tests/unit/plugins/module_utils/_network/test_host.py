# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of a host whose ip(8) is too old."""

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import ReconcileError
from ansible_collections.hostcraft.linux.plugins.module_utils._network import host

# Of iproute2 4.11, which knows no such option, and 4.15, which heeds it for links and addresses only.
OLD = 'echo \'Option "-json" is unknown, try "ip -help".\' >&2; exit 255'
HALF = "case $2 in -details) echo '[]';; *) echo 'default via 192.0.2.1 dev eth0';; esac"


@pytest.mark.parametrize("answer", [OLD, HALF])
def test_an_ip_that_prints_no_json_is_named_with_the_version_that_does(tmp_path, monkeypatch, answer):
    program = tmp_path / "ip"
    program.write_text(f"#!/bin/sh\n{answer}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(ReconcileError, match="iproute2 4.18 or newer is needed.* CentOS 7 has 4.11"):
        host.observe()
