# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one control flow: a shelf that holds numbers stands for the system."""

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import (
    Plan,
    ReconcileError,
    Step,
    reconcile,
)


class Ended(Exception):
    """What fail_json does to the flow."""


class Module:
    """The part of AnsibleModule that reconcile uses."""

    def __init__(self, check_mode=False):
        self.check_mode = check_mode
        self.warnings = []

    def warn(self, text):
        self.warnings.append(text)

    def fail_json(self, **result):
        raise Ended(result)


def planner(wanted):
    """Plan one step for each wanted number that is not on the shelf."""

    def plan(shelf):
        steps = tuple(Step("put", str(one), data=one) for one in wanted if one not in shelf)
        return Plan({str(s.data): "off" for s in steps}, {str(s.data): "on" for s in steps}, steps, ("dusty",))

    return plan


def run(shelf, wanted, apply, rounds=1, check_mode=False):
    module = Module(check_mode)
    return reconcile(module, lambda: set(shelf), planner(wanted), apply, rounds), module


def put(shelf):
    def apply(step):
        shelf.add(step.data)
        return lambda: shelf.discard(step.data)

    return apply


def test_predicts_what_it_does_and_then_has_nothing_to_do():
    shelf = {1}
    predicted, module = run(shelf, [1, 2, 3], put(shelf), check_mode=True)
    assert shelf == {1}
    assert module.warnings == ["dusty"]
    done, _module = run(shelf, [1, 2, 3], put(shelf))
    assert shelf == {1, 2, 3}
    assert done == predicted
    assert done["steps"] == ["put 2", "put 3"]
    again, _module = run(shelf, [1, 2, 3], put(shelf))
    assert again == {"changed": False, "diff": {"before": {}, "after": {}}, "steps": []}


def test_a_step_that_fails_undoes_the_earlier_ones_and_says_what_is_found():
    shelf = set()

    def apply(step):
        if step.data == 3:
            raise ReconcileError("3 is too heavy", weight=9)
        return put(shelf)(step)

    with pytest.raises(Ended) as ended:
        run(shelf, [1, 2, 3], apply)
    result = ended.value.args[0]
    assert shelf == set()
    assert result["msg"] == "3 is too heavy. Failed step: put 3. Undone again: put 2; put 1."
    assert result["failed_step"] == "put 3"
    assert result["done"] == ["put 1", "put 2"]
    assert result["undone"] == ["put 2", "put 1"]
    assert result["found"] == {"1": "off", "2": "off", "3": "off"}
    assert result["weight"] == 9


def test_what_cannot_be_undone_is_said():
    shelf = set()

    def apply(step):
        if step.data == 2:
            raise ReconcileError("no room")
        shelf.add(step.data)

    with pytest.raises(Ended) as ended:
        run(shelf, [1, 2], apply)
    assert ended.value.args[0]["msg"] == "no room. Failed step: put 2. Stays changed: put 1."


def test_an_undo_that_fails_is_said_and_the_others_still_run():
    shelf = set()

    def apply(step):
        if step.data == 3:
            raise ReconcileError("no room")
        shelf.add(step.data)

        def undo():
            if step.data == 2:
                raise ReconcileError("glued")
            shelf.discard(step.data)

        return undo

    with pytest.raises(Ended) as ended:
        run(shelf, [1, 2, 3], apply)
    assert shelf == {2}
    assert "Undone again: put 1. Stays changed: put 2 (glued)." in ended.value.args[0]["msg"]


def test_a_first_step_that_fails_has_changed_nothing():
    def apply(step):
        raise ReconcileError("no")

    with pytest.raises(Ended) as ended:
        run(set(), [1], apply)
    assert ended.value.args[0]["msg"] == "no. Failed step: put 1. Nothing was changed."


def test_a_change_that_does_not_last_is_an_error():
    with pytest.raises(Ended) as ended:
        run(set(), [1], lambda step: None, rounds=3)
    assert ended.value.args[0]["remaining"] == ["put 1"]
    assert ended.value.args[0]["done"] == ["put 1"]


def test_late_steps_are_done_in_a_later_round_only():
    def late(rounds):
        shelf, wanted = set(), [1]

        def apply(step):
            if step.data == 1:
                wanted.append(2)
            return put(shelf)(step)

        return run(shelf, wanted, apply, rounds)[0]

    result = late(2)
    assert result["steps"] == ["put 1", "put 2"]
    assert result["diff"]["after"] == {"1": "on", "2": "on"}
    with pytest.raises(Ended):
        late(1)


def test_a_bad_declaration_ends_the_task_before_anything_is_done():
    def plan(_state):
        raise ReconcileError("nonsense", found="x")

    with pytest.raises(Ended) as ended:
        reconcile(Module(), dict, plan, None)
    assert ended.value.args[0] == {"msg": "nonsense", "found": "x"}


@pytest.mark.parametrize("fails", [False, True])
def test_steps_that_are_carried_out_together_fail_as_they_say(fails):
    shelf, calls = set(), []

    def apply(steps):
        calls.append([one.data for one in steps])
        shelf.update(calls[0][:-1] if fails else calls[0])
        if fails:
            raise ReconcileError("1 of 3 did not stay", kept=[3])

    def bring():
        return reconcile(Module(), lambda: set(shelf), planner([1, 2, 3]), apply, together=True)

    if fails:
        with pytest.raises(Ended) as ended:
            bring()
        assert ended.value.args[0] == {"msg": "1 of 3 did not stay", "kept": [3]}
    else:
        assert bring()["steps"] == ["put 1", "put 2", "put 3"]
    assert calls == [[1, 2, 3]]
    assert shelf == ({1, 2} if fails else {1, 2, 3})


class Guard:
    """The part of a guard that reconcile uses; ``errors`` are those of putting back."""

    def __init__(self, errors=()):
        self.calls, self.errors = [], list(errors)

    def arm(self, state, plan):
        self.calls.append("arm")

    def step(self):
        self.calls.append("step")

    def applied(self, result):
        self.calls.append("applied")
        return result

    def failed(self, whole):
        self.calls.append(f"failed, whole {whole}")
        if whole:
            return {"rolled_back": False}
        return {"rolled_back": not self.errors, "guard": {"errors": self.errors}}


def guarded(guard, apply, observe=set, check_mode=False):
    """Return what the task ends with, well or not."""
    try:
        return reconcile(Module(check_mode), observe, planner([1, 2]), apply, guard=guard)
    except Ended as ended:
        return ended.args[0]


def test_a_guard_is_armed_before_the_first_step_and_told_of_each_and_of_the_end():
    guard, shelf = Guard(), set()
    assert guarded(guard, put(shelf), lambda: set(shelf))["changed"]
    assert guard.calls == ["arm", "step", "step", "applied"]
    idle, looking = Guard(), Guard()
    guarded(idle, put(shelf), lambda: set(shelf))
    assert guarded(looking, put(shelf), set, check_mode=True)["changed"]
    assert idle.calls == looking.calls == []


def test_a_guarded_step_that_fails_and_was_undone_leaves_nothing_to_the_guard():
    guard, shelf = Guard(), set()

    def apply(step):
        if step.data == 2:
            raise ReconcileError("no room")
        return put(shelf)(step)

    result = guarded(guard, apply, lambda: set(shelf))
    assert guard.calls == ["arm", "step", "step", "failed, whole True"]
    assert result["msg"] == "no room. Failed step: put 2. Undone again: put 1."
    assert result["rolled_back"] is False


@pytest.mark.parametrize(
    ("errors", "said"),
    [
        ([], " What was there before was put back."),
        (["glued", "lost"], " Putting back what was there before failed too: glued; lost."),
    ],
)
def test_what_the_guard_has_put_back_is_said(errors, said):
    def fails_halfway(step):
        if step.data == 2:
            raise ReconcileError("no room")  # and 1 cannot be undone

    result = guarded(Guard(errors), fails_halfway)
    assert result["msg"] == "no room. Failed step: put 2. Stays changed: put 1." + said
    assert result["rolled_back"] is not bool(errors)
    result = guarded(Guard(errors), lambda step: None)
    assert result["msg"].startswith("Not converged: every step was done, and yet this is needed: put 1; put 2. ")
    assert result["msg"].endswith("did not take the change." + said)
    assert result["rolled_back"] is not bool(errors)


def test_a_state_that_cannot_be_read_any_more_is_put_back_by_the_guard():
    guard, looks = Guard(), []

    def observe():
        looks.append(1)
        if len(looks) > 1:
            raise ReconcileError("the shelf is dark.")
        return set()

    result = guarded(guard, put(set()), observe)
    assert guard.calls == ["arm", "step", "step", "failed, whole False"]
    assert result["msg"] == (
        "Every step was done, and what came of it cannot be told: the shelf is dark. "
        "What was there before was put back."
    )
    assert (result["done"], result["rolled_back"]) == (["put 1", "put 2"], True)
