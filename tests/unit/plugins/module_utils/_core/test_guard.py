# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard is armed by one task at a time, is proved alive, and says who holds it."""

import fcntl
import os
import sys
import threading
import time

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._core import command, files, guard, watchdog
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import Plan, ReconcileError, Step

CHANGE = Plan({"a": 1}, {"a": 2}, (Step("set", "a"),))


class Module:
    _name = "hostcraft.linux.some"


@pytest.fixture
def root(tmp_path, monkeypatch):
    """The directory of the guards on a host without systemd; the watchdogs that live at the end are ended."""
    path = tmp_path / "guards"
    monkeypatch.setattr(guard, "ROOT", str(path))
    monkeypatch.setattr(guard, "has_systemd", lambda: False)
    monkeypatch.setattr(guard.signal, "signal", lambda *_arguments: None)
    yield path
    for one in path.glob("*/change"):
        watchdog.decide(str(one.parent), watchdog.CANCELLED, "the test is over")
    deadline = time.monotonic() + 10
    while guard._is_held() and time.monotonic() < deadline:
        time.sleep(0.05)


def new(monkeypatch, name, timeout=60):
    monkeypatch.setenv("HOSTCRAFT_GUARD_ID", name)
    monkeypatch.setenv("HOSTCRAFT_CONTROLLER", "ctl1")
    return guard.Guard(Module(), timeout, undo=lambda _state, _plan: [])


def refused(one):
    with pytest.raises(ReconcileError) as caught:
        one.arm({}, CHANGE)
    return str(caught.value)


@pytest.mark.parametrize("timeout", [60, 0])
def test_of_two_tasks_that_arm_at_once_the_second_is_refused_with_the_first_named(root, monkeypatch, timeout):
    first, second, start = new(monkeypatch, "first"), new(monkeypatch, "second", timeout), guard.Guard._start

    def slowly(self, program):
        time.sleep(0.5)
        start(self, program)

    monkeypatch.setattr(guard.Guard, "_start", slowly)
    child = os.fork()
    if not child:
        try:
            first.arm({}, CHANGE)
            time.sleep(3)
        finally:
            os._exit(0)
    try:
        deadline = time.monotonic() + 10
        while not (root / "first" / "change").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        said = refused(second)
        assert "Another change holds the guard of this host: first by hostcraft.linux.some from ctl1 " in said
        assert "(set a), undecided for at most " in said
        assert (root / "first" / "guard").exists()
        assert not (root / "second").exists()
    finally:
        watchdog.decide(str(root / "first"), watchdog.CANCELLED, "the test is over")
        os.kill(child, 9)
        os.waitpid(child, 0)


def test_a_watchdog_that_does_not_live_stops_the_task_before_anything_is_changed(root, monkeypatch):
    monkeypatch.setattr(guard, "PROOF", 0.3)
    monkeypatch.setattr(guard.Guard, "_start", lambda _self, _program: command.detach(["true"]))
    assert "The watchdog did not come alive within 0.3 s, so nothing was changed" in refused(new(monkeypatch, "dead"))
    assert watchdog.look(str(root / "dead"))["state"] == watchdog.CANCELLED


def test_a_full_disk_stops_the_task_before_anything_is_changed(root, monkeypatch):
    def full(path, *_arguments, **_more):
        raise ReconcileError(f"Cannot write {path}: No space left on device")

    one = new(monkeypatch, "full")
    with monkeypatch.context() as disk:
        disk.setattr(one, "_extend", lambda *_arguments, **_more: full("progress"))
        disk.setattr(watchdog, "decide", full)
        assert refused(one) == "Cannot write progress: No space left on device"
    guard.refuse_if_held()


def test_a_change_that_was_just_decided_is_waited_for(root):
    directory = root / "old"
    for name in ("alive", "decision"):
        files.write(str(directory / name), "{}")
    with open(str(root / "lock"), "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        threading.Timer(0.5, lock.close).start()
        guard.refuse_if_held()
        assert lock.closed


def test_a_change_that_was_put_back_in_part_is_to_be_finished_first(root, monkeypatch):
    change = {"id": "half", "module": "m", "boot_id": watchdog.boot_id(), "units": [], "steps": [], "undo": []}
    directory = str(root / "half")
    watchdog.write(directory, "change", change)
    watchdog.write(directory, "progress", {"deadline": 0.0, "applied": True})
    watchdog.decide(directory, watchdog.ROLLED_BACK, "no confirmation in time")
    said = refused(new(monkeypatch, "next"))
    assert "change half was to be put back (no confirmation in time), and that was interrupted" in said
    assert watchdog.rollback(directory) == 0
    guard.refuse_if_held()


def test_the_watchdog_is_started_through_python_so_that_nothing_need_be_executable(root, monkeypatch):
    """SELinux lets systemd execute nothing that is labelled var_lib_t, and /var may be mounted noexec."""
    ran = []
    monkeypatch.setattr(guard, "has_systemd", lambda: True)
    monkeypatch.setattr(guard.command, "run", ran.append)
    one = new(monkeypatch, "one")
    one._start("/var/lib/x/guard")
    assert ran[0][-3:] == [sys.executable, "/var/lib/x/guard", "watch"]
    (_unit, text), _link = guard._units("/var/lib/x/guard")
    assert f"\nExecStart={sys.executable} /var/lib/x/guard boot\n" in text


def test_the_time_for_the_confirmation_begins_when_the_change_is_made(root, monkeypatch):
    one = new(monkeypatch, "one", timeout=30)
    one.arm({}, CHANGE)
    armed = watchdog.look(one.directory)
    one.step()
    time.sleep(0.2)
    applied = one.applied({"changed": True})
    left = watchdog.look(one.directory)["seconds_left"]
    assert armed["state"] == "armed"
    assert armed["seconds_left"] > 200
    assert applied["guard"]["timeout"] == 30
    assert 29 < left <= 30
