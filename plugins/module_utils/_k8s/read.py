# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the documents of an API server to what plans know.

Private to the collection; not a public interface.
"""

from datetime import datetime, timezone
from fnmatch import fnmatchcase

from .model import ApiService, Leftover, Namespace, Webhook


def namespace(document, now):
    """Return a :class:`Namespace` whose content is not known yet. ``now`` is seconds since the epoch."""
    metadata, spec = document["metadata"], document.get("spec") or {}
    deleted = metadata.get("deletionTimestamp")
    return Namespace(
        metadata["name"],
        metadata.get("uid", ""),
        max(0.0, now - seconds(deleted)) if deleted else None,
        tuple(spec.get("finalizers") or ()),
        tuple(metadata.get("finalizers") or ()),
        tuple(
            (one["type"], one["status"], one.get("message", ""))
            for one in (document.get("status") or {}).get("conditions") or ()
        ),
        raw=document,
    )


def seconds(timestamp):
    """Return the seconds since the epoch of a timestamp such as ``2026-01-02T03:04:05Z`` (RFC 3339)."""
    whole = timestamp.split(".")[0].rstrip("Z")
    return datetime.strptime(whole, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc).timestamp()


def leftovers(resource, items):
    """Return the objects of a list."""
    found = []
    for item in items:
        metadata = item["metadata"]
        found.append(
            Leftover(
                resource,
                metadata.get("namespace", ""),
                metadata["name"],
                metadata["uid"],
                tuple(metadata.get("finalizers") or ()),
                "deletionTimestamp" in metadata,
                metadata.get("resourceVersion", ""),
            )
        )
    return found


def distinct(objects):
    """Return objects without those that another API group serves as well, sorted for people."""
    return tuple(sorted({one.uid: one for one in reversed(objects)}.values(), key=lambda one: (one.label, one.uid)))


def api_services(items):
    """Return the APIService objects of a list."""
    found = []
    for item in items:
        spec, status = item.get("spec") or {}, item.get("status") or {}
        service = spec.get("service")
        state = [one for one in status.get("conditions") or () if one.get("type") == "Available"]
        said = state[0] if state else {}
        message = ": ".join(one for one in (said.get("reason"), said.get("message")) if one) or "nothing is known of it"
        group, version = spec.get("group", ""), spec.get("version", "")
        found.append(
            ApiService(
                item["metadata"]["name"],
                f"{group}/{version}" if group else version,
                "{namespace}/{name}".format(**service) if service else "",
                said.get("status") == "True",
                message,
            )
        )
    return found


def admission_webhooks(kind, items):
    """Return the webhooks of a list of webhook configurations of a kind."""
    return [
        Webhook(kind, item["metadata"]["name"], one["name"], _called(one.get("clientConfig") or {}))
        for item in items
        for one in item.get("webhooks") or ()
    ]


def conversion_webhooks(items):
    """Return the conversion webhooks of a list of CustomResourceDefinitions, called GROUP/KIND."""
    found = []
    for item in items:
        spec = item["spec"]
        conversion = spec.get("conversion") or {}
        if conversion.get("strategy") == "Webhook":
            client = (conversion.get("webhook") or {}).get("clientConfig") or {}
            name = "{}/{}".format(spec["group"], spec["names"]["kind"])
            found.append(Webhook("crd", item["metadata"]["name"], name, _called(client)))
    return found


def is_pattern(name):
    """Tell whether a name may mean several namespaces."""
    return any(character in name for character in "*?[")


def chosen(selection, found):
    """Return those of the namespaces that are meant.

    A name means its namespace whatever its state; patterns, labels and no selection at all mean those that were being
    deleted for at least ``min_age`` seconds. Labels were chosen by the server.
    """
    old = [one for one in found if one.terminating and one.age >= selection.min_age]
    if not selection.names:
        return old
    names = [name for name in selection.names if not is_pattern(name)]
    patterns = [name for name in selection.names if is_pattern(name)]
    matched = {one.name for one in old if any(fnmatchcase(one.name, pattern) for pattern in patterns)}
    return [one for one in found if one.name in names or one.name in matched]


def _called(client):
    service = client.get("service")
    return "{namespace}/{name}".format(**service) if service else client.get("url", "nothing")
