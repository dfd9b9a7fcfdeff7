# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small API server for what cannot be had from the real one of the lab: the behaviour of newer releases, and faults.

Namespaces, their content and /finalize are kept as a server keeps them: uid and resourceVersion are compared, metadata
is replaced, dryRun changes nothing, finalizers hold what was deleted. What is answered otherwise is scripted.
"""

import contextlib
import copy
import json
import threading
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import ThreadingMixIn
from urllib.parse import parse_qsl, urlsplit

RESOURCES = {
    "": [("pods", "Pod"), ("configmaps", "ConfigMap"), ("secrets", "Secret")],
    "apps": [("deployments", "Deployment")],
    "rbac.authorization.k8s.io": [("rolebindings", "RoleBinding")],
}
VERBS = ["create", "delete", "get", "list", "patch", "update"]
LATER = 1_000_000_000.0


def status(code, message, **headers):
    """Return the answer (code, headers, body) of an API server that refuses."""
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}
    return code, {"Content-Type": "application/json", **headers}, json.dumps(body)


class FakeServer:
    """The server, on a port of its own until it is closed.

    ``aggregated``: discovery as from 1.26 on. ``dead``: group versions that do not answer. ``scripts``: functions of
    (method, path, query) that may answer instead. ``controller``: whether namespaces are cleaned up on each request.
    ``asked``: (method, path, query, headers) of all requests; a header given twice has both values.
    """

    def __init__(self, aggregated=True, controller=True):
        self.aggregated, self.controller = aggregated, controller
        self.dead, self.scripts, self.asked = [], [], []
        self.namespaces, self.objects, self.services = {}, {}, []
        self.clock = LATER
        self._lock, self._count = threading.RLock(), 0
        self.open()

    def open(self, port=0):
        """Listen, again after :meth:`close` on the same port."""
        fake = self

        class Handler(BaseHTTPRequestHandler):
            disable_nagle_algorithm = True  # an answer is more than one packet
            protocol_version = "HTTP/1.1"

            def answer(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                parts = urlsplit(self.path)
                query = dict(parse_qsl(parts.query))
                given = {name: ", ".join(self.headers.get_all(name)) for name in self.headers}
                code, headers, text = fake.answer(self.command, parts.path, query, given, body)
                data = text.encode()
                self.send_response_only(code)
                for name, value in {"Date": formatdate(fake.clock, usegmt=True), **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_PUT = do_PATCH = do_POST = do_DELETE = answer  # noqa: N815 the names are http.server's

            def log_message(self, *_arguments):
                """Say nothing."""

        class Server(ThreadingMixIn, HTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def process_request(self, request, client_address):
                fake._connections.append(request)
                super().process_request(request, client_address)

        self._connections = []
        self._server = Server(("127.0.0.1", port), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        """Stop, and cut what is connected."""
        self._server.shutdown()
        self._server.server_close()
        for one in self._connections:
            with contextlib.suppress(OSError):
                one.shutdown(2)
            one.close()

    def namespace(self, name, age=None, *, spec=("kubernetes",), metadata=(), conditions=(), labels=None):
        """Put a namespace there, deleted ``age`` seconds ago."""
        found = {
            "metadata": {
                "name": name,
                "uid": self._next("uid"),
                "resourceVersion": self._next(),
                "labels": labels or {},
            },
            "spec": {"finalizers": list(spec)},
            "status": {"conditions": [{"type": one, "status": yes, "message": text} for one, yes, text in conditions]},
        }
        if metadata:
            found["metadata"]["finalizers"] = list(metadata)
        if age is not None:
            found["metadata"]["deletionTimestamp"] = self._timestamp(age)
        self.namespaces[name] = found
        return found

    def add(self, resource, namespace, name, finalizers=(), deleting=False):
        """Put an object there."""
        found = {
            "metadata": {
                "namespace": namespace,
                "name": name,
                "uid": self._next("uid"),
                "resourceVersion": self._next(),
            }
        }
        if finalizers:
            found["metadata"]["finalizers"] = list(finalizers)
        if deleting:
            found["metadata"]["deletionTimestamp"] = self._timestamp(60)
        self.objects[(resource, namespace, name)] = found
        return found

    def answer(self, method, path, query, headers, body):
        """Answer one request."""
        with self._lock:
            self.asked.append((method, path, query, headers))
            for script in self.scripts:
                scripted = script(method, path, query)
                if scripted is not None:
                    return scripted
            if self.controller:
                self._clean_up()
            found = self._answer(method, path, query, headers, body)
            return found if isinstance(found, tuple) else (200, {"Content-Type": "application/json"}, json.dumps(found))

    def _next(self, prefix=""):
        self._count += 1
        return f"{prefix}{self._count}"

    def _timestamp(self, age):
        from datetime import datetime, timezone

        return datetime.fromtimestamp(self.clock - age, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _clean_up(self):
        """Do what the namespace controller does from 1.33 on: pods first, nothing else before they are gone."""
        for name in list(self.namespaces):
            found = self.namespaces[name]
            if "deletionTimestamp" not in found["metadata"] or "kubernetes" not in found["spec"]["finalizers"]:
                continue
            calm = {
                "type": "NamespaceContentRemaining",
                "status": "False",
                "message": "All content successfully removed",
            }
            found["status"]["conditions"] = found["status"]["conditions"] or [calm]
            for first in (True, False):
                mine = [key for key in self.objects if key[1] == name and (key[0] == "pods") == first]
                for key in mine:
                    metadata = self.objects[key]["metadata"]
                    metadata.setdefault("deletionTimestamp", self._timestamp(0))
                    if not metadata.get("finalizers"):
                        del self.objects[key]
                if any(key in self.objects for key in mine):
                    break
            else:
                if not self.dead and not any(key[1] == name for key in self.objects):
                    found["spec"]["finalizers"].remove("kubernetes")
                    self._drop(name)

    def _drop(self, name):
        found = self.namespaces[name]
        gone = "deletionTimestamp" in found["metadata"] and not found["spec"]["finalizers"]
        if gone and not found["metadata"].get("finalizers"):
            del self.namespaces[name]

    def _answer(self, method, path, query, headers, body):
        parts = path.strip("/").split("/")
        if (
            parts[0] == "api"
            and parts[1:3] == ["v1", "namespaces"]
            and len(parts) <= 5
            and parts[4:] in ([], ["finalize"])
        ):
            return self._namespaces(method, parts[3:], query, body)
        if path in ("/api", "/apis"):
            return self._discovery(path, headers)
        return self._other(method, parts, query, body)

    def _other(self, method, parts, query, body):
        if parts == ["readyz"]:
            return 200, {"Content-Type": "text/plain"}, "ok"
        if parts[0] == "apis" and parts[1] == "apiregistration.k8s.io":
            return {"items": self.services}
        group, rest = ("", parts[2:]) if parts[0] == "api" else (parts[1], parts[3:])
        if parts[0] == "apis" and len(parts) == 2:
            return self._group(group)
        if not rest:
            return self._resources(group, parts)
        if rest[0] == "namespaces":
            return self._content(method, (rest[2], rest[1], *rest[3:]), query, body)
        return self._content(method, (rest[0], None), query, body)

    def _discovery(self, path, headers):
        groups = [one for one in RESOURCES if bool(one) == (path == "/apis")]
        dead = [one.split("/") for one in self.dead if path == "/apis"]
        if self.aggregated and "apidiscovery" in headers["Accept"]:
            items = [self._described(group, "v1", RESOURCES[group]) for group in groups]
            for group, version in dead:
                items.append(self._described(group, version, [], "Stale"))
            return {"kind": "APIGroupDiscoveryList", "items": items}
        if path == "/api":
            return {"kind": "APIVersions", "versions": ["v1"]}
        pairs = [(group, "v1") for group in groups] + dead
        return {
            "kind": "APIGroupList",
            "groups": [
                {"name": group, "versions": [{"groupVersion": f"{group}/{version}", "version": version}]}
                for group, version in pairs
            ],
        }

    def _group(self, group):
        versions = ["v1"] if group in RESOURCES else []
        versions += [one.split("/")[1] for one in self.dead if one.split("/")[0] == group]
        if not versions:
            return status(404, "the server could not find the requested resource")
        return {"name": group, "versions": [{"groupVersion": f"{group}/{one}", "version": one} for one in versions]}

    @staticmethod
    def _described(group, version, resources, freshness="Current"):
        described = [
            {"resource": name, "responseKind": {"kind": kind}, "scope": "Namespaced", "verbs": VERBS}
            for name, kind in resources
        ]
        return {
            "metadata": {"name": group},
            "versions": [{"version": version, "resources": described, "freshness": freshness}],
        }

    def _resources(self, group, parts):
        if "/".join(parts[1:3]) in self.dead:
            return 503, {"Content-Type": "text/plain"}, "service unavailable"
        version = f"{group}/v1" if group else "v1"
        return {
            "groupVersion": version,
            "resources": [
                {"name": name, "kind": kind, "namespaced": True, "verbs": VERBS} for name, kind in RESOURCES[group]
            ]
            + [
                {"name": f"{name}/status", "kind": kind, "namespaced": True, "verbs": ["get"]}
                for name, kind in RESOURCES[group]
            ],
        }

    def _namespaces(self, method, rest, query, body):
        if not rest:
            return self._create(query, body) if method == "POST" else self._page(list(self.namespaces.values()), query)
        found = self.namespaces.get(rest[0])
        if found is None:
            return status(404, f'namespaces "{rest[0]}" not found')
        if method == "GET":
            return found
        wanted = {"metadata": body.get("preconditions") or {}} if method == "DELETE" else body
        refused = self._conflict(found, wanted)
        if refused:
            return refused
        changed = copy.deepcopy(body if method == "PUT" else found)
        if method == "DELETE":
            changed["metadata"].setdefault("deletionTimestamp", self._timestamp(0))
        elif method == "PATCH":
            changed["metadata"]["finalizers"] = body["metadata"]["finalizers"] or []
        if "dryRun" not in query:
            changed["metadata"]["resourceVersion"] = self._next()
            self.namespaces[rest[0]] = changed
            self._drop(rest[0])
        return changed

    def _create(self, query, body):
        name = body["metadata"]["name"]
        if name in self.namespaces:
            return status(409, f'namespaces "{name}" already exists')
        if "dryRun" in query:
            return body
        made = self.namespace(name)
        made["metadata"]["annotations"] = body["metadata"].get("annotations")
        return made

    @staticmethod
    def _conflict(found, body):
        for field in ("uid", "resourceVersion"):
            if body["metadata"].get(field, found["metadata"][field]) != found["metadata"][field]:
                return status(409, f"Operation cannot be fulfilled: {field} differs")
        return None

    def _content(self, method, key, query, body):
        resource, namespace = key[:2]
        if len(key) == 2:
            found = [one for key, one in self.objects.items() if key[0] == resource and namespace in (None, key[1])]
            return self._page(found, query)
        found = self.objects.get(key)
        if found is None or (method == "PATCH" and namespace not in self.namespaces):
            return status(404, f'{resource} "{key[2]}" not found')
        if method == "GET":
            return found
        refused = self._conflict(found, body)
        if refused:
            return refused
        if "dryRun" in query:
            return found
        found["metadata"]["finalizers"] = body["metadata"]["finalizers"] or []
        found["metadata"]["resourceVersion"] = self._next()
        if not found["metadata"]["finalizers"] and "deletionTimestamp" in found["metadata"]:
            del self.objects[key]
        return found

    @staticmethod
    def _page(found, query):
        start, limit = int(query.get("continue", 0)), int(query.get("limit", 0)) or len(found)
        metadata = {"resourceVersion": "1"}
        if start + limit < len(found):
            metadata["continue"] = str(start + limit)
        return {"metadata": metadata, "items": found[start : start + limit] or None}
