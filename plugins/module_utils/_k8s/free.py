# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carry out the steps of one namespace, until it is gone.

Private to the collection; not a public interface.
"""

import time
import uuid

from . import changes, plan
from .api import METADATA, ApiError
from .model import KUBERNETES, listed, matching

ATTEMPTS = 8  # of a write that finds its object changed (409) each time
PAUSES = (0.1, 0.2, 0.4, 0.8, 1.0)  # seconds between looks at a namespace, the last one repeated
RELOOK = 2.0  # seconds between looks at its content, where more objects may turn up that are to be cleared


class Failed(Exception):
    """A namespace that did not go; the text says why and what to do."""


class Freeing:
    """One namespace on its way.

    :ivar cleared: (object, finalizers) that were taken away.
    :ivar orphaned: objects that were left without a namespace.
    :ivar changed: whether anything was written.
    """

    def __init__(self, api, survey, wanted):
        self._api, self._survey, self._wanted = api, survey, wanted
        self.cleared = []
        self.orphaned = ()
        self.changed = False
        self._does = {
            plan.REPAIR: self._repair,
            plan.CLEAR: self._clear_named,
            plan.METADATA: self._metadata,
            plan.SPEC: self._spec,
            plan.AWAIT: self._await,
            plan.FINALIZE: self._finalize,
            plan.FORCE: self._finalize,
            plan.DELETE: self._delete,
        }

    def run(self, steps):
        """Carry out all steps; return when the namespace is gone.

        :raises Failed: it stays.
        :raises ReconcileError: the server refuses a request.
        """
        namespace = steps[0].data.namespace
        steps = list(steps)
        if steps[0].data.kind == plan.LEAVE:
            steps = self._leave(steps[0].data, steps)
        elif steps[0].data.kind == plan.RECREATE:
            namespace = self._recreate(steps.pop(0).data)
        for number, step in enumerate(steps):
            more = number + 1 < len(steps)
            if self._does[step.data.kind](step.data._replace(namespace=namespace), more):
                return

    def _leave(self, act, announced):
        """Wait until the namespace is no longer young; return what is to be done then."""
        left = self._wanted.selection.min_age - act.namespace.age
        if self._gone_within(act.namespace, left):
            return []
        one = self._survey.again(act.namespace)
        if one is None:
            return []
        steps = plan.steps_for(self._wanted, one, young=False)
        if not steps:
            raise Failed(_said(plan.blocked(self._wanted, one)))
        return plan.as_announced(steps, announced)

    def _gone_within(self, namespace, seconds, between=lambda: None):
        """Wait; tell whether the namespace is gone."""
        deadline, looks = time.monotonic() + seconds, 0
        while True:
            document = self._survey.fetch(namespace.name)
            if document is None or document["metadata"]["uid"] != namespace.uid:
                return True
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            between()
            time.sleep(min(left, PAUSES[min(looks, len(PAUSES) - 1)]))
            looks += 1

    def _write(self, namespace, request_for):
        """Send a request about the namespace as it is now; return False when it is gone or not the same any more."""
        for _attempt in range(ATTEMPTS):
            document = self._survey.fetch(namespace.name)
            if document is None or document["metadata"]["uid"] != namespace.uid:
                return False
            request = request_for(document)
            if request is None:
                return True
            try:
                self._send(request)
                return True
            except ApiError as error:
                if error.status == 404:
                    return False
                if error.status != 409:
                    raise
        raise Failed(f"something else changes namespace {namespace.name} all the time; {ATTEMPTS} attempts met 409")

    def _send(self, request):
        document = self._api.send(
            request.method, request.path, request.doing, request.body, content=request.content, accept=METADATA
        )
        self.changed = True
        return document

    def _repair(self, act, _more):
        def request(document):
            has = document["spec"].get("finalizers") or []
            return None if KUBERNETES in has else changes.finalize(document, [*has, KUBERNETES])

        return not self._write(act.namespace, request)

    def _metadata(self, act, _more):
        def request(document):
            has = document["metadata"].get("finalizers") or []
            stays = [name for name in has if name not in act.finalizers]
            return None if stays == has else changes.namespace_metadata(document, stays)

        return not self._write(act.namespace, request)

    def _spec(self, act, _more):
        def request(document):
            has = document["spec"].get("finalizers") or []
            stays = [name for name in has if name not in act.finalizers]
            return None if stays == has else changes.finalize(document, stays)

        return not self._write(act.namespace, request)

    def _clear_named(self, act, _more):
        """Clear the objects of the step, and confirm that what was held by nothing else is deleted."""
        objects = plan.clearable(self._wanted, act.objects)
        self._survey.each(self._clear, objects)
        freed = {one.uid for one in objects if not plan.remaining(self._wanted, one)}
        kinds = sorted({one.resource for one in objects})
        self._gone_within_lists(act.namespace, kinds, freed)
        return False

    def _gone_within_lists(self, namespace, kinds, freed):
        deadline = time.monotonic() + self._wanted.timeout
        while freed:
            found, unread = self._survey.content(namespace.name, kinds)
            left = unread or [one for one in found if one.uid in freed]
            if not left or time.monotonic() >= deadline:
                return  # what stays is explained when the namespace is looked at again
            time.sleep(PAUSES[1])

    def _clear(self, one):
        """Take the named finalizers from one object; one that is gone, or another of its name, is left alone."""
        for _attempt in range(ATTEMPTS):
            stays = plan.remaining(self._wanted, one)
            if stays == one.finalizers:
                return
            try:
                self._send(changes.clear(one, stays))
                self.cleared.append((one, matching(one.finalizers, self._wanted.object_finalizers)))
                return
            except ApiError as error:
                if error.status == 404:
                    return
                if error.status != 409:
                    raise Failed(f"{one.label} keeps its finalizers: {error}") from error
            fresh = self._survey.object(one)
            if fresh is None or fresh.uid != one.uid:
                return
            one = fresh
        raise Failed(f"something else changes {one.label} of {one.namespace} all the time")

    def _await(self, act, more):
        """Wait for the controller, and clear what turns up meanwhile and is named."""
        last = [time.monotonic()]

        def clear_more():
            if self._wanted.object_finalizers and time.monotonic() - last[0] >= RELOOK:
                one = self._survey.again(act.namespace)
                self._survey.each(self._clear, plan.clearable(self._wanted, one.namespace.objects) if one else ())
                last[0] = time.monotonic()

        if self._gone_within(act.namespace, self._wanted.timeout, clear_more):
            return True
        if not more:
            self._fail(act.namespace)
        return False

    def _finalize(self, act, _more):
        """Take ``kubernetes`` away: only when nothing is left, or nothing but what the step says it orphans."""
        for _attempt in range(ATTEMPTS):
            one = self._survey.again(act.namespace)
            if one is None:
                return True
            self._check(act, one)
            document = one.namespace.raw
            stays = [name for name in one.namespace.spec_finalizers if name != KUBERNETES]
            try:
                self._send(changes.finalize(document, stays))
            except ApiError as error:
                if error.status == 404:
                    return True
                if error.status != 409:
                    raise
                continue
            self.orphaned = one.namespace.objects
            if self._gone_within(act.namespace, PAUSES[-1]):
                return True
            self._fail(act.namespace)
        raise Failed(f"something else changes namespace {act.namespace.name} all the time")

    def _check(self, act, one):
        """Refuse to finalize when more is left, or less is known, than the step says.

        :raises Failed: it is.
        """
        announced = {orphan.uid for orphan in act.objects} if act.kind == plan.FORCE else set()
        more = [left for left in one.namespace.objects if left.uid not in announced]
        blind = bool(one.namespace.unread) or any(cause.code == "discovery_failure" for cause in one.causes)
        if not more and (not blind or act.blind):
            return
        if act.kind == plan.FORCE and more:
            why = f"its step did not say that it orphans {listed(left.label for left in more)}"
        else:
            why = _said(one.causes)
        again = ". 'force' orphans only what the steps name; run the task again to have it named"
        raise Failed(f"not finalized, since {why}{again if self._wanted.force else ''}")

    def _fail(self, namespace):
        one = self._survey.again(namespace)
        if one is not None:
            raise Failed(f"still there after {self._wanted.timeout:g} s: {_said(one.causes)}")

    def _recreate(self, act):
        """Make the namespace of orphans; return it as it was made.

        :raises Failed: somebody else has made it meanwhile; then it is theirs, with all that is in it.
        """
        mark = str(uuid.uuid4())
        try:
            self._send(changes.create(act.namespace.name, mark))
        except ApiError as error:
            if error.status != 409:
                raise
        document = self._survey.fetch(act.namespace.name)
        marks = (document or {"metadata": {}})["metadata"].get("annotations") or {}
        if marks.get(changes.MARK) != mark:
            raise Failed(
                f"somebody else has made a namespace {act.namespace.name} meanwhile; the objects in it are theirs now"
            )
        return act.namespace._replace(uid=document["metadata"]["uid"], raw=document)

    def _delete(self, act, _more):
        try:
            self._send(changes.delete(act.namespace.name, act.namespace.uid))
        except ApiError as error:
            if error.status == 409:
                raise Failed(f"namespace {act.namespace.name} is another one now, and is left alone") from error
            if error.status != 404:
                raise
        return False


def _said(causes):
    return "; ".join(f"{cause.reason}. {cause.remedy.rstrip('.')}" for cause in causes)
