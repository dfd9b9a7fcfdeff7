# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cordon nodes, and empty them through the eviction API until a deadline.

Private to the collection; not a public interface.
"""

import time
from concurrent.futures import ThreadPoolExecutor

from .._core.reconcile import ReconcileError, reconcile, reported
from . import drain_model, drain_plan
from .api import ApiError
from .changes import MERGE_PATCH
from .drain_model import MARK
from .model import counted, listed
from .task import connect

GUIDE = "The ClusterRole of the guide docs/maintenance.md has all that is needed"
ATTEMPTS = 8  # of a write that finds its node changed (409) each time
PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)  # seconds between looks at the pods, the last one repeated
ROUNDS = 3  # pods may be bound to a node at the moment in which it is cordoned
DRY = (("dryRun", "All"),)
# A server that is away, a budget that is used up, and a pod that is gone or another one by now, which the next look at
# the pods shows: asked again until the deadline.
LATER = (0, 404, 409, 429)


def run(module):
    """Bring nodes to what ``module.params`` say, and return the result of the task."""
    with reported(module):
        wanted = drain_model.wanted(module.params)
        drain = Drain(connect(module.params, GUIDE), wanted)
    planned = []

    def planning(nodes):
        planned.append(drain_plan.plan(wanted, nodes))
        return planned[-1]

    result = reconcile(module, drain.observe, planning, drain.apply, ROUNDS, together=True)
    with reported(module):
        if module.check_mode:
            # RBAC, admission and budgets are really asked: what they refuse is no prediction.
            drain.rehearse(planned[0].steps)
    for warning in drain.warnings:
        module.warn(warning)
    return dict(result, nodes={node.name: drain_plan.shown(node) for node in drain.found})


class Drain:
    """The nodes of a task.

    :ivar found: them, as they were at last.
    :ivar warnings: what the server said of a rehearsal.
    """

    def __init__(self, api, wanted):
        self._api, self._wanted = api, wanted
        self._version = self._deadline = None
        self.found = ()
        self.warnings = []

    def observe(self):
        """Return all nodes that were named, with their pods where these matter.

        :raises ReconcileError: there is none of that name.
        """
        self.found = tuple(self._look(name) for name in self._wanted.names)
        return self.found

    def apply(self, steps):
        """Carry out all steps: first those about nodes, then all pods at the same time.

        :raises ReconcileError: pods stay at the deadline, or a request is refused for good.
        """
        if self._deadline is None:  # what turns up later gets no time of its own
            self._deadline = time.monotonic() + self._wanted.timeout
        for step in steps:
            if step.data.pod is None:
                self._write(step.data.node)
        pods = [step.data for step in steps if step.data.pod is not None]
        if pods:
            self._empty(pods)

    def rehearse(self, steps):
        """Have the server authorize, admit and validate every request, and carry out none."""
        for step in steps:
            if step.data.pod is None:
                self._send(step.data, DRY)
            elif step.data.kind == drain_plan.EVICT:
                said = self._evict(step.data, DRY)
                if said:
                    self.warnings.append(
                        f"{step.data.pod.label} could not be evicted now, and will be tried again: {said}"
                    )

    def _look(self, name):
        path = f"/api/v1/nodes/{name}"
        try:
            document = self._api.get(path, "get nodes")
        except ApiError as error:
            if error.status != 404:
                raise
            raise ReconcileError(
                f"There is no node {name!r} in {self._api.host}; 'kubectl get nodes' names those that there are"
            ) from error
        pods = self._pods(name) if self._wanted.state == drain_model.DRAINED else ()
        return drain_model.parse_node(document, pods)

    def _pods(self, name):
        query = {"fieldSelector": f"spec.nodeName={name}"}
        return self._api.list("/api/v1/pods", "list pods", metadata=False, query=query)

    def _write(self, node):
        """Cordon or uncordon a node as it is now, unless somebody else has done so meanwhile."""
        for _attempt in range(ATTEMPTS):
            step = drain_plan.schedulable(self._wanted, node)
            if step is None:
                return
            try:
                self._send(step.data)
                return
            except ApiError as error:
                if error.status != 409:
                    raise
            node = drain_model.parse_node(self._api.get(f"/api/v1/nodes/{node.name}", "get nodes"))
        raise ReconcileError(f"Something else changes the node {node.name} all the time; {ATTEMPTS} attempts met 409")

    def _send(self, act, query=()):
        node, cordon = act.node, act.kind == drain_plan.CORDON
        body = {
            "metadata": {
                "uid": node.uid,
                "resourceVersion": node.version,
                "annotations": {MARK: self._wanted.owner if cordon else None},
            }
        }
        if act.kind != drain_plan.FORGET:
            body["spec"] = {"unschedulable": True if cordon else None}
        self._api.send("PATCH", f"/api/v1/nodes/{node.name}", "patch nodes", body, query=query, content=MERGE_PATCH)

    def _empty(self, acts):
        """Evict pods, again and again where a budget does not permit it yet, until all are gone."""
        waiting = {act.pod.uid: act for act in acts}
        said, looks = {act.pod.uid: "" for act in acts if act.kind == drain_plan.AWAIT}, 0
        with ThreadPoolExecutor(self._wanted.parallelism) as pool:
            while True:
                # An eviction that was granted is not asked for again.
                asked = [act for uid, act in waiting.items() if said.get(uid, "not asked yet")]
                said.update(zip((act.pod.uid for act in asked), pool.map(self._evict, asked)))
                present = {one["metadata"]["uid"] for name in self._names(waiting) for one in self._pods(name)}
                waiting = {uid: act for uid, act in waiting.items() if uid in present}
                left = self._deadline - time.monotonic()
                if not waiting:
                    return
                if left <= 0:
                    raise self._late(waiting, said, len(acts))
                time.sleep(min(left, PAUSES[min(looks, len(PAUSES) - 1)]))
                looks += 1

    @staticmethod
    def _names(waiting):
        return sorted({act.node.name for act in waiting.values()})

    def _evict(self, act, query=()):
        """Ask for the eviction of a pod; return why it was not granted yet, empty when it was or the pod is gone."""
        pod, options = act.pod, {"preconditions": {"uid": act.pod.uid}}
        if self._wanted.grace_period is not None:
            options["gracePeriodSeconds"] = self._wanted.grace_period
        if query:
            options["dryRun"] = ["All"]
        body = {
            "apiVersion": self._eviction(),
            "kind": "Eviction",
            "metadata": {"name": pod.name, "namespace": pod.namespace},
            "deleteOptions": options,
        }
        path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/eviction"
        try:
            # Every pod has its turn: one that a budget holds must not keep the others waiting.
            self._api.send("POST", path, "create pods/eviction", body, query=query, retries=0, patience=0)
        except ApiError as error:
            if error.status in LATER or error.status >= 500:
                return error.said or str(error)
            raise
        return ""

    def _eviction(self):
        """Return the version of the eviction API, which has changed with 1.22."""
        if self._version is None:
            found = self._api.get("/api/v1", "get /api/v1").get("resources") or ()
            one = next((one for one in found if one.get("name") == "pods/eviction"), None)
            if one is None:
                raise ReconcileError(f"{self._api.host} has no eviction API (pods/eviction); nothing was evicted")
            self._version = "{}/{}".format(one.get("group", "policy"), one.get("version", "v1"))
        return self._version

    def _late(self, waiting, said, count):
        stays = {act.pod.label: said.get(uid) or "it is being deleted" for uid, act in waiting.items()}
        return ReconcileError(
            "Not drained within {:g} s: {} of {} left: {}. {} cordoned; run the task again to go on, or set state "
            "'uncordoned' to give up".format(
                self._wanted.timeout,
                len(stays),
                counted(count, "pod"),
                listed((f"{label} ({why})" for label, why in sorted(stays.items())), 8),
                listed(self._names(waiting)) + (" stays" if len(self._names(waiting)) == 1 else " stay"),
            ),
            remaining=stays,
        )
