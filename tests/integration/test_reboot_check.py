# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``reboot_check`` on a namespace host, which is a container; a real reboot is in the Molecule scenario."""

import calendar
import json
import subprocess
import time

import pytest

OTHER = "11111111-2222-4333-8444-555555555555"
RECORD = "/root/boots/record"
FAKE = "/root/boot_id"
# A program that uses a library which is then replaced, as an upgrade does.
OLD_LIBRARY = """cp "$(ls /usr/lib/*/libz.so.1 | head -1)" /usr/lib/libold.so.1
python3 -c 'import ctypes, time; ctypes.CDLL("/usr/lib/libold.so.1"); time.sleep(90)' >/dev/null 2>&1 &
for turn in $(seq 100); do grep -q libold /proc/$!/maps && break; sleep 0.1; done
rm /usr/lib/libold.so.1
echo $!
"""


# The same in a container: with a root directory and mounts of its own.
JAIL = """mkdir -p /root/jail; cp "$(ls /usr/lib/*/libz.so.1 | head -1)" /usr/lib/libjail.so.1
unshare --mount sh -ec '
  mount -t tmpfs none /root/jail; cd /root/jail; mkdir usr old dev
  for one in bin lib lib64; do ln -s usr/$one $one; done
  mount --bind /usr usr; mount --bind /dev dev; pivot_root . old
  exec python3 -c "import ctypes, time; ctypes.CDLL(\\"/usr/lib/libjail.so.1\\"); time.sleep(90)"' >/dev/null 2>&1 &
for turn in $(seq 100); do grep -q libjail /proc/$!/maps && break; sleep 0.1; done
rm /usr/lib/libjail.so.1
grep libjail /proc/$!/maps >&2
echo $!
"""


def call(check=False, **arguments):
    """Return a call of the module for ``Host.modules``."""
    return "hostcraft.linux.reboot_check", {"path": RECORD, **arguments}, check


@pytest.fixture
def fresh(host):
    """The host without a record, and with a boot ID of its own in a file."""
    host.ssh(f"rm -rf /root/boots; cat /proc/sys/kernel/random/boot_id > {FAKE}")
    yield host
    host.ssh(f"rm -rf /root/boots {FAKE} /usr/lib/libold.so.1 /run/reboot-required*")


def test_four_beats_of_a_record(fresh):
    predicted, before, applied, again, checked, foreign = fresh.modules(
        call(True, state="recorded"),
        call(),
        call(state="recorded"),
        call(state="recorded"),
        call(),
        call(boot_id=OTHER),
    )
    assert (before["rebooted"], before["changed"]) == ("unknown", False)
    assert f"nothing is recorded in {RECORD} yet" in before["reason"]
    assert (predicted["steps"], predicted["diff"]) == (applied["steps"], applied["diff"])
    assert (applied["changed"], again["changed"], again["steps"]) == (True, False, [])
    kernels = fresh.ssh("cat /proc/sys/kernel/random/boot_id").strip()
    assert json.loads(fresh.ssh(f"cat {RECORD}"))["boot_id"] == kernels == checked["boot_id"]
    assert (checked["rebooted"], foreign["rebooted"]) == ("no", "yes")
    assert checked["container"] == "a PID namespace"
    assert checked["ansible_facts"]["hostcraft_boot"]["boot_id"] == kernels
    # ps(1) counts in whole seconds.
    started = int(fresh.ssh('date -d "$(ps -o lstart= -p 1)" +%s'))
    told = calendar.timegm(time.strptime(checked["pid1_started"], "%Y-%m-%dT%H:%M:%SZ"))
    assert abs(told - started) <= 1


def test_what_cannot_be_told_is_unknown_and_says_why(fresh):
    kernels = fresh.ssh(f"cat {FAKE}").strip()
    fresh.ssh(
        "mkdir -p /root/boots; echo 'cat: Permission denied' > /root/boots/no_id; echo garbage > /root/boots/garbage"
    )
    given, empty, nameless, unreadable, second, garbage, wrong, unrecorded, endless = fresh.modules(
        call(boot_id=kernels),
        call(boot_id=""),
        call(node=""),
        call(boot_id_file="/root/boots/none,/root/boots/no_id", boot_id=kernels),
        call(boot_id_file=f"/root/boots/none,{FAKE}", boot_id=OTHER),
        call(path="/root/boots/garbage"),
        call(boot_id="yesterday"),
        call(boot_id_file="/root/boots/none", state="recorded"),
        call(state="waited", node=""),
    )
    assert "whether the container was restarted" in given["reason"]
    assert "has no boot ID" in empty["reason"]
    assert "/root/boots/none: No such file or directory; /root/boots/no_id has no boot ID but" in unreadable["reason"]
    assert "/root/boots/garbage is not what state 'recorded' writes" in garbage["reason"]
    assert nameless["reason"] == "the option node is empty: it names no node"
    assert {one["rebooted"] for one in (given, empty, nameless, unreadable, garbage)} == {"unknown"}
    assert endless["failed"]
    assert "node: it is empty" in endless["msg"]
    assert unreadable["boot_id"] is None
    assert (second["rebooted"], second["boot_id"]) == ("yes", kernels)
    assert wrong["failed"]
    assert "'yesterday' is not a boot ID" in wrong["msg"]
    assert unrecorded["failed"]
    assert "Nothing can be recorded" in unrecorded["msg"]
    assert RECORD not in fresh.ssh("ls -d /root/boots/*")


def test_what_asks_for_a_reboot(fresh):
    fresh.write("/root/boots.sh", OLD_LIBRARY)
    fresh.write("/root/jail.sh", JAIL)
    pids = fresh.ssh("sh /root/boots.sh; sh /root/jail.sh; rm /root/boots.sh /root/jail.sh").split()
    try:
        assert "/usr/lib/libjail.so.1 (deleted)" in fresh.ssh(f"grep libjail /proc/{pids[1]}/maps")
        fresh.write("/usr/local/bin/needs-restarting", "#!/bin/sh\necho 'Error: no database' >&2\nexit 1\n")
        fresh.write("/run/reboot-required.pkgs", "dbus\n")
        fresh.ssh("chmod 755 /usr/local/bin/needs-restarting; touch /run/reboot-required")
        found = fresh.modules(call())[0]
    finally:
        fresh.ssh(f"kill {' '.join(pids)}; rm -rf /usr/local/bin/needs-restarting /root/jail")
    said = {one["source"]: one for one in found["reasons"]}
    assert found["reboot_required"] == "yes"
    assert said["marker"]["reason"] == "/run/reboot-required is there for dbus"
    assert said["libraries"]["answer"] == "yes"
    assert "/usr/lib/libold.so.1" in said["libraries"]["reason"]
    assert "libjail" not in said["libraries"]["reason"], "what a container uses is its own"
    assert said["package_manager"]["answer"] == "unknown"
    assert "no database" in said["package_manager"]["reason"]
    assert said["kernel"]["answer"] == "unknown"


def test_waiting_ends_with_another_boot_id_or_says_what_it_saw(fresh):
    recorded, in_vain, checked = fresh.modules(
        call(state="recorded", boot_id_file=FAKE),
        call(state="waited", boot_id_file=FAKE, timeout=3),
        call(True, state="waited", boot_id_file=FAKE),
    )
    assert recorded["changed"]
    assert in_vain["failed"]
    assert "was not back from a reboot within 3 s: the boot ID is that of the record" in in_vain["msg"]
    assert (checked["failed"], checked["rebooted"]) == (False, "no")
    # The connection is lost meanwhile, as in a reboot.
    later = f"sleep 5; echo {OTHER} > {FAKE}; pkill -9 -f '^sshd: root@'"
    with subprocess.Popen(fresh.argv(later), stderr=subprocess.DEVNULL):
        waited = fresh.modules(call(state="waited", boot_id_file=FAKE, timeout=90))[0]
    assert not waited["failed"], waited
    assert (waited["rebooted"], waited["boot_id"]) == ("yes", OTHER)
    assert waited["waited"] >= 1


def test_the_playbook_names_the_hosts_that_need_a_reboot(fresh):
    fresh.ssh("touch /run/reboot-required")
    status, said = fresh.ansible("hostcraft.linux.check_reboots", "-e", "record=true", "--limit", fresh.name)
    assert status == 0, said
    assert "/run/reboot-required is there" in said
    assert f'"{fresh.name}"' in said.partition("need a reboot")[2]
    fresh.ssh("rm /var/lib/hostcraft/reboot_check.json")
