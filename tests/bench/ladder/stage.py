# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two ends of a veth pair, each in a network namespace without a name: they are gone when their last process is.

This process must be in namespaces for network and mounts of its own; it is the receiving end. All that the kernel does
with a packet there is done by one thread, the device's NAPI thread, whose CPU time the kernel counts.
"""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.bench.ladder import ethtool, frame, lifetime

ROOT = Path(__file__).resolve().parents[3]
SENDING_CPU, RECEIVING_CPU = 0, 1
SENDING_INDEX = 1001  # of the device, which the load's program has been compiled with
NICE = -15  # of the NAPI thread, so that fewer other programs come in between
IDLE = 0.02  # seconds without work after which all that was sent has been dealt with
PATIENCE = 10.0  # seconds until then


class Counters(NamedTuple):
    """What the receiving end has counted."""

    packets: int  # that the device took
    kernel_ns: int  # CPU time of the NAPI thread
    ip_receives: int  # that reached IPv4 (Ip InReceives in /proc/net/snmp, RFC 4293)
    ip_delivers: int  # that IPv4 handed to UDP
    udp_datagrams: int  # that a program read
    udp_errors: int  # that UDP threw away, a full buffer and the filter of a socket included


class Stage:
    """The receiving end: device, load, counters."""

    def __init__(self, device: str, load: subprocess.Popen) -> None:
        self.device = device
        self._load = load
        self.thread = _napi_thread(device)
        os.sched_setaffinity(self.thread, {RECEIVING_CPU})
        os.setpriority(os.PRIO_PROCESS, self.thread, NICE)

    def send(self, seconds: float) -> None:
        """Send for so long, and wait until all of it has been dealt with, and read."""
        self._load.stdin.write(f"{seconds}\n")
        self._load.stdin.flush()
        if self._load.stdout.readline() != "sent\n":
            raise RuntimeError("the load has ended early")
        before, end = None, time.monotonic() + PATIENCE
        while (now := self.counters()) != before or now.ip_delivers != now.udp_datagrams + now.udp_errors:
            if time.monotonic() > end:
                raise RuntimeError(f"packets are left unread: {now}")
            before = now
            time.sleep(IDLE)

    def counters(self) -> Counters:
        """Read all counters."""
        received = Path("/sys/class/net", self.device, "statistics/rx_packets").read_text()
        ip, udp = _snmp("Ip"), _snmp("Udp")
        kernel = cpu_ns(self.thread), ip["InReceives"], ip["InDelivers"]
        return Counters(int(received), *kernel, udp["InDatagrams"], udp["InErrors"])


@contextlib.contextmanager
def opened(program: Path) -> Iterator[Stage]:
    """Make both ends and the load, of this compiled program."""
    device = f"vb{os.getpid()}"  # gives its name to the thread, which is looked for among all of the machine's
    run("mount -t sysfs sysfs /sys")
    run("mount -t bpf bpf /sys/fs/bpf")  # ip(8) and tc(8) would mount it themselves
    for name in ("net.ipv6.conf.default.disable_ipv6", "net.ipv6.conf.all.disable_ipv6"):
        Path("/proc/sys", name.replace(".", "/")).write_text("1")
    one = "numrxqueues 1 numtxqueues 1"
    run(
        f"ip link add va index {SENDING_INDEX} {one} address {frame.SENDER} type veth "
        f"peer name {device} {one} address {frame.RECEIVER}"
    )
    argv = ["unshare", "--net", sys.executable, "-m", "tests.bench.ladder.generator", str(SENDING_CPU), str(program)]
    with started(argv) as load:
        run(f"ip link set va netns {load.pid}")
        run(f"ip address add {frame.DESTINATION}/24 dev {device}")
        run(f"ip link set {device} up")
        # Redirected frames need NAPI at the other end, which GRO brings with it; the sending end looks as it comes up.
        ethtool.set_gro(device, True)
        Path("/sys/class/net", device, "threaded").write_text("1")
        run(f"nsenter --net=/proc/{load.pid}/ns/net ip link set va up")
        yield Stage(device, load)


@contextlib.contextmanager
def started(argv: list[str]) -> Iterator[subprocess.Popen]:
    """Start a program that says "ready"; stop it in the end."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
    # Between fork and exec, in a process without other threads.
    program = subprocess.Popen(argv, preexec_fn=lifetime.end_with_parent, **pipes)  # noqa: PLW1509
    try:
        if program.stdout.readline() != "ready\n":
            raise RuntimeError(f"{' '.join(argv)} did not start")
        yield program
    finally:
        program.kill()
        program.wait()


def run(command: str, text: str | None = None) -> None:
    """Run a command, with a text for its input. Raises ``CalledProcessError``; the command has said why."""
    subprocess.run(command.split(), input=text, text=True, timeout=60, check=True)


def cpu_ns(pid: int) -> int:
    """Return the nanoseconds of CPU time of a process or thread (Documentation/scheduler/sched-stats.rst)."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def _napi_thread(device: str) -> int:
    for comm in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):  # one that ended meanwhile
            if comm.read_text().startswith(f"napi/{device}-"):
                return int(comm.parent.name)
    raise RuntimeError(f"the kernel has started no NAPI thread for {device}: it needs Linux 5.12 or newer")


def _snmp(protocol: str) -> dict[str, int]:
    lines = [line.split() for line in Path("/proc/net/snmp").read_text().splitlines()]
    names, values = (line[1:] for line in lines if line[0] == f"{protocol}:")
    return dict(zip(names, map(int, values), strict=True))
