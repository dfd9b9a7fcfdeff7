# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read namespaces, what is in them, and what could keep them from going.

Private to the collection; not a public interface.
"""

import time
from fnmatch import fnmatchcase
from multiprocessing.pool import ThreadPool

from . import diagnose, discovery, read
from .api import METADATA, ApiError
from .model import Cluster, State, Unread

NAMESPACES = "/api/v1/namespaces"
# From so many namespaces on every object of the cluster is listed once, instead of every namespace on its own.
MANY = 12
ABSENT = (404, 405)  # what a resource answers that went between discovery and list
SETTLE = 1.0  # seconds in which the groups of a server forget one that went, as after the deletion of its last CRD
HINTS = (
    ("/apis/apiregistration.k8s.io/v1/apiservices", "list apiservices.apiregistration.k8s.io"),
    (
        "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
        "list validatingwebhookconfigurations.admissionregistration.k8s.io",
    ),
    (
        "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
        "list mutatingwebhookconfigurations.admissionregistration.k8s.io",
    ),
    (
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
        "list customresourcedefinitions.apiextensions.k8s.io",
    ),
)


class Survey:
    """What one task reads, with ``parallelism`` requests at a time. Use it as a context manager."""

    def __init__(self, api, parallelism):
        self._api = api
        self._threads = ThreadPool(parallelism)

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self._threads.terminate()

    def each(self, function, items):
        """Return ``function`` of every item, computed at the same time, in the order of the items."""
        return self._threads.map(function, items, chunksize=1)

    def look(self, selection):
        """Return the :class:`State` of the namespaces that are meant.

        :raises ReconcileError: namespaces cannot be read at all.
        """
        found = self._namespaces(selection)
        meant = read.chosen(selection, found)
        known = {one.name for one in found}
        absent = tuple(name for name in selection.names if not read.is_pattern(name) and name not in known)
        return self._state(
            [one for one in meant if one.terminating], [one for one in meant if not one.terminating], absent
        )

    def again(self, namespace):
        """Return one namespace diagnosed anew, None when it is gone or another one has its name."""
        document = self.fetch(namespace.name)
        if document is None or document["metadata"]["uid"] != namespace.uid:
            return None
        return self._state([read.namespace(document, self._api.now())], [], ()).found[0]

    def fetch(self, name):
        """Return the document of a namespace, None when there is none."""
        try:
            return self._api.get(f"{NAMESPACES}/{name}", "get namespaces")
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def object(self, one):
        """Return an object as it is now, None when it is gone."""
        path = one.resource.path(one.namespace, one.name)
        try:
            document = self._api.get(path, f"get {one.resource.label}", accept=METADATA)
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        return read.leftovers(one.resource, [document])[0]

    def orphans(self, names):
        """Return ``(namespace, objects)`` of the namespaces that do not exist, of all or of those that are meant.

        Namespaces are read before and after the objects: one that comes or goes meanwhile has no orphans.
        """
        before = self._known()
        cluster = self._discover()
        objects, unread = self._everything(cluster)
        known = before | self._known()
        for one in unread:
            if one.status == 403:
                raise ApiError(f'Not permitted: "list {one.what}" in all namespaces: {one.message}', 403, one.message)
        missing = {}
        for one in objects:
            if one.namespace not in known and (not names or any(fnmatchcase(one.namespace, name) for name in names)):
                missing.setdefault(one.namespace, []).append(one)
        found = tuple((name, read.distinct(missing[name])) for name in sorted(missing))
        return State(cluster._replace(unread=cluster.unread + tuple(unread)), orphans=found)

    def content(self, namespace, resources):
        """Return the objects of a namespace, and what could not be listed."""
        return self._lists([(resource, resource.path(namespace)) for resource in resources])

    def _namespaces(self, selection):
        names = selection.names
        if names and len(names) <= MANY and not any(map(read.is_pattern, names)):
            documents = [one for one in self.each(self.fetch, list(names)) if one is not None]
        elif selection.labels:
            query = {"labelSelector": ",".join(selection.labels)}
            documents = self._api.get(NAMESPACES, "list namespaces", query=query).get("items") or []
        else:
            documents = self._api.list(NAMESPACES, "list namespaces", metadata=False)
        now = self._api.now()
        return [read.namespace(one, now) for one in documents]

    def _known(self):
        return {one["metadata"]["name"] for one in self._api.list(NAMESPACES, "list namespaces")}

    def _state(self, terminating, active, absent):
        if not terminating:
            return State(Cluster(), tuple(diagnose.diagnose(one, Cluster()) for one in active), absent)
        cluster = self._discover()
        if len(terminating) < MANY:
            contents = {one.name: self.content(one.name, cluster.resources) for one in terminating}
        else:
            contents = self._grouped(cluster, {one.name for one in terminating})
        full = [
            one._replace(objects=read.distinct(contents[one.name][0]), unread=tuple(contents[one.name][1]))
            for one in terminating
        ]
        cluster = self._explained(cluster, full)
        everything = sorted([*full, *active], key=lambda one: one.name)
        return State(cluster, tuple(diagnose.diagnose(one, cluster) for one in everything), absent)

    def _grouped(self, cluster, names):
        objects, unread = self._everything(cluster)
        contents = {name: ([], unread) for name in names}
        for one in objects:
            if one.namespace in contents:
                contents[one.namespace][0].append(one)
        return contents

    def _everything(self, cluster):
        return self._lists([(resource, resource.path()) for resource in cluster.resources])

    def _lists(self, wanted):
        objects, unread = [], []
        for found, failed in self.each(self._list, wanted):
            objects += found
            unread += failed
        return objects, unread

    def _list(self, wanted):
        resource, path = wanted
        try:
            return read.leftovers(resource, self._api.list(path, f"list {resource.label}")), []
        except ApiError as error:
            if error.status in (0, 401):
                raise
            if error.status in ABSENT and not self._served(resource):
                return [], []
            return [], [Unread(resource.label, error.status, error.said)]

    def _discover(self):
        """Return the resources that namespaces can have, and the group versions that do not answer."""
        self._api.check_ready()
        found, unread, versions = [], [], []
        for path in ("/api", "/apis"):
            document = self._api.get(path, "discover the API", accept=discovery.ACCEPT)
            if discovery.is_aggregated(document):
                some, failed = discovery.aggregated(document)
                found += some
                unread += failed
            else:
                versions += [f"{path}/{one}" for one in discovery.group_versions(document)]
        for some, failed in self.each(self._resources, versions):
            found += some
            unread += failed
        return Cluster(discovery.content(found), tuple(unread))

    def _resources(self, path):
        """Return the resources of a group version, and why they cannot be had."""
        deadline = time.monotonic() + SETTLE
        while True:
            try:
                return discovery.resources(self._api.get(path, "discover the API", retries=0)), []
            except ApiError as error:
                if error.status in (0, 401):
                    raise
                if error.status == 404 and not self._announced(path):
                    return [], []
                if error.status != 404 or time.monotonic() >= deadline:
                    return [], [Unread(path.split("/", 2)[2], error.status, error.said)]
            time.sleep(SETTLE)

    def _served(self, resource):
        """Tell whether a server still says that it has a resource, which it has just refused to list."""
        some, unread = self._resources("/{}/{}".format("apis" if resource.group else "api", resource.group_version))
        return bool(unread) or any(one.name == resource.name for one in some)

    def _announced(self, path):
        """Tell whether the group of a group version still has it; the core group always has."""
        parts = path.split("/")
        if parts[1] == "api":
            return True
        try:
            group = self._api.get("/".join(parts[:3]), "discover the API", retries=0)
        except ApiError as error:
            return error.status != 404
        return "/".join(parts[2:]) in discovery.group_versions({"groups": [group]})

    def _explained(self, cluster, namespaces):
        """Add what tells who is behind a failure, where there is one."""
        failing = any(one.unread or one.condition(diagnose.CONTENT) for one in namespaces)
        wanted = HINTS[:1] if cluster.unread else ()
        wanted += HINTS[1:] if failing else ()
        lists, hints = {}, []
        for (path, doing), (items, failed) in zip(wanted, self.each(self._hint, wanted)):
            lists[path.rsplit("/", 1)[1]] = items
            hints += [Unread(doing, one.status, one.said) for one in failed]
        webhooks = []
        for kind in ("validatingwebhookconfiguration", "mutatingwebhookconfiguration"):
            webhooks += read.admission_webhooks(kind, lists.get(kind + "s", ()))
        webhooks += read.conversion_webhooks(lists.get("customresourcedefinitions", ()))
        services = read.api_services(lists.get("apiservices", ()))
        return cluster._replace(services=tuple(services), webhooks=tuple(webhooks), hints=tuple(hints))

    def _hint(self, wanted):
        path, doing = wanted
        try:
            return self._api.list(path, doing, metadata=False), []
        except ApiError as error:
            return [], [error]
