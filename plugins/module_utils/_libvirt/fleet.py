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
    """What ``reconcile`` observes and changes: steps are handed over one by one and carried out together.

    ``results`` maps the name of each domain that was changed to what was done and what came of it.
    """

    def __init__(self, session, wanted):
        self.results = {}
        self._session = session
        self._wanted = wanted
        self._queues = {}
        self._refreshed = set()
        self._gone = set()

    def observe(self):
        """Carry out what was handed over, then return the :class:`model.State`.

        :raises ReconcileError: some domains failed; its message has a line for each, and the others are done.
        """
        if self._queues:
            self._run()
        wanted = self._wanted
        state = survey.look(
            self._session, wanted.targets, bool(wanted.leftovers.volumes), wanted.shutdown_by == ("agent",)
        )
        chosen = tuple(
            (target, tuple(one._replace(refreshed=one.uuid in self._refreshed) for one in domains))
            for target, domains in state.chosen
        )
        return State(chosen, state.used, tuple(sorted(self._gone)))

    def take(self, step):
        """Take over a step. Nothing can undo it: a guest that was stopped cannot be made to run on."""
        self._queues.setdefault(step.data.name, deque()).append(step)

    def _run(self):
        """Drive all domains, ``parallelism`` at a time."""
        self._session.listen()
        todo = deque(self._queues.items())
        self._queues = {}
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
            "forced": driver.forced,
            "failed": bool(message),
            "msg": message,
            "seconds": round(time.monotonic() - began, 3),
        }


def restart_required(session, wanted):
    """Return ``{name: paths}`` of the domains that run with something else than their declared xml."""
    found = {}
    for target, domains in survey.look(session, [one for one in wanted.targets if one.xml is not None]).chosen:
        for one in domains:
            live = survey.xml(session, one.uuid, inactive=False, secure=True) if one.state in ACTIVE else None
            if live is not None:
                paths = definition.restart_required(target.xml, live)
                if paths:
                    found[one.name] = paths
    return found
