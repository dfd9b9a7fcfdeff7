# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``k8s_ns_finalize`` and its info module on a real API server, every way in which a namespace gets stuck."""

import contextlib
import json
import threading
import time

import pytest
import yaml

from lab import control_plane
from tests.integration import modules, playbooks
from tests.integration.clusters.conftest import HELD, NAMESPACES, ROLES, Answer, custom

SERVICE = {"namespace": "default", "name": "gone"}


@pytest.fixture(scope="module")
def zoo(cluster):
    """Namespaces that are stuck in different ways, deleted together because the controller takes its time."""
    widgets = custom(cluster, "example.com", "Widget")
    for name in ("held", "held2", "unnamed", "tags"):
        cluster.namespace(name, labels={"zoo": "yes"}, annotations={"note": name})
        cluster.add(name, "guarded", [HELD])
    cluster.add("held", "w1", [HELD], widgets, "/apis/example.com/v1", apiVersion="example.com/v1", kind="Widget")
    cluster.pod("held", finalizers=[HELD])
    cluster.add("unnamed", "other", ["other.io/x"])
    cluster.add("tags", "both", [HELD, "other.io/x"])
    cluster.namespace("spec", ["example.com/foo"])
    cluster.namespace("metadata", finalizers=["example.com/meta"], labels={"kept": "yes"})
    cluster.namespace("early")
    cluster.add("early")
    cluster.add("early", "secret", resource="secrets")
    cluster.finalize("early", [])
    cluster.namespace("active")
    names = ["held", "held2", "unnamed", "tags", "spec", "metadata", "early"]
    for name in names:
        cluster.delete(name)
    cluster.seen(*[name for name in names if name != "early"])
    return cluster


def test_verdicts_and_every_object(zoo):
    assert zoo.verdicts() == {
        "early": "finalized_while_active",
        "held": "object_finalizers",
        "held2": "object_finalizers",
        "metadata": "metadata_finalizers",
        "spec": "spec_finalizers",
        "tags": "object_finalizers",
        "unnamed": "object_finalizers",
    }
    found = zoo.info(name=["held", "active", "nothing"])["namespaces"]
    assert [one["verdict"] for one in found] == ["active", "object_finalizers", "absent"]
    objects = {(one["resource"], one["name"]): one["finalizers"] for one in found[1]["objects"] if one["finalizers"]}
    assert objects == {("configmaps", "guarded"): [HELD], ("pods", "p"): [HELD], ("widgets", "w1"): [HELD]}
    assert all(one["deleting"] for one in found[1]["objects"])
    labelled = zoo.verdicts(label_selectors=["zoo=yes"])
    assert sorted(labelled) == ["held", "held2", "tags", "unnamed"]
    assert zoo.verdicts(min_age=10_000) == {}
    assert sorted(zoo.verdicts(name=["hel*"])) == ["held", "held2"]


def test_an_active_namespace_is_refused(zoo):
    before = zoo.ask("GET", f"{NAMESPACES}/active")
    for options in ({}, {"force": True}):
        result = zoo.free(name=["active", "held2"], object_finalizers=[HELD], **options)
        assert result["failed"]
        assert result["active"] == ["active"]
    assert zoo.ask("GET", f"{NAMESPACES}/active") == before
    assert zoo.exists(f"{NAMESPACES}/held2")


def test_named_object_finalizers(zoo):
    applied = zoo.beats("held", object_finalizers=["example.com/*"])
    assert sorted(one["kind"] for one in applied["outcomes"]["held"]["cleared"]) == ["ConfigMap", "Pod", "Widget"]
    assert [step.split(":")[0] for step in applied["steps"][:3]] == [
        "clear configmaps in held",
        "clear pods in held",
        "clear widgets.example.com in held",
    ]


def test_what_is_not_named_stays_and_the_others_go(zoo):
    kept = zoo.ask("GET", "/api/v1/namespaces/unnamed/configmaps/other")["metadata"]["finalizers"]
    result = zoo.free(name=["unnamed", "tags", "held2"], object_finalizers=[HELD])
    assert result["failed"]
    assert result["msg"].startswith("2 namespaces stay:\ntags: ")
    assert "configmaps/other (other.io/x)" in result["msg"]
    assert zoo.keys("held2") == []
    assert zoo.ask("GET", "/api/v1/namespaces/unnamed/configmaps/other")["metadata"]["finalizers"] == kept
    assert zoo.ask("GET", f"{NAMESPACES}/tags")["metadata"]["annotations"]["note"] == "tags"
    zoo.beats("unnamed", "tags", object_finalizers=[HELD, "other.io/x"])


def test_finalizers_of_the_namespace_itself(zoo):
    result = zoo.free(name=["metadata"], namespace_finalizers=["something/else"])
    assert result["failed"]
    assert zoo.ask("GET", f"{NAMESPACES}/metadata")["metadata"]["labels"]["kept"] == "yes"
    applied = zoo.beats("spec", "metadata", namespace_finalizers=["example.com/*"])
    assert "remove example.com/foo of namespace spec: from spec.finalizers" in applied["steps"]
    assert "remove example.com/meta of namespace metadata: from metadata.finalizers" in applied["steps"]


def test_finalized_while_active_is_repaired(zoo):
    applied = zoo.beats("early")
    assert applied["steps"][0].startswith("repair namespace early")
    assert applied["orphans"] == []


def test_labels_and_annotations_survive_the_subresource(cluster):
    kept = {"labels": {"team": "a"}, "annotations": {"example.com/note": "x"}}
    cluster.namespace("kept", **kept)
    cluster.add("kept", "c", [HELD])
    cluster.finalize("kept", [])
    cluster.delete("kept")
    assert cluster.free(name=["kept"], timeout=1)["failed"], "an object is held"
    after = cluster.ask("GET", f"{NAMESPACES}/kept")
    assert after["spec"]["finalizers"] == ["kubernetes"], "it was sent to /finalize"
    assert {name: {**after["metadata"][name], **given} for name, given in kept.items()} == {
        name: after["metadata"][name] for name in kept
    }
    held = f"{NAMESPACES}/kept/configmaps/c"
    cluster.wait_for("its deletion", lambda: "deletionTimestamp" in cluster.ask("GET", held)["metadata"])
    cluster.seen("kept")
    cluster.beats("kept", object_finalizers=[HELD])


def test_a_young_namespace_is_left_to_its_controllers(cluster):
    cluster.namespace("young")
    cluster.add("young")
    cluster.delete("young")
    applied = cluster.free(name=["young"], min_age=30)
    assert not applied["failed"], applied["msg"]
    assert applied["steps"][0].startswith("leave namespace young")
    assert cluster.keys("young") == []


def test_roles_are_exactly_what_is_needed(cluster):
    roles = {one["metadata"]["name"]: one for one in yaml.safe_load(ROLES.read_text())["items"]}
    place = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
    for role in roles.values():
        cluster.ask("POST", place, role)
    for user, role in (("reader", "diagnose"), ("freer", "finalize"), ("remover", "finalize"), ("remover", "orphans")):
        bind(cluster, user, f"hostcraft-ns-{role}")
    for name in ("least", "fewer"):
        cluster.namespace(name, finalizers=["example.com/meta"])
        cluster.add(name, "c", [HELD])
        cluster.delete(name)
    cluster.seen("least", "fewer")
    named = {"object_finalizers": [HELD], "namespace_finalizers": ["example.com/*"]}
    assert cluster.verdicts(name=["least"], impersonate_user="reader") == {"least": "object_finalizers"}
    namespaces, everything = roles["hostcraft-ns-diagnose"]["rules"]
    for name, rules, verb, said in (
        ("blind", [everything], "list", 'Not permitted: "get namespaces"'),
        ("deaf", [namespaces], "get", 'Grant the verb "list"'),
    ):
        cluster.ask("POST", place, {"metadata": {"name": name}, "rules": rules})
        bind(cluster, name, name, verb)
        found = cluster.info(name=["least"], impersonate_user=name)
        assert said in (found["msg"] if found["failed"] else found["namespaces"][0]["remedy"])
    # One verb fewer each time; "" means in every rule.
    for resource, verb, said in (
        ("namespaces/finalize", "update", "update namespaces/finalize"),
        ("*", "patch", "patch configmaps"),
        ("*", "list", 'Grant the verb "list"'),
        ("", "get", "get namespaces"),
        ("", "patch", "patch namespaces"),
    ):
        rules = [
            dict(
                rule, verbs=[one for one in rule["verbs"] if one != verb or resource not in ("", rule["resources"][0])]
            )
            for rule in roles["hostcraft-ns-finalize"]["rules"]
        ]
        kinds = {"": "all", "*": "any"}.get(resource, resource.replace("/", "-"))
        name = f"lacks-{verb}-{kinds}"
        cluster.ask("POST", place, {"metadata": {"name": name}, "rules": [rule for rule in rules if rule["verbs"]]})
        bind(cluster, name, name)
        before = cluster.keys("fewer")
        for check in (True, False):
            result = cluster.free(check, name=["fewer"], impersonate_user=name, **named)
            assert result["failed"]
            assert said in result["msg"], result["msg"]
        assert cluster.keys("fewer") == before
        assert cluster.ask("GET", "/api/v1/namespaces/fewer/configmaps/c")["metadata"]["finalizers"] == [HELD]
    cluster.beats("least", impersonate_user="freer", **named)
    cluster.beats("fewer", **named)
    orphan(cluster, "lost")
    lost = {"state": "orphans_removed", "name": ["lost"], "object_finalizers": [HELD]}
    refused = cluster.free(impersonate_user="freer", **lost)
    assert refused["missing_permissions"] == ["create namespaces", "delete namespaces"]
    for verb, other in (("create", "delete"), ("delete", "create")):
        rule = dict(roles["hostcraft-ns-orphans"]["rules"][0], verbs=[other])
        cluster.ask("POST", place, {"metadata": {"name": f"only-{other}"}, "rules": [rule]})
        bind(cluster, f"lacks-{verb}", f"only-{other}", other)
        bind(cluster, f"lacks-{verb}", "hostcraft-ns-finalize")
        refused = cluster.free(impersonate_user=f"lacks-{verb}", **lost)
        assert refused["missing_permissions"] == [f"{verb} namespaces"]
    removed = cluster.free(state="orphans_removed", name=["lost"], impersonate_user="remover", object_finalizers=[HELD])
    assert not removed["failed"], removed["msg"]
    assert cluster.keys("lost") == []


def bind(cluster, user, role, verb="list"):
    """Give a user a ClusterRole, and wait until the server knows, by a verb on namespaces that it grants."""
    subject = {"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}
    reference = {"kind": "ClusterRole", "name": role, "apiGroup": "rbac.authorization.k8s.io"}
    body = {"metadata": {"name": f"{user}-{role}"}, "subjects": [subject], "roleRef": reference}
    cluster.ask("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", body)
    review = {"spec": {"user": user, "resourceAttributes": {"verb": verb, "resource": "namespaces"}}}
    cluster.wait_for(
        f"rights of {user}",
        lambda: cluster.ask("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)["status"]["allowed"],
    )


def orphan(cluster, name):
    """Leave objects behind as the recipe of many pages does."""
    cluster.namespace(name)
    cluster.add(name, "guarded", [HELD])
    cluster.add(name, "dbpass", resource="secrets")
    binding = {"roleRef": {"kind": "Role", "name": "r", "apiGroup": "rbac.authorization.k8s.io"}}
    cluster.add(name, "rb", resource="rolebindings", prefix="/apis/rbac.authorization.k8s.io/v1", **binding)
    cluster.finalize(name, [])
    cluster.delete(name)
    cluster.delete(name)
    assert cluster.exists(f"{NAMESPACES}/{name}") is None


def test_orphans_are_found_and_removed(cluster):
    orphan(cluster, "ghost")
    cluster.namespace("ghost-lives")
    cluster.add("ghost-lives")
    found = cluster.info(orphans=True, name=["ghost*"])["orphans"]
    assert [(one["namespace"], one["kind"], one["name"]) for one in found] == [
        ("ghost", "ConfigMap", "guarded"),
        ("ghost", "RoleBinding", "rb"),
        ("ghost", "Secret", "dbpass"),
    ]
    options = {"state": "orphans_removed", "name": ["ghost"], "object_finalizers": [HELD]}
    before = cluster.keys("ghost")
    predicted = cluster.free(check=True, **options)
    assert cluster.keys("ghost") == before
    applied = cluster.free(**options)
    assert not applied["failed"], applied["msg"]
    assert applied["steps"] == predicted["steps"]
    assert any("RoleBinding rb" in one for one in applied["warnings"])
    assert cluster.keys("ghost") == []
    assert cluster.free(**options)["changed"] is False
    assert cluster.exists("/api/v1/namespaces/ghost-lives/configmaps/c")


def test_deleted_and_made_again_meanwhile(cluster):
    cluster.namespace("again")
    cluster.add("again", "c", [HELD])
    cluster.delete("again")
    cluster.seen("again")
    run = modules.start("k8s_ns_finalize", kubeconfig=cluster.kubeconfig, name=["again"], min_age=30, timeout=20)
    time.sleep(4.0)  # so that it has found the object that holds the namespace
    cluster.ask(
        "PATCH",
        "/api/v1/namespaces/again/configmaps/c",
        {"metadata": {"finalizers": None}},
        "application/merge-patch+json",
    )
    cluster.wait_for("again gone", lambda: cluster.exists(f"{NAMESPACES}/again") is None)
    cluster.namespace("again")
    cluster.add("again", "new", [HELD])
    result = modules.result(run)
    assert not result["failed"], result["msg"]
    assert cluster.ask("GET", f"{NAMESPACES}/again")["status"]["phase"] == "Active"
    assert cluster.exists("/api/v1/namespaces/again/configmaps/new")["metadata"]["finalizers"] == [HELD]


def test_many_objects_page_by_page_and_a_server_that_is_restarted_half_way(cluster):
    cluster.namespace("many")
    threads = [threading.Thread(target=fill, args=(cluster, "many", part, 1250)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cluster.delete("many")
    cluster.seen("many")
    found = cluster.info(name=["many"])["namespaces"][0]
    assert len({one["name"] for one in found["objects"]}) == 5000
    run = modules.start(
        "k8s_ns_finalize",
        kubeconfig=cluster.kubeconfig,
        name=["many"],
        min_age=0,
        timeout=60,
        object_finalizers=[HELD],
    )
    cluster.wait_for("some are cleared", lambda: len(cluster.keys("many")) < 4500)
    control_plane.stop("apiserver")
    control_plane.start("apiserver")
    result = modules.result(run, 240)
    assert not result["failed"], result["msg"]
    assert cluster.keys("many") == []


def fill(cluster, namespace, part, count):
    """Make ConfigMaps that are held, over a connection of its own."""
    own = type(cluster).__new__(type(cluster))
    own.__dict__.update(cluster.__dict__, _connection=None)
    for number in range(count):
        own.add(namespace, f"c{part}-{number:04d}", [HELD])


@contextlib.contextmanager
def removed_afterwards(cluster, path):
    """Remove an object at the end, so that it does not hold up every other namespace."""
    try:
        yield
    finally:
        with contextlib.suppress(Answer):
            cluster.ask("DELETE", path)


def test_a_dead_api_service(cluster):
    place = "/apis/apiregistration.k8s.io/v1/apiservices"
    name = "v1beta1.metrics.k8s.io"
    spec = {"group": "metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100}
    with removed_afterwards(cluster, f"{place}/{name}"):
        cluster.ask("POST", place, {"metadata": {"name": name}, "spec": {**spec, "service": SERVICE}})
        cluster.wait_for("unavailable", lambda: cluster.ask("GET", f"{place}/{name}")["status"].get("conditions"))
        cluster.namespace("discovery")
        cluster.add("discovery")
        cluster.delete("discovery")
        cluster.seen("discovery")
        found = cluster.info(name=["discovery"])["namespaces"][0]
        assert found["verdict"] == "discovery_failure"
        assert "default/gone" in found["reason"]
        assert f"kubectl delete apiservice {name}" in found["remedy"]
        assert cluster.free(name=["discovery"], timeout=0)["failed"]
        assert cluster.exists(f"{NAMESPACES}/discovery")
        forced = cluster.free(name=["discovery"], timeout=0, force=True)
        assert not forced["failed"], forced["msg"]
        assert "cannot be known" in forced["steps"][-1]
        cluster.namespace("later")
        cluster.delete("later")
        cluster.seen("later")
    cluster.wait_for("the API is forgotten", lambda: not fails_to_list(cluster, "/apis/metrics.k8s.io/v1beta1"))
    # Repaired: nothing is left, and the controller, which is in its back-off, is not waited for.
    assert not cluster.free(name=["later"], timeout=0)["failed"]
    assert cluster.keys("later") == []


def test_a_dead_webhook(cluster):
    place = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
    rule = {"operations": ["DELETE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}
    webhook = {
        "name": "dead.example.com",
        "clientConfig": {"service": SERVICE},
        "rules": [rule],
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 1,
    }
    cluster.namespace("webhook")
    cluster.add("webhook")
    with removed_afterwards(cluster, f"{place}/dead"):
        cluster.ask("POST", place, {"metadata": {"name": "dead"}, "webhooks": [webhook]})
        cluster.wait_for("webhook works", lambda: refuses(cluster, "/api/v1/namespaces/webhook/configmaps/c"))
        cluster.delete("webhook")
        cluster.seen("webhook")
        found = cluster.info(name=["webhook"])["namespaces"][0]
        assert found["verdict"] == "content_failure"
        assert "kubectl delete validatingwebhookconfiguration dead" in found["remedy"]
        assert "default/gone" in found["remedy"]
        assert [one["name"] for one in found["objects"]] == ["c"]
        assert cluster.free(name=["webhook"])["failed"]
    cluster.wait_for("webhook gone", lambda: not cluster.keys("webhook"), 120)


def refuses(cluster, path):
    """Tell whether a deletion would be refused."""
    try:
        cluster.ask("DELETE", f"{path}?dryRun=All")
    except Answer as error:
        return error.status == 500
    return False


def test_a_dead_conversion_webhook(cluster):
    client = {"clientConfig": {"service": {**SERVICE, "path": "/convert"}}, "conversionReviewVersions": ["v1"]}
    definition = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gears.conv.example.com"
    with removed_afterwards(cluster, definition):
        gears = custom(cluster, "conv.example.com", "Gear", {"strategy": "None"})
        cluster.namespace("conversion")
        cluster.add(
            "conversion", "g", (), gears, "/apis/conv.example.com/v2", apiVersion="conv.example.com/v2", kind="Gear"
        )
        webhook = {"spec": {"conversion": {"strategy": "Webhook", "webhook": client}}}
        cluster.ask("PATCH", definition, webhook, "application/merge-patch+json")
        cluster.wait_for("conversion fails", lambda: fails_to_list(cluster, "/apis/conv.example.com/v2/gears"))
        cluster.delete("conversion")
        cluster.seen("conversion")
        found = cluster.info(name=["conversion"])["namespaces"][0]
        assert found["verdict"] == "content_failure", found
        assert "gears.conv.example.com to None" in found["remedy"]
        assert cluster.free(name=["conversion"])["failed"]
        assert cluster.exists(f"{NAMESPACES}/conversion")
        repaired = {"spec": {"conversion": {"strategy": "None", "webhook": None}}}
        cluster.ask("PATCH", definition, repaired, "application/merge-patch+json")
        cluster.wait_for("conversion gone", lambda: not cluster.keys("conversion"), 120)


def fails_to_list(cluster, path):
    """Tell whether a path answers with a server error."""
    try:
        cluster.ask("GET", path)
    except Answer as error:
        return error.status >= 500
    return False


def test_without_a_controller_and_by_force(cluster):
    control_plane.stop("controllers")
    try:
        for name in ("forced", "empty", "waits"):
            cluster.namespace(name)
        for name in ("forced", "waits"):
            cluster.add(name, "dbpass", resource="secrets")
        for name in ("forced", "empty", "waits"):
            cluster.delete(name)
        # A namespace that nobody has looked at for so long is one that nobody looks at.
        cluster.wait_for("verdict", lambda: "in_progress" not in cluster.verdicts().values(), 60)
        assert cluster.verdicts(name=["forced", "empty"]) == {
            "forced": "controller_not_running",
            "empty": "controller_not_running",
        }
        refused = cluster.free(name=["waits"], timeout=1)
        assert "Start kube-controller-manager" in refused["msg"]
        assert cluster.keys("waits")
        cluster.beats("empty", timeout=1)
        predicted = cluster.free(check=True, name=["forced"], force=True, timeout=1)
        forced = cluster.free(name=["forced"], force=True, timeout=1)
        assert forced["steps"] == predicted["steps"]
        assert "orphaning secrets/dbpass" in forced["steps"][-1]
        assert [(one["namespace"], one["name"]) for one in forced["orphans"]] == [("forced", "dbpass")]
        assert any("Secret dbpass" in one for one in forced["warnings"])
        assert cluster.keys("forced") == ["/registry/secrets/forced/dbpass"]
    finally:
        control_plane.start("controllers")
    assert not cluster.free(state="orphans_removed", name=["forced"])["failed"]
    assert cluster.keys("forced") == []
    cluster.wait_for("waits gone", lambda: not cluster.keys("waits"), 120)


def test_the_playbook_says_why_and_frees_what_it_may(cluster):
    cluster.namespace("played")
    cluster.add("played", "c", [HELD])
    cluster.delete("played")
    cluster.seen("played")
    variables = {"namespaces": ["played"], "min_age": 0, "object_finalizers": [HELD]}
    reported = playbook(cluster, {**variables, "report_only": True})
    assert "object_finalizers: Finalizers hold 1 object of played: configmaps/c" in reported
    assert cluster.keys("played")
    playbook(cluster, variables)
    assert cluster.keys("played") == []


def playbook(cluster, variables):
    """Run the playbook as a user does, and return its output."""
    given = ["hostcraft.linux.free_namespaces", "-e", json.dumps(variables)]
    status, said = playbooks.play(*given, timeout=60, K8S_AUTH_KUBECONFIG=cluster.kubeconfig)
    assert status == 0, said
    return said


def test_client_certificates_wrong_tokens_and_wrong_authorities(cluster, tmp_path):
    assert cluster.info(context="certificate", name=["active-or-not"])["namespaces"][0]["verdict"] == "absent"
    refused = cluster.info(context="alice", name=["default"])
    assert 'Not permitted: "get namespaces"' in refused["msg"]
    refused = cluster.info(api_key="wrong", host=cluster.url, validate_certs=False, name=["default"])
    assert "does not take the credentials" in refused["msg"]
    refused = modules.module("k8s_ns_finalize_info", host=cluster.url, api_key=cluster.token, name=["default"])
    assert "cannot be trusted" in refused["msg"]
