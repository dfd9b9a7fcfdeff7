# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rung of ``xdp_drop``: rules as a host under attack has them, through the module's own code."""

import contextlib
import os
import socket
import sys

from tests.bench.ladder import frame, random_sources

PACKAGE = "ansible_collections.hostcraft.linux.plugins.module_utils._xdp"
NATIVE = 1 << 2  # XDP_FLAGS_DRV_MODE of linux/if_link.h
BLOCKED = random_sources.Sources(1 << 16)  # all of 10.0.0.0/8, where the load comes from


SHOWN = f"""- hostcraft.linux.xdp_drop:
    interface: DEVICE
    mode: native
    rules:
      - {{name: administrators, action: pass, source: [192.0.2.0/24]}}
      - {{name: blocked, action: drop, source_file: blocked.txt}}
      - {{name: amplifiers, action: drop, protocol: udp, source_port: [19, 53, 123, 389, 1900, 11211]}}
      - name: attacked
        action: drop
        protocol: udp
        destination: [{frame.DESTINATION}/32]
        destination_port: [{frame.PORT}]
"""


def blocked() -> list[bytes]:
    """Return the networks that are blocked."""
    return [one.to_bytes(4, "big") for one in BLOCKED.addresses()]


def load(until: contextlib.ExitStack) -> int:
    """Load the module's program with these rules; return its descriptor, which is closed with the stack."""
    for where in os.environ.get("ANSIBLE_COLLECTIONS_PATH", "").split(":"):
        sys.path.insert(0, where)
    from ansible_collections.hostcraft.linux.plugins.module_utils._xdp import loader, tables

    wanted = _rules()
    verdicts = [(one.drop, number) for number, one in enumerate(wanted)]
    loaded = loader.load(tables.compiled(wanted), verdicts, loader.features())
    until.callback(loader.close, loaded)
    return loaded.program


def attach(device: str, until: contextlib.ExitStack) -> None:
    """Attach it to a device in native mode, for as long as the stack is open."""
    program = load(until)
    from ansible_collections.hostcraft.linux.plugins.module_utils._xdp import bpf

    until.callback(os.close, bpf.create_link(program, socket.if_nametoindex(device), NATIVE))


def _rules():
    from ansible_collections.hostcraft.linux.plugins.module_utils._xdp.model import UDP, Prefixes, Rule

    def four(*ones):
        return Prefixes(tuple(sorted(int.from_bytes(n, "big") << 6 | length for n, length in ones)))

    return (
        Rule("administrators", False, source=four((socket.inet_aton("192.0.2.0"), 24))),
        Rule("blocked", True, source=four(*((one, 24) for one in blocked()))),
        Rule(
            "amplifiers",
            True,
            protocols=frozenset([UDP]),
            source_ports=tuple((p, p) for p in (19, 53, 123, 389, 1900, 11211)),
        ),
        Rule(
            "attacked",
            True,
            protocols=frozenset([UDP]),
            destination=four((socket.inet_aton(frame.DESTINATION), 32)),
            destination_ports=((frame.PORT, frame.PORT),),
        ),
    )
