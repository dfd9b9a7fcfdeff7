# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``rlimit`` over SSH on a namespace host: four beats, other people's files, and what must be refused.

The host has no systemd and no CAP_SYS_RESOURCE, as containers do; services and raised limits are
tested in the virtual machine.
"""

import json

import pytest

FILE = "/etc/security/limits.d/90-hostcraft.conf"
OPS = {"sessions": ["ops"], "resources": {"nofile": "512:2048", "core": 0, "memlock": "64K"}}
SLEEPERS = {"processes": [{"command": "^sleep 77[0-9]"}], "resources": {"nofile": "100:200"}}


def sleeper(host, number):
    """Start a process that outlives the login; return its pid."""
    return int(host.ssh(f"setsid sleep {number} >/dev/null 2>&1 </dev/null & echo $!"))


def limits(host, pid):
    """Return soft and hard nofile as the kernel shows them, through a tool that is not ours."""
    line = host.ssh(f"prlimit --pid {pid} --nofile --noheadings --raw -o SOFT,HARD")
    return tuple(int(one) for one in line.split())


def test_four_beats(clean):
    pid = sleeper(clean, 771)
    declared = [OPS, SLEEPERS]
    before = clean.state()
    predicted = clean.rlimit(check=True, limits=declared)
    assert clean.state() == before
    assert limits(clean, pid) != (100, 200)
    applied = clean.rlimit(limits=declared)
    again = clean.rlimit(limits=declared)
    assert predicted["changed"] is True
    assert (predicted["steps"], predicted["diff"]) == (applied["steps"], applied["diff"])
    assert (again["changed"], again["steps"]) == (False, [])
    assert limits(clean, pid) == (100, 200)
    session = clean.ssh("ulimit -Sn; ulimit -Hn; ulimit -Hc; ulimit -Hl", user="ops").split()
    assert session == ["512", "2048", "0", "64"]
    assert applied["diff"]["before"][FILE] is None
    assert f"write {FILE}: ops core unset -> 0:0" in applied["steps"][-1]


def test_absent_takes_back_what_was_set(clean):
    untouched = clean.ssh("ulimit -Hn", user="ops")
    clean.rlimit(limits=[OPS])
    assert clean.ssh("ulimit -Hn", user="ops") == "2048\n"
    result = clean.rlimit(limits=[{"sessions": ["ops"]}], state="absent")
    assert result["steps"][0].startswith(f"remove {FILE}")
    assert clean.ssh("ulimit -Hn", user="ops") == untouched
    assert clean.rlimit(limits=[{"sessions": ["ops"]}], state="absent")["changed"] is False


def test_entries_of_several_tasks_add_up_and_purge_makes_them_exact(clean):
    clean.rlimit(limits=[OPS])
    clean.rlimit(limits=[{"sessions": ["@adm"], "resources": {"core": 0}}])
    assert "ops soft nofile 512" in clean.ssh(f"cat {FILE}")
    clean.rlimit(limits=[{"sessions": ["@adm"], "resources": {"core": 0}}], purge=True)
    assert [line for line in clean.ssh(f"cat {FILE}").splitlines() if line[0] != "#"] == ["@adm - core 0"]


def test_a_foreign_file_keeps_its_comments_and_order(clean):
    clean.write("/etc/security/limits.conf", "# mine\nops - nofile 700 # why\nroot - core 0\n# End of file\n")
    clean.rlimit(
        limits_file="/etc/security/limits.conf",
        limits=[{"sessions": ["ops"], "resources": {"nofile": 800, "cpu": "2h"}}],
    )
    assert clean.ssh("cat /etc/security/limits.conf") == (
        "# mine\nops - nofile 800 # why\nroot - core 0\nops - cpu 120\n# End of file\n"
    )
    assert clean.ssh("ulimit -Hn; ulimit -Ht", user="ops") == "800\n7200\n"


def test_a_line_that_wins_is_warned_of(clean):
    clean.write("/etc/security/limits.d/99-other.conf", "# x\nops - nofile 300\n")
    result = clean.rlimit(limits=[OPS])
    assert "/etc/security/limits.d/99-other.conf:2: 'ops - nofile 300' wins over" in result["warnings"][0]
    assert clean.ssh("ulimit -Hn", user="ops") == "300\n"


def test_which_line_wins_is_foretold_as_logins_see_it(clean):
    """A resource for each pair of domains, so that one login shows them all; 66 is what the other line says."""
    uid, gid = clean.ssh("id -u; id -g", user="ops").split()
    before, after = "/etc/security/limits.d/10-other.conf", "/etc/security/limits.d/99-other.conf"
    pairs = {
        "core": ("ops", after, f"{uid}:"),
        "nofile": ("ops", before, f"{uid}:"),
        "locks": ("@ops", before, f":{uid}"),
        "msgqueue": (f"{uid}:{uid}", after, "ops"),
        "sigpending": (f"{uid}:{uid}", before, "ops"),
        "memlock": ("@ops", after, f"@:{gid}"),
        "rss": ("@ops", before, f"@:{gid}"),
        "fsize": ("ops", after, "@ops"),
        "stack": ("*", before, f"@{gid}:"),
        "data": ("ops", after, f"{int(uid) + 1}:"),
    }
    # In KiB, and so large that a login can live with it.
    large = dict.fromkeys(("rss", "fsize", "stack", "data"), 10**6)
    for path in (before, after):
        lines = [
            f"{other} - {what} {66 * large.get(what, 1)}\n" for what, (_ours, at, other) in pairs.items() if at == path
        ]
        clean.write(path, "".join(lines))
    entries = [
        {"sessions": [ours], "resources": {what: f"{77 * large[what]}K" if what in large else 77}}
        for what, (ours, *_other) in pairs.items()
        if what not in ("core", "memlock")
    ]
    entries += [{"sessions": [pairs[what][0]], "resources": {what: "77K"}} for what in ("core", "memlock")]
    warnings = clean.rlimit(limits=entries)["warnings"]
    asked = " ".join(f"--{what}" for what in pairs)
    shown = clean.ssh(f"prlimit --noheadings --raw -o RESOURCE,HARD {asked}", user="ops").lower().split()
    found = {what: int(hard) for what, hard in zip(shown[::2], shown[1::2], strict=True)}
    beaten = {what for what in pairs if str(found[what] // large.get(what, 1)) in ("66", str(66 * 1024))}
    kept = {what for what in pairs if str(found[what] // large.get(what, 1)) in ("77", str(77 * 1024))}
    assert beaten | kept == set(pairs), found
    assert beaten == {"core", "locks", "msgqueue", "memlock", "stack"}
    assert beaten == {what for what in pairs if any(f" - {what} 66" in one for one in warnings)}, warnings


def test_a_line_that_frees_from_all_limits_is_warned_of(clean):
    had = clean.ssh("ulimit -Hn", user="ops")
    clean.write("/etc/security/limits.d/10-free.conf", "* -\n")
    assert "warnings" not in clean.rlimit(limits=[OPS]), "which frees nobody"
    assert clean.ssh("ulimit -Hn", user="ops") == "2048\n"
    clean.write("/etc/security/limits.d/10-free.conf", "@ops -\n")
    (warning,) = clean.rlimit(limits=[OPS])["warnings"]
    assert warning.startswith("/etc/security/limits.d/10-free.conf:1: '@ops -' wins over 'ops core 0:0, ops memlock")
    assert warning.endswith("it frees ops of every limit of pam_limits")
    assert clean.ssh("ulimit -Hn", user="ops") == had


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"sessions": ["ops"], "resources": {"nofile": "9:5"}}, "soft limit 9 is above the hard limit 5"),
        ({"sessions": ["ops"], "resources": {"nofile": "unlimited"}}, "above fs.nr_open"),
        ({"sessions": ["nobody-here"], "resources": {"core": 0}}, "no user 'nobody-here' on this host"),
        ({"sessions": ["@nobody-here"], "resources": {"core": 0}}, "no group 'nobody-here' on this host"),
        ({"processes": [{"user": "nobody-here"}], "resources": {"core": 0}}, "no user 'nobody-here' on this host"),
        ({"sessions": ["ops"], "resources": {"files": 5}}, "files"),
        ({"services": ["cron"], "resources": {"core": 0}}, "systemd does not run on this host"),
        ({"processes": [{"pid": 1}], "resources": {"nofile": 500000}}, "needs CAP_SYS_RESOURCE"),
        ({"sessions": ["ops"], "resources": {"nofile": 500000}}, "no login here can get a hard limit of 500000"),
        ({"sessions": ["ops"], "resources": {"rttime": "2s"}}, "pam_limits of this host does not know rttime"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(clean, entry, message):
    before = clean.state()
    result = clean.rlimit(limits=[OPS, entry])
    assert result["failed"], result
    assert message in result["msg"]
    assert clean.state() == before


def test_the_limits_that_are_refused_could_not_be_had(clean):
    """Written by hand, they do not reach a session: the checks are no superstition."""
    had = clean.ssh("ulimit -Hn; grep realtime.timeout /proc/self/limits", user="ops")
    clean.write("/etc/security/limits.d/50-hand.conf", "ops - nofile 500000\nops - rttime 2000000\nops - cpu 7\n")
    got = clean.ssh("ulimit -Hn; grep realtime.timeout /proc/self/limits; ulimit -Ht", user="ops")
    assert got == had + "420\n"


def test_a_process_that_has_ended_is_no_error(clean):
    pid = sleeper(clean, 772)
    clean.ssh(f"kill -9 {pid}")
    result = clean.rlimit(limits=[{"processes": [{"pid": pid}], "resources": {"nofile": 64}}])
    assert (result["changed"], result["gone"]) == (False, [f"process {pid}"])


def test_a_login_gets_the_limits_of_every_domain_that_means_it(clean):
    uid = clean.ssh("id -u", user="ops").strip()
    domains = {"ops": "nofile", "@ops": "locks", "*": "sigpending", f"0:{uid}": "msgqueue"}
    result = clean.rlimit(limits=[{"sessions": [who], "resources": {what: 77}} for who, what in domains.items()])
    assert not result["failed"], result
    asked = " ".join(f"--{what}" for what in domains.values())
    found = clean.ssh(f"prlimit --noheadings --raw -o HARD {asked}", user="ops").split()
    assert found == ["77"] * 4
    root = clean.ssh(f"prlimit --noheadings --raw -o HARD {asked}").split()
    assert root.count("77") == 1, "neither groups nor * mean root, but a range does"


def test_a_full_disk_leaves_the_old_file_and_the_old_limits(clean):
    pid = sleeper(clean, 773)
    clean.rlimit(limits=[OPS])
    clean.ssh(
        f"cp {FILE} /root/kept && mount -t tmpfs -o size=8k none /etc/security/limits.d && cp /root/kept {FILE} && "
        "head -c 4096 /dev/zero > /etc/security/limits.d/filler"
    )
    before = limits(clean, pid)
    result = clean.rlimit(limits=[SLEEPERS, {"sessions": ["@adm"], "resources": {"core": 0}}])
    assert "No space left on device" in result["msg"]
    assert result["done"] == [f"limit process {pid} (sleep): nofile {before[0]}:{before[1]} -> 100:200"]
    assert clean.ssh(f"cmp /root/kept {FILE}; ls -A /etc/security/limits.d").split() == ["90-hostcraft.conf", "filler"]
    # A hard limit cannot be raised again without the capability, and then the message says so.
    assert (result["undone"] == result["done"]) == (limits(clean, pid) == before)
    assert ("Stays changed" in result["msg"]) == (limits(clean, pid) != before)


def test_info_round_trip_and_nearness(clean):
    pid = sleeper(clean, 774)
    clean.rlimit(limits=[OPS, {"processes": [{"pid": pid}], "resources": {"nofile": 4}}])
    found = clean.module("hostcraft.linux.rlimit_info", {"processes": [{"command": "^sleep 774"}]})
    (process,) = found["processes"]
    assert process["pid"] == pid
    assert process["nearest"] == {"resource": "nofile", "percent": 75.0}
    assert process["use"]["nofile"] == len(clean.ssh(f"ls /proc/{pid}/fd").split()) == 3
    ops = next(one for one in found["limits"] if one.get("sessions") == ["ops"])
    assert ops["resources"]["memlock"] == {"soft": 65536, "hard": 65536}
    again = clean.rlimit(limits=found["limits"])
    assert (again["failed"], again["changed"]) == (False, False), json.dumps(again)
