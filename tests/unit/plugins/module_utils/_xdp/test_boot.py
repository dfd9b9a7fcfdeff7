# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that bring the rules back at boot, for an interface that is there early and for one that is made late."""

import json
import os

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._xdp import boot
from ansible_collections.hostcraft.linux.plugins.module_utils._xdp.model import Link, Wanted

UNIT = "/etc/systemd/system/hostcraft-xdp-drop-eth0.service"
DEVICE = "sys-subsystem-net-devices-eth0.device"
EARLY = "/etc/systemd/system/sysinit.target.wants/hostcraft-xdp-drop-eth0.service"
LATE = f"/etc/systemd/system/{DEVICE}.wants/hostcraft-xdp-drop-eth0.service"
PATIENCE = f"/etc/systemd/system/{DEVICE}.d/hostcraft-xdp-drop.conf"


def made(monkeypatch, on_a_bus, **more):
    exists = os.path.exists
    devices = {"/sys/class/net/eth0/device": on_a_bus}
    monkeypatch.setattr(os.path, "exists", lambda path: devices[path] if path in devices else exists(path))
    return boot.wanted_files(Wanted(("eth0",), **more), [], kept=True)


def lines(text, section):
    """Return ``{key: values}`` of a section of a unit."""
    found = {}
    for line in text.partition(f"[{section}]\n")[2].partition("[")[0].splitlines():
        key, _equals, value = line.partition("=")
        found.setdefault(key, []).extend(value.split())
    return found


@pytest.mark.parametrize("on_a_bus", [True, False])
def test_the_unit_waits_for_the_device_and_is_started_by_it(monkeypatch, on_a_bus):
    files = made(monkeypatch, on_a_bus)
    unit = lines(files[UNIT], "Unit")
    # Ordering alone does not make systemd wait for a device.
    assert unit["BindsTo"] == [DEVICE]
    assert DEVICE in unit["After"]
    assert files[LATE] == Link(UNIT)
    if on_a_bus:
        assert files[EARLY] == Link(UNIT)
        assert unit["Before"] == ["network-pre.target"] == unit["Wants"][1:]
        assert lines(files[PATIENCE], "Unit") == {"JobRunningTimeoutSec": ["30s"]}
    else:
        assert (files[EARLY], files[PATIENCE]) == (None, None)
        assert "Before" not in unit


def test_nothing_of_it_is_to_be_there_when_the_rules_are_not(monkeypatch):
    files = made(monkeypatch, True, present=False)
    assert set(files) >= {UNIT, EARLY, LATE, PATIENCE, boot.LOADER}
    assert set(files.values()) == {None}


@pytest.mark.parametrize(
    ("mode", "kept", "expected"), [("auto", None, "generic"), ("native", None, "native"), ("auto", True, "auto")]
)
def test_mode_auto_leaves_the_mode_of_the_files_as_it_is(monkeypatch, tmp_path, mode, kept, expected):
    monkeypatch.setattr(boot, "CONFIGURATION", str(tmp_path))
    path = tmp_path / "eth0.json"
    path.write_text(json.dumps({"interface": "eth0", "mode": "generic", "rules": []}))
    files = boot.wanted_files(Wanted(("eth0",), mode=mode), [], kept)
    assert json.loads(files[str(path)])["mode"] == expected
