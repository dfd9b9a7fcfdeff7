# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""All namespaces of a task: read together, rehearsed, freed at the same time, each with its own result.

Private to the collection; not a public interface.
"""

import threading
import time
from collections import deque

from .._core.reconcile import ReconcileError
from . import changes, plan, report
from .api import ApiError
from .free import Failed, Freeing
from .model import KUBERNETES, listed

WAITING = 32  # namespaces that are waited for at the same time


class Fleet:
    """What ``reconcile`` observes and changes.

    ``results`` maps the name of each namespace to what was done and what came of it; ``first`` is the first state.
    ``warnings`` were said by the rehearsal.
    """

    def __init__(self, api, survey, wanted):
        self.results = {}
        self.first = None
        self.warnings = []
        self._api, self._survey, self._wanted = api, survey, wanted
        self._refused = {}

    def observe(self):
        """Return the :class:`model.State`; from the second time on, of what was found the first time."""
        if self._wanted.orphans:
            state = self._survey.orphans(self._wanted.selection.names)
            if state.cluster.unread:
                unread = listed(one.label for one in state.cluster.unread)
                raise ReconcileError(
                    "Whether there are more orphans cannot be told, and a namespace that is recreated would be stuck: "
                    f"{unread}. Repair what serves them; k8s_ns_finalize_info with 'orphans: true' shows those that "
                    "can be listed",
                    unread=report.unread(state.cluster.unread),
                )
        else:
            state = self._survey.look(self._wanted.selection)
        if self.first is None:
            self.first = state
            return state
        known = {one.namespace.uid for one in self.first.found}
        missing = {name for name, _objects in self.first.orphans}
        return state._replace(
            found=tuple(one for one in state.found if one.namespace.uid in known),
            orphans=tuple(one for one in state.orphans if one[0] in missing),
        )

    def rehearse(self, steps, every):
        """Ask the server with ``dryRun=All`` whether it would take the steps: authorization, admission, validation.

        :param every: ask for every object instead of one of each kind.
        :raises ReconcileError: a permission is missing; the message names each.
        """
        wanted = []
        for step in steps:
            wanted += [(step, request) for request in self._requests(step, every)]
        missing = {}
        for (step, request), error in zip(wanted, self._survey.each(self._ask, wanted)):
            if error is None or error.status in (404, 409, 410):
                continue  # it went or changed meanwhile
            if error.status == 403:
                missing[request.doing] = error.said
            elif error.status == 400 and "dry run" in error.said:
                self.warnings.append(f"Not rehearsed: {request.doing}: {error.said}")
            else:
                self._refused.setdefault(step.data.namespace.name, f"{error}. Step: {step}")
        if missing:
            raise ReconcileError(
                "Nothing was changed, since not permitted: {}. The ClusterRole of the guide docs/k8s_ns_finalize.md "
                "has all that is needed".format(
                    "; ".join(f'"{doing}" ({said})' for doing, said in sorted(missing.items()))
                ),
                missing_permissions=sorted(missing),
            )

    def refusals(self, state):
        """Return ``{namespace: message}`` of all that cannot be freed as it was asked, and did not go by themselves."""
        found = {}
        for one in state.found:
            gone = self.results.get(one.namespace.name, {}).get("gone")
            causes = plan.blocked(self._wanted, one) if one.namespace.terminating and not gone else ()
            if causes:
                found[one.namespace.name] = "; ".join(f"{cause.reason}. {cause.remedy}" for cause in causes)
        return {**found, **self._refused}

    def apply(self, steps):
        """Free all namespaces. Nothing is undone: what is deleted is deleted.

        :raises ReconcileError: some stay; its message has a line for each, and the others are gone.
        """
        self.rehearse(steps, every=False)
        queues = {}
        for step in steps:
            if step.data.namespace.name not in self._refused:
                queues.setdefault(step.data.namespace.name, []).append(step)
        todo = deque(queues.items())
        count = min(WAITING, len(todo))
        workers = [threading.Thread(target=self._work, args=(todo,), daemon=True) for _one in range(count)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        failed = {name: one["msg"] for name, one in self.results.items() if one["failed"]}
        failed.update(self.refusals(self.first))
        if failed:
            raise ReconcileError(
                said(failed),
                changed=any(one["changed"] for one in self.results.values()),
                steps=[str(step) for step in steps],
                outcomes=self.results,
                namespaces=report.namespaces(self.first),
                orphans=report.orphans(self.first.orphans, self.results),
            )

    def _work(self, todo):
        while True:
            try:
                name, steps = todo.popleft()
            except IndexError:
                return
            self.results[name] = self._free(steps)

    def _free(self, steps):
        began, message = time.monotonic(), ""
        freeing = Freeing(self._api, self._survey, self._wanted)
        try:
            freeing.run(steps)
        except (Failed, ReconcileError) as error:
            message = str(error)
        return {
            "gone": not message,
            "changed": freeing.changed,
            "failed": bool(message),
            "msg": message,
            "cleared": [dict(report.described(one), finalizers=list(names)) for one, names in freeing.cleared],
            "orphaned": [report.described(one) for one in freeing.orphaned],
            "seconds": round(time.monotonic() - began, 3),
        }

    def _requests(self, step, every):
        """Return the requests of a step as far as they can be known before the ones before it were sent."""
        act, own = step.data, step.data.namespace.spec_finalizers
        if act.kind == plan.CLEAR:
            return self._clearing(act, every)
        spec = {
            plan.REPAIR: [*own, KUBERNETES],
            plan.SPEC: [name for name in own if name not in act.finalizers],
            plan.FINALIZE: [name for name in own if name != KUBERNETES],
            plan.FORCE: [name for name in own if name != KUBERNETES],
        }
        if act.kind in spec:
            return [changes.finalize(act.namespace.raw, spec[act.kind])]
        if act.kind == plan.METADATA:
            stays = [name for name in act.namespace.metadata_finalizers if name not in act.finalizers]
            return [changes.namespace_metadata(act.namespace.raw, stays)]
        made = {plan.RECREATE: changes.create(act.namespace.name, ""), plan.DELETE: changes.delete(act.namespace.name)}
        return [made[act.kind]] if act.kind in made else []

    def _clearing(self, act, every):
        objects = plan.clearable(self._wanted, act.objects) or act.objects
        if not every:
            objects = {one.resource: one for one in objects}.values()
        return [changes.clear(one, plan.remaining(self._wanted, one)) for one in objects]

    def _ask(self, wanted):
        request = changes.rehearsed(wanted[1])
        try:
            self._api.send(
                request.method, request.path, request.doing, request.body, query=request.query, content=request.content
            )
        except ApiError as error:
            return error
        return None


def said(failed):
    """Return the message of a task in which namespaces stay."""
    lines = [f"{name}: {message}" for name, message in sorted(failed.items())]
    count = "1 namespace stays" if len(lines) == 1 else f"{len(lines)} namespaces stay"
    return "\n".join([f"{count}:", *lines])
