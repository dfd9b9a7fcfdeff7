# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A network and a mount namespace with a veth pair, a BPF file system and files of its own, for tests of XDP."""

import contextlib
import ctypes
import json
import os
import socket
import subprocess
from pathlib import Path

from tests.integration import modules

ROOT = Path(__file__).resolve().parents[2]
# What a module writes is gone with the namespace.
MAKE = """
mount --make-rprivate /
mount -t tmpfs box /mnt
for one in etc run usr/local var/lib; do
    mkdir -p /mnt/$one/upper /mnt/$one/work
    mount -t overlay -o lowerdir=/$one,upperdir=/mnt/$one/upper,workdir=/mnt/$one/work box /$one
done
mount -t sysfs box /sys
mount -t bpf bpf /sys/fs/bpf
sysctl -qw net.ipv6.conf.default.disable_ipv6=1
ip link set lo up
ip link add v0 type veth peer name v1
ip link set v0 up
ip link set v1 up
echo ready
exec sleep 3600
"""
TAP = 0x0003  # ETH_P_ALL, packet(7)


class Box:
    """The namespaces, which live as long as this one's process does."""

    def __init__(self):
        argv = ["unshare", "--net", "--mount", "sh", "-e", "-c", MAKE]
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"
        self.within = ("nsenter", f"--target={self.process.pid}", "--net", "--mount", "--")

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def run(self, *argv, ok=(0,)):
        """Run a command there; return what it printed."""
        enter = [*self.within, *argv]
        # What runs there in Python finds the modules of this checkout.
        environment = dict(os.environ, PYTHONPATH=str(ROOT))
        done = subprocess.run(enter, capture_output=True, text=True, timeout=300, check=False, env=environment)
        assert done.returncode in ok, f"{argv}: {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    def module(self, name="xdp_drop", check=False, env=None, **options):
        """Run a module there; return its result."""
        return modules.module(name, check, env, self.within, **options)

    def link(self, name="v0"):
        """Return what ip(8) says of an interface."""
        return json.loads(self.run("ip", "-json", "-details", "link", "show", name))[0]

    @contextlib.contextmanager
    def inside(self):
        """Stand in the network namespace: sockets that are made there belong to it."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/thread-self/ns/net") as before, open(f"/proc/{self.process.pid}/ns/net") as there:
            assert libc.setns(there.fileno(), 0) == 0
            try:
                yield
            finally:
                assert libc.setns(before.fileno(), 0) == 0

    def passed(self, frames):
        """Send frames from v1 to v0; return those that got past the program of v0."""
        with self.inside():
            sender, tap = (socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(TAP)) for _two in "ab")
        with sender, tap:
            sender.bind(("v1", 0))
            tap.bind(("v0", TAP))
            return got_past(sender, tap, frames)


def got_past(sender, tap, frames):
    """Send frames by a packet socket on one end; return those that arrive at one on the other end."""
    tap.setblocking(False)
    while True:  # what was under way before
        try:
            tap.recv(4096)
        except BlockingIOError:
            break
    tap.settimeout(5)
    # The last one passes whatever the rules say, so that it is known when all have arrived.
    last = bytes([255] * 6) + bytes(6) + b"\x88\xb5" + os.urandom(46)
    for frame in [*frames, last]:
        sender.send(frame)
    found = []
    while last not in found:
        found.append(tap.recv(4096))
    return found[:-1]
