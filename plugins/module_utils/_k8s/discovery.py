# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What discovery documents say, in the forms of old and new servers.

Private to the collection; not a public interface.
"""

from .model import Resource, Unread

# From 1.26 a server describes all groups in one document (KEP-3352); an older one takes the last of these.
ACCEPT = ",".join(
    [f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList" for version in ("v2", "v2beta1")]
    + ["application/json"]
)
STALE = "the server could not get this API's description from the service behind it (stale)"


def is_aggregated(document):
    """Tell whether a document describes all its groups."""
    return document.get("kind") == "APIGroupDiscoveryList"


def aggregated(document):
    """Return (resources, unread) of a document that describes all its groups."""
    resources, unread = [], []
    for item in document.get("items") or ():
        group = item.get("metadata", {}).get("name", "")
        for entry in item.get("versions") or ():
            version = entry["version"]
            if entry.get("freshness") == "Stale":
                unread.append(Unread(f"{group}/{version}" if group else version, 503, STALE))
            for one in entry.get("resources") or ():
                kind = (one.get("responseKind") or {}).get("kind", "")
                scope = one.get("scope") == "Namespaced"
                resources.append(Resource(group, version, one["resource"], kind, scope, tuple(one.get("verbs") or ())))
    return resources, unread


def group_versions(document):
    """Return the group versions of an APIVersions or APIGroupList document, the preferred one of each group first."""
    found = list(document.get("versions") or ())
    for group in document.get("groups") or ():
        versions = [one["groupVersion"] for one in group.get("versions") or ()]
        preferred = (group.get("preferredVersion") or {}).get("groupVersion")
        found += sorted(versions, key=lambda one: one != preferred)
    return found


def resources(document):
    """Return the resources of an APIResourceList document; subresources are left out."""
    group, _slash, version = document.get("groupVersion", "").rpartition("/")
    return [
        Resource(group, version, one["name"], one["kind"], bool(one["namespaced"]), tuple(one.get("verbs") or ()))
        for one in document.get("resources") or ()
        if "/" not in one["name"]
    ]


def content(found):
    """Return the resources that a namespace's content is made of, each in one version.

    The namespace controller deletes what can be deleted; what cannot, such as the metrics of pods, is no content
    (kubernetes, pkg/controller/namespace). Versions come in the order of preference.
    """
    chosen = {}
    for one in found:
        if one.namespaced and {"list", "delete"}.issubset(one.verbs):
            chosen.setdefault((one.group, one.name), one)
    return tuple(chosen.values())
