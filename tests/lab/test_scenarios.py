# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Molecule scenario that finds no machine fails; Ansible by itself would call that a success."""

import pytest

from lab import progress
from tests.tools import scenarios


@pytest.mark.parametrize("name", scenarios.names())
def test_a_scenario_without_machines_fails(name, tmp_path):
    inventory, log = tmp_path / "inventory.yml", tmp_path / "log"
    inventory.write_text("all: {children: {vms: {hosts: {}}}}")
    with pytest.raises(progress.StepFailed):
        scenarios.run(name, str(inventory), log)
    assert "start one with" in log.read_text()
