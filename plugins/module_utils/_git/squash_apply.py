# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carry out the steps of a squash: objects first, then one transaction of refs. No working tree is touched.

Private to the collection; not a public interface.
"""

import os
import shutil
import tempfile
import time

from .._core.reconcile import ReconcileError
from . import commits
from .git import git, maybe, online
from .squash_model import BACKUPS

USAGE = 129  # git's exit status for an option that it does not know
NONE = "0" * 40  # no such ref (git-update-ref(1))
PUSHING = 600.0  # seconds that a push may take


def apply(step):
    """Carry out one step and return what undoes it."""
    return {"fold": _fold, "restore": _restore, "push": _push, "expire": _expire}[step.verb](*step.data)


def _fold(wanted, state, made):
    path, branch = state.path, state.ref[len("refs/heads/") :]
    tip = _sign(wanted, state, made) if wanted.sign else _write(path, made.new) or made.tip
    trees = {maybe(path, "rev-parse", "--verify", f"{oid}^{{tree}}") for oid in (state.origin, tip)}
    if len(trees) != 1 or None in trees:
        raise ReconcileError(
            f"{state.label}: {tip} does not have the tree of {state.origin}; the branch stays as it is"
        )
    now = int(time.time())
    record = "squash {} planned {} {} at {}".format(tip, made.tip, "signed" if wanted.sign else "unsigned", now)
    tag = (
        f"object {state.origin}\ntype commit\ntag hostcraft-squash\n"
        f"tagger hostcraft.linux <git_squash@localhost> {now} +0000\n\n{record}\n"
    )
    kept = git(path, "hash-object", "-t", "tag", "-w", "--stdin", stdin=tag).strip()
    backup = f"{BACKUPS}/{branch}/{state.origin}"
    before = maybe(path, "rev-parse", "--verify", "--quiet", backup)
    _refs(path, "git_squash: fold", (backup, kept, before), (state.ref, tip, state.tip))
    return lambda: _refs(path, "git_squash: undo", (state.ref, state.tip, tip), (backup, before, kept))


def _write(path, new):
    """Write commits by one git, however many they are; they must get the ids that were planned."""
    if not new:
        return
    directory = tempfile.mkdtemp(prefix="hostcraft-")
    try:
        names = []
        for number, commit in enumerate(new):
            names.append(os.path.join(directory, str(number)))
            with open(names[-1], "wb") as stream:
                stream.write(commits.render(commit).encode("utf-8", "surrogateescape"))
        said = git(
            path, "hash-object", "-t", "commit", "-w", "--no-filters", "--stdin-paths", stdin="\n".join(names) + "\n"
        )
    finally:
        shutil.rmtree(directory)
    if said.split() != [commit.oid for commit in new]:
        raise ReconcileError(f"{path}: git gave the new commits other ids than planned; the branch stays as it is")


def _sign(wanted, state, made):
    """Write the new commits with signatures; their ids, and so their parents, are known only then."""
    new = made.new or (commits.unsigned(state.chain[-1]),)
    actual = {}
    for commit in new:
        author, committer = (commits.person(one) for one in (commit.author, commit.committer))
        env = {
            "GIT_AUTHOR_NAME": author[: author.rindex(" <")],
            "GIT_AUTHOR_EMAIL": author[author.rindex("<") + 1 : -1],
            "GIT_AUTHOR_DATE": "@" + commits.date(commit.author),
            "GIT_COMMITTER_NAME": committer[: committer.rindex(" <")],
            "GIT_COMMITTER_EMAIL": committer[committer.rindex("<") + 1 : -1],
            "GIT_COMMITTER_DATE": "@" + commits.date(commit.committer),
        }
        options = ["-c", f"i18n.commitEncoding={commit.encoding}"]
        if wanted.signing_format:
            options += ["-c", f"gpg.format={wanted.signing_format}"]
        parents = [word for one in commit.parents for word in ("-p", actual.get(one, one))]
        key = "-S" + (wanted.signing_key or "")
        try:
            said = git(state.path, *options, "commit-tree", key, *parents, commit.tree, stdin=commit.message, env=env)
        except ReconcileError as error:
            raise ReconcileError(
                f"{state.label}: git could not sign the commit; the branch stays as it is. {error}", **error.details
            ) from error
        actual[commit.oid] = said.strip()
    return actual[new[-1].oid]


def _restore(state, backup):
    _refs(state.path, "git_squash: restore", (state.ref, backup.old, state.tip))
    return lambda: _refs(state.path, "git_squash: undo", (state.ref, state.tip, backup.old))


def _push(state, remote):
    lease = "--force-with-lease={}:{}".format(remote.ref, remote.actual or "")
    online(state.path, "push", "--quiet", lease, "--", remote.name, f"{state.ref}:{remote.ref}", timeout=PUSHING)


def _expire(path, backup):
    tag = git(path, "rev-parse", "--verify", backup.ref).strip()
    _refs(path, "git_squash: expire", (backup.ref, None, tag))
    return lambda: _refs(path, "git_squash: undo", (backup.ref, tag, None))


def _refs(path, why, *changes):
    """Change refs in one transaction; each change is (ref, new, old), and None means that there is none.

    A ref that somebody else moved meanwhile makes all of it fail, and nothing is changed.
    """
    lines = []
    for ref, new, old in changes:
        if new is None:
            lines.append(f"delete {ref} {old}")
        elif old is None:
            lines.append(f"create {ref} {new}")
        else:
            lines.append(f"update {ref} {new} {old}")
    try:
        git(path, "update-ref", "-m", why, "--stdin", stdin="\n".join(lines) + "\n")
    except ReconcileError as error:
        if error.details.get("rc") != USAGE:
            raise
        _one_by_one(path, why, changes)


def _one_by_one(path, why, changes):
    """The same for a git before 1.8.5, without transactions: the backup comes first, and goes when the branch moved."""
    done = []
    try:
        for change in changes:
            _one(path, why, *change)
            done.append(change)
    except ReconcileError:
        for ref, new, old in reversed(done):
            _one(path, why, ref, new=old, old=new)
        raise


def _one(path, why, ref, new, old):
    if new is None:
        git(path, "update-ref", "-m", why, "-d", ref, old)
    else:
        git(path, "update-ref", "-m", why, ref, new, old or NONE)
