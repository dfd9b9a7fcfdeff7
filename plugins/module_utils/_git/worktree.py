# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The working tree of a checkout: local changes, sparse patterns, submodules and LFS files. Reads, never writes.

Private to the collection; not a public interface.
"""

import os
import re
import shutil

from .._core import files
from .git import git, maybe


def changes(dest, interrupted):
    """Return the names of changed tracked files, and of untracked ones.

    What a checkout of the commit ``interrupted`` that was cut off has left is no change of anybody: a file that it
    had written, in part or whole, or had removed.
    """
    said = git(dest, "status", "--porcelain", "-z", "--untracked-files=all", "--ignore-submodules=all", timeout=300.0)
    changed, untracked, entries = [], [], said.split("\0")[:-1]
    while entries:
        entry = entries.pop(0)
        if entry[0] in "RC":
            changed.append(entries.pop(0))
        (untracked if entry.startswith("??") else changed).append(entry[3:])
    if interrupted and maybe(dest, "cat-file", "-e", f"{interrupted}^{{tree}}") is not None:
        changed = [name for name in changed if not _is_of(dest, interrupted, name)]
        left = [name for name in untracked if not _is_of(dest, interrupted, name)]
        # A file of somebody where the commit has another one would be overwritten by ending the checkout.
        known = [name for name in left if maybe(dest, "rev-parse", "--verify", "--quiet", f"{interrupted}:{name}")]
        changed, untracked = changed + known, [name for name in left if name not in known]
    return tuple(changed), tuple(untracked)


def _is_of(dest, commit, name):
    """Tell whether a file is what a checkout of the commit leaves when it is cut off at any time."""
    path = os.path.join(dest, name)
    there = maybe(dest, "rev-parse", "--verify", "--quiet", f"{commit}:{name}")
    if not os.path.lexists(path):
        return True
    if there is None or os.path.isdir(path):
        return False
    if os.path.islink(path):
        return os.readlink(path) == git(dest, "cat-file", "blob", there)
    if git(dest, "hash-object", "--", name).strip() == there:
        return True
    with open(path, "rb") as stream:
        content = stream.read()
    whole = git(dest, "cat-file", "blob", there, timeout=300.0).encode("utf-8", "surrogateescape")
    return whole.startswith(content)


def sparse(dest, directory, settings):
    """Return the sparse patterns, or the directories of a cone, as they were declared; None for a full tree."""
    if (settings.get("core.sparsecheckout") or ["false"])[-1] != "true":
        return None
    if (settings.get("core.sparsecheckoutcone") or ["false"])[-1] == "true":
        said = maybe(dest, "sparse-checkout", "list")
        if said is not None:
            return tuple(sorted(said.splitlines()))
    return tuple((files.read(os.path.join(directory, "info", "sparse-checkout")) or "").splitlines())


def stale_submodules(dest):
    """Return the paths of submodules, at any depth, that are missing or at another commit than is recorded."""
    if not os.path.exists(os.path.join(dest, ".gitmodules")):
        return ()
    said = git(dest, "submodule", "status", "--recursive", timeout=300.0)
    # A state, an id, a path that may have spaces, and what git-describe(1) says where there is a checkout.
    lines = [line[1:].split(" ", 1)[1] for line in said.splitlines() if line[:1] in "-+U"]
    return tuple(re.sub(r" \([^()]*\)\Z", "", line) for line in lines)


def uses_lfs(dest):
    """Tell whether files of the checkout are kept by Git LFS, by the attributes of any directory."""
    if "filter=lfs" in (files.read(os.path.join(dest, ".gitattributes")) or ""):
        return True
    names = (".gitattributes", "*/.gitattributes")
    return bool(maybe(dest, "grep", "--cached", "-l", "-F", "-e", "filter=lfs", "--", *names))


def has_lfs():
    """Tell whether the host has Git LFS."""
    return shutil.which("git-lfs", path=os.environ.get("PATH", "") + ":/usr/local/bin:/usr/bin:/bin") is not None


def missing_lfs(dest):
    """Return the names of files of which only the pointer is here."""
    if not has_lfs() or not uses_lfs(dest):
        return ()
    said = git(dest, "lfs", "ls-files", timeout=300.0)
    return tuple(line.split(" ", 2)[2] for line in said.splitlines() if line.split(" ", 2)[1] == "-")
