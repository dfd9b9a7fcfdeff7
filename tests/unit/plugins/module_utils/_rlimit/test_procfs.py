# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real processes of this machine: found, changed, put back, and gone at the worst moment."""

import os
import resource
import subprocess
import sys

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import ReconcileError, Step
from ansible_collections.hostcraft.linux.plugins.module_utils._rlimit import host, procfs, usage
from ansible_collections.hostcraft.linux.plugins.module_utils._rlimit.model import Declaration, Selector, Wanted
from ansible_collections.hostcraft.linux.plugins.module_utils._rlimit.resources import RESOURCES, UNLIMITED, Limit

SLEEP = [sys.executable, "-c", "import time; print(flush=True); time.sleep(60)", "hostcraft (odd) name"]


@pytest.fixture
def sleeper():
    process = subprocess.Popen(SLEEP, stdout=subprocess.PIPE)
    process.stdout.readline()
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_limits_are_those_of_getrlimit():
    found = procfs.limits(os.getpid())
    for name, one in RESOURCES.items():
        expected = (UNLIMITED if side == resource.RLIM_INFINITY else side for side in resource.getrlimit(one.number))
        assert found[name] == Limit(*expected), name


def test_a_process_is_found_by_each_condition(sleeper):
    by_command = procfs.find([Selector(command=r"hostcraft \(odd\) name")])
    assert [one.pid for one in by_command] == [sleeper.pid]
    assert procfs.find([Selector(pid=sleeper.pid)]) == by_command
    assert procfs.find([Selector(pid=sleeper.pid, uid=os.getuid())]) == by_command
    assert procfs.find([Selector(pid=sleeper.pid, uid=os.getuid() + 1)]) == ()
    assert by_command[0] in procfs.find([Selector(cgroup=by_command[0].cgroup)])


def test_the_task_and_those_that_run_it_are_not_found_by_accident(sleeper):
    found = [one.pid for one in procfs.find([Selector(uid=os.getuid())])]
    assert sleeper.pid in found
    assert os.getpid() not in found
    assert os.getppid() not in found
    assert procfs.find([Selector(pid=os.getpid())]) == ()
    assert [one.pid for one in procfs.find([Selector(pid=os.getppid())])] == [os.getppid()]


def test_a_change_is_seen_by_prlimit_and_can_be_undone(sleeper):
    (process,) = procfs.find([Selector(pid=sleeper.pid)])
    hard = process.limits["nofile"].hard
    undo = procfs.change(process, {"nofile": Limit(64, hard), "core": Limit(0, process.limits["core"].hard)})
    assert resource.prlimit(sleeper.pid, resource.RLIMIT_NOFILE) == (64, hard)
    undo()
    assert resource.prlimit(sleeper.pid, resource.RLIMIT_NOFILE) == process.limits["nofile"]
    assert procfs.limits(sleeper.pid) == process.limits


def test_a_refusal_changes_none_of_the_resources(sleeper):
    (process,) = procfs.find([Selector(pid=sleeper.pid)])
    with pytest.raises(ReconcileError, match="prlimit refused nofile 70:60"):
        procfs.change(process, {"core": Limit(0, process.limits["core"].hard), "nofile": Limit(70, 60)})
    assert procfs.limits(sleeper.pid) == process.limits


def test_a_process_that_ended_meanwhile_is_no_error(sleeper):
    (process,) = procfs.find([Selector(pid=sleeper.pid)])
    sleeper.kill()
    sleeper.wait()
    assert procfs.change(process, {"nofile": Limit(1, 1)}) is None
    assert usage.uses([process]) == {}


def test_a_process_that_ended_is_told_and_nothing_is_to_be_undone(sleeper):
    (process,) = procfs.find([Selector(pid=sleeper.pid)])
    declared = Wanted((Declaration({}, processes=(Selector(pid=sleeper.pid), Selector(pid=1))),), "/x", "x.conf")
    assert host.ended(declared) == []
    sleeper.kill()
    sleeper.wait()
    assert host.ended(declared) == [f"process {sleeper.pid}"]
    gone = []
    undo = host.apply(Step("limit", process.label, "", (process, {"nofile": Limit(1, 1)})), gone)
    assert gone == [process.label]
    undo()


def test_another_process_with_the_same_pid_is_left_alone(sleeper):
    (process,) = procfs.find([Selector(pid=sleeper.pid)])
    assert procfs.change(process._replace(start=process.start - 1), {"nofile": Limit(1, 1)}) is None
    assert procfs.limits(sleeper.pid) == process.limits


def test_use_counts_what_is_open(sleeper):
    (process,) = procfs.find([Selector(pid=sleeper.pid)])
    use = usage.uses([process])[sleeper.pid]
    assert use["nofile"] == len(os.listdir(f"/proc/{sleeper.pid}/fd"))
    assert use["as"] > use["rss"] > 0
    assert use["nproc"] >= 2


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("0::/system.slice/cron.service\n", "/system.slice/cron.service"),
        ("3:cpu:/x\n1:name=systemd:/user.slice\n0::/\n", "/user.slice"),
        ("", "/"),
    ],
)
def test_cgroup(text, path):
    assert procfs.cgroup(text) == path
