# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observe, plan, apply, observe again: the one control flow of every module of this collection.

Private to the collection; not a public interface.
"""

from typing import Any, NamedTuple


class ReconcileError(Exception):
    """A failure that the user can act on. ``details`` become return values of the task."""

    def __init__(self, msg, **details):
        super().__init__(msg)
        self.details = details


class Step(NamedTuple):
    """One change, as the user reads it: an imperative verb, the object, and what happens to it.

    ``data`` is what the domain needs to carry the step out; it is never printed.
    """

    verb: str
    target: str
    detail: str = ""
    data: Any = None

    def __str__(self):
        text = "{0} {1}".format(self.verb, self.target)
        return "{0}: {1}".format(text, self.detail) if self.detail else text


class Plan(NamedTuple):
    """What would change, as data. ``before`` equals ``after`` exactly when ``steps`` is empty.

    ``before`` and ``after`` map the name of each object to its state, restricted to the objects
    that the steps touch, so that merging ``after`` over the observed state gives the next state.
    """

    before: dict
    after: dict
    steps: tuple
    warnings: tuple = ()

    def then(self, later):
        """Return the plan that does this one first and ``later`` after it."""
        return Plan(
            before=dict(later.before, **self.before),
            after=dict(self.after, **later.after),
            steps=self.steps + later.steps,
            warnings=self.warnings,
        )


def reconcile(module, observe, plan, apply, rounds=1):
    """Bring the system to what ``plan`` wants and return the task's result.

    :param module: the AnsibleModule; its check mode means "do not apply", nothing else.
    :param observe: ``observe() -> state``; reads, never writes.
    :param plan: ``plan(state) -> Plan``; pure.
    :param apply: ``apply(step) -> undo``; the only writer. ``undo`` is a function without arguments
        that puts back what the step changed, or None where nothing can be put back.
    :param rounds: how often new steps may turn up after the first plan was carried out (processes
        that were forked meanwhile). A step that turns up again after it was done is always an error.
    :returns: dict with ``changed``, ``diff`` and ``steps``, all from the same plan.

    A :class:`ReconcileError`, from whichever function, ends the task with its message and details.
    One that is raised by ``apply`` undoes the steps done so far, last first.
    """
    try:
        todo = plan(observe())
        if todo.steps and not module.check_mode:
            todo = _converge(todo, observe, plan, apply, rounds)
    except ReconcileError as error:
        module.fail_json(msg=str(error), **error.details)
    for warning in todo.warnings:
        module.warn(warning)
    return {
        "changed": bool(todo.steps),
        "diff": {"before": todo.before, "after": todo.after},
        "steps": [str(step) for step in todo.steps],
    }


def _converge(first, observe, plan, apply, rounds):
    """Carry out ``first`` and what turns up after it; return all that was done as one plan."""
    whole = todo = first
    for attempt in range(1, rounds + 1):
        _apply_all(todo.steps, observe, plan, apply)
        todo = plan(observe())
        if not todo.steps:
            return whole
        done = [str(step) for step in whole.steps]
        left = [str(step) for step in todo.steps]
        if attempt == rounds or set(left).intersection(done):
            raise ReconcileError(
                "Not converged: every step was done, and yet this is needed: {0}. "
                "Something else on the host changes it back, or did not take the change.".format("; ".join(left)),
                done=done,
                remaining=left,
            )
        whole = whole.then(todo)
    return whole


def _apply_all(steps, observe, plan, apply):
    """Carry out ``steps`` in order; when one fails, undo the earlier ones and say what was found."""
    done = []
    for step in steps:
        try:
            done.append((step, apply(step)))
        except ReconcileError as error:
            undone, kept = _undo(done)
            raise ReconcileError(
                "{0}. {1}".format(str(error).rstrip("."), _aftermath(step, undone, kept)),
                **dict(
                    error.details,
                    failed_step=str(step),
                    done=[str(one) for one, _undo_it in done],
                    undone=undone,
                    found=_found(observe, plan),
                )
            )


def _undo(done):
    """Undo what can be undone, last first; return the steps that were and that were not."""
    undone, kept = [], []
    for step, undo in reversed(done):
        try:
            if undo is None:
                kept.append(str(step))
            else:
                undo()
                undone.append(str(step))
        except ReconcileError as error:
            kept.append("{0} ({1})".format(step, error))
    return undone, kept


def _aftermath(step, undone, kept):
    """Say in one or two sentences what the failure of ``step`` left behind."""
    said = ["Failed step: {0}.".format(step)]
    if undone:
        said.append("Undone again: {0}.".format("; ".join(undone)))
    if kept:
        said.append("Stays changed: {0}.".format("; ".join(kept)))
    if not undone and not kept:
        said.append("Nothing was changed.")
    return " ".join(said)


def _found(observe, plan):
    """Return the state after a failure as far as it can be read."""
    try:
        return plan(observe()).before
    except ReconcileError as error:
        return "could not be read: {0}".format(error)
