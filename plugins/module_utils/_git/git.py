# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run git in a repository: no questions asked, and nothing inherited that means another repository.

Private to the collection; not a public interface.
"""

import os
import re

from .._core import command
from .._core.reconcile import ReconcileError

# What a caller, such as a hook, may have set for its own repository (git(1), environment variables).
FOREIGN = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
)
ALWAYS = dict(
    dict.fromkeys(FOREIGN),
    GIT_TERMINAL_PROMPT="0",
    GIT_ASKPASS="true",
    SSH_ASKPASS="true",
    GIT_EDITOR=":",
    GIT_PAGER="cat",
    # A git that only looks must not take the index lock from somebody who works there (git-status(1)).
    GIT_OPTIONAL_LOCKS="0",
    # A checkout writes pointers, whatever this host's configuration says; files that are wanted are fetched afterwards.
    GIT_LFS_SKIP_SMUDGE="1",
    # In a partial clone every look at an object that is missing would fetch it; only what means to uses the network.
    GIT_ALLOW_PROTOCOL="none",
)


def git(where, *arguments, **how):
    """Run git in the directory ``where`` and return what it printed.

    :param how: ``timeout``, ``ok``, ``stdin`` and ``env``, as :func:`command.run` has them.
    :raises ReconcileError: git failed; a repository of somebody else is named as such.
    """
    how["env"] = dict(ALWAYS, **how.get("env") or {})
    try:
        return command.run(["git", *list(arguments)], cwd=where, **how)
    except ReconcileError as error:
        if "dubious ownership" in error.details.get("stderr", ""):
            raise ReconcileError(
                f"{where}: the repository belongs to another user, for whom git would run its hooks. "
                "Run the task as its owner with 'become_user', or add it to safe.directory (git-config(1))",
                **error.details,
            ) from error
        raise


def online(where, *arguments, **how):
    """Run git as :func:`git` does, and let it talk to other repositories."""
    allowed = {"GIT_ALLOW_PROTOCOL": os.environ.get("GIT_ALLOW_PROTOCOL")}
    return git(where, *arguments, **dict(how, env=dict(allowed, **how.get("env") or {})))


def maybe(where, *arguments, **how):
    """Run git as :func:`git` does; return its output without the last line end, or None when it fails.

    :raises ReconcileError: the repository belongs to another user, or git cannot be run at all.
    """
    try:
        return git(where, *arguments, **how).rstrip("\n")
    except ReconcileError as error:
        if error.details.get("rc") is None or "belongs to another user" in str(error):
            raise
        return None


def version():
    """Return the version of the host's git as a tuple of numbers.

    :raises ReconcileError: there is no git.
    """
    try:
        said = command.run(["git", "--version"])
    except ReconcileError as error:
        if "rc" in error.details:
            raise
        raise ReconcileError("There is no git on this host: install the package 'git' first") from error
    found = re.search(r"(\d+(?:\.\d+)+)", said)
    return tuple(int(one) for one in found.group(1).split(".")) if found else (0,)
