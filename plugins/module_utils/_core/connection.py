# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ssh connection that a task runs over.

Private to the collection; not a public interface.
"""

import os
from contextlib import suppress
from typing import NamedTuple

VARIABLE = "SSH_CONNECTION"  # ssh(1): client address and port, server address and port


class Connection(NamedTuple):
    """Both ends of it; the addresses are without a zone, such as ``%eth0``."""

    client: str
    client_port: int
    server: str
    server_port: int


def ssh_connection():
    """Return the :class:`Connection` of this process, or None.

    sudo and su do not hand the variable on, so that of the nearest parent that has it counts.
    """
    pid, text = os.getppid(), os.environ.get(VARIABLE)
    while not text and pid > 1:
        text, pid = _variable(pid), _parent(pid)
    return parse(text or "")


def parse(text):
    """Return the :class:`Connection` of the variable's value, or None for what is none."""
    words = text.split()
    if len(words) != 4 or not (words[1].isdigit() and words[3].isdigit()):
        return None
    client, server = (word.partition("%")[0] for word in (words[0], words[2]))
    return Connection(client, int(words[1]), server, int(words[3]))


def _variable(pid):
    with suppress(OSError), open(f"/proc/{pid}/environ", "rb") as stream:
        for entry in stream.read().split(b"\0"):
            key, _equals, value = entry.partition(b"=")
            if key == VARIABLE.encode() and value.strip():
                return value.decode()
    return None


def _parent(pid):
    """Return the process that started one; 0 when that cannot be told (proc(5), stat)."""
    with suppress(OSError), open(f"/proc/{pid}/stat") as stream:
        return int(stream.read().rpartition(")")[2].split()[1])
    return 0
