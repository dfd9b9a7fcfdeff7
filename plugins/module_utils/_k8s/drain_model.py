# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes and the pods on them, as far as a drain needs to know them, and what was declared.

Private to the collection; not a public interface.
"""

from typing import Any, NamedTuple, Optional, Tuple

from .._core.reconcile import ReconcileError
from .names import is_node, no_node

DRAINED, CORDONED, UNCORDONED = "drained", "cordoned", "uncordoned"
# Who has cordoned a node. A cordon without it, or with another value, is somebody else's.
MARK = "hostcraft.io/cordoned-by"
MIRROR = "kubernetes.io/config.mirror"  # a pod of a file on the node, which the API server cannot delete

OPTIONS = dict(
    argument_spec=dict(
        name=dict(type="list", elements="str", required=True, aliases=["names", "node"]),
        state=dict(type="str", choices=[DRAINED, CORDONED, UNCORDONED], default=DRAINED),
        owner=dict(type="str", default="hostcraft.linux"),
        delete_emptydir_data=dict(type="bool", default=False),
        delete_unmanaged=dict(type="bool", default=False),
        grace_period=dict(type="int"),
        timeout=dict(type="float", default=300),
        parallelism=dict(type="int", default=8),
    )
)


class Wanted(NamedTuple):
    """What the options of a task say."""

    names: Tuple[str, ...]
    state: str
    owner: str
    delete_emptydir_data: bool = False
    delete_unmanaged: bool = False
    grace_period: Optional[int] = None
    timeout: float = 300.0
    parallelism: int = 8


class Pod(NamedTuple):
    """A pod. ``controller`` is the kind of what makes it again elsewhere, empty when nothing does."""

    namespace: str
    name: str
    uid: str = ""
    controller: str = ""
    finished: bool = False
    deleting: bool = False
    mirror: bool = False
    scratch: bool = False

    @property
    def label(self):
        """How messages call it."""
        return f"{self.namespace}/{self.name}"


class Node(NamedTuple):
    """A node. ``owner`` is who has cordoned it according to the mark, None without one."""

    name: str
    unschedulable: bool = False
    owner: Optional[str] = None
    pods: Tuple[Pod, ...] = ()
    uid: str = ""
    version: str = ""


class Act(NamedTuple):
    """What a step is about."""

    kind: str
    node: Node
    pod: Any = None


def wanted(params):
    """Return the :class:`Wanted` of the options.

    :raises ReconcileError: a name that no node can have.
    """
    for name in params["name"]:
        if not is_node(name):
            raise ReconcileError(no_node("name", name))
    given = {field: params[field] for field in Wanted._fields if field in params}
    return Wanted(names=tuple(dict.fromkeys(params["name"])), **given)


def parse_node(document, pods=()):
    """Return the :class:`Node` of a document of the API server, with the documents of its pods."""
    metadata, spec = document["metadata"], document.get("spec") or {}
    return Node(
        metadata["name"],
        bool(spec.get("unschedulable")),
        (metadata.get("annotations") or {}).get(MARK),
        tuple(sorted(parse_pod(one) for one in pods)),
        metadata["uid"],
        metadata["resourceVersion"],
    )


def parse_pod(document):
    """Return the :class:`Pod` of a document of the API server."""
    metadata, spec, status = (document.get(part) or {} for part in ("metadata", "spec", "status"))
    owners = [one for one in metadata.get("ownerReferences") or () if one.get("controller")]
    return Pod(
        metadata["namespace"],
        metadata["name"],
        metadata["uid"],
        owners[0]["kind"] if owners else "",
        status.get("phase") in ("Succeeded", "Failed"),
        bool(metadata.get("deletionTimestamp")),
        MIRROR in (metadata.get("annotations") or {}),
        any("emptyDir" in one for one in spec.get("volumes") or ()),
    )
