# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has a host been rebooted since a reference? As the kubelet tells: its boot IDs are compared, and only for inequality.

The kernel draws a random boot ID at every start (random(4)). It says nothing of order: a virtual machine that went back
to a snapshot has an old one again. Private to the collection; not a public interface.
"""

import json
import re

from .model import NO, UNKNOWN, YES, Answer, Reference

# As the kernel prints it (drivers/char/random.c, %pU). What a program says of a failure never looks like this.
BOOT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def is_boot_id(text):
    """Tell whether a text is a boot ID as Linux has it."""
    return bool(BOOT_ID.fullmatch(text))


def rebooted(reference, boot):
    """Return the :class:`Answer` to whether the host was rebooted since ``reference``.

    :param reference: a :class:`Reference`.
    :param boot: the :class:`Boot` that the host is in.
    """
    if boot.boot_id is None:
        return Answer(UNKNOWN, f"the boot ID of this host cannot be read: {boot.problem}")
    if not reference.boot_id:
        return Answer(UNKNOWN, reference.problem or f"{reference.source} has no boot ID")
    if boot.boot_id != reference.boot_id:
        return Answer(YES, f"the boot ID is {boot.boot_id}; {reference.source} has {reference.boot_id}")
    if boot.container and (boot.pid1 is None or reference.pid1 != boot.pid1):
        return Answer(UNKNOWN, _in_a_container(reference, boot))
    return Answer(NO, f"the boot ID is that of {reference.source}")


def soft_rebooted(reference, boot):
    """Tell whether only the userspace was restarted (systemd-soft-reboot.service(8)); None: not counted there."""
    if boot.boot_id != reference.boot_id or None in (boot.soft_reboots, reference.soft_reboots):
        return None
    return boot.soft_reboots != reference.soft_reboots


def parse(text, path):
    """Return the :class:`Reference` that a recorded file holds.

    :param text: what the file holds; None: there is none.
    """
    source = f"the record {path}"
    if text is None:
        return Reference(source, problem=f"nothing is recorded in {path} yet; state 'recorded' does that")
    try:
        record = json.loads(text)
        found = record["boot_id"]
    except (ValueError, KeyError, TypeError):
        return Reference(source, problem=f"{path} is not what state 'recorded' writes; record it again")
    if not isinstance(found, str) or not is_boot_id(found):
        return Reference(source, problem=f"{source} has no boot ID but {found!r}; record it again")
    return Reference(source, found, pid1=record.get("pid1"), soft_reboots=record.get("soft_reboots"))


def render(boot, now):
    """Return the text of a record of ``boot``.

    :param now: when it is made, as the reader shall see it.
    """
    known = {"boot_id": boot.boot_id, "pid1": boot.pid1, "soft_reboots": boot.soft_reboots, "recorded": now}
    return json.dumps(known, indent=2, sort_keys=True) + "\n"


def is_record_of(reference, boot):
    """Tell whether a record is of this boot, with all that is known of it."""
    return (reference.boot_id, reference.pid1, reference.soft_reboots) == (boot.boot_id, boot.pid1, boot.soft_reboots)


def _in_a_container(reference, boot):
    if boot.pid1 is None:
        return (
            f"this is a container ({boot.container}), and when it was started cannot be read, since /proc hides "
            "process 1 (hidepid); run the task with 'become: true'"
        )
    if reference.pid1 is None:
        return (
            f"this is a container ({boot.container}): it shares the boot ID of its host, which is that of "
            f"{reference.source}; whether the container was restarted can only be told by what state 'recorded' wrote"
        )
    return (
        f"this is a container ({boot.container}), and it was restarted since {reference.source} was made; "
        "its host, whose boot ID it shares, was not rebooted"
    )
