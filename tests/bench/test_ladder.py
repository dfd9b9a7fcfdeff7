# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of the ladder that need no kernel: what is counted, the orderings, the chart, the page."""

import re
from xml.etree import ElementTree

import pytest

from tests.bench.ladder import chart, measure, orderings, page, random_sources, rungs
from tests.bench.ladder.rounds import Row
from tests.bench.ladder.stage import Counters

SVG = "{http://www.w3.org/2000/svg}"


def drawn(*bars, **more):
    return ElementTree.fromstring(chart.svg("Title", "under", list(bars), "axis", **more))  # noqa: S314 our own text


def lengths(picture):
    return [float(one.get("width")) for one in picture.iter(f"{SVG}rect")][1:]


def ticks(picture):
    return [float(one.text) for one in picture.iter(f"{SVG}text") if re.fullmatch(r"[\d.]+", one.text or "")]


def test_bars_are_as_long_as_their_values():
    one, two, three = lengths(drawn(chart.Bar("a", 1, "1"), chart.Bar("b", 2, "2"), chart.Bar("c", 8, "8")))
    assert two == pytest.approx(2 * one, abs=0.2)
    assert three == pytest.approx(8 * one, abs=0.5)


@pytest.mark.parametrize("most", [0.003, 0.4, 1, 9.99, 10, 14.8, 123, 98765])
def test_the_axis_has_few_round_numbers_and_ends_at_the_longest_bar_or_behind_it(most):
    picture = drawn(chart.Bar("a", most, "the longest"))
    found = ticks(picture)
    assert found[0] == 0
    assert found[-2] < most <= found[-1]
    assert chart.TICKS <= len(found) - 1 <= 2 * chart.TICKS
    assert lengths(picture)[0] <= chart.WIDTH - chart.LEFT - chart.RIGHT


def test_everything_written_stands_in_the_picture():
    picture = drawn(chart.Bar("a < b & c", 5, "5.00", "more"), chart.Bar("none", 0, "0"), notes=("one", 'and "two"'))
    found = [text for one in picture.iter() for text in (one.text, one.tail) if text]
    for text in ("Title", "under", "axis", "a < b & c", "5.00", "more", "none", "one", 'and "two"'):
        assert text in found
    bottom = float(picture.get("height"))
    assert all(float(one.get("y")) < bottom for one in picture.iter(f"{SVG}text"))


def rung(name):
    return next(one for one in rungs.every() if one.name == name)


def test_a_rung_costs_the_cpu_time_of_the_kernel_for_each_packet():
    counted = Counters(packets=10_000, kernel_ns=1_200_000, ip_receives=0, ip_delivers=0, udp_datagrams=0, udp_errors=0)
    assert measure.sample(rung("native"), counted, 0).ns == 120


def test_a_program_is_charged_for_what_it_reads_and_the_kernel_for_every_packet():
    counted = Counters(10_000, 10_000_000, 10_000, 10_000, udp_datagrams=8_000, udp_errors=2_000)
    found = measure.sample(rung("recvmmsg"), counted, 4_000_000)
    assert found.ns == 1000 + 500
    assert found.lost == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("name", "counted"),
    [
        ("native", Counters(10_000, 1, 5_000, 0, 0, 0)),  # half of the packets passed the driver
        ("raw", Counters(10_000, 1, 0, 0, 0, 0)),  # dropped before IP
        ("input", Counters(10_000, 1, 10_000, 10_000, 0, 10_000)),  # passed INPUT
        ("socket_filter", Counters(10_000, 1, 10_000, 10_000, 10_000, 0)),  # a program could read them
        ("recvmmsg", Counters(10_000, 1, 10_000, 10_000, 5_000, 0)),  # the half of them is missing
        ("native", Counters(10, 1, 0, 0, 0, 0)),  # there was no load
    ],
)
def test_packets_that_end_elsewhere_are_no_measurement(name, counted):
    with pytest.raises(SystemExit, match=name):
        measure.sample(rung(name), counted, 0)


def test_sources_are_as_many_prefixes_as_said_each_once_also_when_scattered():
    near = random_sources.Sources(1 << 16).addresses()
    assert (near[0], near[-1]) == (10 << 24, (10 << 24) + 0xFFFF00)
    far = random_sources.Sources(1 << 16, factor=random_sources.SCATTER).addresses()
    assert len(set(far)) == 1 << 16
    assert all(one & 0xFF == 0 and one < 1 << 32 for one in far)
    assert len({one >> 24 for one in far}) == 256


def rows(**ns):
    return {rung.name: Row(rung.title, ns.get(rung.name, 500.0), 600.0) for rung in rungs.every()}


GOOD = dict(
    recvmmsg=2000, input_conntrack=1900, socket_filter=900, input=800, raw=550, nftables_set=800, nftables=470, tc=400,
    generic=350, native=110, ours=110, bare=100,
)  # fmt: skip


def test_the_orderings_of_a_ladder_that_is_one():
    assert orderings.broken(rows(**GOOD)) == []


@pytest.mark.parametrize(("slow", "fast", "factor"), orderings.FASTER)
def test_each_ordering_can_break(slow, fast, factor):
    found = rows(**{**GOOD, fast: GOOD[slow] / factor * 1.01})
    (sentence,) = [
        one for one in orderings.broken(found) if f"{found[slow].title} (" in one and found[fast].title in one
    ]
    assert f"not {factor:g} times" in sentence


def test_what_is_written_to_the_page_is_read_back():
    text = "".join(f"<!-- {name}: generated -->\nold\n<!-- end -->\n" for name in ("measured on", "table", "commands"))
    measured = [
        Row(one.title, 100.0 + number, 200.0, 45.0 if one.load else None) for number, one in enumerate(rungs.every())
    ]
    made = page.written(text, measured, "a machine")
    assert page.rows(made) == measured
    assert page.conditions(made) == "a machine"
    assert "old" not in made
    assert page.written(made, measured, "a machine") == made


def test_the_page_and_its_picture_say_the_same():
    text = page.PAGE.read_text()
    assert page.PICTURE.read_text() == page.picture(page.rows(text), page.conditions(text))


def test_the_page_has_the_commands_that_are_run():
    text = page.PAGE.read_text()
    assert page.with_commands(text) == text, "run python3 -m tests.bench.ladder.page"
