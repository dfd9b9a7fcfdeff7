# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host whose ip(8) is too old to print JSON: the kernel tells the same."""

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._network import host

# Of iproute2 4.11, which knows no such option, and 4.15, which heeds it for links and addresses only.
OLD = 'echo \'Option "-json" is unknown, try "ip -help".\' >&2; exit 255'
HALF = "case $2 in -details) echo '[]';; *) echo 'default via 192.0.2.1 dev eth0';; esac"


@pytest.mark.parametrize("answer", [OLD, HALF])
def test_an_ip_that_prints_no_json_is_not_needed(tmp_path, monkeypatch, answer):
    told = host.observe()
    program = tmp_path / "ip"
    program.write_text(f"#!/bin/sh\n{answer}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert host.observe() == told
