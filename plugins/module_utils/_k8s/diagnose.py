# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a namespace does not go: from what was read to causes with remedies.

What is left is always taken from the lists. The conditions of the namespace are asked only for what lists cannot tell,
which is why the controller failed: where pods are deleted first (OrderedNamespaceDeletion, on by default from 1.33)
they claim that everything is gone while it is all there (kubernetes#138208).

Private to the collection; not a public interface.
"""

import re

from .model import KUBERNETES, Cause, Diagnosed, counted, listed

# The controller first looks after a few seconds, and its back-off is one of minutes at most.
UNSEEN = 30.0  # seconds after which a namespace that no controller has looked at is one that none will
QUIET = 300.0  # seconds after which what the controller once said is no longer a reason to wait for it
IN_PROGRESS = "in_progress"
ACTIVE = "active"
ABSENT = "absent"
# Decisive first: what makes everything below it wait.
ORDER = (
    "forbidden",
    "finalized_while_active",
    "controller_not_running",
    "discovery_failure",
    "content_failure",
    "unlistable",
    "pods_blocking",
    "object_finalizers",
    "spec_finalizers",
    "metadata_finalizers",
    IN_PROGRESS,
)
CALLED = re.compile(r'failed calling webhook "([^"]+)"|admission webhook "([^"]+)" denied')
CONVERTED = re.compile(r"conversion webhook for ([^\s,]+?)/[^/\s,]+, Kind=(\w+) failed")
CONTENT, DISCOVERY = "NamespaceDeletionContentFailure", "NamespaceDeletionDiscoveryFailure"


def diagnose(namespace, cluster):
    """Return the :class:`model.Diagnosed` of a namespace, with every cause there is."""
    if not namespace.terminating:
        reason = f"Namespace {namespace.name} is Active"
        remedy = f"If it is to go, 'kubectl delete namespace {namespace.name}'; an Active one is never finalized."
        return Diagnosed(namespace, (Cause(ACTIVE, reason, remedy),))
    causes = [
        *_unread(namespace),
        *_controller(namespace),
        *_discovery(namespace, cluster),
        *_content(namespace, cluster),
        *_held(namespace),
        *_own_finalizers(namespace),
    ]
    if not causes:
        causes = [_in_progress(namespace)]
    return Diagnosed(namespace, tuple(sorted(causes, key=lambda one: ORDER.index(one.code))))


def absent(name):
    """Return the cause that stands for a namespace that does not exist."""
    return Cause(ABSENT, f"Namespace {name} does not exist", "Nothing is to be done.")


def stands_for(namespace):
    """Return the objects that are being deleted and held by finalizers."""
    return tuple(one for one in namespace.objects if one.deleting and one.finalizers)


def mentioned(text, cluster):
    """Return the webhooks that a message of the server names."""
    names = {name for pair in CALLED.findall(text) for name in pair if name}
    names.update("/".join(pair) for pair in CONVERTED.findall(text))
    known = [one for one in cluster.webhooks if one.name in names]
    return known, sorted(names - {one.name for one in known})


def _unread(namespace):
    refused = [one for one in namespace.unread if one.status == 403]
    if refused:
        what = listed(one.what for one in refused)
        yield Cause(
            "forbidden",
            f"What is left in {namespace.name} cannot be told: not permitted to list {what}",
            f'Grant the verb "list" on {what}, or use an account with the ClusterRole of the guide.',
        )
    other = [one for one in namespace.unread if one.status != 403 and not CONVERTED.search(one.message)]
    if other:
        yield Cause(
            "unlistable",
            "Not to be listed in {}: {}".format(namespace.name, "; ".join(one.label for one in other)),
            "Repair what serves them; until then nobody knows what is left of them.",
        )


def _controller(namespace):
    """Whether the namespace controller can do its work, and does it."""
    if KUBERNETES not in namespace.spec_finalizers:
        # The controller takes its finalizer away when all is gone, and leaves conditions; who did it too early left
        # objects, or was there before the controller had ever looked.
        if namespace.objects or not (namespace.conditions or namespace.spec_finalizers):
            left = f", with {counted(len(namespace.objects), 'object')} left" if namespace.objects else ""
            yield Cause(
                "finalized_while_active",
                f"The finalizer '{KUBERNETES}' was taken from {namespace.name} before its content was deleted{left}; "
                "the controller holds it for done and never looks at it",
                "Put the finalizer back (this module does), and the controller deletes everything; do not delete the "
                "namespace once more, that would orphan its content.",
            )
    elif not namespace.conditions and namespace.age >= UNSEEN:
        yield Cause(
            "controller_not_running",
            f"No controller has looked at {namespace.name} in the {namespace.age:.0f} s since it was deleted",
            "Start kube-controller-manager, and look in its log why its namespace controller does nothing.",
        )


def _discovery(namespace, cluster):
    if KUBERNETES not in namespace.spec_finalizers or not cluster.unread:
        return
    services = {one.group_version: one for one in cluster.services if one.service}
    reasons, remedies = [], []
    for one in cluster.unread:
        service = services.get(one.what)
        if service is None:
            reasons.append(f"the API {one.what} does not answer ({one.status}: {one.message})")
            remedies.append(f"repair what serves {one.what}")
        else:
            reasons.append(
                f"the API {one.what} does not answer ({one.status}: {one.message}): APIService {service.name}, served "
                f"by {service.service}: {service.message}"
            )
            remedies.append(
                f"repair the service {service.service}, or, when nothing needs that API any more, "
                f"'kubectl delete apiservice {service.name}'"
            )
    yield Cause(
        "discovery_failure",
        f"The controller cannot find out what there is to delete in {namespace.name}: {'; '.join(reasons)}",
        "{}; the namespace then goes by itself within a minute or two.".format(_sentence("; ".join(remedies))),
    )


def _content(namespace, cluster):
    texts = [namespace.condition(CONTENT)] if KUBERNETES in namespace.spec_finalizers else []
    texts += [one.message for one in namespace.unread if CONVERTED.search(one.message)]
    text = "; ".join(one for one in texts if one)
    if not text:
        return
    known, unknown = mentioned(text, cluster)
    remedies = [_repair(one) for one in known]
    remedies += [f"repair the webhook {name}, or remove it from what configures it" for name in unknown]
    yield Cause(
        "content_failure",
        f"Objects in {namespace.name} cannot be deleted: {text}",
        _sentence("; ".join(remedies) or "look in the log of kube-controller-manager for the object") + ".",
    )


def _repair(webhook):
    if webhook.kind == "crd":
        otherwise = f"set the conversion strategy of the CustomResourceDefinition {webhook.owner} to None"
    else:
        otherwise = f"'kubectl delete {webhook.kind} {webhook.owner}' when its service is gone for good"
    return f"repair the service {webhook.service} behind the webhook {webhook.name}, or {otherwise}"


def _held(namespace):
    """Objects that are being deleted and do not go."""
    held = stands_for(namespace)
    pods = [one for one in namespace.objects if one.deleting and one.resource.label == "pods"]
    waiting = [one for one in namespace.objects if not one.deleting]
    if pods and waiting:
        yield Cause(
            "pods_blocking",
            f"{counted(len(pods), 'pod')} of {namespace.name} must go before the controller deletes "
            f"{counted(len(waiting), 'other object')}: {listed(_with_finalizers(pods))}",
            "Find out why they stay: name their finalizers in 'object_finalizers', or, when their node is gone for "
            "good, 'kubectl delete pod NAME --force --grace-period=0'.",
        )
    elif any(not one.finalizers for one in pods) and namespace.age >= QUIET:
        bare = [one for one in pods if not one.finalizers]
        yield Cause(
            "pods_blocking",
            f"Pods of {namespace.name} are being deleted and their kubelets do not confirm: "
            f"{listed(one.label for one in bare)}",
            "Bring their nodes back, or, when these are gone for good, delete the Node objects, or "
            "'kubectl delete pod NAME --force --grace-period=0'.",
        )
    if held:
        finalizers = sorted({finalizer for one in held for finalizer in one.finalizers})
        yield Cause(
            "object_finalizers",
            f"Finalizers hold {counted(len(held), 'object')} of {namespace.name}: {listed(_with_finalizers(held))}",
            f"Bring back what owns {', '.join(finalizers)}, or, when that is gone for good, name them in "
            "'object_finalizers'.",
        )


def _with_finalizers(objects):
    return ["{} ({})".format(one.label, ", ".join(one.finalizers) or "no finalizer") for one in objects]


def _own_finalizers(namespace):
    foreign = [one for one in namespace.spec_finalizers if one != KUBERNETES]
    for code, field, found in (
        ("spec_finalizers", "spec.finalizers", foreign),
        ("metadata_finalizers", "metadata.finalizers", list(namespace.metadata_finalizers)),
    ):
        if found:
            yield Cause(
                code,
                f"{namespace.name} itself is held by {', '.join(found)} in {field}",
                f"Bring back what owns {', '.join(found)}, or, when that is gone for good, name it in "
                "'namespace_finalizers'.",
            )


def _in_progress(namespace):
    """What is said when nothing is wrong that could be seen."""
    # Every API answers by now; the controller tries again as late as its back-off says.
    failed = namespace.condition(DISCOVERY)
    last = f"; its controller last said: {failed}" if failed else ""
    if namespace.objects:
        reason = f"{namespace.name} is being deleted, with {counted(len(namespace.objects), 'object')} left"
        remedy = "Wait for the controller."
    elif KUBERNETES in namespace.spec_finalizers and namespace.age >= QUIET:
        return Cause(
            "controller_not_running",
            f"Nothing is left in {namespace.name}, and no controller has noticed in {namespace.age:.0f} s{last}",
            "Start kube-controller-manager, and look in its log why its namespace controller does nothing.",
        )
    else:
        reason = f"Nothing is left in {namespace.name}; what held it is gone{last}"
        remedy = "Wait until the controller looks again, which may take some minutes after a failure."
    return Cause(IN_PROGRESS, reason, remedy)


def _sentence(text):
    return text[:1].upper() + text[1:]
