# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The requests that change something, as data, so that they can be rehearsed and sent.

Private to the collection; not a public interface.
"""

from typing import Any, NamedTuple, Tuple

MERGE_PATCH = "application/merge-patch+json"
NAMESPACES = "/api/v1/namespaces"
# Says who made a namespace, so that one that somebody else makes at the same time is not taken for it.
MARK = "hostcraft.io/recreated-to-remove-orphans"


class Request(NamedTuple):
    """A request; ``doing`` is what RBAC calls it."""

    method: str
    path: str
    doing: str
    body: Any = None
    content: str = "application/json"
    query: Tuple = ()


def finalize(document, finalizers):
    """Return the request that sets ``spec.finalizers`` of a namespace.

    The subresource replaces the whole metadata, so the namespace is sent as it was read, with its uid and
    resourceVersion: another one of the same name, or one that has changed, is refused with 409.
    """
    body = dict(document, spec=dict(document.get("spec") or {}, finalizers=list(finalizers)))
    path = "{}/{}/finalize".format(NAMESPACES, document["metadata"]["name"])
    return Request("PUT", path, "update namespaces/finalize", body)


def namespace_metadata(document, finalizers):
    """Return the request that sets ``metadata.finalizers`` of a namespace."""
    metadata = document["metadata"]
    return Request(
        "PATCH", f"{NAMESPACES}/{metadata['name']}", "patch namespaces", _patch(metadata, finalizers), MERGE_PATCH
    )


def clear(one, finalizers):
    """Return the request that leaves an object no finalizers but these."""
    metadata = {"uid": one.uid, "resourceVersion": one.version}
    path = one.resource.path(one.namespace, one.name)
    return Request("PATCH", path, f"patch {one.resource.label}", _patch(metadata, finalizers), MERGE_PATCH)


def create(name, mark):
    """Return the request that makes a namespace."""
    metadata = {"name": name, "annotations": {MARK: mark}}
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    return Request("POST", NAMESPACES, "create namespaces", body)


def delete(name, uid=None):
    """Return the request that deletes a namespace, or only the one with that uid."""
    body = {"kind": "DeleteOptions", "apiVersion": "v1"}
    if uid:
        body["preconditions"] = {"uid": uid}
    return Request("DELETE", f"{NAMESPACES}/{name}", "delete namespaces", body)


def rehearsed(request):
    """Return the same request for ``dryRun=All``: it is authorized, admitted and validated, and changes nothing."""
    return request._replace(query=(("dryRun", "All"),))


def _patch(metadata, finalizers):
    # null removes the field (RFC 7386); an empty list would be the same to the server.
    return {
        "metadata": {
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
            "finalizers": list(finalizers) or None,
        }
    }
