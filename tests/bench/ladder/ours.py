# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rung of ``xdp_drop``: rules as a host under attack has them, through the module's own code."""

import contextlib
import importlib
import os
import socket
import sys

from tests.bench.ladder import frame, random_sources

BLOCKED = random_sources.Sources(1 << 16)  # all of 10.0.0.0/8, where the load comes from
RULES = (
    {"name": "office", "action": "pass", "source": ["192.0.2.0/24"], "protocol": ["tcp"], "destination_ports": ["22"]},
    {"name": "blocked", "action": "drop", "source_file": "blocked.txt"},
    {
        "name": "amplifiers",
        "action": "drop",
        "protocol": ["udp"],
        "source_ports": ["19", "53", "123", "389", "1900", "11211"],
    },
    {
        "name": "attacked",
        "action": "drop",
        "protocol": ["udp"],
        "destination": [f"{frame.DESTINATION}/32"],
        "destination_ports": [str(frame.PORT)],
    },
)


def shown() -> str:
    """Return the task that declares the rules."""
    lines = ["- hostcraft.linux.xdp_drop:", "    interface: DEVICE", "    mode: native", "    rules:"]
    for rule in RULES:
        texts = {key: f"[{', '.join(one)}]" if isinstance(one, list) else one for key, one in rule.items()}
        lines.append(f"      - {{{', '.join(f'{key}: {text}' for key, text in texts.items())}}}")
    return "\n".join(lines)


def blocked() -> list[str]:
    """Return the prefixes that are blocked."""
    return [f"{socket.inet_ntoa(one.to_bytes(4, 'big'))}/24" for one in BLOCKED.addresses()]


def load(until: contextlib.ExitStack) -> int:
    """Load the module's program with the rules; return its descriptor, which is closed with the stack."""
    loader, declare, prefixes, tables = _modules("loader", "declare", "prefixes", "tables")
    rules = declare.rules(RULES, lambda path: prefixes.parsed(blocked(), str), prefixes.parsed)
    verdicts = [(rule.drop, slot) for slot, rule in enumerate(rules)]
    loaded = loader.load(tables.compiled(rules), verdicts, loader.features())
    until.callback(loader.close, loaded)
    return loaded.program


def attach(device: str, until: contextlib.ExitStack) -> None:
    """Attach it to a device in native mode, for as long as the stack is open."""
    loader, attachment, rtnetlink = _modules("loader", "attachment", "rtnetlink")
    link, _mode, _reason = attachment.attach(
        rtnetlink.interface(device), load(until), attachment.NATIVE, loader.features()
    )
    until.callback(os.close, link)


def _modules(*names: str) -> list:
    """Return files of the module's code, which is where Ansible looks for collections."""
    for where in os.environ.get("ANSIBLE_COLLECTIONS_PATH", "").split(":"):
        if where not in sys.path:
            sys.path.insert(0, where)
    package = "ansible_collections.hostcraft.linux.plugins.module_utils._xdp"
    return [importlib.import_module(f"{package}.{name}") for name in names]
