# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A step that ip(8) does and undoes. Pure.

Private to the collection; not a public interface.
"""

from .._core.reconcile import Step
from .iproute import command


def step(verb, name, detail, do, back):
    """Return the step that runs the argument lists ``do``, and ``back`` to undo it."""
    return Step(verb, name, detail, ([command(argv) for argv in do], [command(argv) for argv in back]))
