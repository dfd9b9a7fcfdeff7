# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a repository says about a branch that is to be squashed. Reads, never writes.

Private to the collection; not a public interface.
"""

import os
import re
import time
from functools import partial
from typing import Dict, Tuple

from .._core import files
from .._core.reconcile import ReconcileError
from . import commits
from .git import git, maybe, online, version
from .squash_model import BACKUPS, Backup, Remote, State

# What git keeps in a repository, or in a linked working tree, while something is going on (git-status(1)).
OPERATIONS = {
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase or 'git am'",
    "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
}
FIELDS = "%(refname) %(*objectname) %(contents:subject)"


def observe(wanted):
    """Return the :class:`State` of each of the branches that are ``wanted``, in their order.

    :raises ReconcileError: there is no such repository, branch or commit.
    """
    return tuple(_observe(one) for one in wanted)


def _observe(wanted):
    path = wanted.path
    if not os.path.isdir(path):
        raise ReconcileError(f"{path}: there is no such directory; path is where the repository is on the host")
    directory = maybe(path, "rev-parse", "--git-dir")
    if directory is None:
        raise ReconcileError(f"{path}: this is no git repository; path is its working tree or the bare repository")
    common = common_directory(os.path.join(path, directory))
    ref = _ref(path, wanted.branch)
    tip = maybe(path, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
    if tip is None:
        raise ReconcileError(f"{path}: there is no branch '{ref[len('refs/heads/') :]}'; 'git branch' lists them")
    backups = _backups(path, ref)
    origin = next((one.old for one in backups if one.result == tip), tip)
    state = State(
        path,
        ref,
        tip,
        origin,
        shallow=tuple((files.read(os.path.join(common, "shallow")) or "").split()),
        operation=_operation(common, ref),
        backups=backups,
        remote=_remote(path, ref, tip, backups) if wanted.push else None,
        now=int(time.time()),
    )
    if wanted.last is None and wanted.since is None and not wanted.groups:  # going back needs no range
        return state._replace(published=_containing(path, tip))
    return _with_range(wanted, state)


def common_directory(directory):
    """Return what all working trees of a repository share (gitrepository-layout(5), commondir)."""
    named = files.read(os.path.join(directory, "commondir"))
    return os.path.normpath(os.path.join(directory, named.strip())) if named else directory


def _ref(path, branch):
    if branch is not None:
        return branch if branch.startswith("refs/heads/") else f"refs/heads/{branch}"
    ref = maybe(path, "symbolic-ref", "--quiet", "HEAD")
    if ref is None:
        raise ReconcileError(f"{path}: no branch is checked out (HEAD is detached); say which one by 'branch'")
    return ref


def _backups(path, ref):
    """Return the backups of a branch, newest first."""
    prefix = "{}/{}/".format(BACKUPS, ref[len("refs/heads/") :])
    found = []
    for line in git(path, "for-each-ref", f"--format={FIELDS}", prefix).splitlines():
        name, old, record = line.split(" ", 2)
        said = re.match(r"squash ([0-9a-f]+) planned ([0-9a-f]+) (signed|unsigned) at (\d+)\Z", record)
        if name == prefix + old and said:  # what is deeper belongs to a branch below this one
            found.append(Backup(name, old, said.group(1), said.group(2), said.group(3) == "signed", int(said.group(4))))
    return tuple(sorted(found, key=lambda one: -one.made))


def _operation(common, ref):
    """Return what is under way on the branch in one of the working trees, or nothing."""
    linked = os.path.join(common, "worktrees")
    directories = [common] + [os.path.join(linked, name) for name in sorted(_names(linked))]
    for directory in directories:
        for name, shown in OPERATIONS.items():
            place = os.path.join(directory, name)
            if os.path.exists(place):
                heads = [os.path.join(place, "head-name"), os.path.join(directory, "HEAD")]
                said = [files.read(head) or "" for head in heads if os.path.isfile(head)]
                if any(one.strip() in (ref, f"ref: {ref}") for one in said):
                    return shown
    return ""


def _names(directory):
    return os.listdir(directory) if os.path.isdir(directory) else []


def _with_range(wanted, state):
    """Add to a state what the range that is wanted has."""
    path, origin, base, named = state.path, state.origin, None, {}
    walk = partial(_walk, path, state.shallow)
    if wanted.since is not None:
        since = resolve(path, wanted.since)
        base = maybe(path, "merge-base", since, origin)
        ids = walk("--first-parent", origin, *([f"^{base}"] if base else []))
    elif wanted.last is not None:
        ids = walk("--first-parent", f"--max-count={wanted.last}", origin)
    else:
        named = {name: _named(path, name) for group in wanted.groups for name in (group.first, group.last)}
        ids = walk("--first-parent", origin)
        places = [place for place, oid in enumerate(ids) if oid in named.values()]
        ids = ids[: max(places) + 1] if places else ids
    chain = read(path, reversed(ids))
    if wanted.since is None and chain and chain[0].parents:
        base = chain[0].parents[0]
    sides = {}
    for one in chain:
        if len(one.parents) > 1:
            without = [f"^{oid}" for oid in (one.parents[0], base) if oid]
            sides[one.oid] = read(path, walk("--topo-order", "--reverse", *one.parents[1:], *without))
    return state._replace(
        chain=chain,
        base=base,
        named=named,
        sides=sides,
        entangled=_entangled(walk, wanted, chain, base),
        published=_containing(path, chain[0].oid) if chain else (),
    )


def resolve(path, name):
    """Return the commit that a branch, tag, remote branch or any other expression means.

    A name that looks like an option can only be that of a ref.

    :raises ReconcileError: there is none.
    """
    for prefix in ("refs/heads/", "refs/tags/", "refs/remotes/", ""):
        if prefix or not name.startswith("-"):
            found = maybe(path, "rev-parse", "--verify", "--quiet", f"{prefix}{name}^{{commit}}")
            if found:
                return found
    raise ReconcileError(f"{path}: '{name}' is no branch, tag or commit here; fetch it first, or write it in full")


def _named(path, name):
    """Return the id of a commit of a group, which must mean the same after the branch has moved."""
    if re.match(r"(HEAD|@)", name) or "~" in name or "^" in name:
        raise ReconcileError(
            f"{path}: '{name}' means another commit once the branch is squashed, so that a second run could not see "
            "its own result; write the commit's id"
        )
    return resolve(path, name)


def _entangled(walk, wanted, chain, base):
    """Return the merges that stay, and whose other side begins in a commit of the chain."""
    if not wanted.groups and not wanted.fixups:
        return ()
    inside = {one.oid for one in chain}
    found = []
    for one in chain:
        if len(one.parents) > 1:
            reached = walk(*one.parents[1:], *([f"^{base}"] if base else []))
            if inside.intersection(reached):
                found.append(one.oid)
    return tuple(found)


def _containing(path, oid):
    """Return the remote branches that have a commit."""
    lines = git(path, "branch", "--remotes", "--no-color", "--contains", oid).splitlines()
    return tuple(line.strip() for line in lines if " -> " not in line)


# What an id means never changes. So the second look, after a fold, need not ask for it again.
_walks: Dict[tuple, Tuple[str, ...]] = {}
_read: Dict[str, Dict[str, commits.Commit]] = {}


def _walk(path, shallow, *arguments):
    """Return the ids that git-rev-list(1) prints, where the commits to begin and end with are given by their ids."""
    key = (path, shallow, arguments)
    if key not in _walks:
        _walks[key] = tuple(git(path, "rev-list", *arguments).split())
    return _walks[key]


def read(path, ids):
    """Return the commits with these ids, those that are not known yet read by one git."""
    known = _read.setdefault(path, {})
    ids = tuple(ids)
    missing = [oid for oid in ids if oid not in known]
    if missing:
        known.update(_batch(path, missing))
    return tuple(known[oid] for oid in ids)


def _batch(path, ids):
    """Yield each id with its commit."""
    said = git(path, "cat-file", "--batch", stdin="\n".join(ids) + "\n").encode("utf-8", "surrogateescape")
    place = 0
    for oid in ids:
        end = said.index(b"\n", place)
        size = int(said[place:end].split()[2])
        text = said[end + 1 : end + 1 + size].decode("utf-8", "surrogateescape")
        yield oid, commits.parse(oid, text)
        place = end + 1 + size + 1


def _remote(path, ref, tip, backups):
    """Return the upstream branch as it is now, by one round trip."""
    if version() < (1, 8, 5):
        raise ReconcileError(f"{path}: push: with_lease needs git 1.8.5, this host has an older one; leave out push")
    branch = ref[len("refs/heads/") :]
    name = maybe(path, "config", "--get", f"branch.{branch}.remote") or "origin"
    there = maybe(path, "config", "--get", f"branch.{branch}.merge") or ref
    if name == "." or name.startswith("-") or maybe(path, "config", "--get", f"remote.{name}.url") is None:
        raise ReconcileError(
            f"{branch} in {path}: it has no remote to be pushed to; set one by 'git branch --set-upstream-to', "
            "or leave out push"
        )
    lines = online(path, "ls-remote", "--heads", name, there, timeout=120.0).splitlines()
    actual = next((line.split("\t")[0] for line in lines if line.split("\t")[1] == there), None)
    tracking = f"refs/remotes/{name}/{there[len('refs/heads/') :]}"
    seen = maybe(path, "rev-parse", "--verify", "--quiet", tracking)
    lost = 0
    if seen and seen == actual:
        known = [tip] + [oid for one in backups for oid in (one.old, one.result)]
        known = [oid for oid in known if maybe(path, "cat-file", "-e", oid) is not None]
        lost = int(git(path, "rev-list", "--count", seen, *(f"^{oid}" for oid in known)))
    return Remote(name, there, seen, actual, lost)
