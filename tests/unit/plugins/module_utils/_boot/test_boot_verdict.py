# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdict by boot IDs, and the record of one."""

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._boot import verdict
from ansible_collections.hostcraft.linux.plugins.module_utils._boot.model import Boot, Reference
from ansible_collections.hostcraft.linux.plugins.module_utils._boot.plan import plan

THIS = "3d1f0b7c-7e3c-4c0f-9a54-0d6e9b0f6f0e"
OTHER = "11111111-2222-4333-8444-555555555555"


@pytest.mark.parametrize(
    ("reference", "boot", "value", "reason"),
    [
        (Reference("x", THIS), Boot(THIS), "no", "is that of x"),
        (Reference("x", OTHER), Boot(THIS), "yes", OTHER),
        # A machine that went back to a snapshot has an older boot ID: there is no order in them.
        (Reference("x", THIS), Boot(OTHER), "yes", THIS),
        (Reference("x", ""), Boot(THIS), "unknown", "x has no boot ID"),
        (Reference("x", "", "the disk is gone"), Boot(THIS), "unknown", "the disk is gone"),
        (Reference("x", OTHER), Boot(None, "/b: Permission denied"), "unknown", "/b: Permission denied"),
        (Reference("x", THIS), Boot(THIS, pid1=7, container="lxc"), "unknown", "shares the boot ID of its host"),
        (Reference("x", THIS, pid1=7), Boot(THIS, pid1=7, container="lxc"), "no", "is that of x"),
        (Reference("x", THIS, pid1=7), Boot(THIS, pid1=8, container="lxc"), "unknown", "it was restarted since x"),
        (Reference("x", THIS), Boot(THIS, pid1=None, container="lxc"), "unknown", "hides process 1"),
        (Reference("x", THIS), Boot(THIS, pid1=None), "no", "is that of x"),
        (Reference("x", OTHER, pid1=7), Boot(THIS, pid1=7, container="lxc"), "yes", OTHER),
    ],
)
def test_rebooted(reference, boot, value, reason):
    answer = verdict.rebooted(reference, boot)
    assert answer.value == value
    assert reason in answer.reason


@pytest.mark.parametrize(
    ("then", "now", "answer"),
    [
        ((THIS, 0), (THIS, 1), True),
        ((THIS, 1), (THIS, 1), False),
        ((THIS, None), (THIS, 1), None),
        ((OTHER, 0), (THIS, 1), None),
    ],
)
def test_soft_rebooted(then, now, answer):
    reference = Reference("x", then[0], soft_reboots=then[1])
    assert verdict.soft_rebooted(reference, Boot(now[0], soft_reboots=now[1])) is answer


def test_what_is_recorded_is_read_again():
    boot = Boot(THIS, booted=1, pid1=42, soft_reboots=3)
    reference = verdict.parse(verdict.render(boot, "2026-11-24T00:00:00Z"), "/r")
    assert reference == Reference("the record /r", THIS, pid1=42, soft_reboots=3)
    assert plan(True, "/r", reference, boot).steps == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "nothing is recorded in /r yet"),
        ("", "/r is not what"),
        ("[]", "/r is not what"),
        ('{"boot_id": null}', "has no boot ID but None"),
        ('{"boot_id": "cat: /proc: Permission denied"}', "has no boot ID but 'cat"),
    ],
)
def test_a_record_that_says_nothing_is_unknown(text, problem):
    reference = verdict.parse(text, "/r")
    assert reference.boot_id == ""
    answer = verdict.rebooted(reference, Boot(THIS))
    assert answer.value == "unknown"
    assert problem in answer.reason


@pytest.mark.parametrize("held", [Reference("x"), Reference("x", OTHER, pid1=42), Reference("x", THIS, pid1=1)])
def test_a_boot_is_recorded_once(held):
    boot = Boot(THIS, pid1=42)
    todo = plan(True, "/r", held, boot)
    assert [str(step) for step in todo.steps] == [f"record boot {THIS}: in /r"]
    assert todo.before != todo.after
    assert plan(False, "/r", held, boot).steps == ()
    assert plan(True, "/r", verdict.parse(verdict.render(boot, "now"), "/r"), boot).steps == ()
