# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``rlimit`` stopped in the middle on a real host: everything is old or new, and the next run finishes."""

import subprocess

import pytest

pytestmark = pytest.mark.as_files

MANY = 400
DECLARED = [
    {"processes": [{"command": "^sleep 778"}], "resources": {"nofile": "100:200"}},
    {"sessions": ["ops"], "resources": {"nofile": "512:2048"}},
]
# Waits on the host until the first process is changed, at most 30 s, and then strikes.
AMBUSH = """
for turn in $(seq 3000); do
    [ "$(prlimit --pid {first} --nofile --noheadings --raw -o SOFT)" = 100 ] && exec {strike}
    sleep 0.01
done
echo nothing to strike at; exit 9
"""


@pytest.fixture
def sleepers(clean):
    """Many processes that outlive the login, by pid in the order in which they are changed."""
    script = f"for n in $(seq {MANY}); do setsid sleep 778 >/dev/null 2>&1 </dev/null & echo $!; done"
    yield sorted(int(pid) for pid in clean.ssh(script).split())
    clean.ssh("pkill -f '^sleep 778'; true")


def soft(host, pids):
    """Return the soft limits of open files as the kernel shows them."""
    return host.ssh(
        f"for pid in {' '.join(map(str, pids))}; do awk '/Max open files/ {{print $4}}' /proc/$pid/limits; done"
    ).split()


@pytest.mark.parametrize(
    ("what", "strike"),
    [
        ("the module is killed", "pkill -9 -f AnsiballZ_rlimit"),
        ("the connection is cut", "pkill -9 -f '^sshd: root@pts'"),
    ],
)
def test_a_run_that_was_stopped_in_the_middle_is_finished_by_the_next(clean, sleepers, what, strike):
    before = clean.ssh("ls -A /etc/security/limits.d")
    argv = clean.argv(AMBUSH.format(first=sleepers[0], strike=strike))
    ambush = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        result = clean.rlimit(limits=DECLARED)
    finally:
        said, _none = ambush.communicate(timeout=60)
    assert ambush.returncode != 9, said
    assert result.get("failed") or result.get("unreachable"), result
    found = soft(clean, sleepers)
    changed = found.count("100")
    assert found[:changed] == ["100"] * changed, what
    assert clean.ssh("ls -A /etc/security/limits.d") in (before, before + "90-hostcraft.conf\n")
    finished = clean.rlimit(limits=DECLARED)
    assert not finished["failed"], finished
    assert len(finished["steps"]) in (MANY - changed, MANY - changed + 1)
    assert set(soft(clean, sleepers)) == {"100"}
    assert clean.rlimit(limits=DECLARED)["changed"] is False
