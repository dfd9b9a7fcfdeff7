# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rungs: where in the kernel the same packet is dropped, and by what commands."""

import contextlib
import ctypes
import os
import socket
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.bench.ladder import bpf, frame, ours, random_sources
from tests.bench.ladder.stage import NICE, RECEIVING_CPU, Stage, run, started

SO_ATTACH_FILTER = 26  # asm-generic/socket.h
RULE = f"-d {frame.DESTINATION} -p udp --dport {frame.PORT} -j DROP"
# Comes with the name of the device, as all the commands.
NFT = """table netdev filter {{
    {set}chain ingress {{
        type filter hook ingress device "DEVICE" priority filter; policy accept;
        {match} drop
    }}
}}
"""
NFT_SET = """set blocked {
        type ipv4_addr; flags interval;
        elements = { BLOCKED }
    }
    """


class Rung(NamedTuple):
    """One way to drop. DEVICE and OBJECTS in its commands are the receiving device and where the programs are."""

    name: str
    title: str
    about: str
    commands: tuple[str, ...] = ()
    text: str = ""  # input of the last command, or what says it as well
    start: Callable[[Stage, Path, contextlib.ExitStack], subprocess.Popen | None] | None = None
    # Which layers see the packet on this rung: the proof that it is dropped where it should be.
    ip_receives: bool = False
    ip_delivers: bool = False
    read: bool = False  # by a program, whose CPU time counts too
    load: Callable[[Path, contextlib.ExitStack], int] | None = None  # the XDP program alone

    def prepare(self, stage: Stage, objects: Path, until: contextlib.ExitStack) -> subprocess.Popen | None:
        """Have the stage drop; return the program that reads the packets, on the rung that has one."""
        for number, command in enumerate(self.commands, 1):
            text = _filled(self.text, stage, objects) if number == len(self.commands) and self.text else None
            run(_filled(command, stage, objects), text)
        return self.start(stage, objects, until) if self.start else None


def _filled(text: str, stage: Stage, objects: Path) -> str:
    blocked = ", ".join(ours.blocked())
    for name, value in (("DEVICE", stage.device), ("OBJECTS", str(objects)), ("BLOCKED", blocked)):
        text = text.replace(name, value)
    return text


def _reader(stage: Stage, objects: Path, until: contextlib.ExitStack) -> subprocess.Popen:
    reader = until.enter_context(started([str(objects / "receive")]))
    # On the core that receives, so that there is one core's work to count, and with the same right to it.
    os.sched_setaffinity(reader.pid, {RECEIVING_CPU})
    os.setpriority(os.PRIO_PROCESS, reader.pid, NICE)
    return reader


def _filter(stage: Stage, objects: Path, until: contextlib.ExitStack) -> None:
    """A socket whose filter takes no packet: one instruction of classic BPF, "ret 0"."""
    udp = until.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    udp.bind(("", frame.PORT))
    code = ctypes.create_string_buffer(struct.pack("=HBBI", 0x06, 0, 0, 0))
    udp.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(code)))


def _ours(stage: Stage, objects: Path, until: contextlib.ExitStack) -> None:
    ours.attach(stage.device, until)


def _rule(objects: Path, until: contextlib.ExitStack) -> int:
    return _kept(bpf.load(bpf.instructions(objects / "drop.o")), until)


def _bare(objects: Path, until: contextlib.ExitStack) -> int:
    return _kept(random_sources.bare(), until)


def _kept(program: int, until: contextlib.ExitStack) -> int:
    until.callback(os.close, program)
    return program


_RUNGS = (
    Rung(
        "recvmmsg",
        "userspace, recvmmsg",
        "A program ([receive.c](../tests/bench/ladder/receive.c)) reads the packets, 64 with one system call, and "
        "throws them away. Its CPU time counts too, for each packet that it reads.",
        start=_reader,
        ip_receives=True,
        ip_delivers=True,
        read=True,
    ),
    Rung(
        "input_conntrack",
        "iptables INPUT, conntrack",
        "A stateful host firewall: every packet makes an entry of the connection table, and loses it again.",
        commands=(
            "iptables-nft -A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
            f"iptables-nft -A INPUT {RULE}",
        ),
        ip_receives=True,
    ),
    Rung(
        "socket_filter",
        "socket filter",
        "A socket with SO_ATTACH_FILTER, whose filter is the one instruction `ret 0`: take nothing of any packet.",
        start=_filter,
        ip_receives=True,
        ip_delivers=True,
    ),
    Rung(
        "input",
        "iptables INPUT",
        "The same rule on a host that tracks no connections.",
        commands=(f"iptables-nft -A INPUT {RULE}",),
        ip_receives=True,
    ),
    Rung(
        "raw",
        "iptables raw PREROUTING",
        "Before routing and connection tracking, the earliest that iptables can drop.",
        commands=(f"iptables-nft -t raw -A PREROUTING {RULE}",),
        ip_receives=True,
    ),
    Rung(
        "nftables",
        "nftables ingress",
        "The same rule where packets leave the driver, before IP.",
        commands=("nft -f -",),
        text=NFT.format(set="", match=f"ip daddr {frame.DESTINATION} udp dport {frame.PORT}"),
    ),
    Rung(
        "nftables_set",
        "nftables ingress, 65,536 prefixes",
        "The sources of the packets as a set of nftables: what `xdp_drop` has on its rung, BLOCKED being 65,536 "
        "networks, 10.0.0.0/24 to 10.255.255.0/24.",
        commands=("nft -f -",),
        text=NFT.format(set=NFT_SET, match="ip saddr @blocked"),
    ),
    Rung(
        "tc",
        "tc, BPF",
        "The same rule as a BPF program ([drop.bpf.c](../tests/bench/ladder/drop.bpf.c)) of tc(8), in direct-action "
        "mode.",
        commands=(
            "tc qdisc add dev DEVICE clsact",
            "tc filter add dev DEVICE ingress bpf da obj OBJECTS/drop.o sec tc",
        ),
    ),
    Rung(
        "generic",
        "XDP generic",
        "The same rule in XDP for drivers that have none: the kernel has made its packet structure before.",
        commands=("ip link set dev DEVICE xdpgeneric obj OBJECTS/drop.o sec xdp",),
        load=_rule,
    ),
    Rung(
        "native",
        "XDP native",
        "The same program in the driver, before the kernel has made anything of the packet.",
        commands=("ip link set dev DEVICE xdpdrv obj OBJECTS/drop.o sec xdp",),
        load=_rule,
    ),
    Rung(
        "ours",
        "xdp_drop, 65,536 prefixes",
        "The module's own code in native mode, with rules as a host under attack has them; blocked.txt has the 65,536 "
        "networks of the rung of nftables. The second rule drops the packets.",
        text=ours.shown(),
        start=_ours,
        load=lambda objects, until: ours.load(until),
    ),
    Rung(
        "bare",
        "XDP native, drops all",
        "The limit: a program of the two instructions `r0 = XDP_DROP; exit`, which looks at nothing.",
        commands=("ip link set dev DEVICE xdpdrv obj OBJECTS/drop.o sec xdp.bare",),
        load=_bare,
    ),
)


def every() -> tuple[Rung, ...]:
    """Return all rungs, from the top of the network stack down."""
    return _RUNGS
