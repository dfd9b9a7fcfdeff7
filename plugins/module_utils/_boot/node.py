# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Kubernetes node that a host is: what the cluster knows of its boot, and whether it is back from a reboot.

The kubelet writes the boot ID when it starts, and its heartbeat by the clock of its host. Until it starts again the
cluster has the old ones, so that a node may be Ready while its host is down. Private to the collection; not a public
interface.
"""

from datetime import datetime, timezone
from typing import NamedTuple, Optional

from .model import NO, UNKNOWN, YES, Answer, Reference
from .verdict import is_boot_id

TIME = "%Y-%m-%dT%H:%M:%SZ"  # metav1.Time, always in UTC


class Node(NamedTuple):
    """What the cluster has of a node. ``problem`` says why it cannot be told; the rest is empty then.

    ``ready`` is the status of its condition Ready (``True``, ``False``, ``Unknown``), ``why`` what that says.
    """

    name: str
    boot_id: str = ""
    problem: str = ""
    ready: Optional[str] = None
    why: str = ""
    heartbeat: Optional[str] = None
    unschedulable: bool = False


def parse(name, document):
    """Return the :class:`Node` of a document of the API server."""
    status = document.get("status") or {}
    boot_id = (status.get("nodeInfo") or {}).get("bootID") or ""
    ready = next((one for one in status.get("conditions") or () if one.get("type") == "Ready"), {})
    problem = "" if is_boot_id(boot_id) else f"the node {name} has no boot ID in status.nodeInfo, but {boot_id!r}"
    return Node(
        name,
        "" if problem else boot_id,
        problem,
        ready.get("status"),
        ready.get("message") or ready.get("reason") or "",
        ready.get("lastHeartbeatTime"),
        bool((document.get("spec") or {}).get("unschedulable")),
    )


def reference(name, boot_id, problem):
    """Return the node as the :class:`Reference` that a host is compared with."""
    return Reference(f"the node {name}", boot_id or "", problem or "")


def back(node, boot_id, booted):
    """Return the :class:`Answer` to whether a node is back in the boot that its host is in.

    :param boot_id: the host's own.
    :param booted: when that boot began, by the host's clock.
    """
    if node.problem:
        return Answer(UNKNOWN, node.problem)
    if node.boot_id != boot_id:
        return Answer(NO, f"the node {node.name} tells of boot {node.boot_id}, its host is in {boot_id}")
    if node.heartbeat is None or _seconds(node.heartbeat) <= _seconds(booted):
        last = node.heartbeat or "none"
        return Answer(NO, f"the last heartbeat of the node {node.name} ({last}) is not newer than the boot ({booted})")
    if node.ready != "True":
        return Answer(NO, f"the node {node.name} is not Ready ({node.ready}): {node.why or 'it does not say why'}")
    return Answer(YES, f"the node {node.name} is Ready in boot {boot_id}, with a heartbeat of {node.heartbeat}")


def shown(node, answer):
    """Return what the result of a task says of a node.

    :param answer: what :func:`back` has said of it.
    """
    return {
        "name": node.name,
        "boot_id": node.boot_id or None,
        "ready": node.ready,
        "heartbeat": node.heartbeat,
        "unschedulable": node.unschedulable,
        "back": answer.value,
        "reason": answer.reason,
    }


def _seconds(text):
    return datetime.strptime(text, TIME).replace(tzinfo=timezone.utc).timestamp()
