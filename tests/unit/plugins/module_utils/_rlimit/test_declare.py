# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the options to what is wanted, and the round trip from what was found back to options."""

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import ReconcileError
from ansible_collections.hostcraft.linux.plugins.module_utils._rlimit import declare, report
from ansible_collections.hostcraft.linux.plugins.module_utils._rlimit.model import Process, Selector, Unit
from ansible_collections.hostcraft.linux.plugins.module_utils._rlimit.resources import RESOURCES, UNLIMITED, Limit


def options(*entries, **more):
    full = [
        dict({"sessions": None, "services": None, "processes": None, "resources": None}, **entry) for entry in entries
    ]
    return dict({"limits": full, "state": "present", "name": "90-x", "limits_file": None, "purge": False}, **more)


def selector(**conditions):
    return dict(dict.fromkeys(declare.SELECTOR_OPTIONS), **conditions)


def test_everything_at_once():
    wanted = declare.wanted(
        options(
            {
                "sessions": ["bob"],
                "services": ["cron"],
                "processes": [selector(user="bob", unit="x")],
                "resources": {"nofile": "1:2", "core": None},
            }
        ),
        {"bob": 5}.get,
    )
    (one,) = wanted.declarations
    assert one.limits == {"nofile": Limit(1, 2)}
    assert one.services == ("cron.service",)
    assert one.processes == (Selector(uid=5, unit="x.service"),)
    assert wanted.limits_file == "/etc/security/limits.d/90-x.conf"
    assert wanted.drop_in_path("a.socket") == "/etc/systemd/system/a.socket.d/90-x.conf"


@pytest.mark.parametrize(
    ("entry", "more", "message"),
    [
        ({"sessions": ["bob"]}, {}, "limits, entry 1: no limit is given"),
        ({"resources": {"core": 0}}, {}, "limits, entry 1: nobody is limited"),
        ({"processes": [selector()], "resources": {"core": 0}}, {}, "without a condition"),
        (
            {"processes": [selector(command="(")], "resources": {"core": 0}},
            {},
            r"command '\(' is no regular expression",
        ),
        ({"processes": [selector(pid=1)]}, {"state": "absent"}, "state 'absent' cannot give running processes"),
        ({"sessions": ["bob"], "resources": {"cpu": 90}}, {}, "cpu: limits.conf counts in whole minutes"),
        ({"sessions": ["%adm"], "resources": {"cpu": 60}}, {}, "only for maxlogins"),
        ({"services": ["a.target"], "resources": {"core": 0}}, {}, "runs no processes of its own"),
        ({"sessions": ["bob"], "resources": {"core": 0}}, {"name": "a/b"}, "name 'a/b'"),
    ],
)
def test_what_makes_no_sense_is_refused(entry, more, message):
    with pytest.raises(ReconcileError, match=message):
        declare.wanted(options(entry, **more), lambda name: 0)


def test_what_was_found_is_valid_input_and_means_the_same():
    limits = dict({name: Limit(5, UNLIMITED) for name in RESOURCES}, nice=Limit(20, 25))
    found = report.Found(
        (Process(7, 1, 0, "p", "p", "/", limits),),
        {7: {"nofile": 4}},
        {"a.service": Unit("a.service", limits)},
        ("bob - nofile unlimited\nbob soft core 1\n%adm - maxlogins 1\n", "bob hard core 2\nbob - cpu 3\n"),
        1000,
    )
    entries = report.limits(found, None)
    sessions, services, processes = declare.wanted(
        options(*[dict(one, processes=[selector(**p) for p in one.get("processes", ())] or None) for one in entries]),
        None,
    ).declarations
    assert sessions.sessions == ("bob",)
    assert sessions.limits == {"core": Limit(1024, 2048), "cpu": Limit(180, 180), "nofile": Limit(1000, 1000)}
    assert (services.services, services.limits) == (("a.service",), limits)
    assert (processes.processes, processes.limits) == ((Selector(pid=7),), limits)
    assert report.limits(found, ["amy"])[0].get("sessions") is None


def test_the_process_nearest_to_a_limit_comes_first():
    def process(pid):
        return Process(pid, 1, 0, "p", "p", "/", {name: Limit(100, 100) for name in RESOURCES})

    uses = {1: {"nofile": 10, "core": 5}, 2: {"nofile": 90}, 3: {}}
    rows = report.processes([process(pid) for pid in (1, 2, 3, 4)], uses)
    assert [row["pid"] for row in rows] == [2, 1, 3]
    assert rows[0]["nearest"] == {"resource": "nofile", "percent": 90.0}
    assert rows[2]["nearest"] == {"resource": None, "percent": 0.0}
