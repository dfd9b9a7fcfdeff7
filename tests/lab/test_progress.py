# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a failed step says: at once, and again at the end of the suite."""

import os
import threading

import pytest

from lab import progress
from tests.tools import suite


def failed(script, log):
    with pytest.raises(progress.StepFailed) as error:
        progress.run("a step", ["sh", "-c", script], log)
    return error.value


def test_the_lines_that_tell_why_are_kept(tmp_path):
    script = "seq 100; echo 'FAILED test_x - y'; echo '    fatal: [a]: FAILED!'; seq 100; exit 1"
    said = failed(script, tmp_path / "log")
    assert said.telling == ("FAILED test_x - y", "    fatal: [a]: FAILED!")


def test_without_such_a_line_the_last_ones_tell(tmp_path):
    assert failed("echo first; echo last; exit 3", tmp_path / "log").telling == ("first", "last")


def test_a_step_is_as_nice_as_the_thread_that_runs_it(tmp_path):
    def run(log):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 7)
        progress.run("a step", ["sh", "-c", "sleep 0.5; nice; cat /proc/self/autogroup || true"], log)

    thread = threading.Thread(target=run, args=(tmp_path / "log",))
    thread.start()
    thread.join()
    own, session = (tmp_path / "log").read_text().splitlines()
    assert own == "7"
    if os.path.exists("/proc/self/autogroup"):
        assert session.endswith(" nice 7"), "or the step would get as much of the processors as any other session"


def test_the_suite_repeats_them_at_its_end(monkeypatch, capsys, tmp_path):
    script = "for one in $(seq 7); do echo FAILED test_$one; done; exit 1"
    monkeypatch.setitem(suite.STEPS, "ruff", lambda: progress.run("ruff", ["sh", "-c", script], tmp_path / "log"))
    results = suite.Results()
    results["ruff"] = suite._result("ruff", results)
    capsys.readouterr()
    suite._report(["ruff"], results)
    shown = capsys.readouterr().out
    assert "ruff: exit status 1" in shown
    assert "FAILED test_3" in shown
    assert "FAILED test_2" not in shown
    assert shown.rstrip().endswith("0 passed, 1 failed")
