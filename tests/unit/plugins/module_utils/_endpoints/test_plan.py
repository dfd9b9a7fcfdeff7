# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans for endpoints on a kernel that is a model: tables, refusals, and what holds of all of them."""

import base64
import json

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import ReconcileError
from ansible_collections.hostcraft.linux.plugins.module_utils._endpoints import declare, definition, sources
from ansible_collections.hostcraft.linux.plugins.module_utils._endpoints.model import Link, Route, Save
from ansible_collections.hostcraft.linux.plugins.module_utils._endpoints.plan import plan, undo
from ansible_collections.hostcraft.linux.tests.unit.plugins.module_utils._endpoints.model_kernel import Kernel
from ansible_collections.hostcraft.linux.tests.unit.plugins.module_utils._endpoints.test_declare import filled
from hypothesis import given, settings
from hypothesis import strategies as st

A = {"name": "a", "addresses": ["10.65.0.1", "fd65::1"]}
B = {"name": "b", "addresses": ["10.65.0.2"]}


def carry_out(kernel, params):
    """Plan and carry out; return the plan."""
    wanted = declare.wanted(params)
    todo = plan(wanted, kernel.state(wanted))
    for step in todo.steps:
        for operation, _back in step.data:
            kernel.run(operation)
    assert plan(wanted, kernel.state(wanted)).steps == ()
    return todo


def heads(todo):
    return [f"{step.verb} {step.target}" for step in todo.steps]


def test_endpoints_come_change_and_go():
    kernel = Kernel()
    at_first = kernel.compared()
    assert heads(carry_out(kernel, filled([A, B]))) == ["add IPv6 source filter", "create a", "create b"]
    (step,) = carry_out(kernel, filled([dict(A, addresses=["10.65.0.9"], mtu=1400)])).steps
    assert str(step).startswith("set a: mtu 1500 -> 1400, inside mtu 1500 -> 1400, inside addresses 10.65.0.1/32+")
    assert heads(carry_out(kernel, filled([dict(A, interface="eth1")]))) == ["remove a", "create a"]
    assert heads(carry_out(kernel, filled([B], purge=True))) == ["remove a"]
    gone = carry_out(kernel, filled([dict(B, state="absent")]))
    assert heads(gone) == ["remove b", "remove IPv6 source filter"]
    assert kernel.compared() == at_first


def test_sources_of_ipv6_are_filtered_as_long_as_there_is_an_endpoint():
    kernel = Kernel()
    carry_out(kernel, filled([A, B]))
    assert sources.is_whole(kernel.sources)
    # One that this task does not declare still needs it.
    assert heads(carry_out(kernel, filled([dict(B, state="absent")]))) == ["remove b"]
    for was, now in (("drop", "accept"), ("iifgroup", "accept\niifgroup"), ("fib saddr . iif oif missing", "")):
        kernel.sources = kernel.sources.replace(was, now)
        assert heads(carry_out(kernel, filled([A]))) == ["repair IPv6 source filter"]
    kernel.sources = ""
    assert heads(carry_out(kernel, filled([A]))) == ["add IPv6 source filter"]
    # Where nft cannot do it the endpoints are made, and what is missing is said.
    kernel.sources = None
    todo = carry_out(kernel, filled([A]))
    assert (todo.steps, "not checked for their source" in todo.warnings[0]) == ((), True)


def test_a_link_that_left_its_group_comes_back():
    kernel = Kernel()
    carry_out(kernel, filled([A]))
    name = next(name for name in kernel.links[None] if name.startswith("arp"))
    kernel.links[None][name] = kernel.links[None][name]._replace(group=0)
    (step,) = carry_out(kernel, filled([A])).steps
    assert str(step) == "set a: group 0 -> 26723"


def test_two_in_one_namespace_make_it_once_and_the_last_takes_it_along():
    kernel = Kernel()
    at_first = kernel.compared()
    both = [dict(A, netns="box", addresses=["fd65::1"]), dict(B, netns="box", interface="eth1")]
    todo = carry_out(kernel, filled(both))
    made = [one for step in todo.steps for one, _back in step.data if one[0] == "netns"]
    assert [one[:3] for one in made] == [["netns", "add", "/run/netns/box"]]
    todo = carry_out(kernel, filled([dict(one, state="absent") for one in both]))
    assert [one[:3] for step in todo.steps for one, _back in step.data if one[0] == "netns"] == [
        ["netns", "del", "/run/netns/box"]
    ]
    assert kernel.compared() == at_first


def test_a_namespace_with_somebody_elses_link_is_kept():
    kernel = Kernel()
    carry_out(kernel, filled([A]))
    kernel.links["/run/netns/a"]["wg0"] = Link("wg0", 77, "wireguard")
    todo = carry_out(kernel, filled([dict(A, state="absent")]))
    assert "wg0" in todo.warnings[0]
    assert "/run/netns/a" in kernel.links


def test_an_address_is_taken_from_another_endpoint_only_where_both_are_declared():
    kernel = Kernel()
    carry_out(kernel, filled([A, B]))
    taken = dict(B, addresses=["10.65.0.1"])
    with pytest.raises(ReconcileError, match=r"10\.65\.0\.1 is an address of the endpoint a, which this task does not"):
        carry_out(kernel, filled([taken]))
    assert heads(carry_out(kernel, filled([taken, dict(A, addresses=["fd65::1"])]))) == ["set b", "set a"]


def test_forwarding_is_refused_ignored_or_set_with_routers_still_heeded():
    with pytest.raises(ReconcileError, match=r"net\.ipv4\.conf\.eth0\.forwarding 0 -> 1"):
        carry_out(Kernel(forwards=False), filled([A]))
    assert heads(carry_out(Kernel(forwards=False), filled([A], forwarding="ignore"))) == [
        "add IPv6 source filter",
        "create a",
    ]
    todo = carry_out(Kernel(forwards=False), filled([A], forwarding="set"))
    assert [operation[2:] for operation, _back in todo.steps[0].data] == [
        ["ipv4/conf/eth0/forwarding", "1"],
        ["ipv6/conf/eth0/accept_ra", "2"],
        ["ipv6/conf/all/forwarding", "1"],
    ]


def test_many_problems_are_all_returned_and_five_are_told():
    kernel = Kernel()
    kernel.routes[None] += [Route(f"10.65.1.{n}/32", "eth0", "192.0.2.1", protocol=3) for n in range(9)]
    with pytest.raises(ReconcileError, match="; and 4 more") as caught:
        carry_out(kernel, filled([{"name": f"e{n}", "addresses": [f"10.65.1.{n}"]} for n in range(9)]))
    assert len(caught.value.details["problems"]) == 9


def saving(kernel, params):
    wanted = declare.wanted(params)._replace(save=Save("/d", params, "cHJvZ3JhbQ==", params["purge"]))
    todo = plan(wanted, kernel.state(wanted))
    for step in todo.steps:
        for operation, _back in step.data:
            kernel.run(operation)
    assert plan(wanted, kernel.state(wanted)).steps == ()
    text = kernel.files.get("/d/definition.json")
    return json.loads(base64.b64decode(text)) if text else None


def test_what_is_kept_adds_up_and_goes_with_the_last():
    kernel = Kernel()
    kept = saving(kernel, filled([A], [{"interface": "eth0", "addresses": ["10.65.0.1"]}], forwarding="set"))
    assert kept["proxies"] == [{"interface": "eth0", "addresses": ["10.65.0.1"]}]
    kept = saving(kernel, filled([B, dict(A, state="absent")]))
    assert [one["name"] for one in kept["endpoints"]] == ["b"]
    assert kept["forwarding"] == "set", "what is kept needs it, whatever a later task says"
    text = base64.b64decode(kernel.files["/d/definition.json"]).decode()
    at_boot = declare.wanted(definition.params(text))
    assert (at_boot.missing, at_boot.endpoints[0].name, at_boot.proxies[0].interface) == ("remove", "b", "eth0")
    off = [{"interface": "eth0", "addresses": ["10.65.0.1"], "state": "absent"}]
    assert saving(kernel, filled([dict(B, state="absent")], off)) is None
    assert set(kernel.files.values()) == {None}
    assert saving(kernel, filled([A], forwarding="set"))["forwarding"] == "set"
    assert saving(kernel, filled([B], purge=True))["forwarding"] == "check", "nothing is kept of what needed it"
    with pytest.raises(ReconcileError, match="cannot be read"):
        definition.params("{}")


ENDPOINTS = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.sampled_from("abc"),
            "addresses": st.lists(
                st.sampled_from([f"10.65.0.{n}" for n in range(4)] + ["fd65::1", "fd65::2"]),
                min_size=1,
                max_size=3,
                unique=True,
            ),
        },
        optional={
            "netns": st.sampled_from(["a", "box"]),
            "interface": st.sampled_from(["eth0", "eth1"]),
            "gateway6": st.sampled_from(["fe80::1", "fe80::2"]),
            "gateway": st.just("169.254.7.7"),
            "mtu": st.sampled_from([1400, 1500]),
            "mac": st.just("02:00:00:00:00:01"),
            "state": st.sampled_from(["present", "absent"]),
        },
    ),
    max_size=3,
    unique_by=lambda one: one["name"],
)
PROXIES = st.lists(
    st.fixed_dictionaries(
        {
            "interface": st.just("eth0"),
            "addresses": st.lists(st.sampled_from(["10.65.0.1", "10.65.0.2", "fd65::1"]), min_size=1, unique=True),
            "state": st.sampled_from(["present", "absent"]),
        }
    ),
    max_size=1,
)
DECLARATIONS = st.builds(
    filled, ENDPOINTS, PROXIES, purge=st.booleans(), forwarding=st.sampled_from(["set", "set", "ignore"])
)


@settings(derandomize=True)
@given(st.lists(DECLARATIONS, min_size=1, max_size=3), st.booleans(), st.integers(0, 40))
def test_a_plan_leaves_no_steps_and_can_be_taken_back_from_anywhere(many, forwards, stop):
    kernel, replayed = Kernel(forwards), []
    for params in many:
        try:
            wanted = declare.wanted(params)
            todo = plan(wanted, kernel.state(wanted))
        except ReconcileError:
            continue
        assert bool(todo.steps) == (todo.before != todo.after)
        cut = Kernel(forwards)
        for operation in replayed:
            cut.run(operation)
        before = cut.compared()
        done = [pair for step in todo.steps for pair in step.data][:stop]
        for operation, _back in done:
            cut.run(operation)
        for _operation, back in reversed(done):
            for one in back:
                cut.run(one)
        assert cut.compared() == before
        replayed += [operation for step in todo.steps for operation, _back in step.data]
        carry_out(kernel, params)
        assert undo(todo) == [one for step in reversed(todo.steps) for _op, back in reversed(step.data) for one in back]
