# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans: tables of what is there and wanted, and the theorem that a plan carried out leaves none."""

import re

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import ReconcileError
from ansible_collections.hostcraft.linux.plugins.module_utils._rlimit import limits_conf
from ansible_collections.hostcraft.linux.plugins.module_utils._rlimit.model import (
    HEADER,
    Declaration,
    Process,
    Selector,
    State,
    Unit,
    Wanted,
)
from ansible_collections.hostcraft.linux.plugins.module_utils._rlimit.plan import plan
from ansible_collections.hostcraft.linux.plugins.module_utils._rlimit.precedence import Person, meant
from ansible_collections.hostcraft.linux.plugins.module_utils._rlimit.resources import RESOURCES, UNLIMITED, Limit
from hypothesis import given
from hypothesis import strategies as st

FILE = "/etc/security/limits.d/90-hostcraft.conf"
DROP_IN = "/etc/systemd/system/{0}.d/90-hostcraft.conf"
USUAL = dict({name: Limit(1024, 4096) for name in RESOURCES}, nice=Limit(20, 20))


def declared(limits, **whom):
    return Declaration(limits, **{key: tuple(value) for key, value in whom.items()})


def wanted(*declarations, **more):
    return Wanted(tuple(declarations), FILE, "90-hostcraft.conf", **more)


def process(pid, uid=0, unit="cron.service", **limits):
    return Process(pid, 1, uid, "p", "/bin/p -x", "/system.slice/" + unit, dict(USUAL, **limits))


def steps(want, state):
    return [str(step) for step in plan(want, state).steps]


def after(state, steps):
    """Return the state once the steps were carried out: what reading the host again would give."""
    files, processes, units = dict(state.files), {one.pid: one for one in state.processes}, dict(state.units)
    for step in steps:
        if step.verb == "limit":
            one, new = step.data
            processes[one.pid] = one._replace(limits=dict(one.limits, **new))
        elif step.verb == "reload":
            for name, unit in units.items():
                own = [
                    path
                    for path, text in files.items()
                    if path.startswith("/etc/systemd/system/" + name) and text is not None
                ]
                kept = [path for path in unit.drop_ins if files.get(path, "") is not None]
                units[name] = unit._replace(stale=False, drop_ins=tuple(sorted(set(kept + own))))
        else:
            files[step.target] = step.data if step.verb == "write" else None
            units = {n: u._replace(stale=u.stale or n in step.target) for n, u in units.items()}
    return state._replace(files=files, processes=tuple(processes.values()), units=units)


NOFILE = {"nofile": Limit(2048, 8192)}


@pytest.mark.parametrize(
    ("want", "state", "expected"),
    [
        # Processes.
        (
            [declared(NOFILE, processes=[Selector(pid=7)])],
            State((process(7), process(8))),
            ["limit process 7 (p): nofile 1024:4096 -> 2048:8192"],
        ),
        ([declared(NOFILE, processes=[Selector(uid=5)])], State((process(7),)), []),
        ([declared(NOFILE, processes=[Selector(uid=0, command="nope")])], State((process(7),)), []),
        ([declared(NOFILE, processes=[Selector(command="p -x$")])], State((process(7, nofile=Limit(2048, 8192)),)), []),
        (
            [declared({"core": Limit(0, None)}, processes=[Selector(unit="cron.service")])],
            State((process(7),)),
            ["limit process 7 (p): core 1024:4096 -> 0:4096"],
        ),
        (
            [declared({"core": Limit(None, 512)}, processes=[Selector(cgroup="/system.slice")])],
            State((process(7),)),
            ["limit process 7 (p): core 1024:4096 -> 512:512"],
        ),
        ([declared(NOFILE, processes=[Selector(cgroup="/system")])], State((process(7),)), []),
        (
            [declared(NOFILE, processes=[Selector(unit="getty@.service")])],
            State((process(7, unit="getty@tty1.service"), process(8, unit="getty.service"))),
            ["limit process 7 (p): nofile 1024:4096 -> 2048:8192"],
        ),
        (
            [
                declared(NOFILE, processes=[Selector(pid=7)]),
                declared({"nofile": Limit(1, None)}, processes=[Selector(uid=0)]),
            ],
            State((process(7),)),
            ["limit process 7 (p): nofile 1024:4096 -> 1:8192"],
        ),
        (
            [declared({"core": Limit(0, 0), "nice": Limit(25, 25)}, processes=[Selector(pid=7)])],
            State((process(7),)),
            ["limit process 7 (p): core 1024:4096 -> 0:0, nice 0:0 -> -5:-5"],
        ),
        # Sessions.
        (
            [declared({"nofile": Limit(5, 5), "memlock": Limit(1024, UNLIMITED)}, sessions=["bob"])],
            State(),
            [f"write {FILE}: bob memlock unset -> 1024:unlimited, bob nofile unset -> 5:5"],
        ),
        (
            [declared(NOFILE, sessions=["bob"])],
            State(files={FILE: HEADER + "bob soft nofile 2048\nbob hard nofile 8192\n"}),
            [],
        ),
        (
            [declared({"nofile": Limit(7, None)}, sessions=["bob"])],
            State(files={FILE: HEADER + "bob - nofile 9\namy - core 0\n"}),
            [f"write {FILE}: bob nofile 9:9 -> 7:9"],
        ),
        # Services.
        (
            [declared(NOFILE, services=["cron.service"])],
            State((process(7),), units={"cron.service": Unit("cron.service", USUAL)}),
            [
                "limit process 7 (p): nofile 1024:4096 -> 2048:8192",
                "write {0}: nofile unset -> 2048:8192".format(DROP_IN.format("cron.service")),
                "reload systemd: daemon-reload for cron.service",
            ],
        ),
        (
            [declared({"nofile": Limit(9, None)}, services=["cron.service"])],
            State(units={"cron.service": Unit("cron.service", USUAL)}),
            [
                "write {0}: nofile unset -> 9:4096".format(DROP_IN.format("cron.service")),
                "reload systemd: daemon-reload for cron.service",
            ],
        ),
        (
            [declared(NOFILE, services=["cron.service"])],
            State(
                files={DROP_IN.format("cron.service"): HEADER + "[Service]\nLimitNOFILE=2048:8192\n"},
                units={"cron.service": Unit("cron.service", USUAL, (DROP_IN.format("cron.service"),))},
            ),
            [],
        ),
        # Killed between writing and reloading: the next run reloads.
        (
            [declared(NOFILE, services=["cron.service"])],
            State(
                files={DROP_IN.format("cron.service"): HEADER + "[Service]\nLimitNOFILE=2048:8192\n"},
                units={"cron.service": Unit("cron.service", USUAL)},
            ),
            ["reload systemd: daemon-reload for cron.service"],
        ),
        # An alias: the unit's own name counts.
        (
            [declared(NOFILE, services=["sshd.service"])],
            State(units={"sshd.service": Unit("ssh.service", USUAL)}),
            [
                "write {0}: nofile unset -> 2048:8192".format(DROP_IN.format("ssh.service")),
                "reload systemd: daemon-reload for sshd.service",
            ],
        ),
        # An alias beside the unit's own name: one drop-in, which has both.
        (
            [declared(NOFILE, services=["ssh.service"]), declared({"core": Limit(0, 0)}, services=["sshd.service"])],
            State(units={name: Unit("ssh.service", USUAL) for name in ("ssh.service", "sshd.service")}),
            [
                "write {0}: core unset -> 0:0, nofile unset -> 2048:8192".format(DROP_IN.format("ssh.service")),
                "reload systemd: daemon-reload for ssh.service",
            ],
        ),
        (
            [declared(NOFILE, services=["sshd.service"]), declared({"nofile": Limit(7, 7)}, services=["ssh.service"])],
            State(units={name: Unit("ssh.service", USUAL) for name in ("ssh.service", "sshd.service")}),
            [
                "write {0}: nofile unset -> 7:7".format(DROP_IN.format("ssh.service")),
                "reload systemd: daemon-reload for ssh.service",
            ],
        ),
    ],
)
def test_steps(want, state, expected):
    assert steps(wanted(*want), state) == expected


@pytest.mark.parametrize(
    ("want", "files", "expected"),
    [
        ([declared({}, sessions=["bob"])], {FILE: HEADER + "bob - nofile 9\n"}, "remove {0}: bob nofile 9:9 -> unset"),
        (
            [declared(NOFILE, sessions=["bob"])],
            {FILE: HEADER + "bob - nofile 9\nbob - core 0\n"},
            "write {0}: bob nofile 9:9 -> unset",
        ),
        ([declared({}, sessions=["amy"])], {FILE: HEADER + "bob - nofile 9\n"}, None),
        ([declared({}, sessions=["bob"])], {FILE: "# mine\nbob - nofile 9\n"}, "write {0}: bob nofile 9:9 -> unset"),
    ],
)
def test_absent(want, files, expected):
    expected = [expected.format(FILE)] if expected else []
    assert steps(wanted(*want, present=False), State(files=files)) == expected


def test_purge_keeps_only_what_is_declared():
    have = {FILE: HEADER + "amy - core 0\nbob - nofile 9\nbob - maxlogins 3\n"}
    todo = plan(wanted(declared({"nofile": Limit(9, 9)}, sessions=["bob"]), purge=True), State(files=have))
    assert todo.steps[0].data == HEADER + "bob - nofile 9\nbob - maxlogins 3\n"
    assert str(todo.steps[0]) == f"write {FILE}: amy core 0:0 -> unset"


def test_purge_of_a_foreign_file_is_refused():
    with pytest.raises(ReconcileError, match="purge would remove lines that this module did not write"):
        plan(wanted(declared(NOFILE, sessions=["bob"]), purge=True), State(files={FILE: "bob - core 0\n"}))


@pytest.mark.parametrize(
    ("limits", "whom", "state", "message"),
    [
        (
            {"nofile": Limit(2**21, 2**21)},
            {"sessions": ["bob"]},
            State(),
            "nofile: 2097152 is above fs.nr_open.* 1048576",
        ),
        ({"nofile": Limit(1, UNLIMITED)}, {"services": ["a"]}, State(), "nofile: unlimited is above fs.nr_open"),
        (
            {"core": Limit(8192, None)},
            {"processes": [Selector(pid=7)]},
            State((process(7),)),
            r"process 7 \(p\), core: the soft limit 8192 is above the hard limit 4096; declare the hard limit too",
        ),
        (
            {"core": Limit(8192, 8192)},
            {"processes": [Selector(pid=7)]},
            State((process(7),), privileged=False),
            "raising the hard limit of core from 4096 to 8192 needs CAP_SYS_RESOURCE",
        ),
        (
            {"core": Limit(0, 0)},
            {"processes": [Selector(pid=7)]},
            State((process(7, uid=33),), privileged=False),
            "belongs to uid 33 and the task runs as uid 0 without CAP_SYS_RESOURCE.*become_user",
        ),
        (
            {"nofile": Limit(5, 5000)},
            {"sessions": ["bob"]},
            State(privileged=False, ceiling={"nofile": 4096}),
            "session 'bob': no login here can get a hard limit of 5000 for nofile, only up to 4096",
        ),
        (
            {"rttime": Limit(5, 5)},
            {"sessions": ["bob"]},
            State(unknown_to_pam=("rttime",)),
            "session 'bob': the pam_limits of this host does not know rttime",
        ),
        (
            {"nofile": Limit(50, None)},
            {"sessions": ["bob"]},
            State(files={FILE: HEADER + "bob - nofile 9\n"}),
            "session 'bob', nofile: the soft limit 50 is above the hard limit 9",
        ),
        (
            {"nofile": Limit(5000, None)},
            {"services": ["cron.service"]},
            State(units={"cron.service": Unit("cron.service", USUAL)}),
            "service 'cron.service', nofile: the soft limit 5000 is above the hard limit 4096",
        ),
    ],
)
def test_what_cannot_be_is_refused(limits, whom, state, message):
    with pytest.raises(ReconcileError, match=message):
        plan(wanted(declared(limits, **whom)), state)


@pytest.mark.parametrize(
    ("domain", "other", "text", "warning"),
    [
        (
            "bob",
            "/etc/security/limits.d/99-x.conf",
            "# c\nbob - nofile 9\n",
            ":2: 'bob - nofile 9' wins over.*is read later",
        ),
        ("bob", "/etc/security/limits.d/10-x.conf", "bob - nofile 9\n", None),
        ("bob", "/etc/security/limits.conf", "bob - nofile 9\n", None),
        ("bob", "/etc/security/limits.d/99-x.conf", "bob soft nofile 2048\n", None),
        ("bob", "/etc/security/limits.d/99-x.conf", "amy - nofile 9\n", None),
        ("*", "/etc/security/limits.conf", "amy - nofile 9\n", ":1: 'amy - nofile 9' wins over.*and \\* gives way"),
        ("*", "/etc/security/limits.conf", "@adm - nofile 9\n", ":1: '@adm - nofile 9' wins over.*gives way"),
        # Neither * nor a group mean root.
        ("*", "/etc/security/limits.d/99-x.conf", "root - nofile 9\n", None),
        ("@adm", "/etc/security/limits.d/99-x.conf", "root - nofile 9\n", None),
        ("@adm", "/etc/security/limits.conf", "bob - nofile 9\n", ":1: 'bob - nofile 9' wins over.*and @adm gives way"),
        ("@adm", "/etc/security/limits.conf", "amy - nofile 9\n", None),
        ("@adm", "/etc/security/limits.conf", "* - nofile 9\n", None),
        # A range of uids has the rank of a user.
        ("@adm", "/etc/security/limits.conf", "1000: - nofile 9\n", ":1: '1000: .*it means bob, and @adm gives way"),
        ("bob", "/etc/security/limits.d/99-x.conf", ":1000 - nofile 9\n", ":1: .*is read later, and means bob too"),
        ("bob", "/etc/security/limits.conf", "1000: - nofile 9\n", None),
        ("bob", "/etc/security/limits.d/99-x.conf", "1001: - nofile 9\n", None),
        ("bob", "/etc/security/limits.d/99-x.conf", "@adm - nofile 9\n", None),
        ("900:1100", "/etc/security/limits.d/99-x.conf", "amy - nofile 9\n", ":1: .*is read later, and means amy too"),
        # Of two groups the later line counts, for who is in both.
        ("@adm", "/etc/security/limits.d/99-x.conf", "@:4 - nofile 9\n", ":1: .*is read later, and means bob too"),
        ("@adm", "/etc/security/limits.d/99-x.conf", "@1000: - nofile 9\n", ":1: .*is read later, and means bob too"),
        ("@adm", "/etc/security/limits.d/99-x.conf", "@1001: - nofile 9\n", None),
        # Whoever is freed gets nothing, wherever that stands.
        (
            "bob",
            "/etc/security/limits.conf",
            "bob -\n",
            ":1: 'bob -' wins over 'bob nofile 2048:8192'.*it frees bob of",
        ),
        ("*", "/etc/security/limits.conf", "@adm -\n", ":1: '@adm -' wins over.*it frees bob of every limit"),
        ("bob", "/etc/security/limits.conf", "amy -\n", None),
        ("bob", "/etc/security/limits.conf", "* -\n", None),
        # Who is in a directory that does not list its users may be meant all the same.
        ("*", "/etc/security/limits.conf", "@far - nofile 9\n", ":1: .*means users that are not listed, and \\* gives"),
        ("*", "/etc/security/limits.conf", "@far -\n", ":1: .*it frees users that are not listed of every limit"),
        ("@adm", "/etc/security/limits.conf", "5000: - nofile 9\n", None),
        # What pam_limits cannot read, or reads for the number of logins alone.
        ("*", "/etc/security/limits.conf", "a:b - nofile 9\n", None),
        ("bob", "/etc/security/limits.d/99-x.conf", "%adm - nofile 9\n", None),
    ],
)
def test_session_lines_that_win_are_warned_of(domain, other, text, warning):
    people = (
        Person("root", 0, 0, frozenset({0, 4}), frozenset({"adm"})),
        Person("bob", 1000, 1000, frozenset({1000, 4}), frozenset({"adm"})),
        Person("amy", 1001, 100, frozenset({100})),
    )
    domains = [domain, *(entry.domain for entry in limits_conf.parse(text))]
    state = State(files={other: text}, session_files=(other,), meant=meant(domains, people))
    warnings = plan(wanted(declared(NOFILE, sessions=[domain])), state).warnings
    assert len(warnings) == (1 if warning else 0)
    if warning:
        assert re.search(other + warning, warnings[0])


@pytest.mark.parametrize(
    ("other", "text", "expected"),
    [
        (
            "/etc/systemd/system/cron.service.d/99-x.conf",
            "[Service]\nLimitNOFILE=9\n",
            ":2: 'LimitNOFILE=9' wins over 2048:8192 in ",
        ),
        (
            "/usr/lib/systemd/system/service.d/95-all.conf",
            "[Service]\nLimitNOFILE=9\n",
            ":2: 'LimitNOFILE=9' wins over 2048:8192 in ",
        ),
        ("/etc/systemd/system/cron.service.d/10-x.conf", "[Service]\nLimitNOFILE=9\n", None),
        ("/etc/systemd/system/cron.service.d/99-x.conf", "[Service]\nLimitNOFILE=2048:8192\n", None),
        ("/etc/systemd/system/cron.service.d/99-x.conf", "[Service]\nLimitCORE=9\n", None),
    ],
)
def test_drop_ins_that_win_are_warned_of(other, text, expected):
    state = State(files={other: text}, units={"cron.service": Unit("cron.service", USUAL, (other,))})
    warnings = plan(wanted(declared(NOFILE, services=["cron.service"])), state).warnings
    assert [warning.startswith(other + expected) for warning in warnings] == ([True] if expected else [])


def test_a_file_that_pam_does_not_read_is_warned_of():
    want = wanted(declared(NOFILE, sessions=["bob"]))._replace(limits_file="/tmp/x")
    assert plan(want, State()).warnings == (
        "/tmp/x: pam_limits reads only /etc/security/limits.conf and /etc/security/limits.d/*.conf, not this file",
    )


sides = st.one_of(st.none(), st.integers(1, 8).map(lambda n: n * 1024))
limits = (
    st.tuples(sides, sides).filter(lambda p: p != (None, None) and (None in p or p[0] <= p[1])).map(lambda p: Limit(*p))
)
both = st.tuples(st.integers(0, 4), st.integers(4, 8)).map(lambda p: Limit(p[0] * 1024, p[1] * 1024))
names = st.sampled_from(["nofile", "core", "memlock"])
UNITS = ["a.service", "b.socket"]


@st.composite
def declarations(draw):
    whom = {
        "sessions": draw(st.lists(st.sampled_from(["bob", "@adm", "*"]), max_size=2)),
        "services": draw(st.lists(st.sampled_from(UNITS), max_size=2)),
        "processes": draw(
            st.lists(st.sampled_from([Selector(pid=1), Selector(uid=0), Selector(unit=UNITS[0])]), max_size=2)
        ),
    }
    return declared(draw(st.dictionaries(names, limits, min_size=1)), **whom)


@st.composite
def states(draw):
    processes = tuple(
        process(pid, draw(st.integers(0, 1)), draw(st.sampled_from(UNITS)), **draw(st.dictionaries(names, both)))
        for pid in range(1, draw(st.integers(1, 4)))
    )
    line = st.builds(
        "{0} {1} {2} {3}\n".format,
        st.sampled_from(["bob", "*"]),
        st.sampled_from(["-", "soft", "hard"]),
        names,
        st.integers(1, 9),
    )
    conf = st.one_of(
        st.none(), st.lists(line, max_size=4).map(lambda ls: draw(st.sampled_from([HEADER, "# x\n"])) + "".join(ls))
    )
    setting = st.builds("Limit{0}={1}\n".format, names.map(str.upper), st.integers(1, 9))
    files, units = {FILE: draw(conf)}, {}
    for unit in UNITS:
        section = "[Service]\n" if unit.endswith("service") else "[Socket]\n"
        text = draw(st.one_of(st.none(), st.lists(setting, max_size=3).map(lambda ls, s=section: s + "".join(ls))))
        path = DROP_IN.format(unit)
        files[path] = text and draw(st.sampled_from([HEADER, "; mine\n"])) + text
        loaded = (path,) if text and draw(st.booleans()) else ()
        units[unit] = Unit(unit, dict(USUAL), loaded, draw(st.booleans()))
    return State(processes, files, (FILE,), units)


@given(st.lists(declarations(), min_size=1, max_size=3), states(), st.booleans())
def test_a_plan_carried_out_leaves_nothing_to_do(chosen, state, present):
    want = wanted(*chosen, present=present)
    try:
        first = plan(want, state)
    except ReconcileError:
        return
    assert (first.before == first.after) == (not first.steps)
    assert plan(want, after(state, first.steps)).steps == ()
