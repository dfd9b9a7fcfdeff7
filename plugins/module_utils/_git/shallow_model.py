# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which checkouts are wanted, and what was found at their place and at the server.

Private to the collection; not a public interface.
"""

from typing import NamedTuple, Optional, Tuple

# Where a version is kept that is neither branch nor tag, so that git does not collect it.
KEPT = "refs/hostcraft/version"


class Access(NamedTuple):
    """How the server is reached. Never part of a state, a step or a diff."""

    username: Optional[str] = None
    password: Optional[str] = None
    credential_helper: Optional[str] = None
    ssh_key: Optional[str] = None
    known_hosts: Optional[str] = None
    accept_new_host_key: bool = False
    ca_file: Optional[str] = None
    proxy: Optional[str] = None


class Verify(NamedTuple):
    """Which signature must be good, and whose: ``what`` is none, commit or tag."""

    what: str = "none"
    gnupg_home: Optional[str] = None
    allowed_signers: Optional[str] = None
    signers: Tuple[str, ...] = ()


class Wanted(NamedTuple):
    """One checkout. A depth of None is for ``since`` and ``exclude``, of 0 for the whole history."""

    repo: str
    dest: str
    version: str = "HEAD"
    remote: str = "origin"
    depth: Optional[int] = 1
    since: Optional[str] = None
    exclude: Tuple[str, ...] = ()
    max_depth: int = 1000
    filter: Optional[str] = None
    sparse: Optional[Tuple[str, ...]] = None
    cone: bool = True
    single_branch: bool = True
    submodules: str = "none"
    lfs: bool = True
    reference: Optional[str] = None
    local_changes: str = "refuse"
    untracked: bool = False
    verify: Verify = Verify()
    access: Access = Access()
    timeout: float = 600.0
    lock_timeout: float = 30.0

    @property
    def history(self):
        """How much history is wanted, in words that are compared and shown."""
        if self.depth is not None:
            return f"depth {self.depth}" if self.depth else "whole history"
        words = [f"since {self.since}"] if self.since else []
        return ", ".join(words + [f"without {one}" for one in self.exclude])


class Target(NamedTuple):
    """What the version means at the server: a commit, and the ref that it was found by, empty for a commit's id.

    ``commit`` may be abbreviated as long as the object is not here; ``tag`` is the tag object of an annotated tag.
    """

    kind: str
    commit: str
    ref: str = ""
    tag: Optional[str] = None

    @property
    def shown(self):
        """How steps call it."""
        short = self.ref.split("/", 2)[-1] if self.kind in ("branch", "tag") else self.ref
        return f"{self.kind} {short} {self.commit[:10]}" if short else f"commit {self.commit[:10]}"


class History(NamedTuple):
    """How far history goes from a commit: where it is cut off first, None for nowhere, and where it ends last."""

    cut: Optional[int]
    deepest: int


class Local(NamedTuple):
    """What is at the destination.

    ``kind`` is absent, empty, files, bare, linked, repository or broken. ``changes`` and ``untracked`` are names of
    files, ``own_commits`` counts commits that are nowhere else. ``locks``, a journal among them, were left by a run of
    ours that was killed, and ``interrupted`` is the commit that it was checking out. ``history`` and ``tracked`` are
    about the target; ``recorded`` is the history that was fetched for the commit that is checked out.
    """

    kind: str
    url: str = ""
    found: str = ""
    head: Optional[str] = None
    branch: Optional[str] = None
    changes: Tuple[str, ...] = ()
    untracked: Tuple[str, ...] = ()
    own_commits: int = 0
    operation: str = ""
    locks: Tuple[str, ...] = ()
    interrupted: Optional[str] = None
    target: Optional[str] = None
    tracked: Optional[str] = None
    history: Optional[History] = None
    recorded: str = ""
    filter: Optional[str] = None
    sparse: Optional[Tuple[str, ...]] = None
    cone: bool = False
    refspecs: Tuple[str, ...] = ()
    submodules: Tuple[str, ...] = ()
    lfs: Tuple[str, ...] = ()
    half_clone: bool = False


class State(NamedTuple):
    """One checkout as it was found: the destination, what the server says, and the version of git."""

    local: Local
    target: Target
    git: Tuple[int, ...] = (2, 39)
    warnings: Tuple[str, ...] = ()


def refspec(wanted, target):
    """Return what is fetched for a target, as git-fetch(1) takes it."""
    if target.kind == "branch":
        return "+{}:refs/remotes/{}/{}".format(target.ref, wanted.remote, target.ref[len("refs/heads/") :])
    if target.kind == "tag":
        return f"+{target.ref}:{target.ref}"
    return f"+{target.ref or target.commit}:{KEPT}"


def standing(wanted, target):
    """Return the refspecs that a later fetch by hand takes (remote.NAME.fetch)."""
    if not wanted.single_branch:
        return (f"+refs/heads/*:refs/remotes/{wanted.remote}/*",)
    return (refspec(wanted, target),) if target.kind in ("branch", "tag") else ()


def tracking(wanted, target):
    """Return the local ref that a fetch of the target sets."""
    return refspec(wanted, target).split(":")[1]


def branch_of(target):
    """Return the local branch that is checked out for a target, or None for a detached HEAD.

    A name that begins with a minus can be a ref at a server, but git takes none for a local branch.
    """
    name = target.ref[len("refs/heads/") :]
    return name if target.kind == "branch" and not name.startswith("-") else None
