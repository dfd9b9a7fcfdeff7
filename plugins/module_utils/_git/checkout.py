# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change the working tree of a checkout.

Private to the collection; not a public interface.
"""

import os
from contextlib import suppress

from .._core import files
from .._core.reconcile import ReconcileError
from . import journal, worktree
from .git import git, maybe
from .remote import reach
from .shallow_model import branch_of, standing, tracking

LONG = 3600.0  # seconds that writing a working tree may take


def directory_of(dest):
    """Return the git directory of a checkout, which is no linked working tree and no submodule."""
    return os.path.join(dest, ".git")


def fill(wanted, state, commit):
    """Check a commit out into a new clone."""
    if wanted.sparse is not None:
        sparsify(wanted, state)
    _switch(wanted, state, commit, force=True)
    _after(wanted, state)


def switch(wanted, state):
    """Check the target out. A journal tells the next run what was under way, should this one be killed."""
    dest, target = wanted.dest, state.target
    # What was fetched, which may be newer than what was planned when the branch has moved in between.
    there = maybe(dest, "rev-parse", "--verify", "--quiet", tracking(wanted, target) + "^{commit}")
    commit = there if target.ref or len(target.commit) < 40 else target.commit
    discard, interrupted = wanted.local_changes == "discard", state.local.interrupted
    try:
        if interrupted and not discard:
            # First to its end what was cut off, where only files of that commit are in the way; then on, with care.
            with journal.written(directory_of(dest), checkout=interrupted):
                _checkout(wanted, "--force", "--detach", interrupted)
        with journal.written(directory_of(dest), checkout=commit):
            _switch(wanted, state, commit, force=discard)
    except ReconcileError:
        if not worktree.changes(dest, None)[0]:  # it was refused before a file was touched
            journal.clear(directory_of(dest))
        raise
    _after(wanted, state)


def _switch(wanted, state, commit, force):
    dest, branch = wanted.dest, branch_of(state.target)
    arguments = ["--force"] if force else []
    arguments += ["--no-track", "-B", branch] if branch else ["--detach"]
    _checkout(wanted, *arguments, commit)
    if branch:
        git(dest, "config", f"branch.{branch}.remote", wanted.remote)
        git(dest, "config", f"branch.{branch}.merge", state.target.ref)
    git(dest, "config", "hostcraft.commit", commit)


def _checkout(wanted, *arguments):
    """Run git checkout. In a partial clone this fetches the files that are needed."""
    settings = ("-c", "submodule.recurse=false", "-c", "advice.detachedHead=false")
    limit = max(LONG, wanted.timeout)
    try:
        reach(wanted.dest, wanted, *settings, "checkout", "--quiet", *arguments, "--", timeout=limit)
    except ReconcileError as error:
        lines = error.details.get("stderr", "").splitlines()
        if not any("would be overwritten" in line for line in lines):
            raise
        names = [line.strip() for line in lines if line.startswith("\t")]
        shown = ", ".join(names[:3]) + (", ..." if names[3:] else "")
        raise ReconcileError(
            f"{wanted.dest}: files that are not part of the repository are in the way: {shown}. Move them away, or set "
            "local_changes to discard",
            **error.details,
        ) from error


def _after(wanted, state):
    """Bring what belongs to the new files: submodules, and files of LFS."""
    if wanted.submodules != "none":
        submodules(wanted, state)
    _large(wanted)


def _large(wanted):
    """Fetch the files of LFS where git has just written pointers."""
    if wanted.lfs and worktree.has_lfs() and worktree.uses_lfs(wanted.dest):
        lfs(wanted, None)


def sparsify(wanted, _state):
    """Make the working tree sparse as wanted, or full."""
    dest = wanted.dest
    # Where git has made a configuration for each working tree, that one wins (git-worktree(1)).
    own = maybe(dest, "config", "--local", "--bool", "extensions.worktreeConfig") == "true"
    scope = "--worktree" if own else "--local"
    cone = wanted.sparse is not None and wanted.cone
    git(dest, "config", scope, "core.sparseCheckoutCone", "true" if cone else "false")
    git(dest, "config", scope, "core.sparseCheckout", "true")
    if cone:
        lines = "".join(f"{line}\n" for line in wanted.sparse)
        reach(dest, wanted, "sparse-checkout", "set", "--stdin", stdin=lines, timeout=LONG)
        return
    # As it was done before there was "git sparse-checkout" (git-read-tree(1)), which works in every version.
    patterns = ["/*"] if wanted.sparse is None else wanted.sparse
    files.write(os.path.join(directory_of(dest), "info", "sparse-checkout"), "\n".join(patterns) + "\n")
    if maybe(dest, "rev-parse", "--verify", "--quiet", "HEAD"):
        reach(dest, wanted, "read-tree", "-m", "-u", "HEAD", timeout=LONG)
    if wanted.sparse is None:
        git(dest, "config", scope, "core.sparseCheckout", "false")


def submodules(wanted, _state):
    """Bring every submodule to the commit that is recorded."""
    arguments = ["submodule", "--quiet", "update", "--init", "--recursive"]
    arguments += ["--depth=1"] if wanted.submodules == "shallow" else []
    arguments += ["--force"] if wanted.local_changes == "discard" else []
    reach(wanted.dest, wanted, "submodule", "--quiet", "sync", "--recursive")
    # Their files of LFS come along where git-lfs is set up for the user or the host (git-lfs-install(1)).
    smudge = {"GIT_LFS_SKIP_SMUDGE": None} if wanted.lfs else {}
    reach(wanted.dest, wanted, *arguments, timeout=LONG, env=smudge)


def lfs(wanted, _state):
    """Fetch the files of which only the pointer is here."""
    git(wanted.dest, "lfs", "install", "--local", "--skip-smudge")
    reach(wanted.dest, wanted, "lfs", "pull", wanted.remote, timeout=LONG)


def unlock(wanted, local):
    """Remove what a run of ours that was killed has left."""
    for path in local.locks:
        with suppress(FileNotFoundError):
            os.unlink(path)
    journal.tidy(wanted.dest, directory_of(wanted.dest))


def configure(wanted, state):
    """Write the address of the repository without the secret that it had, and what is fetched by default."""
    git(wanted.dest, "config", f"remote.{wanted.remote}.url", wanted.repo)
    stand(wanted, state.target)


def stand(wanted, target):
    """Write what a later fetch by hand takes."""
    key = f"remote.{wanted.remote}.fetch"
    git(wanted.dest, "config", "--unset-all", key, ok=(0, 5))
    for one in standing(wanted, target):
        git(wanted.dest, "config", "--add", key, one)


def stash(wanted, local):
    """Put local changes away as a stash, and commits as a ref."""
    _keep(wanted, local)
    if local.changes or (wanted.untracked and local.untracked):
        arguments = ["stash", "save", "--quiet"] + (["--include-untracked"] if wanted.untracked else [])
        git(wanted.dest, *_identity(wanted.dest), *arguments, "hostcraft.linux.git_shallow", timeout=LONG)
        _large(wanted)


def _identity(dest):
    """A stash is a commit, which needs a name (git-stash(1))."""
    if maybe(dest, "var", "GIT_COMMITTER_IDENT"):
        return []
    return ["-c", "user.name=hostcraft.linux", "-c", "user.email=git_shallow@localhost"]


def _keep(wanted, local):
    if local.own_commits and local.head:
        git(wanted.dest, "update-ref", f"refs/hostcraft/kept/{local.head}", local.head)


def discard(wanted, local):
    """Throw local changes away. Files that git is told to ignore stay."""
    if local.interrupted is None:
        git(wanted.dest, "reset", "--quiet", "--hard", timeout=LONG)
    if wanted.untracked and local.untracked:
        git(wanted.dest, "clean", "--quiet", "-ff", "-d", timeout=LONG)
    _large(wanted)
