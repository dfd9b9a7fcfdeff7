# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's own promises: hosts that can be reached, nothing left behind, nothing foreign stopped."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab import namespace_host, record, rootfs

ROOT = Path(__file__).resolve().parents[2]


def lab(*arguments, ok=0):
    """Run the command of the lab; return its output."""
    done = subprocess.run(
        [sys.executable, "-m", "lab", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == ok, done.stdout + done.stderr
    return done.stdout + done.stderr


def namespaces():
    """Return the network namespaces of what this lab instance has started."""
    records = Path(lab("inventory").split()[-1]).parent / "records"
    pids = [json.loads(one.read_text())["pid"] for one in records.glob("*.json")]
    return {os.readlink(f"/proc/{pid}/ns/net") for pid in pids if Path(f"/proc/{pid}/cmdline").exists()}


def inhabitants(found):
    """Return the processes that live in network namespaces."""
    living = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(process / "ns/net") in found:
                living.append((process.name, (process / "cmdline").read_bytes()))
        except OSError:
            continue
    return living


@pytest.fixture(autouse=True)
def instance(monkeypatch):
    """A lab instance of the test's own, which ends with it; nothing may be left of it."""
    monkeypatch.setenv("HOSTCRAFT_LAB", "self-test")
    lab("down")
    mounts = Path("/proc/self/mounts").read_text()
    yield
    started = namespaces() - {os.readlink("/proc/self/ns/net")}
    lab("down")
    assert Path("/proc/self/mounts").read_text() == mounts
    assert inhabitants(started) == []


def test_hosts_come_up_are_reached_and_go():
    lab("up", "one", "two")
    assert lab("ssh", "one", "hostname; id -u") == "one\n0\n"
    assert lab("ssh", "two", "ping -c 1 -W 5 10.203.0.2 >/dev/null && echo reached") == "reached\n"
    listed = {line.split()[0]: line.split()[2] for line in lab("list").splitlines()}
    assert listed == {"one": "up", "two": "up", "switch": "up"}
    inventory = json.loads(Path(lab("inventory").split()[-1]).read_text())
    assert set(inventory["all"]["children"]["namespace_hosts"]["hosts"]) == {"one", "two"}
    pids = [line.split()[-1] for line in lab("list").splitlines()]
    lab("up", "one", "two")
    assert [line.split()[-1] for line in lab("list").splitlines()] == pids
    lab("down", "one")
    assert "one" not in lab("list")
    assert lab("ssh", "two", "true") == ""


def test_a_host_that_comes_or_goes_is_found_under_its_address_by_the_others():
    lab("up", "one", "two")
    to_two = "ping -c 1 -W 2 10.203.0.3 >/dev/null && ping -c 1 -W 2 10.203.0.1 >/dev/null && echo reached"
    assert lab("ssh", "one", to_two) == "reached\n"
    for _time in range(3):
        lab("down", "two")
        lab("up", "two")
        assert lab("ssh", "one", to_two) == "reached\n"


def test_what_a_host_changes_is_its_own():
    passwd = Path("/etc/passwd").read_text()
    lab("up", "one")
    lab("ssh", "one", "echo gone > /etc/passwd; mount -t tmpfs none /mnt; hostname other")
    assert Path("/etc/passwd").read_text() == passwd
    assert os.uname().nodename != "other"


def test_a_process_that_was_not_started_by_the_lab_is_not_stopped():
    lab("up", "one")
    records = list(Path(lab("inventory").split()[-1]).parent.glob("records/one.json"))
    kept = records[0].read_text()
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        records[0].write_text(json.dumps({**json.loads(kept), "pid": stranger.pid}))
        lab("down", "one")
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
        os.kill(json.loads(kept)["pid"], signal.SIGTERM)
        time.sleep(2)


def test_a_start_that_was_killed_is_cleaned_up():
    starting = subprocess.Popen([sys.executable, "-m", "lab", "up", "one"], cwd=ROOT, stdout=subprocess.DEVNULL)
    time.sleep(0.4)
    starting.kill()
    starting.wait()
    lab("up", "one")
    assert lab("ssh", "one", "echo well") == "well\n"


def test_a_start_that_was_killed_before_its_last_step_is_begun_again():
    class Killed(BaseException):
        pass

    def die(_started):
        raise Killed

    with pytest.raises(Killed):
        namespace_host.start("host", "one", rootfs.host(), finish=die)
    half = record.read("one")
    assert record.alive(half)
    finished = []
    whole = namespace_host.start("host", "one", rootfs.host(), finish=finished.append)
    assert not record.alive(half)
    assert [one.pid for one in finished] == [whole.pid]
    assert lab("ssh", "one", "echo well") == "well\n"
    assert namespace_host.start("host", "one", rootfs.host(), finish=die) == whole


def test_errors_say_what_to_do():
    assert "choose another" in lab("up", "switch", ok=1)
    assert "lower-case letter" in lab("up", "No_Name", ok=1)
    assert "is not up: start it" in lab("ssh", "nowhere", ok=1)


def test_making_a_root_does_not_write_through_its_links(tmp_path):
    """systemd-sysv's /sbin/init is an absolute link: once, our init replaced the machine's own systemd by it."""
    outside = tmp_path / "outside"
    outside.write_text("of the machine")
    root = tmp_path / "root"
    (root / "usr/sbin").mkdir(parents=True)
    (root / "usr/sbin/init").symlink_to(outside)
    recipe = rootfs.Recipe("test", files=(("/usr/sbin/init", 0o755, "ours"),))
    with pytest.raises(record.LabError, match="/usr/sbin/init"):
        rootfs.verify(recipe, root)
    rootfs.stage(tmp_path / "files", recipe.files)
    subprocess.run([*rootfs.COPY, f"{tmp_path / 'files'}/.", root], check=True, timeout=30)
    assert outside.read_text() == "of the machine"
    rootfs.verify(recipe, root)
    assert (root / "usr/sbin/init").stat().st_mode & 0o777 == 0o755
