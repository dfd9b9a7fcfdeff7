# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole tasks against a small API server that behaves as newer releases do, and that fails in every way."""

import json
import os
import socket
import sys
import threading
import time
from contextlib import suppress

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import ReconcileError
from ansible_collections.hostcraft.linux.plugins.module_utils._k8s import arguments, declare, task
from ansible_collections.hostcraft.linux.plugins.module_utils._k8s.api import Api
from ansible_collections.hostcraft.linux.plugins.module_utils._k8s.auth import PLAIN, Access

sys.path.insert(0, os.path.dirname(__file__))
from fake_server import FakeServer, status

pytest.importorskip("kubernetes")

OPTIONS = {**arguments.AUTH["argument_spec"], **declare.SELECTION["argument_spec"], **declare.OPTIONS["argument_spec"]}
HELD = "example.com/never"


class Ended(Exception):
    """The task has ended by ``fail_json``."""


class Module:
    """What a task needs of AnsibleModule."""

    def __init__(self, server, check=False, **options):
        given = {"host": server.url, "api_key": "secret", "timeout": 30.0, "orphans": False, **options}
        self.params = {name: given.get(name, one.get("default")) for name, one in OPTIONS.items()}
        self.params["orphans"] = given["orphans"]
        self.check_mode, self.warnings = check, []

    def warn(self, text):
        self.warnings.append(text)

    def fail_json(self, msg, **details):
        raise Ended(msg, details)


@pytest.fixture
def server():
    one = FakeServer()
    yield one
    one.close()


def api(server, patience=5.0, **options):
    return Api(
        {**dict.fromkeys(arguments.AUTH["argument_spec"]), "host": server.url, "api_key": "secret", **options}, patience
    )


def free(server, check=False, **options):
    module = Module(server, check, **options)
    return dict(task.run(module), warnings=module.warnings)


def fails(server, check=False, **options):
    with pytest.raises(Ended) as caught:
        free(server, check, **options)
    return caught.value.args[0], caught.value.args[1]


def verdicts(server, **options):
    found = task.info(Module(server, **options))["namespaces"]
    return {one["name"]: one["verdict"] for one in found}


def lying(server):
    """The namespace of 1.33 and later whose conditions say that everything is gone."""
    calm = [("NamespaceContentRemaining", "False", "All content successfully removed")]
    server.namespace("ordered", 600, conditions=calm, labels={"a": "b"})
    server.add("pods", "ordered", "p", [HELD], deleting=True)
    for resource, name in (("secrets", "dbpass"), ("deployments", "web"), ("rolebindings", "rb")):
        server.add(resource, "ordered", name)


@pytest.mark.parametrize("aggregated", [True, False])
def test_conditions_that_lie_are_not_believed(server, aggregated):
    server.aggregated = aggregated
    lying(server)
    found = task.info(Module(server))["namespaces"][0]
    assert found["verdict"] == "pods_blocking"
    assert [one["name"] for one in found["objects"]] == ["web", "p", "rb", "dbpass"]
    assert found["objects"][1]["finalizers"] == [HELD]
    assert found["objects"][0]["deleting"] is False
    lists = [one for one in server.asked if one[1].startswith(("/api/v1/namespaces/ordered/", "/apis/"))]
    content = [headers["Accept"] for _method, path, _query, headers in lists if "/namespaces/ordered/" in path]
    assert len(content) == 5
    assert all(one.startswith("application/json;as=PartialObjectMetadataList") for one in content), "metadata only"


def test_ordered_deletion_goes_on_when_the_pods_finalizer_is_cleared(server):
    lying(server)
    server.objects[("secrets", "ordered", "dbpass")]["metadata"]["finalizers"] = [HELD]
    predicted = free(server, check=True, object_finalizers=["example.com/*"])
    assert len(server.objects) == 4, "check mode changes nothing"
    assert any("dryRun" in query for _method, _path, query, _headers in server.asked)
    applied = free(server, object_finalizers=["example.com/*"])
    assert applied["steps"] == predicted["steps"]
    assert applied["diff"] == predicted["diff"]
    assert not server.namespaces
    assert not server.objects, "the Secret that was held later is gone too"
    assert {one["name"] for one in applied["outcomes"]["ordered"]["cleared"]} == {"p", "dbpass"}
    again = free(server, object_finalizers=["example.com/*"])
    assert again["changed"] is False


def test_force_orphans_what_it_says_and_orphans_are_removed(server):
    lying(server)
    predicted = free(server, check=True, force=True, timeout=0.0)
    applied = free(server, force=True, timeout=0.0)
    assert applied["steps"] == predicted["steps"]
    assert "secrets/dbpass" in applied["steps"][-1]
    assert not server.namespaces
    assert sorted(one["name"] for one in applied["orphans"]) == ["dbpass", "p", "rb", "web"]
    assert predicted["orphans"] == applied["orphans"]
    assert any("RoleBinding rb" in text and "Secret dbpass" in text for text in applied["warnings"])
    found = task.info(Module(server, orphans=True))["orphans"]
    assert sorted((one["namespace"], one["name"]) for one in found) == [
        ("ordered", name) for name in ("dbpass", "p", "rb", "web")
    ]
    removed = free(server, state="orphans_removed", object_finalizers=[HELD])
    assert not server.objects
    assert not server.namespaces
    assert removed["steps"][0].startswith("recreate namespace ordered")
    assert free(server, state="orphans_removed")["changed"] is False


def slow(server):
    """A namespace whose controller has looked at it, and has not deleted anything yet."""
    calm = [("NamespaceContentRemaining", "False", "All content successfully removed")]
    server.controller = False
    server.namespace("slow", 120, conditions=calm)


def finalized_while_active(server):
    """A namespace that a controller cleans up as soon as that is its business again, but for what is held."""
    server.namespace("slow", 600, spec=())


@pytest.mark.parametrize(("make", "finalizers"), [(slow, []), (finalized_while_active, [HELD])])
def test_force_orphans_nothing_that_its_step_does_not_name(server, make, finalizers):
    make(server)
    server.add("secrets", "slow", "dbpass", finalizers)
    server.add("rolebindings", "slow", "rb", finalizers)
    predicted = free(server, check=True, force=True, timeout=0.2)
    assert predicted["steps"][-1].endswith("and only when nothing is left")
    assert predicted["orphans"] == []
    message, details = fails(server, force=True, timeout=0.2)
    assert details["steps"] == predicted["steps"]
    assert details["orphans"] == []
    assert "not finalized, since" in message
    assert "run the task again to have it named" in message
    assert server.namespaces["slow"]["spec"]["finalizers"] == ["kubernetes"]
    assert len(server.objects) == 2
    if finalizers:  # by now they are being deleted, and it is known what holds them
        named = free(server, force=True, timeout=0.2)
        assert "rolebindings.rbac.authorization.k8s.io/rb, secrets/dbpass" in named["steps"][-1]
        assert sorted(one["name"] for one in named["orphans"]) == ["dbpass", "rb"]
        assert any("RoleBinding rb" in text and "Secret dbpass" in text for text in named["warnings"])


@pytest.mark.parametrize("what", ["an object", "a list that fails"])
def test_force_ends_where_more_is_left_than_was_said(server, what):
    server.controller = False
    server.namespace("late", 600)
    server.add("configmaps", "late", "named")
    asked = []

    def turn_up(method, path, query):
        if method == "PUT" and not asked:
            asked.append(path)
            if what == "an object":
                server.add("secrets", "late", "dbpass")
        broken = asked and what == "a list that fails" and path.endswith("/secrets")
        return status(500, "boom") if broken else None

    server.scripts.append(turn_up)
    message, details = fails(server, force=True, timeout=0.2)
    assert ("boom" if what == "a list that fails" else "did not say that it orphans secrets/dbpass") in message
    assert details["orphans"] == []
    assert server.namespaces["late"]["spec"]["finalizers"] == ["kubernetes"]


def test_a_young_namespace_is_not_forced_further_than_was_said(server):
    """While it is young nobody can say yet that its controller is away."""
    server.controller = False
    server.namespace("young", 1)
    server.add("secrets", "young", "dbpass")
    options = {"name": ["young"], "min_age": 1.5, "force": True, "timeout": 0.2}
    assert free(server, check=True, **options)["orphans"] == []

    def grow_old(method, path, query):
        if method == "PUT" and "dryRun" in query:
            server.clock += 100.0

    server.scripts.append(grow_old)
    message, _details = fails(server, **options)
    assert "run the task again to have it named" in message
    assert server.namespaces["young"]["spec"]["finalizers"] == ["kubernetes"]


def test_a_namespace_of_orphans_that_somebody_else_makes_is_theirs(server):
    server.add("secrets", "gone", "dbpass")

    def overtaken(method, path, query):
        if method == "POST" and not query:
            server.scripts.clear()
            server.namespace("gone")
            return status(409, "already exists")
        return None

    server.scripts.append(overtaken)
    message, _details = fails(server, state="orphans_removed")
    assert "somebody else has made a namespace gone" in message
    assert "deletionTimestamp" not in server.namespaces["gone"]["metadata"]


@pytest.mark.parametrize("aggregated", [True, False])
def test_a_dead_group_is_named_and_nothing_is_finalized(server, aggregated):
    server.aggregated, server.dead = aggregated, ["metrics.k8s.io/v1beta1"]
    server.namespace("stuck", 600)
    available = {"type": "Available", "status": "False", "reason": "ServiceNotFound", "message": "not present"}
    server.services.append(
        {
            "metadata": {"name": "v1beta1.metrics.k8s.io"},
            "spec": {"group": "metrics.k8s.io", "version": "v1beta1", "service": {"namespace": "a", "name": "b"}},
            "status": {"conditions": [available]},
        }
    )
    message, details = fails(server, check=True)
    assert "kubectl delete apiservice v1beta1.metrics.k8s.io" in message
    assert details["namespaces"][0]["verdict"] == "discovery_failure"
    assert fails(server)[0] == message
    assert "stuck" in server.namespaces
    assert "cannot be known" in free(server, force=True, timeout=0.0)["steps"][-1]
    assert not server.namespaces


def test_labels_annotations_and_the_repair_of_what_was_finalized_while_active(server):
    server.controller = False
    kept = server.namespace("early", 600, spec=(), labels={"team": "a"})
    kept["metadata"]["annotations"] = {"note": "x"}
    server.add("configmaps", "early", "left")
    bodies = []

    def watching(method, path, query):
        if method == "PUT" and not query:
            server.controller = True
        if path.endswith("/early") and server.namespaces:
            bodies.append(server.namespaces["early"]["metadata"])

    server.scripts.append(watching)
    applied = free(server)
    assert applied["steps"][0].startswith("repair namespace early")
    assert not server.namespaces
    assert not server.objects
    assert all(one["labels"] == {"team": "a"} and one["annotations"] == {"note": "x"} for one in bodies)


def test_finalizers_of_the_namespace_itself(server):
    server.namespace("spec", 600, spec=["example.com/foo"], conditions=[("X", "False", "")])
    server.namespace("metadata", 600, spec=[], metadata=["example.com/meta"], conditions=[("X", "False", "")])
    message, _details = fails(server)
    assert "2 namespaces stay" in message
    applied = free(server, namespace_finalizers=["example.com/*"])
    assert [step.split(":")[0] for step in applied["steps"]] == [
        "remove example.com/meta of namespace metadata",
        "wait for namespace metadata",
        "remove example.com/foo of namespace spec",
        "wait for namespace spec",
    ]
    assert not server.namespaces


def test_one_that_stays_does_not_stop_the_others(server):
    server.namespace("held", 600)
    server.add("configmaps", "held", "c", ["other.io/x"], deleting=True)
    server.namespace("free", 600)
    server.add("configmaps", "free", "c", [HELD], deleting=True)
    message, details = fails(server, object_finalizers=[HELD])
    assert message.startswith("1 namespace stays:\nheld: Finalizers hold 1 object of held: configmaps/c (other.io/x)")
    assert details["changed"] is True
    assert list(server.namespaces) == ["held"]


def test_a_controller_that_is_away(server):
    server.controller = False
    server.namespace("empty", 600)
    server.namespace("full", 600)
    server.add("configmaps", "full", "c")
    message, _details = fails(server, timeout=0.2)
    assert "Start kube-controller-manager" in message
    assert list(server.namespaces) == ["full"], "nothing was left in the other one"


def broken(server, what):
    """Have a list or a group fail."""
    if what == "a dead group":
        server.dead = ["metrics.k8s.io/v1beta1"]
    else:
        answer = status({"a list": 500, "a list that is not found": 404}[what], "boom")
        server.scripts.append(lambda method, path, query: answer if path.endswith("/secrets") else None)


UNREAD = {"a dead group": "metrics.k8s.io/v1beta1", "a list": "secrets", "a list that is not found": "secrets"}


@pytest.mark.parametrize("what", list(UNREAD))
def test_orphans_that_cannot_be_looked_for_are_not_held_for_none(server, what):
    server.add("secrets", "ghost", "dbpass")
    server.add("configmaps", "ghost", "c")
    broken(server, what)
    module = Module(server, orphans=True)
    found = task.info(module)
    assert [one["what"] for one in found["unread"]] == [UNREAD[what]]
    assert any("There may be more orphans" in text and UNREAD[what] in text for text in module.warnings)
    assert "c" in [one["name"] for one in found["orphans"]]
    message, details = fails(server, state="orphans_removed")
    assert "Whether there are more orphans cannot be told" in message
    assert [one["what"] for one in details["unread"]] == [UNREAD[what]]
    assert (len(server.objects), server.namespaces) == (2, {})


def test_a_resource_that_goes_meanwhile_has_nothing_left(server):
    server.aggregated = server.controller = False
    server.namespace("x", 600)
    discovered = []

    def remove(method, path, query):
        """Forget the only resource of a group once it was discovered."""
        if path.startswith("/apis/apps"):
            discovered.append(path)
            return status(404, "not found") if len(discovered) > 1 else None
        return None

    server.scripts.append(remove)
    assert task.info(Module(server))["namespaces"][0]["unread"] == []
    assert discovered[:2] == ["/apis/apps/v1", "/apis/apps/v1/namespaces/x/deployments"]


@pytest.mark.parametrize("what", ["a group version that is not found", "a list that is not found"])
def test_not_found_is_no_proof_that_nothing_is_left(server, what):
    """A server of an API that answers everything with 404 is broken; its group is still announced."""
    server.aggregated = False
    server.controller = False
    server.namespace("stuck", 600)
    where = "/apis/apps/v1" + ("" if what.startswith("a group") else "/namespaces/stuck/deployments")
    server.scripts.append(lambda method, path, query: status(404, "no") if path == where else None)
    message, details = fails(server, timeout=0.2)
    assert details["namespaces"][0]["verdict"] in ("discovery_failure", "unlistable", "controller_not_running")
    assert "404: no" in message
    assert server.namespaces["stuck"]["spec"]["finalizers"] == ["kubernetes"]


def test_a_list_that_fails_confirms_no_deletion(server):
    server.controller = False
    server.namespace("held", 600)
    server.add("configmaps", "held", "c", [HELD], deleting=True)
    lists = []

    def fail(method, path, query):
        if any(asked[0] == "PATCH" and "dryRun" not in asked[2] for asked in server.asked):
            lists.extend([path] if path.endswith("/configmaps") else [])
            return status(403, "no") if path.endswith("/configmaps") and len(lists) < 3 else None
        return None

    server.scripts.append(fail)
    applied = free(server, object_finalizers=[HELD], timeout=1.0)
    assert applied["outcomes"]["held"]["gone"]
    assert len(lists) >= 3


def test_who_is_behind_a_failure_is_asked_for_and_missing_permissions_are_warned_of(server):
    server.dead = ["metrics.k8s.io/v1beta1"]
    server.namespace("stuck", 600)
    server.scripts.append(
        lambda method, path, query: status(403, "no") if path.startswith("/apis/apiregistration") else None
    )
    result = free(server, check=True, force=True, timeout=0.0)
    assert any("list apiservices.apiregistration.k8s.io" in text for text in result["warnings"])


@pytest.mark.parametrize("what", ["an object", "a dead group", "a list", "a list that is not found"])
def test_what_turns_up_before_the_end_is_not_orphaned(server, what):
    server.controller = False
    server.namespace("late", 600)

    def turn_up(method, path, query):
        if method == "PUT" and "dryRun" in query:
            if what == "an object":
                server.add("secrets", "late", "dbpass")
            else:
                broken(server, what)

    server.scripts.append(turn_up)
    message, _details = fails(server, timeout=0.2)
    assert "not finalized, since" in message
    assert server.namespaces["late"]["spec"]["finalizers"] == ["kubernetes"]


def test_a_young_namespace_is_left_to_its_controllers(server):
    server.controller = False
    server.namespace("young", 59)

    def clean(method, path, query):
        server.controller = len(server.asked) > 20

    server.scripts.append(clean)
    applied = free(server, name=["young"])
    assert applied["steps"][0].startswith("leave namespace young")
    assert not server.namespaces
    assert verdicts(server, name=["young"]) == {"young": "absent"}


def test_a_young_namespace_that_nobody_may_free_and_that_goes_by_itself(server):
    server.namespace("young", 50)
    server.add("configmaps", "young", "c", [HELD], deleting=True)
    looks = []

    def clear(method, path, query):
        """Clear it when the namespace was looked at again, which is while it is waited for."""
        looks.extend([path] if path.endswith("/namespaces/young") else [])
        if len(looks) == 3:
            for one in server.objects.values():
                one["metadata"]["finalizers"] = []

    server.scripts.append(clear)
    applied = free(server, name=["young"])
    assert (applied["outcomes"]["young"]["gone"], applied["outcomes"]["young"]["failed"]) == (True, False)


def test_deleted_and_made_again_meanwhile(server):
    server.controller = False
    server.namespace("again", 600)

    def replaced(method, path, query):
        if method == "PUT" and not query:
            server.scripts.clear()
            server.namespace("again")
            return status(409, "the UID in the precondition does not match")
        return None

    server.scripts.append(replaced)
    applied = free(server, timeout=0.0)
    assert applied["outcomes"]["again"]["gone"] is True
    assert server.namespaces["again"]["spec"]["finalizers"] == ["kubernetes"], "the new one is left alone"


def test_conflicts_are_tried_again_with_what_is_there_then(server):
    server.controller = False
    server.namespace("busy", 600)
    server.add("configmaps", "busy", "c", [HELD], deleting=True)
    touched = []

    def touch(method, path, query):
        if method in ("PUT", "PATCH") and not query and len(touched) < 4:
            touched.append(path)
            for one in [*server.namespaces.values(), *server.objects.values()]:
                one["metadata"]["resourceVersion"] = server._next()

    server.scripts.append(touch)
    free(server, object_finalizers=[HELD], timeout=0.5)
    assert len(touched) == 4
    assert not server.namespaces


def scripted(times, answer):
    """Return a script that answers so often instead of the server."""
    left = [times]

    def script(method, path, query):
        if left[0]:
            left[0] -= 1
            return answer
        return None

    return script


@pytest.mark.parametrize(
    "answer",
    [
        status(429, "too many requests", **{"Retry-After": "0"}),
        status(429, "too many requests"),
        status(500, "etcdserver: leader changed"),
        status(503, "apiserver not ready", **{"Retry-After": "0"}),
    ],
    ids=["429 with Retry-After", "429", "500", "503 with Retry-After"],
)
def test_what_passes_is_waited_for(server, answer):
    server.namespace("x")
    server.scripts.append(scripted(2, answer))
    assert api(server, 60.0).get("/api/v1/namespaces/x", "get namespaces")["metadata"]["name"] == "x"


def test_retry_after_is_obeyed(server):
    server.namespace("x")
    server.scripts.append(scripted(1, status(429, "slow down", **{"Retry-After": "1"})))
    began = time.monotonic()
    api(server).get("/api/v1/namespaces/x", "get namespaces")
    assert time.monotonic() - began >= 1.0
    server.scripts.append(scripted(1, status(429, "slow down", **{"Retry-After": "60"})))
    with pytest.raises(ReconcileError, match="too busy for get namespaces over 5 s"):
        api(server).get("/api/v1/namespaces/x", "get namespaces")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (status(401, "Unauthorized"), "does not take the credentials for get namespaces"),
        (status(403, 'User "x" cannot get namespaces'), 'Not permitted: "get namespaces".*User "x" cannot'),
        (status(404, "not found"), "Cannot get namespaces: .* answers 404: not found"),
        (status(409, "conflict"), "answers 409: conflict"),
        (status(410, "expired"), "answers 410: expired"),
        (status(500, "boom"), "answers 500: boom"),
        ((503, {"Content-Type": "text/plain"}, "service unavailable"), "answers 503: service unavailable"),
        (
            (200, {"Content-Type": "text/html"}, "<html>Log in</html>"),
            "text/html instead of JSON: '<html>Log in</html>'",
        ),
        ((200, {"Content-Type": "application/json"}, "[1]"), "no API object"),
        ((302, {"Location": "http://127.0.0.1:1/"}, ""), "instead of JSON|no API object|answers 302"),
    ],
    ids=["401", "403", "404", "409", "410", "500", "503 text", "html", "no object", "redirect"],
)
def test_what_does_not_pass_is_explained(server, answer, message):
    server.scripts.append(scripted(99, answer))
    with pytest.raises(ReconcileError, match=message):
        api(server).get("/api/v1/namespaces/x", "get namespaces")


def test_a_server_that_goes_away_while_a_connection_is_encrypted_is_away_and_not_distrusted():
    def give_up():
        with suppress(OSError):  # it is closed when the test has seen enough
            while True:
                accepted, _address = listening.accept()
                with accepted:
                    accepted.recv(1)
                    accepted.shutdown(socket.SHUT_WR)
                    while accepted.recv(4096):
                        pass

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=give_up, daemon=True).start()
        host = "https://127.0.0.1:{}".format(listening.getsockname()[1])
        one = Api({**dict.fromkeys(arguments.AUTH["argument_spec"]), "host": host, "api_key": "secret"}, 0.3)
        with pytest.raises(ReconcileError, match="does not answer: .*EOF"):
            one.get("/version", "see the version")


def test_nobody_answers():
    server = FakeServer()
    server.close()
    with pytest.raises(ReconcileError, match=r"does not answer: .* It was tried for 0.3 s"):
        api(server, patience=0.3).get("/api", "get")


def test_a_server_that_is_restarted_is_waited_for(server):
    server.namespace("x")
    one = api(server, 60.0)
    one.get("/api/v1/namespaces/x", "get namespaces")
    server.close()
    threading.Timer(0.5, lambda: server.open(server.port)).start()
    assert one.get("/api/v1/namespaces/x", "get namespaces")["metadata"]["name"] == "x"


def test_a_server_that_is_not_ready_yet_is_not_believed(server):
    """Just started it knows no custom resources, and whoever asks then would find nothing left."""
    server.controller = False
    server.namespace("stuck", 600)
    server.add("configmaps", "stuck", "c", [HELD], deleting=True)
    starting = [3]

    def start(method, path, query):
        if path == "/readyz" and starting[0]:
            starting[0] -= 1
            return 500, {"Content-Type": "text/plain"}, "[-]poststarthook/crd-informer-synced failed"
        if path.endswith("/configmaps") and starting[0]:
            return status(404, "the server could not find the requested resource")
        return None

    server.scripts.append(start)
    assert len(task.info(Module(server))["namespaces"][0]["objects"]) == 1
    server.scripts[:] = [lambda method, path, query: status(403, "no") if path == "/readyz" else None]
    assert len(task.info(Module(server))["namespaces"][0]["objects"]) == 1, "where readiness is not public"


def test_pages_and_an_expired_continue_token(server):
    server.namespace("many", 600)
    for number in range(1200):
        server.add("configmaps", "many", f"c{number}", [HELD], deleting=True)
    expired = []

    def expire(method, path, query):
        if query.get("continue") == "1000" and not expired:
            expired.append(path)
            return status(410, "The provided continue parameter is too old")
        return None

    server.scripts.append(expire)
    found = task.info(Module(server))["namespaces"][0]
    assert expired
    assert len({one["name"] for one in found["objects"]}) == len(found["objects"]) == 1200


def test_one_connection_is_kept(server):
    server.namespace("x")
    one = api(server)
    for _time in range(5):
        one.get("/api/v1/namespaces/x", "get namespaces")
    assert len(server._connections) == 1


def test_a_missing_permission_is_named_before_anything_is_changed(server):
    server.namespace("held", 600)
    server.add("configmaps", "held", "c", [HELD], deleting=True)

    def forbid(method, path, query):
        return status(403, f"cannot {method} {path}") if method in ("PATCH", "PUT") else None

    server.scripts.append(forbid)
    for check in (True, False):
        message, details = fails(server, check, object_finalizers=[HELD])
        assert details["missing_permissions"] == ["patch configmaps", "update namespaces/finalize"]
        assert message.startswith("Nothing was changed, since not permitted:")
    assert server.objects


def test_a_list_that_is_forbidden_is_a_verdict(server):
    server.controller = False
    server.namespace("stuck", 600)
    server.scripts.append(lambda method, path, query: status(403, "no") if path.endswith("/secrets") else None)
    assert verdicts(server) == {"stuck": "forbidden"}
    message, _details = fails(server, force=True)
    assert 'Grant the verb "list" on secrets' in message
    assert "stuck" in server.namespaces


def test_webhooks_that_refuse_are_met_by_check_mode(server):
    server.namespace("held", 600)
    server.add("configmaps", "held", "c", [HELD], deleting=True)
    answer = status(500, 'failed calling webhook "dead.example.com"')
    server.scripts.append(lambda method, path, query: answer if method == "PATCH" else None)
    for check in (True, False):
        message, _details = fails(server, check, object_finalizers=[HELD])
        assert "Cannot patch configmaps: " in message
        assert 'failed calling webhook "dead.example.com"' in message
    server.scripts[:] = [
        lambda method, path, query: (
            status(400, "admission webhook does not support dry run") if "dryRun" in query else None
        )
    ]
    assert any("does not support dry run" in text for text in free(server, object_finalizers=[HELD])["warnings"])


@pytest.mark.parametrize("kind", ["validating", "mutating"])
def test_the_webhook_that_denies_a_deletion_is_named_with_its_configuration(server, kind):
    server.controller = False
    denied = 'admission webhook "guard.example.com" denied the request: not now'
    server.namespace("stuck", 600, conditions=[("NamespaceDeletionContentFailure", "True", denied)])
    server.add("configmaps", "stuck", "c")
    webhook = {"name": "guard.example.com", "clientConfig": {"service": {"namespace": "a", "name": "b"}}}
    listed = {"items": [{"metadata": {"name": "guards"}, "webhooks": [webhook]}]}

    def configured(method, path, query):
        if not path.startswith(("/apis/admissionregistration", "/apis/apiextensions")):
            return None
        found = listed if path.endswith(f"/{kind}webhookconfigurations") else {"items": []}
        return 200, {"Content-Type": "application/json"}, json.dumps(found)

    server.scripts.append(configured)
    (one,) = task.info(Module(server))["namespaces"]
    assert one["verdict"] == "content_failure"
    assert "service a/b behind the webhook guard.example.com" in one["remedy"]
    assert f"kubectl delete {kind}webhookconfiguration guards" in one["remedy"]


def test_many_namespaces_are_listed_together(server):
    server.controller = False
    for number in range(30):
        server.namespace(f"n{number:02d}", 600)
        server.add("configmaps", f"n{number:02d}", "c", [HELD], deleting=True)
    result = task.info(Module(server))
    assert {one["verdict"] for one in result["namespaces"]} == {"controller_not_running"}
    assert all(len(one["objects"]) == 1 for one in result["namespaces"])
    assert result["requests"] < 20


def test_the_clock_of_the_server_counts(server):
    server.controller = False
    server.namespace("x", 600)
    assert server.clock < time.time()
    assert task.info(Module(server))["namespaces"][0]["age"] == 600


def test_kubeconfig_with_an_exec_plugin_whose_token_expires(server, tmp_path):
    server.namespace("x")
    counter = tmp_path / "count"
    plugin = tmp_path / "plugin"
    plugin.write_text(
        "#!/bin/sh\n"
        f"echo x >> {counter}; n=$(wc -l < {counter})\n"
        'echo "{\\"apiVersion\\":\\"client.authentication.k8s.io/v1\\",\\"kind\\":\\"ExecCredential\\",'
        '\\"status\\":{\\"token\\":\\"token-$n\\"}}"\n'
    )
    plugin.chmod(0o755)
    user = {
        "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin), "interactiveMode": "Never"}
    }
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "one",
        "contexts": [{"name": "one", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": server.url}}],
        "users": [{"name": "u", "user": user}],
    }
    refused = []

    def old_token(method, path, query):
        given = server.asked[-1][3].get("authorization")
        if given != "Bearer token-2":
            refused.append(given)
            return status(401, "Unauthorized")
        return None

    server.scripts.append(old_token)
    one = api(server, kubeconfig=config, host=None, api_key=None)
    assert one.get("/api/v1/namespaces/x", "get namespaces")["metadata"]["name"] == "x"
    assert refused == ["Bearer token-1"]


@pytest.mark.parametrize("place", ["options", "environment"])
def test_impersonation_and_proxy(server, monkeypatch, place):
    server.namespace("x")
    given = {"api_key": "mine", "impersonate_user": "alice", "impersonate_groups": ["a", "b"]}
    tell = {"proxy_basic_auth": "me:secret", "user_agent": "foo/1.0"}
    through = {"host": "http://cluster.example.com", "proxy": server.url, "proxy_headers": tell}
    if place == "environment":
        for name, value in given.items():
            monkeypatch.setenv(f"K8S_AUTH_{name.upper()}", value if isinstance(value, str) else " a,b ")
        given = {"api_key": None}
    api(server, **given).get("/api/v1/namespaces/x", "get namespaces")
    headers = {name.lower(): value for name, value in server.asked[-1][3].items()}
    assert headers["authorization"] == "Bearer mine"
    assert headers["impersonate-user"] == "alice"
    assert headers["impersonate-group"] == "a, b"
    if place == "environment":
        monkeypatch.setenv("K8S_AUTH_PROXY", server.url)
        monkeypatch.setenv("K8S_AUTH_PROXY_HEADERS_PROXY_BASIC_AUTH", tell["proxy_basic_auth"])
        monkeypatch.setenv("K8S_AUTH_PROXY_HEADERS_USER_AGENT", tell["user_agent"])
        through = {"host": through["host"]}
    proxied = api(server, **through)
    # The fake server sees an absolute URL when it is asked as a proxy.
    proxied.get("/api/v1/namespaces/x", "get namespaces")
    headers = {name.lower(): value for name, value in server.asked[-1][3].items()}
    assert headers["host"] == "cluster.example.com"
    assert headers["proxy-authorization"] == "Basic bWU6c2VjcmV0"


@pytest.mark.parametrize(
    "case",
    [
        ("CA_CERT", "PATH", "ssl_ca_cert", "PATH"),
        ("SSL_CA_CERT", "PATH", "ssl_ca_cert", "PATH"),
        ("CLIENT_CERT", "PATH", "cert_file", "PATH"),
        ("CERT_FILE", "PATH", "cert_file", "PATH"),
        ("CLIENT_KEY", "PATH", "key_file", "PATH"),
        ("KEY_FILE", "PATH", "key_file", "PATH"),
        ("VALIDATE_CERTS", "no", "verify_ssl", False),
        ("VERIFY_SSL", "False", "verify_ssl", False),
        ("VERIFY_SSL", "yes", "verify_ssl", True),
        ("NO_PROXY", "localhost", "no_proxy", "localhost"),
    ],
)
def test_the_variables_are_those_of_kubernetes_core(monkeypatch, tmp_path, case):
    variable, said, attribute, value = case
    (tmp_path / "file").touch()
    path = {"PATH": str(tmp_path / "file")}
    monkeypatch.setenv(f"K8S_AUTH_{variable}", path.get(said, said))
    params = {**dict.fromkeys(arguments.AUTH["argument_spec"]), "host": "https://127.0.0.1:1", "api_key": "x"}
    assert getattr(Access(params).configuration, attribute) == path.get(value, value)
    given = dict.fromkeys(PLAIN, "given")
    assert getattr(Access({**params, **given}).configuration, attribute) == "given", "an option counts before it"


@pytest.mark.parametrize("variable", ["VALIDATE_CERTS", "VERIFY_SSL"])
def test_what_is_neither_yes_nor_no_does_not_switch_verification_off(server, monkeypatch, variable):
    monkeypatch.setenv(f"K8S_AUTH_{variable}", "enabled")
    with pytest.raises(ReconcileError, match=f"K8S_AUTH_{variable}: 'enabled' is neither yes nor no"):
        api(server)


def test_no_way_to_a_cluster_is_explained(server, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    for given in (
        {"kubeconfig": str(tmp_path / "missing")},
        {},
        {"kubeconfig": {"apiVersion": "v1"}},
        {"context": "x"},
    ):
        with pytest.raises(ReconcileError, match="No way to the cluster from"):
            api(server, **{"host": None, "api_key": None, **given})
    with pytest.raises(ReconcileError, match="Cannot read .*missing, with which"):
        api(server, host="https://127.0.0.1:1", ca_cert=str(tmp_path / "missing")).get("/api", "get")
