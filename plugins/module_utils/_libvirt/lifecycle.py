# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of a libvirt domain as one table of states and transitions.

Plans, the code that carries them out, the diagram of the documentation and the tests all read it. Sources:
libvirt-domain.h of libvirt 9.0 and https://wiki.libvirt.org/VM_lifecycle.html; what the header leaves open was
measured with QEMU 7.2. tests/integration/libvirt_domains drives real guests along them.

Private to the collection; not a public interface.
"""

from typing import NamedTuple, Tuple

ABSENT = "absent"
SHUTOFF = "shutoff"
SAVED = "saved"
RUNNING = "running"
PAUSED = "paused"
PMSUSPENDED = "pmsuspended"
CRASHED = "crashed"
STOPPING = "shutting down"
STATES = (ABSENT, SHUTOFF, SAVED, RUNNING, PAUSED, PMSUSPENDED, CRASHED, STOPPING)

# What a domain can be asked for beyond a state.
DEFINED = "defined"
REBOOTED = "rebooted"
RESET = "reset"
GOALS = (DEFINED, RUNNING, PAUSED, SAVED, SHUTOFF, PMSUSPENDED, ABSENT, REBOOTED, RESET)

# What a transition may need; see Facts in path.py.
XML = "xml"
PERSISTENT = "persistent"
AGENT = "agent"

MEMORY = "what the guest has in memory, and what it has not yet written to its disks"
IMAGE = "the saved memory of the guest, and what it had not yet written to its disks"


class Transition(NamedTuple):
    """One way from a state to another.

    ``call`` and ``flags`` are the method of libvirt's virDomain and the names of its flags; ``cost`` weighs
    how long it takes and how much it disturbs; ``loses`` says what is lost, empty for nothing.
    ``again``: seconds after which the call is repeated when it had no effect, 0 for never. ``rest``: seconds that
    the guest needs afterwards before it can be asked for anything.
    """

    name: str
    verb: str
    sources: Tuple[str, ...]
    target: str
    call: str
    flags: Tuple[str, ...] = ()
    cost: int = 1
    needs: Tuple[str, ...] = ()
    loses: str = ""
    detail: str = ""
    again: float = 0.0
    rest: float = 0.0


TRANSITIONS = (
    Transition("define", "define", (ABSENT,), SHUTOFF, "defineXMLFlags", needs=(XML,)),
    Transition("start", "start", (SHUTOFF,), RUNNING, "createWithFlags", cost=10),
    Transition(
        "start_paused", "start", (SHUTOFF,), PAUSED, "createWithFlags", ("VIR_DOMAIN_START_PAUSED",), 10,
        detail="paused before its first instruction",
    ),
    # An image that was saved while the guest was paused comes up paused. Nothing tells that before, so that resuming
    # it is part of this transition.
    Transition("restore", "restore", (SAVED,), RUNNING, "createWithFlags", cost=10, detail="from its saved memory"),
    Transition(
        "restore_paused", "restore", (SAVED,), PAUSED, "createWithFlags", ("VIR_DOMAIN_START_PAUSED",), 10,
        detail="from its saved memory, and keep it paused",
    ),
    Transition("discard", "discard the saved memory of", (SAVED,), SHUTOFF, "managedSaveRemove", cost=12, loses=IMAGE),
    Transition("suspend", "suspend", (RUNNING,), PAUSED, "suspend"),
    Transition("resume", "resume", (PAUSED,), RUNNING, "resume"),
    # Of a paused guest the image is that of a paused one. A guest that sleeps would be woken: it is not a source.
    Transition(
        "save", "save", (RUNNING, PAUSED), SAVED, "managedSave", cost=5, needs=(PERSISTENT,), detail="memory to disk"
    ),
    # A paused guest cannot obey (libvirt refuses). A guest that is still booting misses the button: press it again.
    Transition("shutdown", "shut down", (RUNNING,), SHUTOFF, "shutdownFlags", cost=10, again=15.0),
    Transition("destroy", "destroy", (RUNNING, PAUSED, PMSUSPENDED), SHUTOFF, "destroyFlags", cost=15, loses=MEMORY),
    # What can be lost was lost in the crash.
    Transition("clear", "clear away", (CRASHED,), SHUTOFF, "destroyFlags", cost=5, detail="it has crashed"),
    Transition("wait", "wait for", (STOPPING,), SHUTOFF, "", detail="it is shutting down already"),
    Transition(
        "sleep", "put to sleep", (RUNNING,), PMSUSPENDED, "pMSuspendForDuration", cost=5, needs=(AGENT,),
        detail="suspend to memory, by its guest agent",
    ),
    # libvirt says "running" at once, the guest still wakes its devices, and a press of its button is lost meanwhile.
    Transition("wake", "wake", (PMSUSPENDED,), RUNNING, "pMWakeup", cost=2, rest=3.0),
    # From RUNNING only: paused, the request would stay pending; asleep, a reset leaves it asleep for ever.
    Transition("reboot", "reboot", (RUNNING,), REBOOTED, "reboot", cost=10, again=15.0),
    Transition("reset", "reset", (RUNNING,), RESET, "reset", loses=MEMORY),
    Transition("undefine", "undefine", (SHUTOFF,), ABSENT, "undefineFlags", needs=(PERSISTENT,)),
)  # fmt: skip
BY_NAME = {one.name: one for one in TRANSITIONS}
# What ends a guest that does not obey, where force_after allows it.
FORCE = {"shutdown": BY_NAME["destroy"], "reboot": BY_NAME["reset"]}
