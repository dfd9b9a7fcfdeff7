# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a range of commits becomes: every new commit, its object id included, before anything is written.

Private to the collection; not a public interface.
"""

from typing import NamedTuple, Optional, Tuple

from .._core.reconcile import ReconcileError
from . import commits, messages
from .commits import Commit
from .squash_model import Wording


class Fold(NamedTuple):
    """The commits of a chain that become one, and how. None as wording keeps a single commit as it is."""

    sources: Tuple[Commit, ...]
    wording: Optional[Wording] = None


class Rewrite(NamedTuple):
    """The new commits, oldest first, each with the id it has when it is not signed; and the tip after them."""

    folds: Tuple[Fold, ...]
    new: Tuple[Commit, ...]
    tip: str


def rewrite(wanted, state):
    """Return the :class:`Rewrite` of the chain in ``state``.

    :raises ReconcileError: groups that are not in the chain, overlap or are out of order.
    """
    folds = _folds(wanted, state)
    parent, new = state.base, []
    for fold in folds:
        one = _become(fold, parent, state.sides)
        if one.oid != fold.sources[-1].oid:
            new.append(one)
        parent = one.oid
    return Rewrite(folds, tuple(new), parent or state.origin)


def _folds(wanted, state):
    if wanted.groups:
        return _grouped(wanted, state)
    if wanted.fixups:
        return _autosquashed(wanted, state)
    return (Fold(state.chain, wanted.wording),) if state.chain else ()


def _grouped(wanted, state):
    places = {one.oid: place for place, one in enumerate(state.chain)}
    starts = {}
    for group in wanted.groups:
        first, last = (places.get(state.named[name]) for name in (group.first, group.last))
        for name, place in ((group.first, first), (group.last, last)):
            if place is None:
                raise ReconcileError(
                    f"{state.label}: commit {name} is not among the {len(state.chain)} commits along the first parents "
                    "of the branch; 'git log --first-parent' shows them"
                )
        if first > last:
            raise ReconcileError(f"{state.label}: {group.first} comes after {group.last}; first is the older one")
        starts[first] = (last, group)
    folds, place = [], 0
    while place < len(state.chain):
        last, group = starts.pop(place, (place, None))
        inside = sorted(start for start in starts if start <= last)
        if inside:
            both = starts[inside[0]][1]
            raise ReconcileError(
                f"{state.label}: the groups {group.first}..{group.last} and {both.first}..{both.last} overlap; "
                "a commit can be in one group only"
            )
        folds.append(Fold(state.chain[place : last + 1], group.wording if group else None))
        place = last + 1
    return tuple(folds)


def _autosquashed(wanted, state):
    """Return the folds of neighbours: a commit, and those directly after it that name it as their target."""
    folds = []
    for one in state.chain:
        target = one.subject
        while messages.AUTOSQUASH.match(target):
            target = target.partition("! ")[2]
        if target == one.subject:
            folds.append(Fold((one,)))
        elif folds and folds[-1].sources[0].subject == target:
            folds[-1] = Fold((*folds[-1].sources, one), wanted.wording._replace(message=None))
        else:
            raise ReconcileError(
                f"{state.label}: {one.oid[:10]} '{one.subject}' does not follow the commit that it is meant for, and "
                "moving it would change what the commits between hold. Move it by 'git rebase -i --autosquash', or "
                "name the commits as groups"
            )
    return tuple(folds)


def _become(fold, parent, sides):
    """Return the commit that a fold becomes on ``parent``; the very same one when nothing changes."""
    first, last = fold.sources[0], fold.sources[-1]
    parents = (parent,) if parent else ()
    if fold.wording is None or (len(fold.sources) == 1 and fold.wording == Wording()):
        parents += last.parents[1:]
        return last if parents == last.parents else commits.named(commits.unsigned(last)._replace(parents=parents))
    wording = fold.wording
    everyone = tuple(one for source in fold.sources for one in (*sides.get(source.oid, ()), source))
    author = {"first": first, "last": last}.get(wording.author)
    author = commits.person(commits.decoded(author, author.author)) if author else wording.author
    committer = wording.committer or commits.person(commits.decoded(last, last.committer))
    dated = {"first": first, "last": last}.get(wording.date)
    dates = (commits.date(dated.author), commits.date(dated.committer)) if dated else (wording.date,) * 2
    made = Commit(
        "", last.tree, parents, f"{author} {dates[0]}", f"{committer} {dates[1]}", _message(wording, everyone, author)
    )
    same = commits.unsigned(last)._replace(oid="") == made
    return last if same else commits.named(made)


def _message(wording, sources, author):
    texts = [commits.decoded(one, one.message) for one in sources]
    if len(texts) == 1 and wording.message is None:
        return texts[0]
    for place, one in enumerate(sources):
        if place and len(one.parents) > 1:  # the merge itself says nothing that its commits do not say
            texts[place] = str(messages.split(texts[place])._replace(subject="fixup! merge", body=""))
    message = messages.compose(texts)
    if wording.message is not None:
        given = messages.split(wording.message)
        message = given._replace(trailers=messages.gather([given, message]) if wording.trailers else given.trailers)
    if not wording.trailers:
        return str(message if wording.message is not None else message._replace(trailers=()))
    others = [commits.person(commits.decoded(one, one.author)) for one in sources]
    return str(message._replace(trailers=messages.credit(message.trailers, author, others)))
