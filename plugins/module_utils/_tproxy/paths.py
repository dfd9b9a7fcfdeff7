# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things are kept, and how a command gets into a network namespace. Pure.

Private to the collection; not a public interface.
"""

import re

RECORDS = "/run/hostcraft-tproxy"  # gone with the rules when the machine goes down
SYSCTL_D = "/etc/sysctl.d/90-hostcraft-tproxy.conf"


def place(netns):
    """Return the word for a namespace in the names of its records, another one for each; None is the task's own."""
    return "host" if netns is None else "netns-" + re.sub(r"[^A-Za-z0-9_-]", _quoted, netns)


def _quoted(match):
    return "".join(f"%{byte:02X}" for byte in match.group().encode())


def record(netns, name):
    """Return the file with what was declared of a capture."""
    return f"{RECORDS}/{place(netns)}.{name}.json"


def listing(netns, name):
    """Return the file with the digest of its rules as they were loaded."""
    return f"{RECORDS}/{place(netns)}.{name}.seen"


def settings(netns):
    """Return the file with the settings of the kernel that captures of a namespace had set, and what they were."""
    return f"{RECORDS}/{place(netns)}.settings"


def saved(where, name):
    """Return the script that loads a capture after a reboot."""
    return f"{where}/{name}.sh"


def namespace(netns):
    """Return the file that stands for a namespace, given as ip-netns(8) calls it or by its path."""
    return netns if netns.startswith("/") else f"/run/netns/{netns}"


def inside(netns, argv):
    """Return the argument list that runs a command in a namespace."""
    return list(argv) if netns is None else ["nsenter", f"--net={namespace(netns)}", "--", *argv]
