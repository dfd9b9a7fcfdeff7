# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was found of a host's boot, in the words of the module's documentation.

Private to the collection; not a public interface.
"""

from datetime import datetime, timezone

from . import required, verdict


def report(boot, reference, signals, running):
    """Return the results of ``reboot_check``: the two answers with their reasons, and the facts behind them.

    :param running: the release of the kernel that runs.
    """
    answer, needed = verdict.rebooted(reference, boot), required.together(signals)
    return {
        "rebooted": answer.value,
        "reason": answer.reason,
        "soft_rebooted": verdict.soft_rebooted(reference, boot),
        "reboot_required": needed.value,
        "reasons": [{"source": one.source, "answer": one.answer.value, "reason": one.answer.reason} for one in signals],
        "boot_id": boot.boot_id,
        "booted": _time(boot.booted),
        "pid1_started": None if boot.pid1_started is None else _time(boot.pid1_started),
        "soft_reboots": boot.soft_reboots,
        "container": boot.container,
        "kernel": running,
    }


def _time(seconds):
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
