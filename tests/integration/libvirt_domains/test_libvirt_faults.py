# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Twenty real guests, and what goes wrong: a guest that does not obey, one that is locked, the daemon or the module
killed, a domain undefined by somebody else, connections that cannot be had.

The guests are booted once; each test begins from their saved memories.
"""

import subprocess
import threading
import time

import pytest

from lab import tiny_guest

MODULE = "hostcraft.linux.libvirt_domain_state"
NAMES = [f"f-{number:02d}" for number in range(20)]
STUBBORN = NAMES[-1]  # it ignores its power button, so that no task is through before its fault comes
IMAGES = "/var/lib/libvirt/images"


@pytest.fixture(scope="module")
def memories(host):
    """Boot the guests by one task and save their memories, each in a file that can be restored again and again."""
    host.remove("")
    for name in NAMES:
        host.define(name, "ignore" if name == STUBBORN else "")
    started = host.state(name="f-*", state="running", parallelism=len(NAMES))
    assert {name: one["path"] for name, one in started["domains"].items()} == {name: ["start"] for name in NAMES}
    host.wait_for("boot", lambda: all(host.boots(name) for name in NAMES))
    host.ssh("; ".join(f"virsh -q -c qemu:///system save {name} {IMAGES}/{name}.memory" for name in NAMES))
    yield host
    host.remove("")
    host.ssh(f"rm -f {IMAGES}/*.memory")


@pytest.fixture
def twenty(memories):
    """All twenty, running."""
    yield from running(memories, NAMES)


@pytest.fixture
def four(memories):
    """Some of them, the stubborn one included; the others are off."""
    yield from running(memories, NAMES[-4:])


def running(host, names):
    """Restore guests; afterwards see to it that there is a daemon, and that none of them runs."""
    for name in names:
        if name not in host.states():
            host.define(name)
    half = [" ".join(names[first::2]) for first in (0, 1)]
    each = f"for one in {{}}; do virsh -q -c qemu:///system restore {IMAGES}/$one.memory; done &"
    host.ssh("".join(each.format(part) for part in half) + " wait")
    yield host
    host.ssh("pgrep -x libvirtd || /usr/sbin/libvirtd -d")
    host.wait_for("libvirtd", lambda: host.ssh("virsh -q -c qemu:///system uri", ok=(0, 1)))
    host.ssh("; ".join(f"virsh -q -c qemu:///system destroy {name}" for name in names), ok=(0, 1))


def meanwhile(host, names, command):
    """Run a command there as soon as one of the guests is off; do not ask libvirtd about that."""

    def wait():
        deadline = time.monotonic() + 60
        while len(host.ssh("ls /run/libvirt/qemu | grep '^f-.*pid$'", ok=(0, 1)).split()) == len(names):
            assert time.monotonic() < deadline
        host.ssh(command, ok=(0, 1))

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_one_does_not_obey_and_one_is_locked_by_another_job(twenty):
    locked = NAMES[-2]
    twenty.ssh(
        f"kill -STOP $(cat /run/libvirt/qemu/{locked}.pid); setsid virsh -c qemu:///system qemu-monitor-command "
        f"{locked} --hmp info status >/dev/null 2>&1 </dev/null & sleep 0.5"
    )
    result = twenty.state(name="f-*", state="shutoff", timeout=20, parallelism=20)
    assert result["failed"]
    assert result["changed"]
    first, *lines = result["msg"].splitlines()
    assert first == "2 of 20 domains failed:"
    assert f"{locked}: still running after 20 s" in lines[0]
    assert "another job has it" in lines[0]
    assert "monitor" in lines[0]  # which job that is, in libvirt's words
    assert f"{STUBBORN}: still running after 20 s" in lines[1]
    assert "'force_after'" in lines[1]
    assert result["domains"]["f-00"]["path"] == ["shutdown"]
    twenty.ssh(f"kill -CONT $(cat /run/libvirt/qemu/{locked}.pid)")
    assert {name for name, state in twenty.states("f-").items() if state != "shut off"} == {locked, STUBBORN}
    forced = twenty.state(name="f-*", state="shutoff", force_after=5)
    assert forced["domains"][STUBBORN]["forced"]
    assert forced["domains"][STUBBORN]["path"] == ["shutdown", "destroy"]
    assert set(twenty.states("f-").values()) == {"shut off"}


def test_libvirtd_killed_and_restarted_in_the_middle(twenty):
    restart = "kill -9 $(pgrep -x libvirtd); sleep 2; /usr/sbin/libvirtd -d"
    other = meanwhile(twenty, NAMES, restart)
    result = twenty.state(name="f-*", state="shutoff", timeout=60, force_after=15, parallelism=20)
    other.join()
    assert not result.get("failed"), result["msg"]
    assert {name for name, one in result["domains"].items() if one["forced"]} == {STUBBORN}
    assert set(twenty.states("f-").values()) == {"shut off"}


def test_libvirtd_that_stays_away(four):
    other = meanwhile(four, NAMES[-4:], "kill -9 $(pgrep -x libvirtd)")
    result = four.state(name="f-*", state="shutoff", timeout=8)
    other.join()
    assert result["failed"]
    assert f"{STUBBORN}: The connection to qemu:///system broke" in result["msg"]
    assert result["domains"][STUBBORN]["state"] == "running"


def test_a_domain_undefined_by_somebody_else(four):
    both = f"virsh -q -c qemu:///system undefine {STUBBORN}; virsh -q -c qemu:///system destroy {STUBBORN}"
    other = meanwhile(four, NAMES[-4:], both)
    result = four.state(name="f-*", state="shutoff", timeout=60)
    other.join()
    assert result["msg"].splitlines()[0] == "1 of 4 domains failed:"
    assert f"{STUBBORN}: No such domain" in result["msg"]
    assert set(four.states("f-").values()) == {"shut off"}


@pytest.mark.as_files
def test_the_module_killed_in_the_middle(four):
    other = meanwhile(four, NAMES[-4:], "kill -9 $(pgrep -f [A]nsiballZ_libvirt_domain_state)")
    result = four.state(name="f-*", state="shutoff", timeout=60)
    other.join()
    assert result.get("failed") or result.get("unreachable"), result
    assert "domains" not in result
    after = four.states("f-")
    assert after[STUBBORN] == "running"
    assert four.state(name="f-*", state="shutoff", force_after=1)["changed"]
    assert set(four.states("f-").values()) == {"shut off"}


def test_a_call_that_was_obeyed_although_its_connection_was_lost(clean):
    """The agent's guest takes three seconds to go down, in which libvirt waits for it, and is killed."""
    clean.define("f-slow", "agent slow")
    clean.boot("f-slow")
    going = f"until grep -q going {IMAGES}/f-slow.console; do sleep 0.1; done"
    kill = f"{going}; kill -9 $(pgrep -x libvirtd); sleep 5; /usr/sbin/libvirtd -d"
    with subprocess.Popen(clean.argv(kill), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        result = clean.state(name="f-slow", state="shutoff", shutdown_by=["agent"], timeout=60)
    assert not result["failed"], result
    assert (result["changed"], result["domains"]["f-slow"]["path"]) == (True, ["shutdown"])


WITHOUT_BINDING = "/root/without_binding"
REFUSED = {
    "nobody": ({"name": "nobody", "state": "running"}, "No such domain: nobody"),
    "driver": ({"name": "*", "state": "running", "uri": "nonsense:///x"}, "no connection driver"),
    "socket": (
        {"name": "*", "state": "running", "uri": "qemu:///system?socket=/run/nothing"},
        "Nothing listens there: start libvirtd",
    ),
    "malformed": ({"xml": "<domain><name>x</domain>"}, "not well-formed"),
    "incomplete": ({"xml": "<domain type='qemu'><name>x</name></domain>"}, "its xml is refused"),
    "other_name": ({"xml": tiny_guest.XML, "name": "other"}, "not other"),
    "parallelism": ({"name": "x", "state": "shutoff", "parallelism": 0}, "parallelism: 0 is too small"),
    "read_only": (
        {"name": "r-one", "state": "running", "uri": "qemu:///system?socket=/run/libvirt/libvirt-sock-ro"},
        "The connection is read-only",
    ),
    "account": ({"name": "r-one", "state": "running"}, "put the account into the group that owns the socket"),
    "binding": ({"name": "r-one", "state": "running"}, "Install the package python3-libvirt on Debian"),
}


def test_what_cannot_be_is_refused(clean):
    clean.define("r-one")
    clean.ssh(f"cat > {WITHOUT_BINDING}; chmod +x {WITHOUT_BINDING}", stdin='#!/bin/sh\nexec python3 -S "$@"\n')
    tasks = {name: {MODULE: arguments} for name, (arguments, _message) in REFUSED.items()}
    tasks["account"]["vars"] = {"ansible_user": "ops"}
    tasks["binding"]["vars"] = {"ansible_python_interpreter": WITHOUT_BINDING}
    results = clean.results(tasks)
    for name, (_arguments, message) in REFUSED.items():
        assert results[name]["failed"], name
        assert message in results[name]["msg"], name
    assert clean.states() == {"r-one": "shut off"}
