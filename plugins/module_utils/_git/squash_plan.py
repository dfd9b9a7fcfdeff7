# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which steps fold a branch, or give it back what it was. Pure: nothing of the system is touched here.

Private to the collection; not a public interface.
"""

import datetime

from .._core.reconcile import Plan, ReconcileError, Step
from .squash_rewrite import rewrite


def plan(wanted, states, restore=False):
    """Return the :class:`Plan` for all branches; ``states`` has one state for each of ``wanted``.

    :raises ReconcileError: a branch cannot be folded as declared; nothing has been changed.
    """
    whole = Plan({}, {}, ())
    for one, state in zip(wanted, states):
        part = _restore(one, state) if restore else _squash(one, state)
        whole = whole.then(_pushed(one, state, part)).then(_expire(one, state))
    return whole


def _squash(wanted, state):
    record = result_of(state)
    _check_range(wanted, state)
    made = rewrite(wanted, state)
    if made.tip == state.origin and not (wanted.sign and state.chain and not _is_signed(state.chain[-1])):
        return Plan({}, {}, ())
    if record and record.planned == made.tip and (record.signed or not wanted.sign):
        return Plan({}, {}, ())
    _check_rewrite(wanted, state, made)
    many = [fold for fold in made.folds if fold.wording is not None]
    folded = sum(len(fold.sources) for fold in many)
    shown = "{} -> {}{}".format(
        _count(folded),
        _count(len(many)),
        ", signed" if wanted.sign else f", {made.tip[:10]}",
    )
    subjects = ", ".join(repr(_subject(made, fold)) for fold in many[:3]) + (", ..." if len(many) > 3 else "")
    step = Step("fold", state.label, f"{shown}: {subjects}", (wanted, state, made))
    after = "a signed commit" if wanted.sign else made.tip
    return Plan({state.label: {"tip": state.tip}}, {state.label: {"tip": after}}, (step,))


def _count(number):
    return "1 commit" if number == 1 else f"{number} commits"


def _subject(made, fold):
    trees = {one.tree: one for one in made.new}
    return trees.get(fold.sources[-1].tree, fold.sources[-1]).subject


def _is_signed(commit):
    return any(name.startswith("gpgsig") for name, _value in commit.headers)


def result_of(state):
    """Return the backup of which the branch's tip is the result, or None."""
    return next((one for one in state.backups if one.result == state.tip), None)


def _check_range(wanted, state):
    """Refuse a range that is not there."""
    cut = sorted(one.oid for one in state.chain if one.oid in state.shallow)
    if cut or (state.shallow and (wanted.last or 0) > len(state.chain)):
        where = f" at {cut[0][:10]}" if cut else ""
        raise ReconcileError(
            f"{state.label}: the history of this clone is cut off{where}, inside the range that is to be folded. "
            "Deepen it first: 'git fetch --deepen=N', or hostcraft.linux.git_shallow with a larger depth"
        )
    if wanted.last is not None and wanted.last > len(state.chain):
        raise ReconcileError(
            f"{state.label}: last is {wanted.last}, but the branch has only {_count(len(state.chain))} along its first "
            f"parents. Give at most {len(state.chain)}, which folds the root commit as well"
        )
    if wanted.since is not None and state.base is None:
        raise ReconcileError(
            f"{state.label}: it has no commit in common with '{wanted.since}', so there is no fork point. "
            "Name a ref that the branch grew from, or use last"
        )


def _check_rewrite(wanted, state, made):
    """Refuse to rewrite what should stay."""
    if state.operation:
        raise ReconcileError(
            f"{state.label}: {state.operation} is under way on this branch. Finish or abort it first; "
            "'git status' shows how"
        )
    merges = [one for fold in made.folds if len(fold.sources) > 1 for one in fold.sources if len(one.parents) > 1]
    if merges and not wanted.merges:
        raise ReconcileError(
            f"{state.label}: {merges[0].oid[:10]} '{merges[0].subject}' is a merge. Folded, the other side's commits "
            "become part of the one commit; allow that by 'merges: fold', or take a range without it"
        )
    if state.entangled:
        raise ReconcileError(
            f"{state.label}: the merge {state.entangled[0][:10]} brings in commits that grew from the range itself; "
            "rewritten, they would be there twice. Take a range that begins after it, or includes it"
        )
    _check_published(wanted, state)


def _check_published(wanted, state):
    """Refuse to rewrite what others may have, but for the upstream branch that is pushed as well."""
    own = "{}/{}".format(state.remote.name, state.remote.ref[len("refs/heads/") :]) if state.remote else None
    public = [one for one in state.published if one != own]
    if public and not wanted.published:
        raise ReconcileError(
            f"{state.label}: the commits are published, {', '.join(public[:3])} has them; who has fetched them would "
            "have them twice. Allow it by 'published: rewrite', or 'push: with_lease' to replace the upstream too"
        )


def _restore(wanted, state):
    for backup in state.backups:
        if backup.old == state.tip:
            return Plan({}, {}, ())
        if backup.result == state.tip:
            _check_restore(wanted, state)
            step = Step("restore", state.label, f"{state.tip[:10]} -> {backup.old[:10]}", (state, backup))
            return Plan({state.label: {"tip": state.tip}}, {state.label: {"tip": backup.old}}, (step,))
    if not state.backups:
        raise ReconcileError(
            f"{state.label}: there is no backup of it below refs/hostcraft/squash; 'git reflog' may still know the "
            "commit to go back to"
        )
    raise ReconcileError(
        f"{state.label}: the branch has moved on since it was squashed, going back would lose what came after. "
        f"The history from before is {state.backups[0].ref}; look at it, and move the branch by hand"
    )


def _check_restore(wanted, state):
    if state.operation:
        raise ReconcileError(
            f"{state.label}: {state.operation} is under way on this branch. Finish or abort it first; "
            "'git status' shows how"
        )
    _check_published(wanted, state)


def _pushed(wanted, state, part):
    """Add the push of the branch to its plan, when the upstream has something else."""
    if not wanted.push:
        return part
    remote = state.remote
    after = part.after[state.label]["tip"] if part.steps else state.tip
    if remote.actual == after:
        return part
    if remote.actual != remote.seen:
        raise ReconcileError(
            f"{state.label}: {remote.name} has {_short(remote.actual)} as {remote.ref}, but here it was last seen as "
            f"{_short(remote.seen)}; somebody else has pushed. "
            f"Run 'git fetch {remote.name}' and look before you replace it"
        )
    if remote.lost:
        raise ReconcileError(
            f"{state.label}: {remote.name} has {_count(remote.lost)} in {remote.ref} that the branch lacks; they would "
            "be lost. Merge or rebase them first"
        )
    to = _short(after) if len(after) >= 40 else after
    step = Step("push", state.label, f"{remote.name} {remote.ref} {_short(remote.actual)} -> {to}", (state, remote))
    before = dict(part.before.get(state.label, {}), upstream=remote.actual)
    after = dict(part.after.get(state.label, {}), upstream=after)
    return Plan({state.label: before}, {state.label: after}, (*part.steps, step))


def _short(oid):
    return oid[:10] if oid else "nothing"


def _expire(wanted, state):
    """Drop backups that are too old. Those of what the branch is now stay: by them a second run knows its result."""
    steps = tuple(
        Step("expire", one.ref, f"made {_day(one.made)}", (state.path, one))
        for one in state.backups
        if wanted.keep_seconds is not None
        and state.now - one.made > wanted.keep_seconds
        and state.tip not in (one.result, one.old)
    )
    return Plan({s.target: s.data[1].old for s in steps}, {s.target: None for s in steps}, steps)


def report(states):
    """Return the branches as they were last seen, for the user."""
    found = []
    for state in states:
        record = result_of(state)
        entry = {"path": state.path, "branch": state.ref[len("refs/heads/") :], "commit": state.tip}
        if record:
            entry.update(backup=record.ref, before=record.old)
        found.append(entry)
    return found


def _day(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%d")
