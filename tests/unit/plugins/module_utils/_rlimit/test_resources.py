# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Units: what users write, what the three layers write, and that they mean the same."""

import resource

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import ReconcileError
from ansible_collections.hostcraft.linux.plugins.module_utils._rlimit import drop_in, limits_conf
from ansible_collections.hostcraft.linux.plugins.module_utils._rlimit.resources import (
    LARGEST,
    RESOURCES,
    UNLIMITED,
    Limit,
    parse_limit,
    parse_value,
    show,
)
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("nofile", 65536, 65536),
        ("nofile", "65536", 65536),
        ("nofile", "unlimited", UNLIMITED),
        ("nofile", "-1", UNLIMITED),
        ("nofile", -1, UNLIMITED),
        ("memlock", "64K", 65536),
        ("memlock", "64KiB", 65536),
        ("memlock", "64k", 65536),
        ("as", "8G", 8 * 2**30),
        ("as", "8 G", 8 * 2**30),
        ("stack", 8388608, 8388608),
        ("core", "infinity", UNLIMITED),
        ("msgqueue", "1M", 2**20),
        ("cpu", 90, 90),
        ("cpu", "90s", 90),
        ("cpu", "5min", 300),
        ("cpu", "1h 30min", 5400),
        ("rttime", 200000, 200000),
        ("rttime", "200ms", 200000),
        ("rttime", "2s", 2000000),
        ("rttime", "15us", 15),
        ("nice", 0, 20),
        ("nice", "-20", 40),
        ("nice", -1, 21),
        ("nice", 19, 1),
        ("nice", 20, 0),
        ("nice", "+5", 15),
        ("rtprio", 99, 99),
    ],
)
def test_values(name, text, value):
    assert parse_value(name, text) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nofile", "64K"),
        ("nofile", "many"),
        ("nofile", ""),
        ("nofile", "-5"),
        ("nofile", 1.5),
        ("nofile", True),
        ("memlock", "64KB"),
        ("memlock", "1.5G"),
        ("memlock", "8Q"),
        ("memlock", str(2**63)),
        ("cpu", "500ms"),
        ("cpu", "5 fortnights"),
        ("rttime", "2 parsecs"),
        ("nice", 21),
        ("nice", -21),
        ("nice", "high"),
    ],
)
def test_nonsense_names_the_resource_and_what_would_be_right(name, text):
    with pytest.raises(ReconcileError, match=f"{name}: '.*' is not a limit; write"):
        parse_value(name, text)


@pytest.mark.parametrize(
    ("value", "limit"),
    [
        (1024, Limit(1024, 1024)),
        ("1024:4096", Limit(1024, 4096)),
        ({"soft": 1024}, Limit(1024, None)),
        ({"hard": "unlimited"}, Limit(None, UNLIMITED)),
        ({"soft": 1, "hard": 2}, Limit(1, 2)),
    ],
)
def test_limits(value, limit):
    assert parse_limit("nofile", value) == limit


@pytest.mark.parametrize("value", ["4096:1024", {"soft": "unlimited", "hard": 5}])
def test_soft_above_hard_is_refused(value):
    with pytest.raises(ReconcileError, match="nofile: the soft limit .* is above the hard limit"):
        parse_limit("nofile", value)


def test_nice_counts_backwards():
    assert parse_limit("nice", {"soft": 5, "hard": -5}) == Limit(15, 25)
    with pytest.raises(ReconcileError, match="soft limit -5 is above the hard limit 5"):
        parse_limit("nice", {"soft": -5, "hard": 5})


@pytest.mark.parametrize("value", [{}, {"soft": None}, {"softer": 5}])
def test_incomplete_limits_are_refused(value):
    with pytest.raises(ReconcileError, match="nofile: give 'soft', 'hard' or both"):
        parse_limit("nofile", value)


def values(name):
    if RESOURCES[name].kind == "nice":
        return st.integers(0, 40)
    return st.one_of(st.just(UNLIMITED), st.integers(0, 100), st.integers(0, LARGEST))


@st.composite
def named_values(draw):
    name = draw(st.sampled_from(sorted(RESOURCES)))
    return name, draw(values(name))


@given(named_values())
def test_what_is_shown_can_be_written_back(pair):
    name, value = pair
    assert parse_value(name, show(name, value)) == value


@given(named_values())
def test_systemd_reads_back_what_is_written(pair):
    name, value = pair
    line = f"[Service]\n{RESOURCES[name].directive}={drop_in.text_of(Limit(value, value))}\n"
    assert drop_in.limits(line, "Service") == {name: Limit(value, value)}


@given(named_values())
def test_limits_conf_reads_back_what_it_can_express(pair):
    name, value = pair
    try:
        text = limits_conf.text_of(name, value)
    except ReconcileError:
        return
    assert limits_conf.value_of(name, text) == value


@pytest.mark.parametrize(
    ("name", "value", "pam"),
    [
        ("memlock", 65536, "64"),
        ("cpu", 1800, "30"),
        ("msgqueue", 819200, "819200"),
        ("nofile", 1024, "1024"),
        ("nice", 30, "-10"),
        ("rss", UNLIMITED, "unlimited"),
    ],
)
def test_units_of_limits_conf(name, value, pam):
    assert limits_conf.text_of(name, value) == pam


@pytest.mark.parametrize(("name", "value"), [("memlock", 1000), ("cpu", 90), ("nice", 0), ("nice", UNLIMITED)])
def test_what_limits_conf_cannot_express_is_refused(name, value):
    with pytest.raises(ReconcileError, match=f"{name}: limits.conf"):
        limits_conf.text_of(name, value)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("cpu", "5min 20s", 320),
        ("memlock", "64M", 64 * 2**20),
        ("rttime", "500ms", 500000),
        ("nice", "-5", 25),
        ("nice", "+5", 15),
        ("nice", "30", 30),
        ("nofile", "infinity", UNLIMITED),
    ],
)
def test_units_of_systemd(name, text, value):
    line = f"[Service]\n{RESOURCES[name].directive}={text}"
    assert drop_in.limits(line, "Service") == {name: Limit(value, value)}


def test_numbers_are_those_of_the_running_kernel():
    for one in RESOURCES.values():
        assert getattr(resource, "RLIMIT_" + one.name.upper(), one.number) == one.number
