# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What asks for a reboot, and what is no answer."""

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._boot import kernels, required
from ansible_collections.hostcraft.linux.plugins.module_utils._boot.model import Answer, Kernels, Signal

DNF = ["dnf", "--cacheonly", "needs-restarting", "-r"]
CORE = "Core libraries or services have been updated since boot-up:\n  * kernel\n  * glibc\n\nReboot is required.\n"


@pytest.mark.parametrize(
    ("status", "said", "error", "value", "reason"),
    [
        (0, "No core libraries", "", "no", "none is needed"),
        (1, CORE, "", "yes", "for kernel, glibc"),
        (1, "Reboot is required\n", "", "yes", "says so"),
        # dnf exits with 1 after its own errors as well.
        (1, "", "No such command: needs-restarting.", "unknown", "No such command"),
        (
            1,
            "Updating Subscription Management repositories.\nError: no metadata\n",
            "",
            "unknown",
            "Error: no metadata",
        ),
        (1, "Reboot is required to ensure that your system benefits from these updates.", "", "yes", "says so"),
        (127, "", "dnf: not found", "unknown", "ended with 127, which is no answer: dnf: not found"),
        (2, CORE, "", "unknown", "ended with 2"),
        (None, "", "did not end within 120 s", "unknown", "did not end"),
    ],
)
def test_only_a_documented_exit_status_is_an_answer(status, said, error, value, reason):
    signal = required.tool(DNF, status, said, error)
    assert signal.answer.value == value
    assert reason in signal.answer.reason


@pytest.mark.parametrize(
    ("running", "installed", "value", "reason"),
    [
        ("6.1.0-40-amd64", ("6.1.0-40-amd64", "6.1.0-9-amd64"), "no", "is the newest"),
        ("6.1.0-9-amd64", ("6.1.0-40-amd64", "6.1.0-9-amd64"), "yes", "6.1.0-40-amd64 is installed"),
        # Another flavour is another kernel.
        ("6.1.0-9-amd64", ("6.1.0-40-cloud-amd64", "6.1.0-9-amd64"), "no", "is the newest"),
        ("5.14.0-503.11.1.el9_5.x86_64", ("5.14.0-503.11.1.el9_5.x86_64", "5.14.0-70.el9.x86_64"), "no", "newest"),
        ("5.14.0-503.11.1.el9_5.x86_64", ("5.14.0-570.12.1.el9_6.x86_64",), "yes", "570.12.1.el9_6"),
        ("4.18.0-553.el8.x86_64", ("4.18.0-553.5.1.el8_10.x86_64", "4.18.0-553.el8.x86_64"), "yes", "553.5.1"),
        ("5.15.0-91-generic", ("5.15.0-101-generic", "5.15.0-91-generic"), "yes", "5.15.0-101-generic"),
        ("6.1.0-40-amd64", (), "unknown", "no installed kernel"),
        ("6.1.0-40-amd64", ("6.12.1-arm64",), "yes", "is not installed any more"),
    ],
)
def test_the_newest_kernel(running, installed, value, reason):
    signal = kernels.signal(Kernels(running, installed), None)
    assert signal.answer.value == value, signal
    assert reason in signal.answer.reason


def test_a_container_has_no_kernel_of_its_own():
    assert kernels.signal(Kernels("6.1.0-9-amd64", ("6.1.0-40-amd64",)), "lxc").answer.value == "unknown"


@pytest.mark.parametrize(
    ("users", "unread", "value", "reason"),
    [
        ({}, 0, "no", "no deleted library"),
        ({"/usr/lib/libssl.so.3": {"sshd", "nginx"}}, 3, "yes", "in use by nginx, sshd: /usr/lib/libssl.so.3"),
        ({}, 3, "unknown", "become"),
        ({"/usr/lib/x.so": {str(number) for number in range(20)}}, 0, "yes", "and 12 more"),
    ],
)
def test_deleted_libraries(users, unread, value, reason):
    signal = required.libraries(users, unread)
    assert signal.answer.value == value
    assert reason in signal.answer.reason


def test_the_marker_names_its_packages():
    signal = required.marker("/run/reboot-required", ["linux-image-amd64", "dbus", "dbus"])
    assert signal.answer == Answer("yes", "/run/reboot-required is there for dbus, linux-image-amd64")


@pytest.mark.parametrize(
    ("values", "value"),
    [((), "unknown"), (("no", "no"), "no"), (("no", "unknown"), "unknown"), (("unknown", "yes", "no"), "yes")],
)
def test_together(values, value):
    signals = [Signal("x", Answer(one, f"because {one}")) for one in values]
    assert required.together(signals).value == value
