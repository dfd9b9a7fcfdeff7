# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The frames on which rules are tried are those that a connection needs; the reference model stands for the kernel."""

import socket

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._core import connection
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import ReconcileError
from ansible_collections.hostcraft.linux.plugins.module_utils._xdp import (
    declare,
    management,
    packets,
    pins,
    prefixes,
    reference,
    rtnetlink,
    task,
    trial,
)
from ansible_collections.hostcraft.linux.plugins.module_utils._xdp.model import Device, Live

FOUR = packets.Session("192.0.2.9", 50022, "192.0.2.1", 22, 4, 0xC0000209, 0xC0000201)
SIX = packets.Session("2001:db8::9", 50022, "2001:db8::1:2345", 22, 6, 0x20010DB8 << 96 | 9, 0x20010DB8 << 96 | 0x12345)
CONNECTION, NEW = "a packet of the connection that this task runs over", "a new connection from the controller"
NEIGHBOURS = "neighbour discovery (ICMPv6), without which IPv6 does not work"
TCP = {"protocol": ["tcp"]}


def rules(*options):
    named = [dict({"name": str(number), "action": "drop"}, **one) for number, one in enumerate(options)]
    return declare.rules(named, prefixes.read, prefixes.parsed)


def dropped(made, session):
    """Return what of the session the rules drop."""
    found = []
    for what, frame in packets.of_session(session, made):
        position = reference.first_match(made, frame)
        if position is not None and made[position].drop:
            found.append(what)
    return set(found)


@pytest.mark.parametrize(
    ("options", "session", "expected"),
    [
        ([TCP], FOUR, {CONNECTION, NEW}),
        ([dict(TCP, tcp_flags=["psh", "ack"])], FOUR, {CONNECTION, NEW}),
        ([dict(TCP, tcp_flags=["fin"])], FOUR, {CONNECTION, NEW}),
        ([dict(TCP, tcp_flags=["syn"])], FOUR, {NEW}),
        ([dict(TCP, source_ports=["33000-45000"])], FOUR, {NEW}),
        ([dict(TCP, source_ports=["33000-45000"], tcp_flags=["psh"])], FOUR, {NEW}),
        # What no pass rule takes between two that do.
        ([dict(TCP, action="pass", source_ports=["1-40000", "40002-65535"]), TCP], FOUR, {NEW}),
        ([dict(TCP, action="pass", source_ports=["1-65535"]), TCP], FOUR, set()),
        # Services that are abused for amplified answers.
        ([dict(TCP, source_ports=["53", "1900", "11211"])], FOUR, set()),
        ([{"destination": ["ff00::/8"]}], SIX, {NEIGHBOURS}),
        ([{"destination": ["ff02::1:ff01:2345"]}], SIX, {NEIGHBOURS}),
        ([{"destination": ["ff02::1:ff01:2346"]}], SIX, set()),
        ([{"source": ["fe80::/10"], "protocol": ["icmpv6"]}], SIX, {NEIGHBOURS}),
        ([{"source": ["2001:db8:1::/48"]}], SIX, set()),
    ],
)
def test_what_a_connection_needs_is_tried(options, session, expected):
    assert dropped(rules(*options), session) == expected


@pytest.fixture
def vlan_of_eth0(monkeypatch):
    """The task runs over eth0.5."""
    known = [rtnetlink.Interface(2, "eth0"), rtnetlink.Interface(3, "eth0.5", "vlan", lower=2, vlan=5)]
    monkeypatch.setattr(management, "ssh_connection", lambda: connection.parse("192.0.2.9 50022 192.0.2.1 22"))
    monkeypatch.setattr(rtnetlink, "interfaces", lambda: known)
    monkeypatch.setattr(rtnetlink, "reached_by", lambda _version, local, _remote: {3: socket.inet_ntoa(local)})


@pytest.mark.parametrize(
    ("device", "mode", "tags"),
    [
        (Device("eth0"), "auto", {5}),
        (Device("eth0", strips_tags=True), "auto", {5, 0}),
        (Device("eth0"), "generic", {5, 0}),
        (Device("eth0", live=Live("1", "generic", "", {}, {})), "auto", {5, 0}),
    ],
)
def test_a_tag_that_the_program_may_not_see_is_left_out_too(vlan_of_eth0, monkeypatch, device, mode, tags):
    tried = []

    def cut(made, _content, _features, sessions):
        tried.extend(sessions)
        return tuple(what for one in sessions for what in dropped(made, one))

    monkeypatch.setattr(trial, "tried", cut)
    monkeypatch.setattr(pins, "check_mounted", lambda: None)
    mine = [{"name": "mine", "action": "pass", "vlan": ["5"]}, {"name": "rest", "action": "drop", "protocol": ["tcp"]}]
    planned = task.tried_planner(task.wanted_of(["eth0"], mine, mode), None, allow_lockout=False)
    if 0 in tags:
        with pytest.raises(ReconcileError, match="would cut off this task's own connection"):
            planned(({"eth0": device}, {}))
    else:
        assert planned(({"eth0": device}, {})).steps
    assert {one.vlan for one in tried} == tags
    assert {one.stripped for one in tried} == ({0, 5} if 0 in tags else {0})


def test_each_of_several_tables_is_tried(monkeypatch):
    monkeypatch.setattr(management, "ssh_connection", lambda: None)
    monkeypatch.setattr(pins, "check_mounted", lambda: None)
    tried = []
    monkeypatch.setattr(trial, "tried", lambda _rules, content, *_more: tried.append(content) or ())
    listed = [{"name": "a", "action": "drop", "source": [f"10.{number}.0.0/24" for number in range(100)]}]
    first = task.tried_planner(task.wanted_of(["eth0"], listed, "auto"), None, allow_lockout=False)
    program = first(({"eth0": Device("eth0")}, {})).steps[0].data
    live = Live("1", "native", program.digest, program.shown, program.slots, program.verdicts)
    live = live._replace(constants=program.content.constants, arrays=program.content.arrays)
    live = live._replace(keyed=program.content.keyed, room=dict.fromkeys(program.content.keyed, 1024))
    del tried[:]
    # The classes of addresses that eth0 has keep their numbers, so that its tables differ from those of eth1 and eth2.
    listed[0]["source"].append("11.0.0.0/24")
    names = ["eth0", "eth1", "eth2"]
    more = task.tried_planner(task.wanted_of(names, listed, "auto"), None, allow_lockout=False)
    todo = more(({"eth0": Device("eth0", live=live), "eth1": Device("eth1"), "eth2": Device("eth2")}, {}))
    assert [step.verb for step in todo.steps] == ["update", "attach", "attach"]
    assert [id(one) for one in tried] == [id(todo.steps[0].data.content), id(todo.steps[1].data.content)]


def test_rules_that_are_too_long_are_refused_when_they_are_planned(monkeypatch):
    monkeypatch.setattr(pins, "check_mounted", lambda: None)
    ports = [str(port) for port in range(1, 600, 2)]
    many = [dict(TCP, name=str(number), action="drop", destination_ports=ports) for number in range(64)]
    planned = task.tried_planner(task.wanted_of(["eth0"], many, "auto"), None, allow_lockout=True)
    with pytest.raises(ReconcileError, match="The rules without their prefixes are too long to be remembered"):
        planned(({"eth0": Device("eth0")}, {}))
