# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Kubernetes node tells of the boot of its host, and when it is back from one."""

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._boot import node, verdict
from ansible_collections.hostcraft.linux.plugins.module_utils._boot.model import Boot

OLD, NEW = "11111111-2222-4333-8444-555555555555", "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
BOOTED = "2026-11-24T06:00:03Z"


def document(boot_id=NEW, ready="True", heartbeat="2026-11-24T06:00:30Z", **spec):
    condition = {"type": "Ready", "status": ready, "lastHeartbeatTime": heartbeat, "reason": "KubeletNotReady"}
    other = {"type": "DiskPressure", "status": "False", "lastHeartbeatTime": "2026-11-24T07:00:00Z"}
    return {"spec": spec, "status": {"nodeInfo": {"bootID": boot_id}, "conditions": [other, condition]}}


@pytest.mark.parametrize(
    ("found", "answer", "said"),
    [
        (document(), "yes", "is Ready in boot " + NEW),
        (document(boot_id=OLD), "no", f"tells of boot {OLD}, its host is in {NEW}"),
        (document(heartbeat="2026-11-24T05:59:59Z"), "no", "is not newer than the boot"),
        (document(heartbeat=BOOTED), "no", "is not newer than the boot"),
        (document(heartbeat=None), "no", "(none) is not newer"),
        (document(ready="False"), "no", "is not Ready (False): KubeletNotReady"),
        (document(ready="Unknown"), "no", "is not Ready (Unknown)"),
        (document(boot_id=""), "unknown", "has no boot ID in status.nodeInfo"),
        (document(boot_id="unavailable"), "unknown", "but 'unavailable'"),
        ({}, "unknown", "has no boot ID"),
    ],
)
def test_a_node_is_back_when_all_three_are_true(found, answer, said):
    told = node.back(node.parse("w1", found), NEW, BOOTED)
    assert told.value == answer
    assert said in told.reason


def test_an_old_ready_node_of_a_host_that_is_down_is_not_back():
    """The controller manager needs 40 s to call it Unknown; until then it is Ready in the old boot."""
    told = node.back(node.parse("w1", document(boot_id=OLD, heartbeat="2026-11-24T06:01:00Z")), NEW, BOOTED)
    assert told.value == "no"


def test_a_host_is_compared_with_its_node():
    boot = Boot(NEW)
    for found, answer, said in (
        (document(boot_id=OLD), "yes", "the node w1 has " + OLD),
        (document(), "no", "that of the node w1"),
        (document(boot_id=""), "unknown", "the node w1 has no boot ID"),
    ):
        one = node.parse("w1", found)
        told = verdict.rebooted(node.reference("w1", one.boot_id, one.problem), boot)
        assert (told.value, said in told.reason) == (answer, True), told
    gone = node.Node("w2", problem="there is no node w2")
    assert verdict.rebooted(node.reference("w2", gone.boot_id, gone.problem), boot).reason == "there is no node w2"


def test_what_is_shown():
    one = node.parse("w1", document(unschedulable=True))
    found = node.shown(one, node.back(one, NEW, BOOTED))
    assert (found["unschedulable"], found["back"], found["boot_id"]) == (True, "yes", NEW)
    assert node.shown(node.parse("w1", {}), node.back(node.parse("w1", {}), NEW, BOOTED))["boot_id"] is None
