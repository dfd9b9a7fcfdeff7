# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a drain does, as data: a table, the refusals, and that carrying a plan out leaves nothing to be done."""

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import ReconcileError
from ansible_collections.hostcraft.linux.plugins.module_utils._k8s.drain_model import (
    Node,
    Pod,
    Wanted,
    parse_node,
    wanted,
)
from ansible_collections.hostcraft.linux.plugins.module_utils._k8s.drain_plan import carried_out, plan
from hypothesis import given
from hypothesis import strategies as st

US, THEM = "us", "them"
WEB = Pod("shop", "web", "1", "ReplicaSet")
ENDING = Pod("shop", "ending", "2", "ReplicaSet", deleting=True)
AGENT = Pod("system", "agent", "3", "DaemonSet")
STATIC = Pod("system", "static", "4", "Node", mirror=True)


def want(state="drained", **more):
    return Wanted(("w1",), state, US, **more)


def steps(state, node, **more):
    return [str(step) for step in plan(want(state, **more), [node]).steps]


@pytest.mark.parametrize(
    ("state", "node", "expected"),
    [
        ("cordoned", Node("w1"), ["cordon node w1: in the name of us"]),
        ("cordoned", Node("w1", True, US), []),
        ("cordoned", Node("w1", True), []),
        ("cordoned", Node("w1", True, THEM), []),
        ("cordoned", Node("w1", False, US), ["cordon node w1: in the name of us"]),
        ("uncordoned", Node("w1", True, US), ["uncordon node w1"]),
        ("uncordoned", Node("w1", True), []),
        ("uncordoned", Node("w1", True, THEM), []),
        ("uncordoned", Node("w1"), []),
        ("uncordoned", Node("w1", False, THEM), []),
        (
            "uncordoned",
            Node("w1", False, US),
            ["forget cordon of node w1: somebody else has uncordoned it, and the mark of us is left"],
        ),
        (
            "drained",
            Node("w1", pods=(WEB, ENDING, AGENT, STATIC)),
            [
                "cordon node w1: in the name of us",
                "evict pod shop/web: from node w1",
                "wait for pod shop/ending: it is being deleted on node w1",
            ],
        ),
        ("drained", Node("w1", True, US, (AGENT, STATIC)), []),
        ("drained", Node("w1", True, THEM, (WEB,)), ["evict pod shop/web: from node w1"]),
    ],
)
def test_steps(state, node, expected):
    assert steps(state, node) == expected


def test_a_cordon_of_others_is_told_of():
    for state, node, said in (
        ("uncordoned", Node("w1", True), "stays cordoned: that was done by somebody who left no name"),
        ("uncordoned", Node("w1", True, THEM), "in the name of them, and not in the name of us"),
        ("drained", Node("w1", True, THEM), "was cordoned before, in the name of them"),
    ):
        assert said in plan(want(state), [node]).warnings[0]
    assert plan(want(), [Node("w1", True, US)]).warnings == ()


@pytest.mark.parametrize(
    ("pod", "option"),
    [
        (Pod("shop", "alone"), "delete_unmanaged"),
        (Pod("shop", "scratch", controller="Job", scratch=True), "delete_emptydir_data"),
    ],
)
def test_what_would_be_lost_is_refused(pod, option):
    with pytest.raises(ReconcileError) as refused:
        steps("drained", Node("w1", pods=(WEB, pod)))
    assert "Nothing was changed" in str(refused.value)
    assert option in str(refused.value)
    assert pod.label in str(refused.value)
    assert len(steps("drained", Node("w1", pods=(pod,)), **{option: True})) == 2
    # A finished pod has nothing left to lose, and one that is being deleted has lost it.
    assert len(steps("drained", Node("w1", pods=(pod._replace(finished=True),)))) == 2
    assert len(steps("drained", Node("w1", pods=(pod._replace(deleting=True),)))) == 2
    assert steps("cordoned", Node("w1", True, US, (pod,))) == []


PODS = st.builds(
    Pod,
    st.just("n"),
    st.text("abc", min_size=1, max_size=3),
    controller=st.sampled_from(["", "ReplicaSet", "DaemonSet"]),
    finished=st.booleans(),
    deleting=st.booleans(),
    mirror=st.booleans(),
    scratch=st.booleans(),
)
NODES = st.builds(
    Node,
    st.just("w1"),
    st.booleans(),
    st.sampled_from([None, US, THEM]),
    st.lists(PODS, max_size=4, unique_by=lambda pod: pod.name).map(tuple),
)


@given(NODES, st.sampled_from(["drained", "cordoned", "uncordoned"]))
def test_carrying_it_out_leaves_nothing_to_be_done(node, state):
    asked = want(state, delete_emptydir_data=True, delete_unmanaged=True)
    first = plan(asked, [node])
    assert (first.before == first.after) == (not first.steps)
    after = carried_out(first.steps, asked, node)
    assert plan(asked, [after]).steps == ()
    if node.unschedulable and node.owner != US:
        assert after.unschedulable, "nobody else's cordon is undone"
        assert after.owner == node.owner


def test_documents_of_the_server():
    owner = {"kind": "ReplicaSet", "name": "web", "controller": True}
    pods = [
        {
            "metadata": {"namespace": "shop", "name": "web", "uid": "1", "ownerReferences": [owner]},
            "spec": {"volumes": [{"emptyDir": {}}]},
            "status": {"phase": "Running"},
        },
        {
            "metadata": {
                "namespace": "a",
                "name": "static",
                "uid": "2",
                "deletionTimestamp": "2026-11-24T06:00:00Z",
                "annotations": {"kubernetes.io/config.mirror": "x"},
                "ownerReferences": [{"kind": "Node", "name": "w1"}],
            },
            "spec": {},
            "status": {"phase": "Failed"},
        },
    ]
    metadata = {"name": "w1", "uid": "u", "resourceVersion": "7", "annotations": {"hostcraft.io/cordoned-by": US}}
    assert parse_node({"metadata": metadata, "spec": {"unschedulable": True}}, pods) == Node(
        "w1",
        True,
        US,
        (
            Pod("a", "static", "2", finished=True, deleting=True, mirror=True),
            Pod("shop", "web", "1", "ReplicaSet", scratch=True),
        ),
        "u",
        "7",
    )


def test_a_name_given_twice_is_one_node():
    options = {"name": ["b", "a", "b"], "state": "drained", "owner": US, "parallelism": 2}
    assert wanted(options).names == ("b", "a")


@pytest.mark.parametrize("name", ["w1/status", "", "..", "W1", "a..b", "w1\n"])
def test_what_no_node_can_be_called_is_no_part_of_a_path(name):
    with pytest.raises(ReconcileError, match="no name of a node"):
        wanted({"name": [name], "state": "drained", "owner": US})
