# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes and pods on the real API server of the lab.

NO KUBELET RUNS THERE, and no controller of ReplicaSets. What these would write is written by :class:`Kubelet` and
:class:`Nodes`: the status of nodes and pods, the end of pods that were deleted, and pods that replace them. The API
server, eviction and the controller of PodDisruptionBudgets are the real ones.
"""

import datetime
import sys
import threading

NODES = "/api/v1/nodes"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


def now():
    """Return the time as the API has it."""
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Nodes:
    """What tests do with nodes of a :class:`Cluster`."""

    def __init__(self, cluster):
        self.cluster = cluster

    def node(self, name):
        """Return the document of a node."""
        return self.cluster.ask("GET", f"{NODES}/{name}")

    def make(self, *names):
        """Make nodes, as kubelets do when they register."""
        for name in names:
            self.cluster.ask("POST", NODES, {"metadata": {"name": name}})

    def remove(self, *names):
        """Remove nodes."""
        for name in names:
            self.cluster.ask("DELETE", f"{NODES}/{name}")

    def status(self, name, boot_id, ready="True", heartbeat=None):
        """Write what the kubelet of a node tells of itself."""
        condition = {
            "type": "Ready",
            "status": ready,
            "lastHeartbeatTime": heartbeat or now(),
            "lastTransitionTime": now(),
            "reason": "KubeletReady" if ready == "True" else "KubeletNotReady",
            "message": "kubelet is posting ready status" if ready == "True" else "container runtime is down",
        }
        info = self.node(name)["status"]["nodeInfo"]
        status = {"nodeInfo": dict(info, bootID=boot_id), "conditions": [condition]}
        self.cluster.ask("PATCH", f"{NODES}/{name}/status", {"status": status}, STRATEGIC)

    def cordon(self, name, unschedulable=True):
        """Cordon a node as kubectl does."""
        self.cluster.ask("PATCH", f"{NODES}/{name}", {"spec": {"unschedulable": unschedulable or None}}, MERGE)

    def owner(self, namespace, name, kind="ReplicaSet"):
        """Make what controls pods, and return the reference to it."""
        template = {
            "metadata": {"labels": {"app": name}},
            "spec": {"containers": [{"name": "c", "image": "none"}]},
        }
        spec = {"selector": {"matchLabels": {"app": name}}, "template": template}
        if kind == "ReplicaSet":
            spec["replicas"] = 2
        made = self.cluster.add(namespace, name, resource=f"{kind.lower()}s", prefix="/apis/apps/v1", spec=spec)
        return {"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": made["metadata"]["uid"], "controller": True}

    def pod(self, namespace, name, node, owner=None, **spec):
        """Make a pod that runs on a node and is Ready."""
        body = {
            "metadata": {
                "name": name,
                "labels": {"app": owner["name"] if owner else name},
                "ownerReferences": [owner] if owner else [],
            },
            "spec": {
                "nodeName": node,
                "containers": [{"name": "c", "image": "none"}],
                "automountServiceAccountToken": False,
                **spec,
            },
        }
        path = f"/api/v1/namespaces/{namespace}/pods"
        self.cluster.ask("POST", path, body)
        status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        self.cluster.ask("PATCH", f"{path}/{name}/status", {"status": status}, STRATEGIC)

    def pods(self, node):
        """Return the names of the pods on a node."""
        found = self.cluster.ask("GET", f"/api/v1/pods?fieldSelector=spec.nodeName%3D{node}")["items"]
        return sorted("{namespace}/{name}".format(**one["metadata"]) for one in found)

    def budget(self, namespace, app, least):
        """Make a PodDisruptionBudget, and wait until its controller has counted."""
        spec = {"minAvailable": least, "selector": {"matchLabels": {"app": app}}}
        prefix = "/apis/policy/v1beta1"
        self.cluster.add(namespace, app, resource="poddisruptionbudgets", prefix=prefix, spec=spec)
        self.healthy(namespace, app, 1)

    def healthy(self, namespace, app, least):
        """Wait until the controller of a budget has seen so many pods."""
        path = f"/apis/policy/v1beta1/namespaces/{namespace}/poddisruptionbudgets/{app}"
        self.cluster.wait_for(
            "the budget", lambda: self.cluster.ask("GET", path)["status"].get("currentHealthy", 0) >= least
        )


class Kubelet:
    """Plays the kubelets of all nodes: pods that are being deleted end after a moment."""

    def __init__(self, cluster):
        self._cluster, self._stop = cluster, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_error):
        self._stop.set()
        self._thread.join()

    def _run(self):
        mine = type(self._cluster)(self._cluster.record)  # a connection is not for two threads
        while not self._stop.wait(0.3):
            try:
                for pod in mine.ask("GET", "/api/v1/pods")["items"]:
                    if pod["metadata"].get("deletionTimestamp"):
                        self._end(mine, pod["metadata"])
            except Exception as error:  # noqa: BLE001 the machine is busy; the next turn will do
                print(f"the kubelets missed a turn: {error!r}", file=sys.stderr)

    @staticmethod
    def _end(mine, metadata):
        path = "/api/v1/namespaces/{namespace}/pods/{name}".format(**metadata)
        try:
            mine.ask("DELETE", path, {"gracePeriodSeconds": 0, "preconditions": {"uid": metadata["uid"]}})
        except Exception as error:
            if getattr(error, "status", 0) not in (404, 409):  # another hand was faster
                raise
