# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of the network below /proc/sys/net, of the namespace that the process is in (proc(5)).

Private to the collection; not a public interface.
"""

ROOT = "/proc/sys/net/"


def read(paths):
    """Return ``{path: value}`` of those that there are; paths are below net, with slashes."""
    found = {}
    for path in paths:
        try:
            with open(ROOT + path) as stream:
                found[path] = stream.read().strip()
        except OSError:  # no such link any more, or a kernel without it
            continue
    return found


def write(path, value):
    """Set one.

    :raises OSError: there is none of that name, or it does not take the value.
    """
    with open(ROOT + path, "w") as stream:
        stream.write(value)
