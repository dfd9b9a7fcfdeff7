# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``reboot_check`` with a Kubernetes node: a host over SSH, and a real API server that only the controller reaches.

The kubelet is played, see ``nodes.py``; the boot ID of the host is a file of the test.
"""

import subprocess
import threading

import pytest

from tests.integration.clusters.nodes import Nodes

OLD, NEW = "11111111-2222-4333-8444-555555555555", "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
FAKE, RECORD = "/root/boot_id", "/root/boots/record"
LONG_AGO = "2001-01-01T00:00:00Z"


@pytest.fixture
def nodes(cluster, host):
    """The node k1 of the host, which is in boot OLD, as its kubelet has told."""
    found = Nodes(cluster)
    found.make("k1", "new")
    found.status("k1", OLD)
    host.ssh(f"echo {OLD} > {FAKE}; rm -rf /root/boots")
    yield found
    host.ssh(f"rm -rf {FAKE} /root/boots")
    found.remove("k1", "new")


def call(nodes, check=False, **options):
    given = {"node": "k1", "boot_id_file": FAKE, "path": RECORD, "kubeconfig": nodes.cluster.kubeconfig, **options}
    return "hostcraft.linux.reboot_check", {name: one for name, one in given.items() if one is not None}, check


def test_a_host_is_compared_with_its_node(nodes, host):
    same, away, new = host.modules(call(nodes), call(nodes, node="nobody"), call(nodes, node="new", state="recorded"))
    host.ssh(f"echo {NEW} > {FAKE}")
    # A container whose boot ID is that of its host cannot tell; one that is another can.
    other, read, token = host.modules(
        call(nodes),
        call(nodes, node={"name": "k1", "boot_id": OLD}),
        call(nodes, kubeconfig=None, host=nodes.cluster.url, api_key="wrong", validate_certs=False),
    )
    assert (same["rebooted"], same["node"]["boot_id"], same["node"]["back"]) == ("unknown", OLD, "yes")
    assert "which is that of the node k1" in same["reason"]
    assert (other["rebooted"], other["node"]["back"]) == ("yes", "no")
    assert other["reason"] == f"the boot ID is {NEW}; the node k1 has {OLD}"
    assert f"tells of boot {OLD}, its host is in {NEW}" in other["node"]["reason"]
    assert other["ansible_facts"]["hostcraft_boot"]["node"] == other["node"]
    assert (read["rebooted"], "node" in read) == ("yes", False)
    assert away["rebooted"] == "unknown"
    assert "there is no node nobody in https://127.0.0.1" in away["reason"]
    assert (new["rebooted"], new["changed"]) == ("unknown", True)
    assert "has no boot ID in status.nodeInfo" in new["reason"]
    assert token["failed"]
    assert "does not take the credentials for get nodes" in token["msg"]


def test_the_host_gets_no_credentials(nodes, host, monkeypatch):
    monkeypatch.setenv("ANSIBLE_KEEP_REMOTE_FILES", "1")
    host.ssh("rm -rf ~/.ansible/tmp")
    secret = nodes.cluster.token
    options = {"kubeconfig": None, "host": nodes.cluster.url, "api_key": secret, "validate_certs": False}
    found = host.modules(call(nodes, **options))[0]
    assert found["node"]["back"] == "yes"
    sent = "cat ~/.ansible/tmp/*/AnsiballZ_reboot_check.py"
    assert OLD in host.ssh(sent), "what was read of the node is in what was sent"
    for one in (secret, nodes.cluster.url):
        assert one not in host.ssh(sent)
    host.ssh("rm -rf ~/.ansible/tmp")


def test_options_that_exclude_each_other(nodes, host):
    both, late, no_way = host.modules(
        call(nodes, boot_id=OLD),
        call(nodes, state="waited", node={"name": "k1", "boot_id": OLD}),
        call(nodes, kubeconfig="/nowhere"),
    )
    assert "node and boot_id exclude each other" in both["msg"]
    assert "is not a name, which is what state 'waited' needs" in late["msg"]
    assert "On the controller: No way to the cluster" in no_way["msg"]


def test_waiting_needs_the_host_and_its_node(nodes, host):
    recorded, standing = host.modules(call(nodes, state="recorded", node=None), call(nodes, state="waited", timeout=3))
    assert recorded["changed"]
    assert "The host was not back from a reboot within 3 s" in standing["msg"]
    host.ssh(f"echo {NEW} > {FAKE}")
    # Each of the three is missing once, and the task says which.
    for status, said in (
        ((OLD,), f"tells of boot {OLD}, its host is in {NEW}"),
        ((NEW, "True", LONG_AGO), f"({LONG_AGO}) is not newer than the boot"),
        ((NEW, "False"), "is not Ready (False): container runtime is down"),
    ):
        nodes.status("k1", *status)
        found, asked = host.modules(call(nodes, state="waited", timeout=3), call(nodes, True, state="waited"))
        assert found["failed"]
        assert "The host was rebooted, and its node was not back within 3 s" in found["msg"]
        assert said in found["msg"]
        assert (asked["failed"], asked["rebooted"], asked["node"]["back"]) == (False, "yes", "no")


def test_waiting_ends_when_the_kubelet_tells(nodes, host):
    host.modules(call(nodes, state="recorded", node=None))
    waits = f"sleep 4; echo {NEW} > {FAKE}; sleep 3"
    with subprocess.Popen(host.argv(waits)) as reboot:

        def tell():
            reboot.wait()
            nodes.status("k1", NEW, "False")
            nodes.status("k1", NEW)

        kubelet = threading.Thread(target=tell)
        kubelet.start()
        found = host.modules(call(nodes, state="waited", timeout=90))[0]
        kubelet.join()
    assert not found["failed"], found
    assert (found["rebooted"], found["boot_id"], found["node"]["back"]) == ("yes", NEW, "yes")
    assert found["waited"] >= 5
