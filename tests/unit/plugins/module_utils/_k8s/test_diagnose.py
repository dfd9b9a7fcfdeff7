# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what was read to verdicts, and from verdicts to steps: pure."""

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import ReconcileError
from ansible_collections.hostcraft.linux.plugins.module_utils._k8s import declare, discovery, read
from ansible_collections.hostcraft.linux.plugins.module_utils._k8s.diagnose import diagnose
from ansible_collections.hostcraft.linux.plugins.module_utils._k8s.model import (
    ApiService,
    Cluster,
    Leftover,
    Namespace,
    Resource,
    Selection,
    State,
    Unread,
    Wanted,
    Webhook,
)
from ansible_collections.hostcraft.linux.plugins.module_utils._k8s.plan import blocked, orphaned, plan, steps_for
from hypothesis import given, settings
from hypothesis import strategies as st

PODS, MAPS = Resource("", "v1", "pods", "Pod"), Resource("", "v1", "configmaps", "ConfigMap")
SECRETS = Resource("", "v1", "secrets", "Secret")
BINDINGS = Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")
CALM = tuple(
    (one, "False", "All content successfully removed")
    for one in ("NamespaceContentRemaining", "NamespaceDeletionContentFailure", "NamespaceFinalizersRemaining")
)
DEAD = (Unread("metrics.k8s.io/v1beta1", 503, "service unavailable"),)


def left(name, resource=MAPS, finalizers=(), deleting=True):
    return Leftover(resource, "stuck", name, f"uid-{resource.name}-{name}", tuple(finalizers), deleting)


def stuck(*objects, **fields):
    values = {"age": 600.0, "spec_finalizers": ("kubernetes",), "conditions": CALM, **fields}
    return Namespace("stuck", "u1", objects=tuple(objects), **values)


def true(kind, message):
    return ((kind, "True", message),)


HELD = left("guarded", finalizers=["example.com/never"])
CASES = [
    ("a running namespace", stuck(age=None), Cluster(), ["active"]),
    ("dead APIService", stuck(), Cluster(unread=DEAD), ["discovery_failure"]),
    ("object finalizers", stuck(HELD), Cluster(), ["object_finalizers"]),
    ("foreign spec.finalizers", stuck(spec_finalizers=("example.com/foo",)), Cluster(), ["spec_finalizers"]),
    (
        "metadata.finalizers",
        stuck(spec_finalizers=(), metadata_finalizers=("a/b",)),
        Cluster(),
        ["metadata_finalizers"],
    ),
    ("finalized while active", stuck(spec_finalizers=(), conditions=()), Cluster(), ["finalized_while_active"]),
    (
        "finalized while active, with content",
        stuck(left("x", deleting=False), spec_finalizers=(), conditions=()),
        Cluster(),
        ["finalized_while_active"],
    ),
    ("no controller", stuck(left("x", deleting=False), conditions=()), Cluster(), ["controller_not_running"]),
    ("no controller yet", stuck(left("x", deleting=False), conditions=(), age=4.0), Cluster(), ["in_progress"]),
    ("controller stopped in between", stuck(), Cluster(), ["controller_not_running"]),
    ("a moment ago", stuck(age=3.0), Cluster(), ["in_progress"]),
    (
        "conditions that lie: pods first",
        stuck(left("p", PODS, ["example.com/never"]), left("s", SECRETS, deleting=False)),
        Cluster(),
        ["pods_blocking", "object_finalizers"],
    ),
    ("a pod whose node is gone", stuck(left("p", PODS)), Cluster(), ["pods_blocking"]),
    (
        "validating webhook",
        stuck(
            left("x", deleting=False),
            conditions=true("NamespaceDeletionContentFailure", 'failed calling webhook "dead.example.com": no service'),
        ),
        Cluster(webhooks=(Webhook("validatingwebhookconfiguration", "dead", "dead.example.com", "a/b"),)),
        ["content_failure"],
    ),
    (
        "conversion webhook, and conditions that know nothing",
        stuck(
            unread=(
                Unread(
                    "gears.conv.example.com", 500, "conversion webhook for conv.example.com/v1, Kind=Gear failed: x"
                ),
            )
        ),
        Cluster(webhooks=(Webhook("crd", "gears.conv.example.com", "conv.example.com/Gear", "n/gone"),)),
        ["content_failure"],
    ),
    ("a list fails", stuck(unread=(Unread("gears.x", 500, "boom"),)), Cluster(), ["unlistable"]),
    ("a list is forbidden", stuck(unread=(Unread("secrets", 403, "no"),)), Cluster(), ["forbidden"]),
    (
        "a controller that failed before, and has not looked again",
        stuck(age=100.0, conditions=true("NamespaceDeletionDiscoveryFailure", "metrics.k8s.io/v1beta1 is away")),
        Cluster(),
        ["in_progress"],
    ),
    (
        "everything at once",
        stuck(HELD, spec_finalizers=("kubernetes", "a/b"), metadata_finalizers=("c/d",)),
        Cluster(unread=DEAD),
        ["discovery_failure", "object_finalizers", "spec_finalizers", "metadata_finalizers"],
    ),
]


def codes(namespace, cluster):
    return [cause.code for cause in diagnose(namespace, cluster).causes]


@pytest.mark.parametrize(
    ("namespace", "cluster", "expected"), [one[1:] for one in CASES], ids=[one[0] for one in CASES]
)
def test_verdicts(namespace, cluster, expected):
    found = codes(namespace, cluster)
    # Where nothing is known to be left, a controller that says nothing more may be away as well.
    assert [code for code in found if code in expected] == expected
    assert found[0] == expected[0]
    for cause in diagnose(namespace, cluster).causes:
        assert namespace.name in cause.reason
        assert cause.remedy[0].isupper()
        assert cause.remedy.endswith(".")


def test_who_is_behind_a_failure_is_named():
    service = ApiService(
        "v1beta1.metrics.k8s.io", "metrics.k8s.io/v1beta1", "kube-system/metrics", False, "ServiceNotFound: gone"
    )
    cause = diagnose(stuck(), Cluster(unread=DEAD, services=(service,))).causes[0]
    assert "kube-system/metrics: ServiceNotFound: gone" in cause.reason
    assert "kubectl delete apiservice v1beta1.metrics.k8s.io" in cause.remedy
    _name, namespace, cluster, _codes = next(one for one in CASES if one[0] == "validating webhook")
    remedy = diagnose(namespace, cluster).causes[0].remedy
    assert "service a/b" in remedy
    assert "kubectl delete validatingwebhookconfiguration dead" in remedy
    remedy = diagnose(namespace, Cluster()).causes[0].remedy
    assert "webhook dead.example.com" in remedy, "without the permission to read webhooks its name is known at least"
    _name, namespace, cluster, _codes = next(one for one in CASES if one[0].startswith("conversion"))
    assert "CustomResourceDefinition gears.conv.example.com to None" in diagnose(namespace, cluster).causes[0].remedy


def test_what_the_controller_last_said_is_told_where_nothing_else_is_known():
    _name, namespace, cluster, _codes = next(one for one in CASES if one[0].startswith("a controller that failed"))
    assert "last said: metrics.k8s.io/v1beta1 is away" in diagnose(namespace, cluster).causes[0].reason


def steps(wanted, namespace, cluster=None):
    return [str(step) for step in plan(wanted, State(found=(diagnose(namespace, cluster or Cluster()),))).steps]


WAIT, END = (
    "wait for namespace stuck: its controller, 60 s at most",
    "finalize namespace stuck: if its controller has not, and only when nothing is left",
)
NAMED = Wanted(object_finalizers=("example.com/*",))
OWN = Wanted(namespace_finalizers=("example.com/foo", "a/*"))
FORCE = Wanted(force=True)
FORCED = "finalize namespace stuck: by force, orphaning "
REPAIR = "repair namespace stuck: put back the finalizer kubernetes, so that its content is deleted"
STEPS = [
    ("active", Wanted(), stuck(age=None), Cluster(), []),
    ("held, nothing named", Wanted(), stuck(HELD), Cluster(), []),
    ("held, another named", Wanted(object_finalizers=("other/*",)), stuck(HELD), Cluster(), []),
    (
        "held and named",
        NAMED,
        stuck(HELD, left("b", finalizers=["example.com/a", "example.com/b"])),
        Cluster(),
        ["clear configmaps in stuck: example.com/a, example.com/b, example.com/never from 2: guarded, b", WAIT, END],
    ),
    ("one of two named", NAMED, stuck(left("b", finalizers=["example.com/a", "other"])), Cluster(), []),
    (
        "foreign finalizer named",
        OWN,
        stuck(spec_finalizers=("example.com/foo",)),
        Cluster(),
        ["remove example.com/foo of namespace stuck: from spec.finalizers", WAIT],
    ),
    (
        "metadata finalizer named",
        OWN,
        stuck(spec_finalizers=(), metadata_finalizers=("a/b",)),
        Cluster(),
        ["remove a/b of namespace stuck: from metadata.finalizers", WAIT],
    ),
    ("foreign finalizer, force", FORCE, stuck(spec_finalizers=("example.com/foo",)), Cluster(), []),
    ("finalized while active", Wanted(), stuck(spec_finalizers=(), conditions=()), Cluster(), [REPAIR, WAIT, END]),
    ("finalized while active, force", FORCE, stuck(spec_finalizers=(), conditions=()), Cluster(), [REPAIR, WAIT, END]),
    ("nothing left, no controller", Wanted(), stuck(), Cluster(), [WAIT, END]),
    ("content, no controller", Wanted(), stuck(left("x", deleting=False), conditions=()), Cluster(), []),
    ("dead API", Wanted(), stuck(), Cluster(unread=DEAD), []),
    (
        "dead API, force",
        FORCE,
        stuck(),
        Cluster(unread=DEAD),
        [
            WAIT,
            FORCED + "nothing that can be listed; what else is left cannot be known",
        ],
    ),
    (
        "content, force",
        FORCE,
        stuck(HELD, left("rb", BINDINGS, deleting=False), conditions=()),
        Cluster(),
        [
            WAIT,
            FORCED + "configmaps/guarded, rolebindings.rbac.authorization.k8s.io/rb",
        ],
    ),
    (
        "content that a controller is about to delete, force",
        FORCE,
        stuck(left("x", deleting=False), age=120.0),
        Cluster(),
        [WAIT, END],
    ),
    (
        "content that no controller deletes, force",
        FORCE,
        stuck(left("x", deleting=False)),
        Cluster(),
        [WAIT, FORCED + "configmaps/x"],
    ),
    (
        "a kind that a conversion webhook makes unreadable, force",
        FORCE,
        stuck(unread=(Unread("gears.x", 500, "conversion webhook for x/v1, Kind=Gear failed: y"),)),
        Cluster(),
        [WAIT, FORCED + "nothing that can be listed; what else is left cannot be known"],
    ),
    ("forbidden, force", FORCE, stuck(unread=(Unread("secrets", 403, "no"),)), Cluster(), []),
    (
        "young",
        Wanted(),
        stuck(HELD, age=12.0),
        Cluster(),
        ["leave namespace stuck: to its controllers until it was deleted 60 s ago, now 12 s"],
    ),
]


@pytest.mark.parametrize(
    ("wanted", "namespace", "cluster", "expected"), [one[1:] for one in STEPS], ids=[one[0] for one in STEPS]
)
def test_steps(wanted, namespace, cluster, expected):
    assert steps(wanted, namespace, cluster) == expected
    one = diagnose(namespace, cluster)
    assert bool(blocked(wanted, one)) == (namespace.terminating and not steps_for(wanted, one, young=False))


def test_force_says_what_it_leaves_behind():
    namespace = stuck(left("rb", BINDINGS, deleting=False), left("dbpass", SECRETS, deleting=False), conditions=())
    result = plan(FORCE, State(found=(diagnose(namespace, Cluster()),)))
    assert [one.name for one in orphaned(result.steps)] == ["rb", "dbpass"]
    (warning,) = result.warnings
    assert "RoleBinding rb, Secret dbpass" in warning
    assert "orphans_removed" in warning


def test_an_active_namespace_that_was_named_is_refused():
    state = State(found=(diagnose(stuck(age=None), Cluster()),))
    with pytest.raises(ReconcileError, match="Active, and never finalized: stuck"):
        plan(Wanted(Selection(("stuck",))), state)
    assert not plan(Wanted(Selection(("st*",))), state).steps


def test_orphans_are_removed_by_way_of_a_new_namespace():
    objects = (left("a", finalizers=["example.com/x"]), left("rb", BINDINGS, deleting=False))
    labels = "configmaps/a, rolebindings.rbac.authorization.k8s.io/rb"
    result = plan(NAMED, State(orphans=(("gone", objects),)))
    assert [str(step) for step in result.steps] == [
        f"recreate namespace gone: to delete with it 2 orphans: {labels}",
        "delete namespace gone",
        "clear objects in gone: example.com/x from what is held by it",
        "wait for namespace gone: its controller, 60 s at most",
    ]
    assert "RoleBinding rb work again" in result.warnings[0]


NAMES = st.sampled_from(["example.com/a", "example.com/b", "other.io/c"])
OBJECTS = st.lists(
    st.builds(
        left,
        st.sampled_from(["x", "y", "z"]),
        st.sampled_from([PODS, MAPS, SECRETS]),
        st.lists(NAMES, max_size=2, unique=True),
        st.booleans(),
    ),
    max_size=4,
    unique_by=lambda one: one.uid,
)
NAMESPACES = st.builds(
    lambda objects, age, spec, metadata, conditions: stuck(
        *objects, age=age, spec_finalizers=tuple(spec), metadata_finalizers=tuple(metadata), conditions=conditions
    ),
    OBJECTS,
    st.sampled_from([1.0, 45.0, 1000.0]),
    st.lists(st.sampled_from(["kubernetes", "example.com/a"]), max_size=2, unique=True),
    st.lists(NAMES, max_size=1),
    st.sampled_from([(), CALM]),
)
PERMITTED = st.builds(
    lambda some, own, force: Wanted(object_finalizers=tuple(some), namespace_finalizers=tuple(own), force=force),
    st.lists(NAMES, max_size=2),
    st.lists(NAMES, max_size=2),
    st.booleans(),
)


@settings(derandomize=True)
@given(NAMESPACES, PERMITTED, st.booleans())
def test_nothing_is_orphaned_without_force_and_nothing_unnamed_is_touched(namespace, wanted, dead):
    one = diagnose(namespace, Cluster(unread=DEAD if dead else ()))
    result = plan(wanted, State(found=(one,)))
    kinds = [step.data.kind for step in result.steps]
    if not wanted.force:
        assert not orphaned(result.steps)
        assert "force" not in kinds
        assert not (dead and "finalize" in kinds and "leave" not in kinds and "kubernetes" in namespace.spec_finalizers)
    for step in result.steps:
        if step.data.kind == "clear":
            assert set(step.data.finalizers) <= set(wanted.object_finalizers)
            assert all(item.deleting for item in step.data.objects)
        if step.data.kind in ("spec", "metadata"):
            assert set(step.data.finalizers) <= set(wanted.namespace_finalizers)
    order = ["leave", "repair", "clear", "metadata", "spec", "await", "finalize", "force"]
    assert kinds == sorted(kinds, key=order.index)
    # What is gone needs nothing more.
    assert not plan(wanted, State(absent=("stuck",))).steps
    assert (result.before == result.after) == (not result.steps)


def test_discovery_of_old_and_new_servers_tells_the_same():
    old = discovery.resources(
        {
            "groupVersion": "apps/v1",
            "resources": [
                {"name": "deployments", "kind": "Deployment", "namespaced": True, "verbs": ["list", "delete"]},
                {"name": "deployments/scale", "kind": "Scale", "namespaced": True, "verbs": ["get"]},
            ],
        }
    )
    described = {"resource": "deployments", "responseKind": {"kind": "Deployment"}, "scope": "Namespaced"}
    new, unread = discovery.aggregated(
        {
            "items": [
                {
                    "metadata": {"name": "apps"},
                    "versions": [{"version": "v1", "resources": [dict(described, verbs=["list", "delete"])]}],
                },
                {"metadata": {"name": "metrics.k8s.io"}, "versions": [{"version": "v1beta1", "freshness": "Stale"}]},
            ]
        }
    )
    assert old == new
    assert [one.what for one in unread] == ["metrics.k8s.io/v1beta1"]
    metrics = Resource("metrics.k8s.io", "v1", "pods", "PodMetrics", True, ("get", "list"))
    older = new[0]._replace(version="v1beta1")
    assert discovery.content([*new, older, metrics]) == tuple(new), "one version of each, and only what can be deleted"
    groups = [
        {
            "versions": [{"groupVersion": "b/v1beta1"}, {"groupVersion": "b/v1"}],
            "preferredVersion": {"groupVersion": "b/v1"},
        }
    ]
    assert discovery.group_versions({"groups": groups}) == ["b/v1", "b/v1beta1"]


def test_which_namespaces_are_meant():
    found = [
        Namespace("live"),
        Namespace("dev-1", age=100.0),
        Namespace("dev-2", age=10.0),
        Namespace("dev-live"),
        Namespace("other", age=100.0),
    ]

    def meant(*names):
        return [one.name for one in read.chosen(Selection(names), found)]

    assert meant() == ["dev-1", "other"]
    assert meant("dev-*") == ["dev-1"]
    assert meant("dev-2", "live") == ["live", "dev-2"]


PARAMS = {
    "name": None,
    "label_selectors": None,
    "min_age": 60.0,
    "parallelism": 8,
    "state": "finalized",
    "object_finalizers": [],
    "namespace_finalizers": [],
    "force": False,
    "timeout": 60.0,
}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": []}, "name: the list is empty"),
        ({"name": ["dev-*", "a/pods"]}, "name: 'a/pods' is no name of a namespace"),
        ({"name": [".."]}, "is no name of a namespace"),
        ({"name": ["x\n"]}, "is no name of a namespace"),
        ({"min_age": -1.0}, "min_age: -1 is too small"),
        ({"parallelism": 0}, "parallelism: 0 is too small"),
        ({"timeout": -1.0}, "timeout: -1"),
        ({"namespace_finalizers": ["kubernetes"]}, "'kubernetes' stands for the content"),
        ({"state": "orphans_removed", "force": True}, "force: there is nothing"),
        ({"state": "orphans_removed", "label_selectors": ["a=b"]}, "label_selectors: namespaces that are gone"),
    ],
)
def test_options_that_make_no_sense(options, message):
    with pytest.raises(ReconcileError, match=message):
        declare.wanted({**PARAMS, **options})
