# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be done so that nodes are cordoned, empty, or in use again; and nobody else's cordon is ever undone.

Private to the collection; not a public interface.
"""

from .._core.reconcile import Plan, ReconcileError, Step
from .drain_model import CORDONED, DRAINED, UNCORDONED, Act
from .model import listed

CORDON, UNCORDON, FORGET, EVICT, AWAIT = "cordon", "uncordon", "forget", "evict", "await"


def plan(wanted, nodes):
    """Return the :class:`Plan` for nodes as they were found.

    :raises ReconcileError: pods would be lost that no option gives up.
    """
    if wanted.state == DRAINED:
        _refuse(wanted, nodes)
    before, after, steps, warnings = {}, {}, [], []
    for node in nodes:
        mine = _steps(wanted, node)
        warnings += _foreign(wanted, node)
        if mine:
            before[node.name] = shown(node)
            after[node.name] = shown(carried_out(mine, wanted, node))
            steps += mine
    return Plan(before, after, tuple(steps), tuple(warnings))


def schedulable(wanted, node):
    """Return the step that makes a node's cordon what is wanted, None when it is that."""
    if wanted.state in (DRAINED, CORDONED):
        if node.unschedulable:
            return None
        return Step("cordon", f"node {node.name}", f"in the name of {wanted.owner}", Act(CORDON, node))
    if node.owner != wanted.owner:
        return None
    if node.unschedulable:
        return Step("uncordon", f"node {node.name}", "", Act(UNCORDON, node))
    detail = f"somebody else has uncordoned it, and the mark of {wanted.owner} is left"
    return Step("forget", f"cordon of node {node.name}", detail, Act(FORGET, node))


def carried_out(steps, wanted, node):
    """Return the node as it is after steps about it."""
    kinds = {step.data.kind for step in steps}
    gone = {step.data.pod for step in steps if step.data.pod}
    node = node._replace(pods=tuple(one for one in node.pods if one not in gone))
    if CORDON in kinds:
        return node._replace(unschedulable=True, owner=wanted.owner)
    if kinds & {UNCORDON, FORGET}:
        return node._replace(unschedulable=False, owner=None)
    return node


def leaves(pod):
    """Return why a drain leaves a pod where it is, empty when it does not."""
    if pod.mirror:
        return "it is of a file on the node"
    if pod.controller == "DaemonSet":
        return "its DaemonSet would start it there again"
    return ""


def shown(node):
    """Return what results say of a node."""
    return {
        "unschedulable": node.unschedulable,
        "cordoned_by": node.owner,
        "pods": [one.label for one in node.pods if not leaves(one)],
        "left_alone": {one.label: leaves(one) for one in node.pods if leaves(one)},
    }


def _steps(wanted, node):
    first = schedulable(wanted, node)
    steps = [first] if first else []
    if wanted.state != DRAINED:
        return steps
    for pod in node.pods:
        if leaves(pod):
            continue
        if pod.deleting:
            detail = f"it is being deleted on node {node.name}"
            steps.append(Step("wait for", f"pod {pod.label}", detail, Act(AWAIT, node, pod)))
        else:
            steps.append(Step("evict", f"pod {pod.label}", f"from node {node.name}", Act(EVICT, node, pod)))
    return steps


def _foreign(wanted, node):
    """Warn of a cordon that is not ours, and stays."""
    if not node.unschedulable or node.owner == wanted.owner:
        return []
    whom = f"in the name of {node.owner}" if node.owner else "by somebody who left no name"
    if wanted.state == UNCORDONED:
        return [f"The node {node.name} stays cordoned: that was done {whom}, and not in the name of {wanted.owner}"]
    return [f"The node {node.name} was cordoned before, {whom}; that cordon is left to them"]


def _refuse(wanted, nodes):
    """Refuse to lose what no option gives up, before anything is changed."""
    losing = [one for node in nodes for one in node.pods if not (leaves(one) or one.deleting or one.finished)]
    alone = [] if wanted.delete_unmanaged else [one.label for one in losing if not one.controller]
    scratch = [] if wanted.delete_emptydir_data else [one.label for one in losing if one.scratch]
    said = []
    if alone:
        said.append(f"nothing would make these pods again, unless 'delete_unmanaged' gives them up: {listed(alone)}")
    if scratch:
        said.append(f"these have data in an emptyDir, unless 'delete_emptydir_data' gives it up: {listed(scratch)}")
    if said:
        raise ReconcileError(
            "Nothing was changed: {}".format("; ".join(said)), unmanaged=sorted(alone), with_emptydir=sorted(scratch)
        )
