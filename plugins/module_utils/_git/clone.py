# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is at the destination of a checkout. Reads, never writes.

Private to the collection; not a public interface.
"""

import os

from .._core import files
from . import graph, journal, worktree
from .git import git, maybe
from .shallow_model import KEPT, Local, branch_of, tracking
from .targets import ABBREVIATED

OPERATIONS = {
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase or 'git am'",
    "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
    "BISECT_LOG": "a bisection",
}
SUBJECTS = 20  # so many are shown


def staging(dest):
    """Return where a clone is made before it gets its name."""
    parent, name = os.path.split(dest)
    return os.path.join(parent, f".{name}.hostcraft")


def look(wanted):
    """Return the :class:`Local` of a destination, without what depends on the target.

    :raises ReconcileError: it cannot be read, or somebody else is at work there.
    """
    dest = wanted.dest
    half = os.path.isdir(staging(dest))
    if half:
        journal.settle(staging(dest), os.path.join(staging(dest), ".git"), wanted.lock_timeout)
    directory = os.path.join(dest, ".git")
    if not os.path.isdir(directory):
        return _no_repository(dest, directory)._replace(half_clone=half)
    # What git itself says of the place: a working tree of its own, not one that lies further up.
    top = maybe(dest, "rev-parse", "--show-toplevel")
    if top is None or os.path.realpath(top) != os.path.realpath(dest):
        return Local("broken", found="git does not take it for a repository")
    return _repository(wanted, directory, half)


def _no_repository(dest, directory):
    """Return what there is instead of a repository with its working tree."""
    if os.path.isfile(directory):
        return Local("linked", found=(files.read(directory) or "").partition("gitdir: ")[2].strip())
    if not os.path.isdir(dest):
        return Local("files", found="a file") if os.path.lexists(dest) else Local("absent")
    inside = sorted(os.listdir(dest))
    if {"HEAD", "objects", "refs"}.issubset(inside):
        return Local("bare")
    return Local("files" if inside else "empty", found=", ".join(inside[:3]))


def _repository(wanted, directory, half):
    dest = wanted.dest
    locks = journal.settle(dest, directory, wanted.lock_timeout)
    left = journal.read(directory)
    settings = _settings(dest)
    head = maybe(dest, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    branch = (maybe(dest, "symbolic-ref", "--quiet", "HEAD") or "").partition("refs/heads/")[2] or None
    interrupted = (left or {}).get("checkout")
    local = Local(
        "repository",
        url=(settings.get(f"remote.{wanted.remote}.url") or [""])[-1],
        found=", ".join(sorted(key for key in settings if key.startswith("remote.") and key.endswith(".url"))),
        head=head,
        branch=branch,
        operation=next(
            (shown for name, shown in OPERATIONS.items() if os.path.exists(os.path.join(directory, name))), ""
        ),
        # The journal of a checkout stays until that is ended: by it the next run knows what was half written.
        locks=locks + (() if interrupted or left is None else (os.path.join(directory, journal.NAME),)),
        interrupted=interrupted,
        recorded=(settings.get("hostcraft.history") or [""])[-1],
        filter=(settings.get(f"remote.{wanted.remote}.partialclonefilter") or [None])[-1],
        refspecs=tuple(settings.get(f"remote.{wanted.remote}.fetch") or ()),
        half_clone=half,
    )
    if head is None:
        named = maybe(dest, "rev-parse", "--verify", "--quiet", "HEAD")
        return local._replace(kind="broken", found=f"commit {named[:10]} is missing") if named else local
    if maybe(dest, "cat-file", "-e", f"{head}^{{tree}}") is None:
        return local._replace(kind="broken", found=f"the files of commit {head[:10]} are missing")
    changes, untracked = worktree.changes(dest, interrupted)
    return local._replace(
        changes=changes,
        untracked=untracked,
        own_commits=_own_commits(dest, head, (settings.get("hostcraft.commit") or [None])[-1]),
        sparse=worktree.sparse(dest, directory, settings),
        cone=(settings.get("core.sparsecheckoutcone") or ["false"])[-1] == "true",
        submodules=worktree.stale_submodules(dest) if wanted.submodules != "none" else (),
        lfs=worktree.missing_lfs(dest) if wanted.lfs else (),
    )


def _settings(dest):
    """Return the configuration of the repository itself as ``{name: [values]}``."""
    found = {}
    for scope in ("--local", "--worktree"):
        for entry in (maybe(dest, "config", scope, "--null", "--list") or "").split("\0"):
            name, _end, value = entry.partition("\n")
            found.setdefault(name, []).append(value)
        if (found.get("extensions.worktreeconfig") or ["false"])[-1] != "true":
            break
    return found


def _own_commits(dest, head, deployed):
    """Return how many commits are on HEAD only: on no remote branch, no tag, and not put there by us."""
    if head == deployed:
        return 0
    known = [deployed] if deployed and maybe(dest, "cat-file", "-e", f"{deployed}^{{commit}}") is not None else []
    if maybe(dest, "rev-parse", "--verify", "--quiet", KEPT):
        known.append(KEPT)
    return int(git(dest, "rev-list", "--count", "HEAD", "--not", *known, "--remotes", "--tags"))


def has_tag(wanted):
    """Tell whether the version was a tag when it was last fetched."""
    ref = f"refs/tags/{wanted.version}"
    return os.path.isdir(os.path.join(wanted.dest, ".git")) and bool(
        maybe(wanted.dest, "rev-parse", "--verify", "--quiet", ref)
    )


def fetched(wanted, target):
    """Return a target as the fetch of it found it, which may be newer than what was planned."""
    ref = tracking(wanted, target)
    found = maybe(wanted.dest, "rev-parse", "--verify", "--quiet", ref)
    commit = maybe(wanted.dest, "rev-parse", "--verify", "--quiet", ref + "^{commit}")
    if commit is None:
        return target
    return target._replace(commit=commit, tag=found if found != commit else None)


def resolve(wanted, local, target):
    """Return the target with its whole id, where the commit is here already."""
    if local.kind != "repository" or target.kind != "commit" or not ABBREVIATED.match(target.commit):
        return target
    found = maybe(wanted.dest, "rev-parse", "--verify", "--quiet", f"{target.commit}^{{commit}}")
    return target._replace(commit=found) if found else target


def compare(wanted, local, target):
    """Add to a :class:`Local` what it has of the target."""
    dest = wanted.dest
    if local.kind != "repository" or (local.head != target.commit and not _is_whole(dest, local, target.commit)):
        return local
    tracked = maybe(dest, "rev-parse", "--verify", "--quiet", tracking(wanted, target))
    boundary = set((files.read(os.path.join(dest, ".git", "shallow")) or "").split())
    history = None
    if wanted.depth is not None:
        if wanted.depth == 0 and not boundary:
            history = graph.History(None, 0)
        else:
            lines = maybe(dest, "rev-list", "--parents", target.commit, timeout=wanted.timeout)
            if lines is None:
                return local
            history = graph.history(lines.splitlines(), target.commit, boundary)
    branch = branch_of(target)
    if branch and local.branch != branch:  # a branch of that name with commits of its own would be lost
        own = maybe(dest, "rev-list", "--count", f"refs/heads/{branch}", "--not", "--remotes", "--tags", target.commit)
        local = local._replace(own_commits=local.own_commits + int(own or 0))
    return local._replace(target=target.commit, tracked=tracked, history=history)


def _is_whole(dest, local, commit):
    """Tell whether a commit is here with all that belongs to it.

    A fetch that was cut off can leave one without; one that was not has set a ref.
    """
    if maybe(dest, "cat-file", "-e", f"{commit}^{{tree}}") is None:
        return False
    known = ["HEAD"] if local.head else []
    return maybe(dest, "rev-list", "--max-count=1", commit, "--not", "--all", *known) == ""


def subjects(dest, old, new):
    """Return the first lines of the commits from one to another, newest first, as far as they are here."""
    if old in (None, new) or not os.path.isdir(dest):
        return ()
    shown = ["log", f"--max-count={SUBJECTS}", "--format=%h %s", f"{old}..{new}", "--"]
    return tuple((maybe(dest, *shown) or "").splitlines())
