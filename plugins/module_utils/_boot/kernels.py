# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the installed kernels is the newest of the kind that runs.

Private to the collection; not a public interface.
"""

import re

from .model import NO, UNKNOWN, YES, Answer, Signal

SOURCE = "kernel"
# What distributions put between version and flavour: it changes with the version.
RELEASE_TAG = re.compile(r"\b(el|fc|deb|amzn|oe)\d+([._]\d+)*\b")


def flavour(release):
    """Return what of a release does not change with the version: ``cloud-amd64``, ``generic``, ``x86_64+debug``."""
    return re.sub(r"^[\d.\-_~]+", "", RELEASE_TAG.sub("", release))


def order(release):
    """Return the key by which releases of one flavour are sorted: digits as numbers, all else as text."""
    parts = re.findall(r"\d+|[a-z]+", release.lower())
    return [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts]


def newest(kernels):
    """Return the newest installed release of the flavour that runs, None when there is none."""
    kind = flavour(kernels.running)
    return max((one for one in kernels.installed if flavour(one) == kind), key=order, default=None)


def signal(kernels, container):
    """Return the :class:`Signal` of what is installed against what runs.

    :param container: the kind of container the host is; the kernel is not its own then.
    """
    if container:
        return Signal(SOURCE, Answer(UNKNOWN, f"the kernel is not that of this container ({container})"))
    last = newest(kernels)
    if last is None:
        if not kernels.installed:
            return Signal(SOURCE, Answer(UNKNOWN, "no installed kernel was found"))
        others = ", ".join(kernels.installed)
        return Signal(SOURCE, Answer(YES, f"kernel {kernels.running} runs and is not installed any more; {others} is"))
    if order(last) > order(kernels.running):
        return Signal(SOURCE, Answer(YES, f"kernel {kernels.running} runs, {last} is installed"))
    return Signal(SOURCE, Answer(NO, f"kernel {kernels.running} is the newest that is installed"))
