# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was found, as the modules return it.

Private to the collection; not a public interface.
"""

from . import diagnose


def described(one):
    """Return what identifies an object."""
    return {
        "api_version": one.resource.group_version,
        "resource": one.resource.name,
        "kind": one.resource.kind,
        "name": one.name,
        "uid": one.uid,
    }


def objects(found):
    """Return objects with what holds them."""
    return [dict(described(one), finalizers=list(one.finalizers), deleting=one.deleting) for one in found]


def unread(found):
    """Return what could not be read."""
    return [dict(one._asdict()) for one in found]


def namespaces(state):
    """Return the verdicts on all namespaces that were meant, sorted by name."""
    found = [_namespace(one) for one in state.found] + [_absent(name) for name in state.absent]
    return sorted(found, key=lambda one: one["name"])


def orphans(found, results=(), predicted=()):
    """Return orphans: those without a namespace, and those that this task leaves behind.

    :param results: what came of the namespaces, as the task returns it.
    :param predicted: the objects that a plan leaves behind, where it is not carried out.
    """
    here = [dict(one, namespace=name) for name, some in found for one in objects(some)]
    left = [dict(one, namespace=name) for name in sorted(results) for one in results[name]["orphaned"]]
    return here + left + [dict(described(one), namespace=one.namespace) for one in predicted]


def _namespace(one):
    namespace = one.namespace
    return {
        "name": namespace.name,
        "uid": namespace.uid,
        "verdict": one.verdict,
        "reason": one.causes[0].reason,
        "remedy": one.causes[0].remedy,
        "causes": [dict(cause._asdict()) for cause in one.causes],
        "age": None if namespace.age is None else round(namespace.age),
        "spec_finalizers": list(namespace.spec_finalizers),
        "metadata_finalizers": list(namespace.metadata_finalizers),
        "conditions": {kind: message for kind, status, message in namespace.conditions if status == "True"},
        "objects": objects(namespace.objects),
        "unread": unread(namespace.unread),
    }


def _absent(name):
    cause = diagnose.absent(name)
    return {
        "name": name,
        "uid": "",
        "verdict": cause.code,
        "reason": cause.reason,
        "remedy": cause.remedy,
        "causes": [dict(cause._asdict())],
        "age": None,
        "spec_finalizers": [],
        "metadata_finalizers": [],
        "conditions": {},
        "objects": [],
        "unread": [],
    }
