# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be done so that the boot that a host is in is the recorded one.

Private to the collection; not a public interface.
"""

from .._core.reconcile import Plan, Step
from .verdict import is_record_of


def plan(wanted, path, reference, boot):
    """Return the :class:`Plan`; without steps unless it is ``wanted`` that the boot is recorded.

    :param path: the file of the record.
    :param reference: what that file holds, a :class:`Reference`.
    :param boot: the :class:`Boot` that the host is in.
    """
    if not wanted or is_record_of(reference, boot):
        return Plan({}, {}, ())
    shown = {"boot_id": boot.boot_id, "pid1": boot.pid1, "soft_reboots": boot.soft_reboots}
    before = dict(shown, boot_id=reference.boot_id, pid1=reference.pid1, soft_reboots=reference.soft_reboots)
    step = Step("record", f"boot {boot.boot_id}", f"in {path}", data=boot)
    return Plan({path: before if reference.boot_id else None}, {path: shown}, (step,))
