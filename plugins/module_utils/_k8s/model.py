# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Namespaces and what is in them, as they were read from an API server, and what is wanted of them.

Private to the collection; not a public interface.
"""

from fnmatch import fnmatchcase
from typing import Any, NamedTuple, Optional, Tuple

# The finalizer in spec.finalizers by which the namespace controller says that it still has content to delete
# (k8s.io/api/core/v1, FinalizerKubernetes).
KUBERNETES = "kubernetes"


class Resource(NamedTuple):
    """A kind of object that the server has, as discovery tells it; ``name`` is the plural of paths and RBAC rules."""

    group: str
    version: str
    name: str
    kind: str
    namespaced: bool = True
    verbs: Tuple[str, ...] = ()

    @property
    def label(self):
        """How kubectl and RBAC messages call it: ``widgets.example.com``."""
        return f"{self.name}.{self.group}" if self.group else self.name

    @property
    def group_version(self):
        """``apps/v1``, or ``v1`` of the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace=None, name=None):
        """Return the path of all its objects, of those in a namespace, or of one of them."""
        parts = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if namespace is not None:
            parts += ["namespaces", namespace]
        parts.append(self.name)
        return "/".join(parts + ([name] if name is not None else []))


class Leftover(NamedTuple):
    """An object that is still in a namespace. ``deleting`` says that it has a deletionTimestamp.

    ``version`` is its resourceVersion.
    """

    resource: Resource
    namespace: str
    name: str
    uid: str
    finalizers: Tuple[str, ...] = ()
    deleting: bool = False
    version: str = ""

    @property
    def label(self):
        """How messages call it: ``configmaps/guarded``."""
        return f"{self.resource.label}/{self.name}"


class Unread(NamedTuple):
    """What could not be read: ``what`` is a group version or the label of a resource. ``status`` is that of HTTP."""

    what: str
    status: int
    message: str

    @property
    def label(self):
        """How messages call it: ``secrets (500: boom)``."""
        return f"{self.what} ({self.status}: {self.message})"


class ApiService(NamedTuple):
    """An APIService object; ``service`` is ``namespace/name``, empty for what the server itself serves."""

    name: str
    group_version: str
    service: str
    available: bool
    message: str


class Webhook(NamedTuple):
    """An admission webhook or a conversion webhook: where it is configured and what is called."""

    kind: str  # "validatingwebhookconfiguration", "mutatingwebhookconfiguration" or "crd"
    owner: str  # the object that configures it
    name: str  # the webhook's own name; of a conversion webhook GROUP/KIND
    service: str  # namespace/name, or a URL


class Cluster(NamedTuple):
    """What concerns every namespace. ``unread`` are group versions whose discovery failed, ``hints`` what else did."""

    resources: Tuple[Resource, ...] = ()
    unread: Tuple[Unread, ...] = ()
    services: Tuple[ApiService, ...] = ()
    webhooks: Tuple[Webhook, ...] = ()
    hints: Tuple[Unread, ...] = ()


class Namespace(NamedTuple):
    """A namespace and all that is in it, as far as it could be listed.

    ``age`` is seconds since its deletion by the server's clock, None for one that is not being deleted.
    ``conditions`` has (type, status, message). ``raw`` is the object as it was read, for the request that replaces it.
    """

    name: str
    uid: str = ""
    age: Optional[float] = None
    spec_finalizers: Tuple[str, ...] = ()
    metadata_finalizers: Tuple[str, ...] = ()
    conditions: Tuple[Tuple[str, str, str], ...] = ()
    objects: Tuple[Leftover, ...] = ()
    unread: Tuple[Unread, ...] = ()
    raw: Any = None

    @property
    def terminating(self):
        """Whether it is being deleted."""
        return self.age is not None

    def condition(self, kind):
        """Return the message of a condition that is true, else None."""
        for name, status, message in self.conditions:
            if name == kind and status == "True":
                return message
        return None


class Cause(NamedTuple):
    """One thing that keeps a namespace from going: a code, what was found, and in one sentence what to do."""

    code: str
    reason: str
    remedy: str


class Diagnosed(NamedTuple):
    """A namespace and why it does not go, the decisive cause first."""

    namespace: Namespace
    causes: Tuple[Cause, ...]

    @property
    def verdict(self):
        """The code of the decisive cause."""
        return self.causes[0].code


class Selection(NamedTuple):
    """Which namespaces are meant: names and patterns, label selectors; none of both means every Terminating one."""

    names: Tuple[str, ...] = ()
    labels: Tuple[str, ...] = ()
    min_age: float = 60.0


class Wanted(NamedTuple):
    """What the task asks for, and what it permits. Finalizers are names or patterns; times are seconds."""

    selection: Selection = Selection()
    orphans: bool = False
    object_finalizers: Tuple[str, ...] = ()
    namespace_finalizers: Tuple[str, ...] = ()
    force: bool = False
    timeout: float = 60.0
    parallelism: int = 8


class State(NamedTuple):
    """What was found. ``orphans`` are (namespace, objects) of namespaces that do not exist.

    ``absent`` are names that no namespace has.
    """

    cluster: Cluster = Cluster()
    found: Tuple[Diagnosed, ...] = ()
    absent: Tuple[str, ...] = ()
    orphans: Tuple[Tuple[str, Tuple[Leftover, ...]], ...] = ()


class Act(NamedTuple):
    """The data of a step: what is to be done with which namespace, ``kind`` being one of those in plan.py.

    ``blind`` says that not everything could be listed, which is said in the step.
    """

    kind: str
    namespace: Namespace
    objects: Tuple[Leftover, ...] = ()
    finalizers: Tuple[str, ...] = ()
    blind: bool = False


def matching(finalizers, patterns):
    """Return those of ``finalizers`` that one of the names or patterns means."""
    return tuple(one for one in finalizers if any(fnmatchcase(one, pattern) for pattern in patterns))


def counted(number, noun):
    """Return a number of things as a text: ``1 object``, ``2 objects``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def listed(labels, most=10):
    """Return labels as a text, no more than ``most`` of them by name."""
    labels = list(labels)
    rest = f" and {len(labels) - most} more" if len(labels) > most else ""
    return ", ".join(labels[:most]) + rest
