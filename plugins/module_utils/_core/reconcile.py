# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observe, plan, apply, observe again: the one control flow of every module of this collection.

Private to the collection; not a public interface.
"""

from contextlib import contextmanager
from typing import Any, Callable, NamedTuple


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
        text = f"{self.verb} {self.target}"
        return f"{text}: {self.detail}" if self.detail else text


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
            warnings=self.warnings + tuple(one for one in later.warnings if one not in self.warnings),
        )


@contextmanager
def reported(module):
    """End the task with the message and details of a :class:`ReconcileError` raised in the body."""
    try:
        yield
    except ReconcileError as error:
        module.fail_json(msg=str(error), **error.details)


class Loop(NamedTuple):
    """The functions that :func:`reconcile` calls, and how often."""

    observe: Callable
    plan: Callable
    apply: Callable
    rounds: int
    guard: Any
    together: bool


def reconcile(module, observe, plan, apply, rounds=1, *, guard=None, together=False):
    """Bring the system to what ``plan`` wants and return the task's result.

    :param module: the AnsibleModule; its check mode means "do not apply", nothing else.
    :param observe: ``observe() -> state``; reads, never writes.
    :param plan: ``plan(state) -> Plan``; pure.
    :param apply: ``apply(step) -> undo``; the only writer. ``undo`` is a function without arguments
        that puts back what the step changed, or None where nothing can be put back.
    :param rounds: how often new steps may turn up after the first plan was carried out (processes
        that were forked meanwhile). A step that turns up again after it was done is always an error.
    :param guard: the :class:`Guard` of a change that may cut the connection; armed before the first step.
    :param together: ``apply(steps)`` gets all steps of a plan in one call, because they belong to many things that
        are changed at the same time. What it raises ends the task as it is, and nothing is undone.
    :returns: dict with ``changed``, ``diff`` and ``steps``, all from the same plan.

    A :class:`ReconcileError`, from whichever function, ends the task with its message and details.
    One that is raised by ``apply`` undoes the steps done so far, last first; where that does not bring
    back the state from before, the guard does, if there is one.
    """
    loop = Loop(observe, plan, apply, rounds, guard, together)
    with reported(module):
        state = observe()
        todo = plan(state)
        really = bool(todo.steps) and not module.check_mode
        if really and guard:
            guard.arm(state, todo)
        if really:
            todo = _converge(todo, loop)
    for warning in todo.warnings:
        module.warn(warning)
    result = {
        "changed": bool(todo.steps),
        "diff": {"before": todo.before, "after": todo.after},
        "steps": [str(step) for step in todo.steps],
    }
    return guard.applied(result) if really and guard else result


def _converge(first, loop):
    """Carry out ``first`` and what turns up after it; return all that was done as one plan."""
    whole = todo = first
    for attempt in range(1, loop.rounds + 1):
        _apply_all(todo.steps, loop)
        todo = _left(loop, whole)
        if not todo.steps:
            return whole
        done = [str(step) for step in whole.steps]
        left = [str(step) for step in todo.steps]
        if attempt == loop.rounds or set(left).intersection(done):
            said = loop.guard.failed(whole=False) if loop.guard else {}
            raise ReconcileError(
                "Not converged: every step was done, and yet this is needed: {}. "
                "Something else on the host changes it back, or did not take the change.{}".format(
                    "; ".join(left), _put_back(said)
                ),
                done=done,
                remaining=left,
                **said,
            )
        whole = whole.then(todo)
    return whole


def _left(loop, whole):
    """Return what is still to be done; a state that can no longer be read is put back by the guard."""
    try:
        return loop.plan(loop.observe())
    except ReconcileError as error:
        said = loop.guard.failed(whole=False) if loop.guard else {}
        done = [str(step) for step in whole.steps]
        raise ReconcileError(
            "Every step was done, and what came of it cannot be told: {}.{}".format(
                str(error).rstrip("."), _put_back(said)
            ),
            **dict(error.details, done=done, **said),
        ) from error


def _apply_all(steps, loop):
    """Carry out ``steps`` in order; when one fails, undo the earlier ones and say what was found."""
    if loop.together:
        loop.apply(steps)
        return
    done = []
    for step in steps:
        try:
            if loop.guard:
                loop.guard.step()
            done.append((step, loop.apply(step)))
        except ReconcileError as error:
            undone, kept = _undo(done)
            found, as_before = _found(loop, steps)
            said = loop.guard.failed(whole=not kept and as_before) if loop.guard else {}
            raise ReconcileError(
                "{}. {}{}".format(str(error).rstrip("."), _aftermath(step, undone, kept), _put_back(said)),
                **dict(
                    error.details,
                    failed_step=str(step),
                    done=[str(one) for one, _undo_it in done],
                    undone=undone,
                    found=found,
                    **said,
                ),
            ) from error


def _put_back(said):
    """Say whether the guard has put back what was there before."""
    if "guard" not in said:
        return ""
    if said["rolled_back"]:
        return " What was there before was put back."
    return " Putting back what was there before failed too: {}.".format("; ".join(said["guard"].get("errors", ())))


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
            kept.append(f"{step} ({error})")
    return undone, kept


def _aftermath(step, undone, kept):
    """Say in one or two sentences what the failure of ``step`` left behind."""
    said = [f"Failed step: {step}."]
    if undone:
        said.append("Undone again: {}.".format("; ".join(undone)))
    if kept:
        said.append("Stays changed: {}.".format("; ".join(kept)))
    if not undone and not kept:
        said.append("Nothing was changed.")
    return " ".join(said)


def _found(loop, steps):
    """Return the state after a failure as far as it can be read, and whether ``steps`` are to be done as before."""
    try:
        left = loop.plan(loop.observe())
    except ReconcileError as error:
        return str(error), False
    return left.before, tuple(map(str, left.steps)) == tuple(map(str, steps))
