# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a version means: branch, tag, any other ref, or the id of a commit.

Private to the collection; not a public interface.
"""

import re

from .._core.reconcile import ReconcileError
from .shallow_model import Target

FULL = re.compile(r"([0-9a-f]{40}|[0-9a-f]{64})\Z")
ABBREVIATED = re.compile(r"[0-9a-f]{4,64}\Z")


def target(wanted, refs):
    """Return the :class:`Target` of the version among the server's ``refs``.

    A branch comes before a tag, and both before a commit whose id begins like that.

    :raises ReconcileError: there is nothing of that name, or more than one commit.
    """
    version = wanted.version
    if version == "HEAD":
        return _head(wanted, refs)
    names = [version] if version.startswith("refs/") else [f"refs/heads/{version}", f"refs/tags/{version}"]
    for ref in names:
        if ref in refs:
            return _of_ref(ref, refs)
    if ABBREVIATED.match(version):
        return _commit(wanted, refs)
    raise ReconcileError(
        f"{wanted.repo} has no branch and no tag '{version}', and it is no commit id either; "
        "'git ls-remote' shows what there is"
    )


def _head(wanted, refs):
    head = refs.get("HEAD", "")
    if head.startswith("ref: "):
        ref = head[len("ref: ") :]
        if ref in refs:
            return _of_ref(ref, refs)
    elif head:
        return Target("ref", head, "HEAD")
    raise ReconcileError(
        f"{wanted.repo} has no commits, or its HEAD points to a branch that is not there; name a version"
    )


def _of_ref(ref, refs):
    kind = "branch" if ref.startswith("refs/heads/") else "tag" if ref.startswith("refs/tags/") else "ref"
    peeled = refs.get(ref + "^{}")
    return Target(kind, peeled or refs[ref], ref, refs[ref] if peeled else None)


def _commit(wanted, refs):
    """Return a commit by its id, with the ref whose tip it is when there is one."""
    version = wanted.version
    tips = {oid for oid in refs.values() if oid.startswith(version)}
    peeled = {
        oid for ref, oid in refs.items() if oid in tips and not (ref.startswith("refs/tags/") and ref + "^{}" in refs)
    }
    if len(peeled) > 1:
        raise ReconcileError(
            "{}: '{}' is the beginning of {} commits ({}); write more of it".format(
                wanted.repo, version, len(peeled), ", ".join(sorted(one[:12] for one in peeled))
            )
        )
    return Target("commit", peeled.pop() if peeled else version)
