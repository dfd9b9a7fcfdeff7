# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a watchdog does: it puts a change back, to the end and whatever happens to it, or settles it."""

import fcntl
import os
import time

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._core import files, guard, watchdog
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import ReconcileError


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


@pytest.fixture
def edited(change, tmp_path):
    """The change, which has also edited a file; its undo puts that back."""
    path = tmp_path / "profile"
    path.write_text("old")
    found = watchdog.read(change, "change")
    found["undo"] += [guard.file(files.take(str(path)))]
    watchdog.write(change, "change", found)
    path.write_text("new")
    return path


def test_a_rollback_that_was_interrupted_is_finished_by_the_watchdog(change, edited, tmp_path):
    watchdog.decide(change, watchdog.ROLLED_BACK, "asked for by hand")
    assert watchdog.watch(change) == 0
    assert edited.read_text() == "old"
    assert lines(tmp_path / "undone") == ["undone"]
    assert watchdog.look(change)["restored"]


def test_a_rollback_that_a_power_cut_interrupted_is_finished_at_boot(change, edited, tmp_path):
    watchdog.decide(change, watchdog.ROLLED_BACK, "no confirmation in time")
    assert watchdog.boot(change) == 0
    assert edited.read_text() == "old"
    assert lines(tmp_path / "undone") == []
    edited.write_text("later")
    assert watchdog.boot(change) == 0
    assert edited.read_text() == "later", "it is put back once"


def test_at_boot_a_confirmed_change_stays(change, edited):
    watchdog.decide(change, watchdog.CONFIRMED, "confirmed")
    assert watchdog.boot(change) == 0
    assert edited.read_text() == "new"


def test_a_restart_of_the_unit_in_the_same_boot_puts_nothing_back(change, edited):
    watchdog.write(change, "change", dict(watchdog.read(change, "change"), boot_id=watchdog.boot_id()))
    assert watchdog.boot(change) == 0
    assert edited.read_text() == "new"


def full(monkeypatch, change, until_freed):
    """Let the disk take nothing of the watchdog, or not before what was kept for that is given free."""
    write = files.write

    def refuse(path, *arguments, **more):
        if not until_freed or os.path.exists(os.path.join(change, "reserve")):
            raise ReconcileError(f"Cannot write {path}: No space left on device")
        return write(path, *arguments, **more)

    watchdog.reserve(change, watchdog.read(change, "change")["undo"])
    watchdog.write(change, "alive", {"pid": 0})
    monkeypatch.setattr(watchdog, "write", lambda directory, name, value: name == "alive" or refuse(
        os.path.join(directory, name), watchdog.json.dumps(value)))  # fmt: skip


@pytest.mark.parametrize("until_freed", [True, False])
def test_a_full_disk_at_the_deadline_does_not_keep_the_host_cut_off(change, edited, monkeypatch, until_freed):
    full(monkeypatch, change, until_freed)
    assert watchdog.watch(change) == 0
    assert edited.read_text() == "old"
    if until_freed:
        assert watchdog.look(change)["reason"] == "no confirmation in time"
        assert watchdog.look(change)["restored"]


def test_a_full_disk_does_not_keep_a_change_from_being_confirmed(change, edited, monkeypatch):
    full(monkeypatch, change, until_freed=True)
    assert watchdog.confirm(change) == 0
    assert edited.read_text() == "new"


def test_the_unit_of_a_later_change_stays(change, tmp_path):
    unit = tmp_path / "unit"
    watchdog.write(change, "change", dict(watchdog.read(change, "change"), units=[str(unit)]))
    unit.write_text(f"ExecStart=/usr/bin/python3 {tmp_path}/later/guard boot\n")
    watchdog.clean(change)
    assert unit.exists()
    unit.write_text(f"ExecStart=/usr/bin/python3 {change}/guard boot\n")
    watchdog.clean(change)
    assert not unit.exists()


@pytest.mark.parametrize(
    ("progress", "lives", "reason"),
    [
        ({"deadline": 9, "applied": False}, True, None),
        ({"deadline": -1, "applied": False}, True, "a step took too long"),
        ({"deadline": 9, "applied": False}, False, "the task died half way"),
        ({"deadline": 9, "applied": True}, False, None),
        ({"deadline": -1, "applied": True}, False, "no confirmation in time"),
    ],
)
def test_when_a_change_is_put_back(change, tmp_path, progress, lives, reason):
    watchdog.write(change, "progress", dict(progress, deadline=time.monotonic() + progress["deadline"]))
    with open(str(tmp_path / "task"), "a") as held, open(str(tmp_path / "task"), "a") as task:
        if lives:
            fcntl.flock(held, fcntl.LOCK_EX)
        assert watchdog.overdue(change, task) == reason
