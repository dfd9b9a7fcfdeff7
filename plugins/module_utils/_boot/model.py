# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of a host's boot, what it is compared with, and the answers.

Private to the collection; not a public interface.
"""

from typing import NamedTuple, Optional, Tuple

YES, NO, UNKNOWN = "yes", "no", "unknown"


class Answer(NamedTuple):
    """``yes``, ``no`` or ``unknown``, and why."""

    value: str
    reason: str


class Boot(NamedTuple):
    """The boot that a host is in, as far as it can be read.

    ``boot_id`` is None when no file of it could be read; ``problem`` says why then. ``booted`` is the time of the boot
    in seconds since the epoch, which moves when the clock is set; ``pid1`` is the start of process 1 in clock ticks
    since the boot (proc_pid_stat(5), field 22), which does not; None: it is hidden. ``soft_reboots`` is None where
    systemd counts none.
    ``container`` names what kind of container this is; None: the host has the kernel's first PID namespace.
    """

    boot_id: Optional[str]
    problem: str = ""
    booted: int = 0
    pid1: Optional[int] = 0
    pid1_started: Optional[float] = 0.0
    soft_reboots: Optional[int] = None
    container: Optional[str] = None


class Reference(NamedTuple):
    """The boot that a host is compared with: where it is from, and what is known of it.

    ``boot_id`` is empty when there is none; ``problem`` says why then.
    """

    source: str
    boot_id: str = ""
    problem: str = ""
    pid1: Optional[int] = None
    soft_reboots: Optional[int] = None


class Signal(NamedTuple):
    """What one source says of whether a reboot is needed."""

    source: str
    answer: Answer


class Kernels(NamedTuple):
    """The kernel that runs and those that are installed, as uname(2) calls their releases."""

    running: str
    installed: Tuple[str, ...]
