# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring commits to this host: a new clone, or more of them, less of them, or others for one that is there.

Private to the collection; not a public interface.
"""

import os
import shutil

from .._core.reconcile import ReconcileError
from . import checkout, clone, graph, journal, signatures
from .git import git, maybe, online
from .remote import reach
from .shallow_model import KEPT, refspec, standing, tracking
from .targets import FULL

SEARCH = "refs/hostcraft/search"
FIRST = 50  # commits, the first depth of a search
# How a server says that it gives out refs only, and no commits by id (protocol version 0 and 1).
NOT_ALLOWED = "not allow request for unadvertised object"


def new(wanted, state, say):
    """Clone into a directory beside the destination, which gets its name when all is there.

    :param say: ``say(text)`` for what the user should know.
    """
    place = clone.staging(wanted.dest)
    try:
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with journal.claimed(place):
            if not os.path.isdir(os.path.join(wanted.dest, ".git")):  # another run may have made it meanwhile
                _make(wanted, state, say, place)
    except OSError as error:
        raise ReconcileError(f"Cannot make {place}: {error.strerror}") from error


def _make(wanted, state, say, place):
    _remove(place)
    try:
        os.mkdir(place)
        git(place, "init", "--quiet", ".")
        with journal.written(os.path.join(place, ".git"), clone=wanted.dest):
            git(place, "config", f"remote.{wanted.remote}.url", wanted.repo)
            if wanted.reference:
                _borrow(place, wanted.reference)
            commit = more(wanted._replace(dest=place), state, say, is_new=True)
            checkout.fill(wanted._replace(dest=place), state, commit)
        _put(place, wanted.dest)
    except BaseException:
        _remove(place)
        raise


def _put(place, dest):
    """Give the clone its name; an empty directory that has it gives way (rename(2))."""
    try:
        if os.path.isdir(dest):
            status = os.stat(dest)
            os.chmod(place, status.st_mode & 0o7777)
            if os.geteuid() == 0:
                os.chown(place, status.st_uid, status.st_gid)
        os.rename(place, dest)
    except OSError as error:
        raise ReconcileError(f"Cannot rename {place} to {dest}: {error.strerror}") from error


def _remove(place):
    if os.path.lexists(place):
        shutil.rmtree(place, ignore_errors=True)


def _borrow(place, reference):
    """Take objects from a repository on this host (gitrepository-layout(5), objects/info/alternates)."""
    common = maybe(reference, "rev-parse", "--git-dir") if os.path.isdir(reference) else None
    if common is None:
        raise ReconcileError(f"reference {reference}: there is no git repository")
    objects = os.path.join(os.path.normpath(os.path.join(reference, common)), "objects")
    with open(os.path.join(place, ".git", "objects", "info", "alternates"), "w") as stream:
        stream.write(objects + "\n")


def update(wanted, state, say):
    """Fetch for a clone that is there."""
    directory = checkout.directory_of(wanted.dest)
    with journal.written(directory, fetch=state.target.commit):
        try:
            more(wanted, state, say)
        except ReconcileError:
            journal.tidy(wanted.dest, directory)
            raise


def more(wanted, state, say, is_new=False):
    """Fetch the target with the history that is wanted, check its signature, and return its commit's id."""
    dest, target = wanted.dest, state.target
    if not is_new:
        _refilter(wanted, state)
    checkout.stand(wanted, target)
    if target.kind == "commit":
        _commit(wanted, state, say)
    else:
        _fetch(wanted, state, say, refspec(wanted, target))
    commit = git(dest, "rev-parse", "--verify", tracking(wanted, target) + "^{commit}").strip()
    signatures.check(wanted, target, commit)
    git(dest, "config", "hostcraft.history", f"{wanted.history} of {commit}")
    return commit


def _refilter(wanted, state):
    """Make the partial clone one with another filter, or a whole one."""
    dest, name = wanted.dest, wanted.remote
    if state.local.filter == wanted.filter or state.local.filter is None:
        return
    key = f"remote.{name}.partialclonefilter"
    if wanted.filter is not None:
        git(dest, "config", key, wanted.filter)
        return
    if state.git < (2, 36):
        raise ReconcileError(f"{dest}: to fetch what the filter {state.local.filter} left out needs git 2.36")
    # The remote stays a promisor: older commits, that nothing needs any more, may lack files for ever.
    git(dest, "config", "--unset-all", key, ok=(0, 5))


def _history(wanted, dest):
    """Return the options for how much history is fetched."""
    if wanted.depth:
        return [f"--depth={wanted.depth}"]
    if wanted.depth == 0:
        return ["--unshallow"] if _is_shallow(dest) else []
    found = [f"--shallow-since={wanted.since}"] if wanted.since else []
    return found + [f"--shallow-exclude={one}" for one in wanted.exclude]


def _is_shallow(dest):
    return os.path.exists(os.path.join(checkout.directory_of(dest), "shallow"))


def _fetch(wanted, state, say, *refspecs, history=None):
    """Fetch refs. Nothing else comes along: no tags, no submodules, no housekeeping."""
    dest = wanted.dest
    arguments = ["-c", "gc.auto=0", "-c", "maintenance.auto=false", "fetch", "--quiet", "--no-recurse-submodules"]
    arguments += ["--force", "--no-tags" if wanted.single_branch else "--tags"]
    arguments += _history(wanted, dest) if history is None else history
    if wanted.filter:
        arguments.append(f"--filter={wanted.filter}")
    elif state.local.filter:
        arguments += ["--no-filter", "--refetch"]
    if not wanted.single_branch:
        refspecs += standing(wanted, state.target)
    said = []
    reach(dest, wanted, *arguments, "--", wanted.remote, *refspecs, log=said)
    if any("filtering not recognized" in text for text in said):
        say(f"{wanted.repo}: the server does not know filters, so everything was fetched instead of {wanted.filter}")


def _commit(wanted, state, say):
    """Fetch a commit by its id; where the server does not give it out by id, look for it in the branches."""
    dest, commit = wanted.dest, state.target.commit
    if FULL.match(commit):
        try:
            _fetch(wanted, state, say, refspec(wanted, state.target))
        except ReconcileError as error:
            # Before git 2.12 it said nothing at all, and ended with 1.
            said, silent = error.details.get("stderr", ""), error.details.get("rc") == 1
            if NOT_ALLOWED not in said and not (silent and not said.strip()):
                raise
        else:
            return
    here = _search(wanted, state, say)
    git(dest, "update-ref", KEPT, here)
    _cut(wanted, state, here)


def _search(wanted, state, say):
    """Deepen all branches step by step until the commit is among them; return its whole id."""
    dest, commit, depth = wanted.dest, state.target.commit, max(FIRST, wanted.depth or 0)
    everything = wanted._replace(single_branch=True)
    try:
        while True:
            depth = min(depth, wanted.max_depth)
            _fetch(everything, state, say, f"+refs/heads/*:{SEARCH}/*", history=[f"--depth={depth}"])
            found = maybe(dest, "rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}")
            if found:
                say(
                    f"{wanted.repo}: the server does not give out commit {commit[:10]} by its id, so the newest "
                    f"{depth} commits of every branch were fetched to find it. Name a branch or tag, or allow it "
                    "there: uploadpack.allowReachableSHA1InWant (git-config(1))"
                )
                return found
            if depth == wanted.max_depth or not _is_shallow(dest):
                break
            depth *= 2
    finally:
        for ref in git(dest, "for-each-ref", "--format=%(refname)", SEARCH).split():
            git(dest, "update-ref", "-d", ref)
    raise ReconcileError(
        f"{wanted.repo}: commit {commit} is not among the newest {depth} commits of any branch, and the server does "
        "not give it out by its id. Raise max_depth, or name the branch or tag that has it"
    )


def _cut(wanted, state, commit):
    """Make the history from a commit as deep as wanted, without asking the server."""
    if not wanted.depth:
        return
    lines = git(wanted.dest, "rev-list", "--parents", commit).splitlines()
    if wanted.depth < max(graph.levels(lines, commit).values()) + 1:
        if state.git < (1, 9):
            raise ReconcileError(
                f"{wanted.dest}: to cut the history of a commit that the server does not give out needs git 1.9. Name "
                "the branch or tag that has it, or set depth to 0"
            )
        # From itself: git's own way of cutting a history, with its locks.
        online(wanted.dest, "fetch", "--quiet", "--no-tags", f"--depth={wanted.depth}", "--", ".", f"{KEPT}:{KEPT}")
