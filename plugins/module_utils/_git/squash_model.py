# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be folded, and what was found in the repository.

Private to the collection; not a public interface.
"""

from typing import NamedTuple, Optional, Tuple

from .commits import Commit

BACKUPS = "refs/hostcraft/squash"


class Wording(NamedTuple):
    """How a folded commit is made: None as a message composes one from the commits that are folded.

    ``author`` and ``date`` are V(first), V(last) or given; a given date is ``seconds zone``.
    """

    message: Optional[str] = None
    author: str = "first"
    date: str = "first"
    committer: Optional[str] = None
    trailers: bool = True


class Group(NamedTuple):
    """Commits that become one, by what the user wrote for the oldest and the newest of them."""

    first: str
    last: str
    wording: Wording


class Wanted(NamedTuple):
    """One branch of one repository, and one of three ways to say which commits are folded."""

    path: str
    branch: Optional[str] = None
    last: Optional[int] = None
    since: Optional[str] = None
    groups: Tuple[Group, ...] = ()
    fixups: bool = False
    wording: Wording = Wording()
    merges: bool = False
    published: bool = False
    push: bool = False
    sign: bool = False
    signing_key: Optional[str] = None
    signing_format: Optional[str] = None
    keep_seconds: Optional[int] = None


class Backup(NamedTuple):
    """A ref that keeps what a branch was: ``old`` became ``result``, planned as ``planned`` before it was signed."""

    ref: str
    old: str
    result: str
    planned: str
    signed: bool
    made: int


class Remote(NamedTuple):
    """The upstream branch: ``seen`` is what this repository last saw there, ``actual`` what is there now.

    ``lost`` counts the commits there that neither the branch nor its history from before has.
    """

    name: str
    ref: str
    seen: Optional[str]
    actual: Optional[str]
    lost: int = 0


class State(NamedTuple):
    """A branch as it was found.

    ``origin`` is the tip on which ranges are counted: what the branch was before, where its tip is our own
    result, else the tip. ``chain`` are the commits of the range, oldest first, along first parents; ``base`` is
    what the range stands on, None for the beginning of history. ``named`` maps what the user wrote for a commit
    to its id. ``sides`` has the commits that each merge of the chain brought in, oldest first; ``entangled`` are
    merges whose other side begins inside the range.
    """

    path: str
    ref: str
    tip: str
    origin: str
    chain: Tuple[Commit, ...] = ()
    base: Optional[str] = None
    named: dict = {}
    sides: dict = {}
    shallow: Tuple[str, ...] = ()
    published: Tuple[str, ...] = ()
    entangled: Tuple[str, ...] = ()
    operation: str = ""
    backups: Tuple[Backup, ...] = ()
    remote: Optional[Remote] = None
    now: int = 0

    @property
    def label(self):
        """How messages and steps call the branch."""
        short = self.ref[len("refs/heads/") :]
        return f"{short} in {self.path}"
