# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``k8s_node_drain`` on a real API server with real eviction and budgets; the kubelets are played, see ``nodes.py``."""

import threading

import pytest
import yaml

from tests.integration import modules
from tests.integration.clusters.conftest import ROOT
from tests.integration.clusters.nodes import Kubelet, Nodes

MARK = "hostcraft.io/cordoned-by"
ROLE = ROOT / "docs/maintenance_role.yml"
CLUSTER_ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"


@pytest.fixture
def nodes(cluster, request):
    """Two nodes w1 and w2, a namespace, and one that plays their kubelets."""
    found, namespace = Nodes(cluster), "drain-" + request.node.name.replace("_", "-")[-50:].strip("-")
    found.make("w1", "w2")
    cluster.namespace(namespace)
    found.namespace = namespace
    with Kubelet(cluster):
        yield found
        cluster.delete(namespace)
        cluster.wait_for("the namespace to go", lambda: cluster.exists(f"/api/v1/namespaces/{namespace}") is None)
    found.remove("w1", "w2")


def drain(nodes, check=False, **options):
    return modules.module("k8s_node_drain", check, kubeconfig=nodes.cluster.kubeconfig, **{"name": ["w1"], **options})


def cordon_of(nodes, name="w1"):
    document = nodes.node(name)
    return document["spec"].get("unschedulable", False), (document["metadata"].get("annotations") or {}).get(MARK)


def test_four_beats_of_a_drain_and_the_way_back(nodes):
    space = nodes.namespace
    web, agent = nodes.owner(space, "web"), nodes.owner(space, "agent", "DaemonSet")
    nodes.pod(space, "web-1", "w1", web)
    nodes.pod(space, "web-2", "w2", web)
    nodes.pod(space, "agent-1", "w1", agent)
    predicted = drain(nodes, check=True)
    assert (cordon_of(nodes), nodes.pods("w1")) == ((False, None), [f"{space}/agent-1", f"{space}/web-1"])
    applied, again = drain(nodes), drain(nodes)
    assert not applied["failed"], applied["msg"]
    assert (applied["steps"], applied["diff"]) == (predicted["steps"], predicted["diff"])
    assert applied["steps"] == [
        "cordon node w1: in the name of hostcraft.linux",
        f"evict pod {space}/web-1: from node w1",
    ]
    assert (again["changed"], again["steps"]) == (False, [])
    assert cordon_of(nodes) == (True, "hostcraft.linux")
    assert nodes.pods("w1") == [f"{space}/agent-1"]
    assert nodes.pods("w2") == [f"{space}/web-2"], "another node's pods stay"
    assert again["nodes"]["w1"]["left_alone"] == {f"{space}/agent-1": "its DaemonSet would start it there again"}
    predicted = drain(nodes, check=True, state="uncordoned")
    freed, again = drain(nodes, state="uncordoned"), drain(nodes, state="uncordoned")
    assert (freed["steps"], freed["diff"]) == (predicted["steps"], predicted["diff"])
    assert freed["steps"] == ["uncordon node w1"]
    assert again["changed"] is False
    assert cordon_of(nodes) == (False, None)


def test_a_budget_holds_until_the_deadline_and_the_next_run_goes_on(nodes):
    space = nodes.namespace
    web, other = nodes.owner(space, "web"), nodes.owner(space, "other")
    nodes.pod(space, "other-1", "w1", other)
    for name in ("web-1", "web-2"):
        nodes.pod(space, name, "w1", web)
    nodes.budget(space, "web", 1)
    nodes.healthy(space, "web", 2)
    late = drain(nodes, timeout=4)
    assert late["failed"]
    assert "Not drained within 4 s: 1 of 3 pods left" in late["msg"]
    assert "w1 stays cordoned" in late["msg"]
    assert list(late["remaining"].values()) == ["Cannot evict pod as it would violate the pod's disruption budget."]
    left = nodes.pods("w1")
    assert left == list(late["remaining"]), "the others did not wait for it"
    assert cordon_of(nodes) == (True, "hostcraft.linux")
    predicted = drain(nodes, check=True)
    assert "could not be evicted now, and will be tried again: Cannot evict" in predicted["warnings"][0]
    assert nodes.pods("w1") == left

    # What the ReplicaSet's controller would do, a moment after the drain has begun to wait.
    def replace():
        nodes.pod(space, "web-3", "w2", web)

    later = threading.Timer(2, replace)
    later.start()
    applied = drain(nodes, timeout=60)
    later.join()
    assert not applied["failed"], applied["msg"]
    assert applied["steps"] == predicted["steps"]
    assert nodes.pods("w1") == []
    assert nodes.pods("w2") == [f"{space}/web-3"]


def test_a_cordon_of_somebody_else_is_respected(nodes):
    space = nodes.namespace
    nodes.pod(space, "web-1", "w1", nodes.owner(space, "web"))
    nodes.cordon("w1")
    applied, left = drain(nodes), drain(nodes, state="uncordoned")
    assert "was cordoned before, by somebody who left no name" in applied["warnings"][0]
    assert nodes.pods("w1") == []
    assert (left["changed"], cordon_of(nodes)) == (False, (True, None))
    assert "stays cordoned" in left["warnings"][0]
    # Two owners of ours are two as well.
    drain(nodes, name=["w2"], state="cordoned", owner="change-1")
    assert drain(nodes, name=["w2"], state="uncordoned")["changed"] is False
    assert cordon_of(nodes, "w2") == (True, "change-1")
    nodes.cordon("w2", False)
    gone = drain(nodes, name=["w2"], state="uncordoned", owner="change-1")
    assert gone["steps"][0].startswith("forget cordon of node w2: somebody else has uncordoned it")
    assert cordon_of(nodes, "w2") == (False, None)


def test_what_would_be_lost_is_refused_and_nothing_changed(nodes):
    space = nodes.namespace
    nodes.pod(space, "alone", "w1")
    nodes.pod(space, "scratch", "w1", nodes.owner(space, "web"), volumes=[{"name": "v", "emptyDir": {}}])
    refused, unknown = drain(nodes), drain(nodes, name=["w1", "nobody"])
    assert refused["failed"]
    assert refused["unmanaged"] == [f"{space}/alone"]
    assert refused["with_emptydir"] == [f"{space}/scratch"]
    assert "There is no node 'nobody'" in unknown["msg"]
    assert cordon_of(nodes) == (False, None)
    assert len(nodes.pods("w1")) == 2
    given_up = drain(nodes, delete_unmanaged=True, delete_emptydir_data=True, grace_period=1)
    assert not given_up["failed"], given_up["msg"]
    assert nodes.pods("w1") == []


def test_the_role_is_exactly_what_is_needed(nodes):
    space, role = nodes.namespace, yaml.safe_load(ROLE.read_text())
    cluster, name = nodes.cluster, role["metadata"]["name"]
    nodes.pod(space, "web-1", "w1", nodes.owner(space, "web"))
    cluster.ask("POST", CLUSTER_ROLES, role)
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    binding = {"metadata": {"name": name}, "roleRef": reference, "subjects": [{"kind": "User", "name": "keeper"}]}
    cluster.ask("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding)
    for resource, verb in (("nodes", "get"), ("pods", "list"), ("nodes", "patch"), ("pods/eviction", "create")):
        rules = [
            dict(one, verbs=[each for each in one["verbs"] if one["resources"] != [resource] or each != verb])
            for one in role["rules"]
        ]
        rules = [one for one in rules if one["verbs"]]
        cluster.ask("PATCH", f"{CLUSTER_ROLES}/{name}", {"rules": rules}, "application/merge-patch+json")

        def refused():
            found = drain(nodes, check=True, impersonate_user="keeper")
            return found["failed"] and found

        found = cluster.wait_for(f"a refusal without {verb} {resource}", refused, 10)
        assert f'Not permitted: "{verb} {resource}"' in found["msg"]
        assert "docs/maintenance.md" in found["msg"]
    assert cordon_of(nodes) == (False, None)
    cluster.ask("PATCH", f"{CLUSTER_ROLES}/{name}", {"rules": role["rules"]}, "application/merge-patch+json")
    cluster.wait_for("permission", lambda: not drain(nodes, check=True, impersonate_user="keeper")["failed"], 10)
    applied = drain(nodes, impersonate_user="keeper")
    assert not applied["failed"], applied["msg"]
    assert nodes.pods("w1") == []
    assert not drain(nodes, state="uncordoned", impersonate_user="keeper")["failed"]
