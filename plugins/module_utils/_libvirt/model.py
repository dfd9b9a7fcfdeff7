# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which domains are meant, what is wanted of them, and what was found.

Private to the collection; not a public interface.
"""

from typing import Any, NamedTuple, Optional, Tuple

from .lifecycle import DEFINED

# Domains are grouped by <tag> elements in this element of their metadata.
TAGS_URI = "https://hostcraft.io/xml/tags/1"


class Target(NamedTuple):
    """What is wanted of the domains that a selector means: a name, a pattern, a UUID, or tags.

    ``xml`` is the declared definition; ``autostart`` None leaves it as it is.
    """

    name: Optional[str] = None
    tags: Tuple[str, ...] = ()
    goal: str = DEFINED
    xml: Optional[str] = None
    autostart: Optional[bool] = None

    @property
    def label(self):
        """How messages call it."""
        return self.name if self.name is not None else "tag {}".format(", ".join(self.tags))


class Leftovers(NamedTuple):
    """What becomes of the things of a domain that is undefined: True removes them, False keeps them.

    libvirt cannot keep the metadata of snapshots and checkpoints without the domain: kept, they make the task fail.
    ``volumes`` are the disks to delete, by target name or path.
    """

    nvram: bool = False
    tpm: bool = False
    snapshots: bool = False
    checkpoints: bool = False
    volumes: Tuple[str, ...] = ()


class Wanted(NamedTuple):
    """What the task asks for, and what it permits. Times are seconds."""

    targets: Tuple[Target, ...]
    allow_data_loss: bool = False
    start_to_save: bool = False
    shutdown_by: Tuple[str, ...] = ()
    timeout: float = 180.0
    force_after: Optional[float] = None
    parallelism: int = 10
    leftovers: Leftovers = Leftovers()


class Domain(NamedTuple):
    """A domain as it was found.

    ``state`` is one of lifecycle.STATES. ``inactive`` is the XML of its definition and ``live`` that of what runs;
    each is None unless it was asked for, and ``agent`` (whether the definition has a channel for one) as well.
    ``refreshed`` says that the task has rebooted or reset it.
    """

    name: str
    uuid: str
    state: str
    persistent: bool = True
    autostart: bool = False
    snapshots: bool = False
    checkpoints: bool = False
    agent: bool = False
    inactive: Optional[str] = None
    live: Optional[str] = None
    tags: Tuple[str, ...] = ()
    refreshed: bool = False


class State(NamedTuple):
    """What was found: the domains that each target means, in the order of the targets.

    ``used`` maps the path of a disk to the names of the domains that use it; it is filled only when volumes are
    to be deleted. ``gone`` are the names of domains that this task has undefined.
    """

    chosen: Tuple[Tuple[Target, Tuple[Domain, ...]], ...] = ()
    used: dict = {}
    gone: Tuple[str, ...] = ()


class Act(NamedTuple):
    """The data of a step: what is to be done with which domain.

    ``kind`` is "move" (``what`` is a Transition), "define", "autostart" or "volume"; ``goal`` is where its domain
    is to be in the end; ``value`` is the XML, the flag or the path.
    """

    name: str
    uuid: str
    kind: str
    goal: str
    what: Any = None
    value: Any = None
    facts: Any = None
