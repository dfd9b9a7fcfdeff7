# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program of the role maintenance_schedule: time windows, over midnight as well, and which reports are old."""

import datetime
import importlib.util
import os

import pytest

PLACE = os.path.join(os.path.dirname(__file__), "../../../roles/maintenance_schedule/files/maintenance.py")
SPEC = importlib.util.spec_from_file_location("maintenance", PLACE)
program = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(program)

NIGHT = {"days": ["Sat"], "from": "22:00", "to": "04:00"}
LUNCH = {"from": "12:00", "to": "13:00"}


def at(day, clock):
    """Return a time in the week whose Monday is the 23rd."""
    return datetime.datetime.strptime(f"2026-11-{23 + program.DAYS.index(day)} {clock}", "%Y-%m-%d %H:%M")


@pytest.mark.parametrize(
    ("windows", "now", "closes"),
    [
        ([LUNCH], at("Mon", "12:00"), at("Mon", "13:00")),
        ([LUNCH], at("Mon", "12:59"), at("Mon", "13:00")),
        ([LUNCH], at("Mon", "13:00"), None),
        ([LUNCH], at("Mon", "11:59"), None),
        ([NIGHT], at("Sat", "21:59"), None),
        ([NIGHT], at("Sat", "22:00"), at("Sun", "04:00")),
        ([NIGHT], at("Sun", "03:59"), at("Sun", "04:00")),
        ([NIGHT], at("Sun", "04:00"), None),
        ([NIGHT], at("Sat", "03:00"), None),  # that would be Friday's
        ([NIGHT], at("Sun", "23:00"), None),
        ([LUNCH, {"from": "11:00", "to": "15:00"}], at("Tue", "12:30"), at("Tue", "15:00")),
        ([{"from": "08:00", "to": "08:00"}], at("Tue", "07:00"), at("Tue", "08:00")),  # a whole day
        ([], at("Tue", "12:00"), None),
    ],
)
def test_when_a_window_closes(windows, now, closes):
    assert program.closes(windows, now) == closes


def test_only_old_reports_are_old():
    ages = {"maintenance-1.json": 91.0, "maintenance-1.html": 89.0, "maintenance-1.txt": 99.0, "mine.json": 99.0}
    assert program.old(sorted(ages), ages, 90) == ["maintenance-1.json"]
