# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who listens in a network namespace, as ss(8) tells.

Private to the collection; not a public interface.
"""

from .._core.command import run
from .._core.reconcile import ReconcileError
from . import paths
from .model import LOOPBACK


def listeners(netns):
    """Return {(proto, family, port): whether it may stand for other addresses (ip(7), IP_TRANSPARENT)}; None: unknown.

    The value is None with an ss(8) before iproute2 5.10, which does not show it. What listens at an address of the
    loopback has the port LOOPBACK + port.
    """
    for options in ("-Hlntu --inet-sockopt", "-lntu"):
        try:
            shown = run(paths.inside(netns, ["ss", *options.split()]))
        except ReconcileError:
            continue
        return read(shown, "sockopt" in options)
    return None


def read(shown, tells):
    """Return what :func:`listeners` does, of what ss(8) printed.

    :param tells: whether it was asked for the sockets' options.
    """
    found, keys = {}, ()
    for line in shown.splitlines():
        words = line.replace("(", " ").replace(")", " ").split()
        if words[:1] in (["tcp"], ["udp"]) and len(words) > 4:
            address, _colon, port = words[4].rpartition(":")
            families = (4, 6) if address == "*" else (6,) if ":" in address else (4,)
            own = LOOPBACK if address.startswith("127.") or address == "[::1]" else 0
            keys = tuple((words[0], family, own + int(port)) for family in families if port.isdigit())
            for key in keys:
                found.setdefault(key, False if tells else None)
        elif "inet-sockopt" in line and "transparent" in words:
            found.update(dict.fromkeys(keys, True))
    return found
