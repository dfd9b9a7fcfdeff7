# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change that is confirmed lets go of what only its undo would have needed."""

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._core import guard, watchdog


@pytest.fixture
def change(tmp_path):
    """A change that is applied; what it settles fails first and then writes a line."""
    directory = str(tmp_path / "change")
    settle = [
        guard.run(["sh", "-c", "exit 7"]),
        guard.run(["sh", "-c", "exit 8"], may_fail=True),
        guard.run(["sh", "-c", f"echo settled >> {tmp_path}/settled"]),
    ]
    undo = [guard.run(["sh", "-c", f"echo undone >> {tmp_path}/undone"])]
    found = {"id": "1", "module": "m", "boot_id": "b", "units": [], "steps": [], "undo": undo, "settle": settle}
    watchdog.write(directory, "change", found)
    watchdog.write(directory, "progress", {"deadline": 0.0, "applied": True})
    return directory


def lines(path):
    return path.read_text().split() if path.exists() else []


def test_confirmed_it_is_settled_whatever_fails(change, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(watchdog, "log", lambda _directory, text: said.append(text))
    assert watchdog.confirm(change) == 0
    assert lines(tmp_path / "settled") == ["settled"]
    assert lines(tmp_path / "undone") == []
    assert said[-1].startswith("confirmed, and something is left that is not needed any more: ")
    assert "exit status 7" in said[-1]
    assert "exit status 8" not in said[-1]


def test_confirmed_by_one_that_was_killed_it_is_settled_by_the_next(change, tmp_path):
    assert watchdog.decide(change, watchdog.CONFIRMED, "confirmed")
    assert watchdog.confirm(change) == 0
    assert lines(tmp_path / "settled") == ["settled"]


def test_put_back_it_is_not_settled(change, tmp_path):
    assert watchdog.rollback(change) == 0
    assert watchdog.confirm(change) == 3
    assert lines(tmp_path / "settled") == []
    assert lines(tmp_path / "undone") == ["undone"]
