# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is planned for an interface, by what it has and what is wanted; no kernel is asked."""

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import ReconcileError
from ansible_collections.hostcraft.linux.plugins.module_utils._xdp import (
    addresses,
    declare,
    packets,
    plan,
    prefixes,
    reference,
    report,
    shadow,
    tables,
)
from ansible_collections.hostcraft.linux.plugins.module_utils._xdp.model import Device, Live, Wanted
from hypothesis import given, settings
from hypothesis import strategies as st


def rules(*options):
    named = [dict({"name": str(number), "action": "drop"}, **one) for number, one in enumerate(options)]
    return declare.rules(named, prefixes.read, prefixes.parsed)


MANY = [f"10.{number}.0.0/24" for number in range(100)]
OLD = rules({"source": MANY}, {"protocol": ["udp"], "source_ports": ["53"]})


def after(step, mode="native"):
    """Return what an interface has when a step was carried out."""
    program = step.data
    room = dict.fromkeys(program.content.keyed, 1024)
    return Live(
        "1",
        mode,
        program.digest,
        program.shown,
        program.slots,
        program.verdicts,
        program.content.constants,
        program.content.arrays,
        program.content.keyed,
        room,
    )


def planned(live, wanted_rules, **more):
    todo = plan.planner(Wanted(("eth0",), wanted_rules, **more))(({"eth0": Device("eth0", live=live)}, {}))
    # What is said and what is done belong together.
    assert (todo.before == todo.after) == (not todo.steps)
    return todo


def live():
    return after(planned(None, OLD).steps[0])


@pytest.mark.parametrize(
    ("wanted", "more", "step"),
    [
        (OLD, {}, None),
        (rules({"source": [*MANY, "11.0.0.0/24"]}, {"protocol": ["udp"], "source_ports": ["53"]}), {}, "update"),
        (rules({"source": MANY[:90]}, {"protocol": ["udp"], "source_ports": ["53"]}), {}, "update"),
        # A guard goes back to the tables from before, so they are left as they are.
        (rules({"source": MANY[:90]}, {"protocol": ["udp"], "source_ports": ["53"]}), {"in_place": False}, "replace"),
        (rules({"source": MANY}, {"protocol": ["udp"], "source_ports": ["54"]}), {}, "replace"),
        (
            rules({"source": MANY}, {"protocol": ["udp"], "source_ports": ["53"], "source": ["11.0.0.0/8"]}),
            {},
            "replace",
        ),
        (rules({"destination": MANY}, {"protocol": ["udp"], "source_ports": ["53"]}), {}, "replace"),
        (rules({"source": [*MANY, "2001:db8::/32"]}, {"protocol": ["udp"], "source_ports": ["53"]}), {}, "replace"),
        (OLD, {"mode": "generic"}, "move"),
        ((), {"present": False}, "detach"),
    ],
)
def test_steps(wanted, more, step):
    todo = planned(live(), wanted, **more)
    assert [one.verb for one in todo.steps] == ([step] if step else [])
    if step in ("update", "replace"):
        assert planned(after(todo.steps[0]), wanted, **more).steps == ()


def test_a_rule_that_stays_keeps_its_counter_and_a_new_one_gets_a_free_one():
    first = live()
    todo = planned(first, rules({"source": ["11.0.0.0/8"]}, {"protocol": ["icmp"]}, {"protocol": ["gre"]}))
    program = todo.steps[0].data
    assert {name: program.slots[name] for name in first.slots} == first.slots
    assert program.fresh == (program.slots["2"],)
    assert program.slots["2"] not in first.slots.values()


CONDITIONS = (
    {},
    {"protocol": ["udp"], "source_ports": ["53", "1000-2000"]},
    {"protocol": ["icmp"], "icmp_types": ["echo-request"]},
    {"tcp_flags": ["syn", "!ack"]},
    {"vlan": ["untagged", "5"]},
    {"fragment": True, "destination": ["2001:db8::/32"]},
    {"action": "pass"},
)
PREFIXES = ("0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.1.0/25", "10.1.1.7", "::/0", "2001:db8::/32", "2001:db8::7")
SOURCES = st.none() | st.just(MANY) | st.just(MANY[1:]) | st.lists(st.sampled_from(PREFIXES), max_size=4)
DECLARED = st.lists(
    st.tuples(st.sampled_from("abcde"), st.sampled_from(CONDITIONS), SOURCES), max_size=5, unique_by=lambda one: one[0]
)


@settings(max_examples=25)
@given(st.lists(st.tuples(DECLARED, st.booleans(), st.sampled_from(["auto", "native", "generic"])), max_size=4))
def test_a_plan_carried_out_leaves_no_steps(declarations):
    found = None
    for options, in_place, mode in declarations:
        named = [dict(more, name=name, **({"source": source} if source else {})) for name, more, source in options]
        more = {"in_place": in_place, "mode": mode}
        wanted = rules(*named)
        todo = planned(found, wanted, **more)
        assert len(todo.steps) <= 1
        for step in todo.steps:
            kept = {name: slot for name, slot in step.data.slots.items() if found and name in found.slots}
            assert all(found.slots[name] == slot for name, slot in kept.items())
            assert len(set(step.data.slots.values())) == len(step.data.slots) == len(wanted)
            assert in_place or step.verb != "update"
            reached = mode if mode != "auto" else found.mode if found else "native"
            found = after(step, reached)
        assert planned(found, wanted, **more).steps == ()


def test_what_somebody_has_changed_is_seen():
    changed = dict(live().arrays, source_blocks=bytes(1 << 24))
    todo = planned(live()._replace(arrays=changed), OLD)
    assert str(todo.steps[0]) == "update eth0: somebody has changed source_blocks"
    todo = planned(live()._replace(mode=None), OLD)
    assert todo.steps[0].verb == "attach"


def test_refusals():
    for device, said in (
        (Device("eth0", exists=False, advice="It has: lo"), "There is no interface eth0 on this host. It has: lo"),
        (Device("eth0", foreign=("other, id 7",)), "not of this module: other, id 7"),
        (Device("eth0", advice="eth0 is a port of the bond bond0"), "port of the bond bond0"),
    ):
        with pytest.raises(ReconcileError, match=said):
            plan.planner(Wanted(("eth0",), OLD))(({"eth0": device}, {}))


def test_tags_that_the_nic_hides_are_warned_of():
    wanted = Wanted(("eth0",), rules({"vlan": ["5"]}))
    todo = plan.planner(wanted)(({"eth0": Device("eth0", strips_tags=True)}, {}))
    assert "ethtool -K eth0 rxvlan off" in todo.warnings[0]


@pytest.mark.parametrize(
    ("mode", "live_mode", "warned"),
    [("auto", "generic", True), ("generic", "generic", False), ("auto", "native", False), ("native", "native", False)],
)
def test_mode_generic_is_warned_of_as_long_as_it_is_not_declared(mode, live_mode, warned):
    todo = planned(live()._replace(mode=live_mode), OLD, mode=mode)
    assert todo.steps == ()
    assert [text.partition(":")[0] for text in todo.warnings] == (["eth0"] if warned else [])


def test_what_is_reported_can_be_declared():
    found = rules(
        {"source": ["10.0.0.0/8", "2001:db8::/32"], "protocol": ["tcp", "99"], "destination_ports": ["1-5", "80"]},
        {"protocol": ["icmpv6"], "icmp_types": ["echo-request", "200"], "fragment": False, "action": "pass"},
        {"tcp_flags": ["syn", "!ack"], "vlan": ["untagged", "1-7", "100"], "fragment": True},
    )
    again = [report.options(rule, prefixes.shown) for rule in found]
    assert declare.rules(again, prefixes.read, prefixes.parsed) == found
    assert tables.digest(found) == tables.digest(declare.rules(again, prefixes.read, prefixes.parsed))


@pytest.mark.parametrize(
    "options",
    [
        {"source": ["10.0.0.0/8", "2001:db8::/32"]},
        {"destination": ["2001:db8::/32"]},
        {"source": MANY},
        {"protocol": ["udp"]},
        {"protocol": ["gre", "42"]},
        {"source_ports": ["53"]},
        {"destination_ports": ["1-1000", "65535"]},
        {"protocol": ["icmpv6"], "icmp_types": ["echo-request"]},
        {"protocol": ["icmp"], "icmp_types": ["0", "1"]},
        {"tcp_flags": ["syn", "!ack"]},
        {"tcp_flags": ["!rst"]},
        {"vlan": ["untagged", "5"]},
        {"vlan": ["5-7"]},
        {"fragment": True},
        {"fragment": False},
        {
            "source": ["10.0.0.0/8"],
            "destination": ["192.0.2.0/24"],
            "protocol": ["tcp"],
            "source_ports": ["1-1023"],
            "destination_ports": ["22"],
            "tcp_flags": ["syn", "!fin"],
            "vlan": ["9"],
            "fragment": False,
        },
    ],
)
def test_a_hit_and_a_miss_of_each_condition(options):
    (rule,) = rules(options)
    assert reference.first_match([rule], packets.hit(rule)) == 0
    frames = list(packets.misses(rule))
    assert [reference.first_match([rule], frame) for frame in frames] == [None] * len(frames)
    # Without the condition that it misses the rule would match; ICMP types and TCP flags need their protocol.
    for name in tables.CONDITIONS:
        if getattr(rule, name) is not None and not (name == "protocols" and (rule.icmp_types or rule.tcp_flags)):
            wider = rule._replace(**{name: None})
            assert any(reference.first_match([wider], frame) == 0 for frame in frames), name
    assert frames


def test_more_classes_than_a_byte_can_number_are_looked_up_in_the_trie():
    # 9 rules on nested and shifted blocks: more than 255 combinations.
    sets = [{"source": [f"10.{number}.{bit}.0/24" for number in range(64) for bit in range(8)]} for bit in range(1)]
    for bit in range(9):
        sets.append(
            {
                "source": [f"10.0.{number}.0/24" for number in range(256) if number >> (bit % 8) & 1]
                + [f"11.0.{n}.0/24" for n in range(bit + 1)]
            }
        )
    found = addresses.side([rule.source for rule in rules(*sets)])
    assert found.classes is None
    assert found.prefixes


@pytest.mark.parametrize(
    ("earlier", "later", "taken"),
    [
        ({}, {"protocol": ["udp"]}, True),
        ({"protocol": ["udp"]}, {}, False),
        ({"source": ["10.0.0.0/8"]}, {"source": ["10.1.0.0/16", "10.2.0.0/16"]}, True),
        ({"source": ["10.0.0.0/8"]}, {"source": ["10.1.0.0/16", "11.0.0.0/16"]}, False),
        ({"destination_ports": ["1-100"]}, {"destination_ports": ["5", "7-9"]}, True),
        ({"destination_ports": ["1-100"]}, {"destination_ports": ["90-101"]}, False),
        ({"tcp_flags": ["syn"]}, {"tcp_flags": ["syn", "!ack"]}, True),
        ({"tcp_flags": ["syn", "!ack"]}, {"tcp_flags": ["syn"]}, False),
        ({"protocol": ["icmp"], "icmp_types": ["8"]}, {"protocol": ["icmp"], "icmp_types": ["8"]}, True),
        ({"protocol": ["icmp"], "icmp_types": ["8"]}, {"protocol": ["icmpv6"], "icmp_types": ["8"]}, False),
        ({"vlan": ["1-9"]}, {"vlan": ["2"]}, True),
        ({"fragment": True}, {"fragment": False}, False),
    ],
)
def test_shadows(earlier, later, taken):
    assert bool(shadow.warnings(rules(earlier, later))) == taken
