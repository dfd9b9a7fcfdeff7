# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose limits are meant, what is wanted for them, and what was found.

Private to the collection; not a public interface.
"""

import re
from typing import NamedTuple, Optional, Tuple

# The first line of every file that the module made; a file without it belongs to someone else.
HEADER = "# Managed by Ansible (hostcraft.linux.rlimit). Changes made by hand are lost.\n"


class Selector(NamedTuple):
    """Which processes are meant; all conditions that are set must hold."""

    pid: Optional[int] = None
    uid: Optional[int] = None
    command: Optional[str] = None
    unit: Optional[str] = None
    cgroup: Optional[str] = None

    @property
    def exact(self):
        """Whether it names processes so that even an ancestor of the task may be meant."""
        return (self.pid, self.unit, self.cgroup) != (None, None, None)

    def matches(self, process):
        """Tell whether ``process`` is meant. A template unit means all its instances."""
        return (
            self.pid in (None, process.pid)
            and self.uid in (None, process.uid)
            and (self.command is None or re.search(self.command, process.command) is not None)
            and (self.unit is None or _is_in_unit(process.cgroup, self.unit))
            and (self.cgroup is None or (process.cgroup + "/").startswith(self.cgroup.rstrip("/") + "/"))
        )


def _is_in_unit(cgroup, unit):
    prefix, at, suffix = unit.partition("@.")
    parts = cgroup.split("/")
    if not at:
        return unit in parts
    return any(part.startswith(prefix + "@") and part.endswith("." + suffix) for part in parts)


class Process(NamedTuple):
    """A process as /proc shows it; ``start`` (clock ticks since boot) tells it from a later namesake."""

    pid: int
    start: int
    uid: int
    name: str
    command: str
    cgroup: str
    limits: dict = {}

    @property
    def label(self):
        """How messages and steps call it."""
        return f"process {self.pid} ({self.name})"


class Unit(NamedTuple):
    """A systemd unit as the manager has it loaded: ``name`` is its own, where it was asked by an alias.

    ``stale`` says that files changed since it was loaded (NeedDaemonReload).
    """

    name: str
    limits: dict
    drop_ins: Tuple[str, ...] = ()
    stale: bool = False


class Declaration(NamedTuple):
    """Limits, and for whom: PAM domains, systemd units and selectors of processes."""

    limits: dict
    sessions: Tuple[str, ...] = ()
    services: Tuple[str, ...] = ()
    processes: Tuple[Selector, ...] = ()


class Wanted(NamedTuple):
    """What the task asks for: the declarations, a later one winning, and the files that hold them."""

    declarations: Tuple[Declaration, ...]
    limits_file: str
    drop_in: str
    present: bool = True
    purge: bool = False

    @property
    def services(self):
        """All units that are named, each once."""
        return tuple(sorted({unit for one in self.declarations for unit in one.services}))

    @property
    def sessions(self):
        """All domains that are named, each once."""
        return tuple(sorted({domain for one in self.declarations for domain in one.sessions}))

    def drop_in_path(self, unit):
        """Return where the drop-in of ``unit`` is kept (systemd.unit(5))."""
        return f"/etc/systemd/system/{unit}.d/{self.drop_in}"


class State(NamedTuple):
    """What was found on the host.

    ``files`` maps every file that counts to its text, None for one that is not there;
    ``session_files`` are those that pam_limits reads, in its order. ``ceiling`` is the highest hard
    limit a login can get where the task may not raise hard limits (``privileged`` false);
    ``unknown_to_pam`` are the resources that this host's pam_limits passes over. ``meant`` are the names of the users
    whom each domain means, where files set limits for others than those declared.
    """

    processes: Tuple[Process, ...] = ()
    files: dict = {}
    session_files: Tuple[str, ...] = ()
    units: dict = {}
    nr_open: int = 2**20
    uid: int = 0
    privileged: bool = True
    ceiling: dict = {}
    unknown_to_pam: Tuple[str, ...] = ()
    meant: dict = {}
