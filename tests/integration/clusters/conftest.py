# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real control plane, looked at by plain HTTP and in etcd, so that nothing of the collection judges itself."""

import base64
import http.client
import json
import re
import ssl
import time
import urllib.request
from pathlib import Path

import pytest

from lab import control_plane, kubernetes
from tests.integration import modules

ROOT = Path(__file__).resolve().parents[3]
NAMESPACES = "/api/v1/namespaces"
HELD = "example.com/never-cleared"
ROLES = ROOT / "docs/k8s_ns_finalize_role.yml"


class Answer(Exception):
    """A request that was refused.

    :ivar status: that of HTTP.
    """

    def __init__(self, status, text):
        super().__init__(f"{status}: {text}")
        self.status = status


class Cluster:
    """The control plane of the lab.

    :ivar kubeconfig: a path.
    :ivar url: its address.
    :ivar record: that of the lab.
    """

    def __init__(self, record):
        self.record = record
        self.kubeconfig, self.url = record.data["kubeconfig"], record.data["address"]
        self.token = record.data["tokens"]["admin"]
        self._context = ssl.create_default_context(cafile=Path(self.kubeconfig).parent / "certs/apiserver.crt")
        self._connection = None
        self._etcd = json.loads((Path(self.kubeconfig).parent / "plan.json").read_text())["ports"]["etcd"]

    def ask(self, method, path, body=None, content="application/json"):
        """Send one request as admin and return the document of the answer."""
        host, port = re.match(r"https://(.+):(\d+)", self.url).groups()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": content}
        for attempt in (1, 2):
            self._connection = self._connection or http.client.HTTPSConnection(
                host, int(port), context=self._context, timeout=30
            )
            try:
                self._connection.request(method, path, json.dumps(body) if body is not None else None, headers)
                answer = self._connection.getresponse()
                data = answer.read()
                break
            except (http.client.HTTPException, OSError):  # the server was restarted
                self._connection = None
                if attempt == 2:
                    raise
        if answer.status >= 300:
            raise Answer(answer.status, data.decode())
        return json.loads(data)

    def exists(self, path):
        """Return the document at a path, None when there is none."""
        try:
            return self.ask("GET", path)
        except Answer as error:
            if error.status != 404:
                raise
            return None

    def namespace(self, name, spec=None, **metadata):
        """Make a namespace."""
        body = {"metadata": {"name": name, **metadata}}
        if spec is not None:
            body["spec"] = {"finalizers": spec}
        return self.ask("POST", NAMESPACES, body)

    def add(self, namespace, name="c", finalizers=(), resource="configmaps", prefix="/api/v1", **more):
        """Make an object."""
        body = {"metadata": {"name": name, "finalizers": list(finalizers)}, **more}
        return self.ask("POST", f"{prefix}/namespaces/{namespace}/{resource}", body)

    def pod(self, namespace, name="p", finalizers=()):
        """Make a pod, which stays Pending without a scheduler."""
        spec = {"containers": [{"name": "c", "image": "none"}], "automountServiceAccountToken": False}
        return self.add(namespace, name, finalizers, "pods", spec=spec)

    def delete(self, name):
        """Delete a namespace."""
        return self.ask("DELETE", f"{NAMESPACES}/{name}")

    def finalize(self, name, finalizers):
        """Set the spec.finalizers of a namespace, as the recipe of many pages does."""
        document = self.ask("GET", f"{NAMESPACES}/{name}")
        document["spec"]["finalizers"] = finalizers
        return self.ask("PUT", f"{NAMESPACES}/{name}/finalize", document)

    def keys(self, namespace):
        """Return what etcd has of a namespace."""
        body = {"key": _b64("/registry/"), "range_end": _b64("/registry0"), "keys_only": True}
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._etcd}/v3/kv/range",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as answer:
            found = json.load(answer).get("kvs", ())
        keys = [base64.b64decode(one["key"]).decode() for one in found]
        return sorted(one for one in keys if f"/{namespace}/" in one or one.endswith(f"/namespaces/{namespace}"))

    def wait_for(self, what, ready, timeout=60):
        """Wait until ``ready()``, and return what it returned."""
        deadline = time.monotonic() + timeout
        while True:
            found = ready()
            if found:
                return found
            assert time.monotonic() < deadline, f"{what}: not within {timeout} s"
            time.sleep(0.1)

    def seen(self, *names):
        """Wait until the controller has said something about each of these namespaces."""
        for name in names:
            path = f"{NAMESPACES}/{name}"
            self.wait_for(f"conditions of {name}", lambda path=path: self.ask("GET", path)["status"].get("conditions"))

    def free(self, check=False, **options):
        """Run ``k8s_ns_finalize`` as admin, or as ``impersonate_user``."""
        given = {"kubeconfig": self.kubeconfig, "min_age": 0, "timeout": 20, **options}
        return modules.module("k8s_ns_finalize", check, **given)

    def info(self, **options):
        """Run ``k8s_ns_finalize_info``."""
        return modules.module("k8s_ns_finalize_info", kubeconfig=self.kubeconfig, **{"min_age": 0, **options})

    def verdicts(self, **options):
        """Return ``{name: verdict}``."""
        found = self.info(**options)
        assert not found["failed"], found["msg"]
        return {one["name"]: one["verdict"] for one in found["namespaces"]}

    def beats(self, *names, **options):
        """Predict, apply and apply again; return what was applied. The namespaces are gone then, with all in them."""
        before = {name: self.keys(name) for name in names}
        predicted = self.free(check=True, name=list(names), **options)
        assert not predicted["failed"], predicted["msg"]
        assert {name: self.keys(name) for name in names} == before, "check mode changes nothing"
        applied = self.free(name=list(names), **options)
        assert not applied["failed"], applied["msg"]
        assert (applied["steps"], applied["diff"]) == (predicted["steps"], predicted["diff"])
        assert self.free(name=list(names), **options)["changed"] is False
        for name in names:
            assert self.keys(name) == [], "nothing is left in the store"
        return applied


def _b64(text):
    return base64.b64encode(text.encode()).decode()


def custom(cluster, group, kind, conversion=None):
    """Define a kind of custom resource and wait until it is served."""
    plural = kind.lower() + "s"
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    names = ["v1", "v2"] if conversion else ["v1"]
    versions = [{"name": one, "served": True, "storage": one == "v1", "schema": schema} for one in names]
    spec = {
        "group": group,
        "names": {"plural": plural, "kind": kind, "singular": kind.lower()},
        "scope": "Namespaced",
        "versions": versions,
    }
    if conversion:
        spec["conversion"] = conversion
    definition = {"metadata": {"name": f"{plural}.{group}"}, "spec": spec}
    cluster.ask("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)
    cluster.wait_for(f"{plural} served", lambda: cluster.exists(f"/apis/{group}/v1/{plural}"))
    return plural


@pytest.fixture(scope="session")
def cluster():
    """The control plane for the whole run; it is stopped at the end, also after a failure."""
    try:
        kubernetes.ensure()
    except kubernetes.Unavailable as error:
        pytest.skip(f"NOT TESTED AGAINST A REAL API SERVER: {error}")
    try:
        yield Cluster(control_plane.up())
    finally:
        control_plane.down()
