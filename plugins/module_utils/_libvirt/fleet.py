# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""All domains of a task: read together, driven at the same time, each with its own result.

Private to the collection; not a public interface.
"""

import threading
import time
from collections import deque

from .._core.reconcile import ReconcileError
from . import definition, survey
from .drive import Driver, Failed
from .lifecycle import ABSENT, PAUSED, PMSUSPENDED, RUNNING
from .model import State

ACTIVE = (RUNNING, PAUSED, PMSUSPENDED)


class Fleet:
    """What ``reconcile`` observes and changes.

    ``results`` maps the name of each domain that was changed to what was done and what came of it.
    """

    def __init__(self, session, wanted):
        self.results = {}
        self._session = session
        self._wanted = wanted
        self._refreshed = set()
        self._gone = set()

    def observe(self):
        """Return the :class:`model.State`.

        :raises ReconcileError: it cannot be read.
        """
        wanted = self._wanted
        agents = wanted.shutdown_by == ("agent",)
        with self._session.reading():
            state = survey.look(self._session, wanted.targets, bool(wanted.leftovers.volumes), agents)
        chosen = tuple(
            (target, tuple(one._replace(refreshed=one.uuid in self._refreshed) for one in domains))
            for target, domains in state.chosen
        )
        return State(chosen, state.used, tuple(sorted(self._gone)))

    def apply(self, steps):
        """Drive all domains, ``parallelism`` at a time. Nothing is undone: a guest that was stopped cannot run on.

        :raises ReconcileError: some domains failed; its message has a line for each, and the others are done.
        """
        self._session.listen()
        queues = {}
        for step in steps:
            queues.setdefault(step.data.name, []).append(step)
        todo = deque(queues.items())
        workers = [
            threading.Thread(target=self._work, args=(todo,), daemon=True)
            for _number in range(min(self._wanted.parallelism, len(todo)))
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        failed = {name: one for name, one in sorted(self.results.items()) if one["failed"]}
        if failed:
            raise ReconcileError(
                "\n".join(
                    [f"{len(failed)} of {len(self.results)} domains failed:"]
                    + ["{}: {}".format(name, one["msg"]) for name, one in failed.items()]
                ),
                domains=self.results,
                changed=any(one["changed"] for one in self.results.values()),
            )

    def _work(self, todo):
        while True:
            try:
                name, steps = todo.popleft()
            except IndexError:
                return
            self.results[name] = self._drive(name, steps)

    def _drive(self, name, steps):
        """Carry out the steps of one domain and return its result."""
        began = time.monotonic()
        driver = Driver(self._session, self._wanted, name, steps[0].data.uuid)
        message = ""
        try:
            for step in steps:
                driver.carry_out(step.data)
        except (Failed, ReconcileError) as error:
            message = f"{error}. Step: {step}"
        except self._session.libvirt.libvirtError as error:
            message = f"{error.get_error_message()}. Step: {step}"
        if driver.refreshed:
            self._refreshed.add(driver.uuid)
        if driver.state == ABSENT:
            self._gone.add(name)
        return {
            "state": driver.state,
            "path": list(driver.done),
            "changed": driver.changed,
            "forced": driver.forced,
            "failed": bool(message),
            "msg": message,
            "seconds": round(time.monotonic() - began, 3),
        }


def restart_required(session, wanted):
    """Return ``{name: paths}`` of the domains that run with something else than their declared xml."""
    found = {}
    defined = [one for one in wanted.targets if one.xml is not None]
    if not defined:
        return found
    with session.reading():
        for target, domains in survey.look(session, defined).chosen:
            for one in domains:
                live = survey.xml(session, one.uuid, inactive=False, secure=True) if one.state in ACTIVE else None
                paths = definition.restart_required(target.xml, live) if live is not None else ()
                if paths:
                    found[one.name] = paths
    return found
