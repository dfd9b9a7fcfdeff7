# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``git_shallow_info`` reads from directories.

Private to the collection; not a public interface.
"""

from . import clone, urls
from .git import maybe
from .shallow_model import Target, Wanted


def look(paths, remote):
    """Return the checkouts in these directories, as ``git_shallow`` takes them, and more about each.

    :raises ReconcileError: somebody is at work there, or the repository belongs to another user.
    """
    checkouts, details = [], []
    for path in paths:
        wanted = Wanted("", path.rstrip("/") or "/", remote=remote, depth=0, submodules="full")
        local = clone.look(wanted)
        if local.kind != "repository" or local.head is None or not local.url:
            continue
        checkouts.append(_checkout(wanted, local))
        details.append(
            {
                "dest": wanted.dest,
                "commit": local.head,
                "subject": maybe(wanted.dest, "log", "-1", "--format=%s", local.head),
                "changes": list(local.changes),
                "untracked": list(local.untracked),
                "own_commits": local.own_commits,
            }
        )
    return checkouts, details


def _checkout(wanted, local):
    dest = wanted.dest
    found = {"repo": urls.clean(local.url)[0], "dest": dest, "version": _version(dest, local)}
    if wanted.remote != "origin":
        found["remote"] = wanted.remote
    found.update(_history(wanted, local))
    if local.filter:
        found["filter"] = local.filter
    if local.sparse is not None:
        found.update(sparse=list(local.sparse) or ["/"], sparse_mode="cone" if local.cone else "patterns")
    if any("*" in one for one in local.refspecs):
        found["single_branch"] = False
    return found


def _version(dest, local):
    if local.branch:
        return local.branch
    tags = (maybe(dest, "tag", "--points-at", local.head) or "").splitlines()
    return tags[0] if tags else local.head


def _history(wanted, local):
    """Return the options for the history that is there; that which was declared by a date is told so."""
    if local.recorded.startswith(("since ", "without ")):
        found = {}
        for words in local.recorded.rpartition(" of ")[0].split(", "):
            kind, _space, value = words.partition(" ")
            if kind == "since":
                found["shallow_since"] = value
            else:
                found.setdefault("shallow_exclude", []).append(value)
        return found
    history = clone.compare(wanted, local, Target("commit", local.head)).history
    return {"depth": history.cut or 0}
