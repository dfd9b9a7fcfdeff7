# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be done so that namespaces go and nothing stays behind, in this order:

leave it to its controllers while it is young, put the finalizer ``kubernetes`` back, clear named finalizers of objects,
remove named finalizers of the namespace, wait for the controller, and only then finalize.

Private to the collection; not a public interface.
"""

from .._core.reconcile import Plan, ReconcileError, Step
from .diagnose import ABSENT, ACTIVE, QUIET
from .model import KUBERNETES, Act, Namespace, counted, listed, matching

LEAVE, REPAIR, CLEAR, METADATA, SPEC, AWAIT, FINALIZE, FORCE, RECREATE, DELETE = (
    "leave", "repair", "clear", "metadata", "spec", "await", "finalize", "force", "recreate", "delete"
)  # fmt: skip
# Causes that force overrides: what is left, or could not be looked at, is orphaned.
FORCED = ("controller_not_running", "discovery_failure", "content_failure", "unlistable", "pods_blocking")
# What works on as secrets or rights in the next namespace of the same name.
DANGEROUS = {"secrets": "Secret", "rolebindings.rbac.authorization.k8s.io": "RoleBinding"}


def plan(wanted, state):
    """Return the :class:`Plan` for all that was found; what is :func:`blocked` has no steps in it.

    :raises ReconcileError: a namespace that was named is Active.
    """
    refuse_active(wanted, state)
    before, after, steps, warnings = {}, {}, [], []
    for one in state.found:
        mine = steps_for(wanted, one)
        if mine:
            before[one.namespace.name] = shown(one)
            after[one.namespace.name] = {"verdict": ABSENT}
            steps += mine
            warnings += left_behind(one.namespace.name, orphaned(mine))
    for name, objects in state.orphans:
        before[name] = {"verdict": "orphans", "objects": [one.label for one in objects]}
        after[name] = {"verdict": ABSENT}
        steps += _orphans(wanted, name, objects)
        warnings += _awake(name, objects)
    return Plan(before, after, tuple(steps), tuple(warnings))


def refuse_active(wanted, state):
    """Refuse namespaces that are Active and were named."""
    active = [one.namespace.name for one in state.found if one.verdict == ACTIVE]
    named = [name for name in active if name in wanted.selection.names]
    if named:
        raise ReconcileError(
            "Active, and never finalized: {}. Delete them first ('kubectl delete namespace {}'); what does not go then "
            "can be freed. Nothing was changed".format(", ".join(named), " ".join(named)),
            active=named,
        )


def steps_for(wanted, one, young=True):
    """Return the steps that free a namespace, none for one that is :func:`blocked`.

    :param young: whether it is left to its controllers while it is younger than ``min_age``.
    """
    namespace, codes = one.namespace, [cause.code for cause in one.causes]
    if ACTIVE in codes:
        return []
    steps = []
    if young and namespace.age < wanted.selection.min_age:
        detail = (
            f"to its controllers until it was deleted {wanted.selection.min_age:g} s ago, now {namespace.age:.0f} s"
        )
        steps.append(Step("leave", f"namespace {namespace.name}", detail, Act(LEAVE, namespace)))
    if blocked(wanted, one):
        return steps
    repaired = "finalized_while_active" in codes
    if repaired:
        detail = f"put back the finalizer {KUBERNETES}, so that its content is deleted"
        steps.append(Step("repair", f"namespace {namespace.name}", detail, Act(REPAIR, namespace)))
    steps += _clear(wanted, namespace)
    steps += _own(wanted, namespace)
    steps.append(_wait(wanted, namespace))
    if repaired or KUBERNETES in namespace.spec_finalizers:
        steps.append(_finalize(wanted, namespace, codes))
    return steps


def blocked(wanted, one):
    """Return the causes that the options do not permit to be overcome."""
    return [cause for cause in one.causes if not _permitted(wanted, one.namespace, cause.code)]


def _permitted(wanted, namespace, code):
    """Tell whether a cause is overcome by what the options name, or by force, or by waiting."""
    foreign = [name for name in namespace.spec_finalizers if name != KUBERNETES]
    if code == "spec_finalizers":
        return _named(wanted, foreign)
    if code == "metadata_finalizers":
        return _named(wanted, namespace.metadata_finalizers)
    if code in ("object_finalizers", "pods_blocking"):
        return wanted.force or _freed_by_name(wanted, namespace, code)
    if code == "controller_not_running":
        return wanted.force or all(one.deleting and not remaining(wanted, one) for one in namespace.objects)
    return code != "forbidden" and (wanted.force or code not in FORCED)


def orphaned(steps):
    """Return the objects that a plan leaves behind without a namespace."""
    return tuple(one for step in steps if step.data.kind == FORCE for one in step.data.objects)


def left_behind(name, objects):
    """Return the warning about objects that are dangerous when they are left behind."""
    found = [f"{DANGEROUS[one.resource.label]} {one.name}" for one in objects if one.resource.label in DANGEROUS]
    if not found:
        return []
    text = (
        f"{name}: 'force' leaves {listed(found)} behind, and whoever makes a namespace of that name next has them again"
    )
    return [f"{text}. Remove them with 'state: orphans_removed'"]


def remaining(wanted, one):
    """Return the finalizers of an object that stay when the named ones are cleared."""
    named = matching(one.finalizers, wanted.object_finalizers)
    return tuple(name for name in one.finalizers if name not in named)


def clearable(wanted, objects):
    """Return the objects that have a finalizer which is named, and are being deleted."""
    return tuple(one for one in objects if one.deleting and matching(one.finalizers, wanted.object_finalizers))


def shown(one):
    """Return what the diff says of a namespace."""
    return {
        "verdict": one.verdict,
        "spec_finalizers": list(one.namespace.spec_finalizers),
        "metadata_finalizers": list(one.namespace.metadata_finalizers),
        "objects": len(one.namespace.objects),
    }


def _named(wanted, finalizers):
    return len(matching(tuple(finalizers), wanted.namespace_finalizers)) == len(finalizers)


def _freed_by_name(wanted, namespace, code):
    """Tell whether the named finalizers are all that holds the objects."""
    held = [one for one in namespace.objects if one.deleting]
    if code == "pods_blocking":
        held = [one for one in held if one.resource.label == "pods"]
        if any(not one.finalizers for one in held):
            return False
    return not any(remaining(wanted, one) for one in held)


def _clear(wanted, namespace):
    """Yield a step for each kind of object that named finalizers are taken from."""
    kinds = {}
    for one in clearable(wanted, namespace.objects):
        kinds.setdefault(one.resource, []).append(one)
    for resource, objects in kinds.items():
        names = sorted({name for one in objects for name in matching(one.finalizers, wanted.object_finalizers)})
        detail = f"{', '.join(names)} from {len(objects)}: {listed(one.name for one in objects)}"
        act = Act(CLEAR, namespace, tuple(objects), tuple(names))
        yield Step("clear", f"{resource.label} in {namespace.name}", detail, act)


def _own(wanted, namespace):
    """Yield the steps that take named finalizers from the namespace itself."""
    foreign = tuple(name for name in namespace.spec_finalizers if name != KUBERNETES)
    for kind, field, had in (
        (METADATA, "metadata.finalizers", namespace.metadata_finalizers),
        (SPEC, "spec.finalizers", foreign),
    ):
        found = matching(had, wanted.namespace_finalizers)
        if found:
            act = Act(kind, namespace, (), found)
            yield Step("remove", f"{', '.join(found)} of namespace {namespace.name}", f"from {field}", act)


def _wait(wanted, namespace):
    detail = f"its controller, {wanted.timeout:g} s at most"
    return Step("wait for", f"namespace {namespace.name}", detail, Act(AWAIT, namespace))


def _finalize(wanted, namespace, codes):
    """Return the step that ends it where the controller does not; it is skipped when the namespace has gone by then."""
    stays = [one for one in namespace.objects if remaining(wanted, one) or not one.deleting]
    # The controller would delete these if it could; whatever held the rest is named.
    stuck = any(code in FORCED for code in codes) or any(one.deleting for one in stays)
    # Content that a slow controller is about to delete is not orphaned; after so long it is no longer slow.
    late = bool(stays) and namespace.age >= QUIET and "finalized_while_active" not in codes
    forced = wanted.force and (stuck or late)
    if not forced or ("controller_not_running" in codes and not namespace.objects):
        return _when_empty(namespace)
    blind = bool(namespace.unread) or "discovery_failure" in codes
    detail = "by force, orphaning {}".format(listed((one.label for one in stays), 50) or "nothing that can be listed")
    if blind:
        detail += "; what else is left cannot be known"
    return Step("finalize", f"namespace {namespace.name}", detail, Act(FORCE, namespace, tuple(stays), blind=blind))


def as_announced(steps, announced):
    """Return steps that were planned anew while they are carried out, forcing no more than was announced before.

    Nobody has been told or warned of what else they would orphan.
    """
    forced = [step.data for step in announced if step.data.kind == FORCE]
    return [_no_more(step, forced) if step.data.kind == FORCE else step for step in steps]


def _no_more(step, forced):
    act = step.data
    if not forced:
        return _when_empty(act.namespace)
    return step._replace(data=act._replace(objects=forced[0].objects, blind=forced[0].blind))


def _when_empty(namespace):
    detail = "if its controller has not, and only when nothing is left"
    return Step("finalize", f"namespace {namespace.name}", detail, Act(FINALIZE, namespace))


def _orphans(wanted, name, objects):
    """Return the steps that remove what is left of a namespace that is gone.

    Without a namespace their finalizers cannot be changed (admission answers 404) and a deletion cannot end.
    """
    namespace = Namespace(name, objects=tuple(objects), age=0.0)
    detail = f"to delete with it {counted(len(objects), 'orphan')}: {listed(one.label for one in objects)}"
    found = tuple(name for one in objects for name in matching(one.finalizers, wanted.object_finalizers))
    steps = [
        Step("recreate", f"namespace {name}", detail, Act(RECREATE, namespace, namespace.objects)),
        Step("delete", f"namespace {name}", "", Act(DELETE, namespace)),
    ]
    if found:
        detail = f"{', '.join(sorted(set(found)))} from what is held by it"
        act = Act(CLEAR, namespace, namespace.objects, tuple(sorted(set(found))))
        steps.append(Step("clear", f"objects in {name}", detail, act))
    return [*steps, _wait(wanted, namespace)]


def _awake(name, objects):
    found = [f"{DANGEROUS[one.resource.label]} {one.name}" for one in objects if one.resource.label in DANGEROUS]
    if not found:
        return []
    return [f"{name}: {listed(found)} work again from the moment its namespace is recreated until they are deleted"]
