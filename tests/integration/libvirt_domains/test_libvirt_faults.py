# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemon killed, a domain undefined by somebody else, the module killed, and connections that cannot be had."""

import threading
import time

import pytest

from lab import tiny_guest

GUESTS = 6
# A guest that is held cannot go down, so that a task cannot be through before its fault comes.
HOLD = "kill -STOP $(cat /run/libvirt/qemu/f-0.pid)"
GO_ON = "kill -CONT $(cat /run/libvirt/qemu/f-0.pid)"


@pytest.fixture
def running(clean):
    """Guests that run and obey."""
    names = [f"f-{number}" for number in range(GUESTS)]
    for name in names:
        clean.define(name)
    clean.boot(*names)
    yield clean
    clean.ssh("pgrep -x libvirtd || /usr/sbin/libvirtd -d")


def meanwhile(host, when, function):
    """Run ``function`` in a thread as soon as ``when()`` holds."""

    def wait():
        deadline = time.monotonic() + 60
        while not when() and time.monotonic() < deadline:
            time.sleep(0.1)
        function()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def one_is_off(host):
    """Return a function that tells, by their pid files, whether a guest has gone down, without asking libvirtd."""
    return lambda: len(host.ssh("ls /run/libvirt/qemu | grep '^f-.*pid$'", ok=(0, 1)).split()) < GUESTS


def test_libvirtd_killed_and_restarted_in_the_middle(running):
    """It is killed while guests ignore the request, and started again: what was asked for is still reached."""
    running.ssh(HOLD)
    restart = "kill -9 $(pgrep -x libvirtd); sleep 2; /usr/sbin/libvirtd -d; sleep 3; " + GO_ON
    other = meanwhile(running, one_is_off(running), lambda: running.ssh(restart))
    result = running.state(name="f-*", state="shutoff", timeout=60, parallelism=GUESTS)
    other.join()
    assert not result.get("failed"), result["msg"]
    assert set(running.states("f-").values()) == {"shut off"}


def test_libvirtd_that_stays_away(running):
    running.ssh(HOLD)
    gone = "kill -9 $(pgrep -x libvirtd)"
    other = meanwhile(running, one_is_off(running), lambda: running.ssh(gone))
    result = running.state(name="f-*", state="shutoff", timeout=8, parallelism=GUESTS)
    other.join()
    assert result["failed"]
    assert "f-0: The connection to qemu:///system broke" in result["msg"]
    assert result["domains"]["f-0"]["state"] == "running"
    running.ssh("/usr/sbin/libvirtd -d; " + GO_ON)
    running.wait_for("libvirtd", lambda: running.virsh("uri", ok=(0, 1)))
    assert not running.state(name="f-*", state="shutoff").get("failed")


def test_a_domain_undefined_by_somebody_else(running):
    running.ssh(HOLD)

    def undefine():
        running.virsh("undefine", "f-0")
        running.ssh(GO_ON)

    other = meanwhile(running, one_is_off(running), undefine)
    result = running.state(name="f-*", state="shutoff", timeout=60, parallelism=GUESTS)
    other.join()
    assert result["msg"].splitlines()[0] == f"1 of {GUESTS} domains failed:"
    assert "f-0: No such domain" in result["msg"]
    assert set(running.states("f-").values()) == {"shut off"}


def test_the_module_killed_in_the_middle(running):
    running.ssh(HOLD)
    kill = "kill -9 $(pgrep -f AnsiballZ_libvirt_domain_state); " + GO_ON
    other = meanwhile(running, one_is_off(running), lambda: running.ssh(kill, ok=(0, 1)))
    result = running.state(name="f-*", state="shutoff", timeout=60, parallelism=GUESTS)
    other.join()
    assert result["failed"]
    assert not running.state(name="f-*", state="shutoff", timeout=60).get("failed")
    assert set(running.states("f-").values()) == {"shut off"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "nobody", "state": "running"}, "No such domain: nobody"),
        ({"name": "*", "state": "running", "uri": "nonsense:///x"}, "no connection driver"),
        (
            {"name": "*", "state": "running", "uri": "qemu:///system?socket=/run/nothing"},
            "Nothing listens there: start libvirtd",
        ),
        ({"xml": "<domain><name>x</domain>"}, "not well-formed"),
        ({"xml": "<domain type='qemu'><name>x</name></domain>"}, "its xml is refused"),
        ({"xml": tiny_guest.XML, "name": "other"}, "not other"),
        ({"name": "x", "state": "shutoff", "parallelism": 0}, "parallelism: 0 is too small"),
    ],
)
def test_what_cannot_be_is_refused(clean, arguments, message):
    result = clean.state(**arguments)
    assert result["failed"], result
    assert message in result["msg"]
    assert clean.states() == {}
