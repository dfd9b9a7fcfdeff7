# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of other people are edited line by line: comments, order and foreign lines stay."""

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import ReconcileError
from ansible_collections.hostcraft.linux.plugins.module_utils._rlimit import drop_in, limits_conf, unit_names
from ansible_collections.hostcraft.linux.plugins.module_utils._rlimit.resources import Limit
from hypothesis import given
from hypothesis import strategies as st

CONF = """# /etc/security/limits.conf
#
*       soft    core    0
bob     -       nofile  1024   # asked for by Bob
bob     hard    nproc   50
bob     -       maxlogins 4
# End of file
"""


@pytest.mark.parametrize(
    ("wanted", "changed"),
    [
        ({("bob", "nofile"): Limit(1024, 1024)}, {}),
        (
            {("bob", "nofile"): Limit(2048, 2048)},
            {"bob     -       nofile  1024   # asked for by Bob": ["bob - nofile 2048 # asked for by Bob"]},
        ),
        (
            {("bob", "nofile"): Limit(1024, 4096)},
            {
                "bob     -       nofile  1024   # asked for by Bob": [
                    "bob soft nofile 1024",
                    "bob hard nofile 4096 # asked for by Bob",
                ]
            },
        ),
        ({("bob", "nproc"): None}, {"bob     hard    nproc   50": []}),
        ({("amy", "cpu"): Limit(60, 120)}, {"# End of file": ["amy soft cpu 1", "amy hard cpu 2", "# End of file"]}),
    ],
)
def test_limits_conf_is_edited_line_by_line(wanted, changed):
    lines = [new for line in CONF.splitlines() for new in changed.get(line, [line])]
    assert limits_conf.edit(CONF, wanted).splitlines() == lines


def test_the_last_line_wins_and_duplicates_go_when_the_limit_changes():
    text = "bob - nofile 1\nbob soft nofile 2\nbob hard nofile 3\n"
    assert limits_conf.limits(text) == {("bob", "nofile"): Limit(2, 3)}
    assert limits_conf.edit(text, {("bob", "nofile"): Limit(5, 5)}) == "bob - nofile 5\n"


@pytest.mark.parametrize("domain", ["bob", "@adm", "*", "1000:", ":1000", "1000:2000", "@100:200", "@:100", "x_y.z-1$"])
def test_domains(domain):
    limits_conf.check_domain(domain)


@pytest.mark.parametrize("domain", ["", "two words", "a#b", "1000:x", ":", "@", "**"])
def test_what_is_no_domain(domain):
    with pytest.raises(ReconcileError, match="not a domain of limits.conf"):
        limits_conf.check_domain(domain)


@pytest.mark.parametrize("domain", ["%", "%adm"])
def test_percent_is_for_maxlogins_only(domain):
    with pytest.raises(ReconcileError, match="only for maxlogins"):
        limits_conf.check_domain(domain)


DROP_IN = """# tuned by hand
[Unit]
Description=x

[Service]
; files
LimitNOFILE=1024
Environment=A=1 \\
  B=2
LimitCORE=0

[Install]
WantedBy=multi-user.target
"""


@pytest.mark.parametrize(
    ("wanted", "old", "new"),
    [
        ({"nofile": Limit(1024, 1024)}, "", ""),
        ({"nofile": Limit(1024, 4096)}, "LimitNOFILE=1024", "LimitNOFILE=1024:4096"),
        ({"core": None}, "LimitCORE=0\n", ""),
        ({"nproc": Limit(9, 9)}, "LimitCORE=0\n", "LimitCORE=0\nLimitNPROC=9\n"),
    ],
)
def test_a_drop_in_is_edited_line_by_line(wanted, old, new):
    assert drop_in.edit(DROP_IN, "Service", wanted) == (DROP_IN.replace(old, new) if old else DROP_IN)


def test_a_missing_section_is_made():
    assert drop_in.edit("[Unit]\nA=1\n", "Service", {"core": Limit(0, 0)}) == "[Unit]\nA=1\n[Service]\nLimitCORE=0\n"


def test_continued_lines_are_replaced_as_a_whole():
    text = "[Service]\nLimitNOFILE=\\\n  1024\nLimitCORE=0\n"
    assert drop_in.limits(text, "Service")["nofile"] == Limit(1024, 1024)
    assert drop_in.edit(text, "Service", {"nofile": Limit(5, 5)}) == "[Service]\nLimitNOFILE=5\nLimitCORE=0\n"


def test_an_assignment_in_another_section_is_not_ours():
    assert drop_in.limits("[Socket]\nLimitCORE=0\n", "Service") == {}


@pytest.mark.parametrize(
    ("name", "full"),
    [("cron", "cron.service"), ("a.socket", "a.socket"), ("pg@15-main", "pg@15-main.service"), ("a.b", "a.b.service")],
)
def test_unit_names(name, full):
    assert unit_names.unit_name(name) == full


@pytest.mark.parametrize("name", ["multi-user.target", "x.timer", "a/b", "a b", ""])
def test_units_that_run_nothing(name):
    with pytest.raises(ReconcileError, match="service '"):
        unit_names.unit_name(name)


domains = st.sampled_from(["bob", "@adm", "*"])
names = st.sampled_from(["nofile", "core", "nice"])
limits = st.tuples(st.integers(1, 3), st.integers(3, 5)).map(lambda pair: Limit(pair[0] * 1024, pair[1] * 1024))
nices = st.tuples(st.integers(1, 20), st.integers(20, 40)).map(lambda pair: Limit(*pair))


@st.composite
def wanted_limits(draw, keys):
    return {
        key: draw(st.one_of(st.none(), nices if "nice" in key else limits)) for key in draw(st.lists(keys, max_size=4))
    }


line = st.one_of(
    st.builds("{0} {1} {2} {3}".format, domains, st.sampled_from(["-", "soft", "hard"]), names, st.integers(1, 19)),
    st.sampled_from(["", "# comment", "bob - maxlogins 2", "garbage", "bob -", "@adm - nofile 7 # why"]),
)


@given(st.lists(line, max_size=8), wanted_limits(st.tuples(domains, names)))
def test_editing_limits_conf_sets_what_is_wanted_and_touches_nothing_else(lines, wanted):
    text = "".join(one + "\n" for one in lines)
    edited = limits_conf.edit(text, wanted)
    found = limits_conf.limits(edited)
    assert {key: found.get(key) for key in wanted} == wanted
    assert limits_conf.edit(edited, wanted) == edited

    def others(text):
        mine = {entry.line for entry in limits_conf.parse(text) if (entry.domain, entry.item) in wanted}
        return [one for number, one in enumerate(text.splitlines()) if number not in mine]

    assert others(edited) == others(text)


setting = st.one_of(
    st.builds("Limit{0}={1}".format, st.sampled_from(["NOFILE", "CORE", "NICE"]), st.integers(1, 19)),
    st.sampled_from(["", "# comment", "[Service]", "[Unit]", "Environment=A=1", "LimitNOFILE=", "LimitCORE=1:2"]),
)


@given(st.lists(setting, max_size=8), wanted_limits(names))
def test_editing_a_drop_in_sets_what_is_wanted_and_touches_nothing_else(lines, wanted):
    text = "".join(one + "\n" for one in lines)
    edited = drop_in.edit(text, "Service", wanted)
    found = drop_in.limits(edited, "Service")
    assert {name: found.get(name) for name in wanted} == wanted
    assert drop_in.edit(edited, "Service", wanted) == edited
    foreign = [one for one in text.splitlines() if not one.startswith("Limit")]
    kept = [one for one in edited.splitlines() if not one.startswith("Limit")]
    assert kept in (foreign, [*foreign, "[Service]"])
