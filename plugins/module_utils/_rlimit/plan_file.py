# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The step that gives a file its new text, and whose file it is.

Private to the collection; not a public interface.
"""

from .._core.reconcile import Plan, ReconcileError, Step
from .model import HEADER
from .resources import UNSET, show_limit


def is_owned(path, text, purge):
    """Tell whether a file is the module's to rewrite.

    :raises ReconcileError: ``purge`` is asked for a file that someone else made.
    """
    owned = text is None or text.startswith(HEADER)
    if purge and not owned:
        raise ReconcileError(
            f"{path}: purge would remove lines that this module did not write, as the file does not begin with "
            f"'{HEADER.strip()}'. Take another name for the file, or leave out purge"
        )
    return owned


def plan_file(path, before, after, changes, prune):
    """Return the plan that replaces the text ``before`` by ``after``; None stands for no file.

    The data of a ``write`` step is the text, that of a ``remove`` step whether an empty directory goes too.
    """
    if before == after:
        return Plan({}, {}, ())
    verb, data = ("remove", prune) if after is None else ("write", after)
    lines = [None if text is None else text.splitlines() for text in (before, after)]
    return Plan({path: lines[0]}, {path: lines[1]}, (Step(verb, path, changes or "same limits, rewritten", data),))


def change(have, new, label, resource):
    """Describe what differs between two ``{key: Limit or None}``, as ``nofile 1024:4096 -> 65536:65536``."""

    def shown(key, limit):
        return "unset" if limit in (None, UNSET) else show_limit(resource(key), limit)

    return ", ".join(
        f"{label(key)} {shown(key, have.get(key))} -> {shown(key, new.get(key))}"
        for key in sorted(set(have) | set(new))
        if have.get(key) != new.get(key)
    )
