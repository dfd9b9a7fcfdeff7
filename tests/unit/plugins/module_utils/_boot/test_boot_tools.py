# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the package manager's tool is found, called and understood; programs of the test stand for dnf and its kin.

Debian, on which the other tests run, has neither dnf nor needs-restarting.
"""

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._boot import tools
from ansible_collections.hostcraft.linux.plugins.module_utils._core import command

REQUIRED = "Core libraries or services have been updated since boot-up:\\n  * kernel\\n\\nReboot is required.\\n"


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A host that has only the programs which are made in this directory."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(command, "SYSTEM_PATH", str(tmp_path))
    return tmp_path


def program(place, status, said="", error=""):
    place.write_text(
        f"#!/bin/sh\nprintf '%s\\n' \"$*\" > \"$0.asked\"\nprintf '{said}'\nprintf '{error}' >&2\nexit {status}\n"
    )
    place.chmod(0o755)


@pytest.mark.parametrize(
    ("printed", "value", "reason"),
    [
        ((0, "Reboot should not be necessary.\\n"), "no", "says that none is needed"),
        ((1, REQUIRED), "yes", "says so for kernel"),
        ((1, "Updating the repositories\\n", "Error: no metadata"), "unknown", "no metadata"),
        ((3, REQUIRED), "unknown", "ended with 3"),
    ],
)
def test_what_needs_restarting_says(host, printed, value, reason):
    program(host / "needs-restarting", *printed)
    answer = tools.package_manager().answer
    assert answer.value == value
    assert reason in answer.reason
    assert (host / "needs-restarting.asked").read_text() == "-r\n"


@pytest.mark.parametrize(
    ("real", "asked"), [("dnf-3", "--cacheonly needs-restarting -r"), ("dnf5", "--cacheonly needs-restarting")]
)
def test_dnf_is_asked_without_its_servers(host, real, asked):
    program(host / real, 1, REQUIRED)
    (host / "dnf").symlink_to(real)
    assert tools.package_manager().answer.value == "yes"
    assert (host / "dnf.asked").read_text() == f"{asked}\n"


def test_a_host_without_such_a_tool_has_no_such_signal(host):
    assert tools.package_manager() is None
