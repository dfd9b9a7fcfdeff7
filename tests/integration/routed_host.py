# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host in namespaces of its own, with an uplink to a machine outside; modules run there without a play around them.

It has mounts of its own too, so that names of namespaces (ip-netns(8)) are not those of this machine.
"""

import json
import subprocess
import time
from pathlib import Path

from tests.integration import modules

# The machine outside has the host as its way to the endpoints, and an address that is not on the link. With equal
# indexes at both ends the kernel would take up to a second to see that the link is up.
WIRE = """
netns add outside
link add up0 index 7 type veth peer name out0 netns outside
link set lo up
addr add 192.0.2.2/24 dev up0
addr add 2001:db8::2/64 dev up0 nodad
"""
OUTSIDE = """
link set lo up
addr add 192.0.2.1/24 dev out0
addr add 198.51.100.1/32 dev lo
addr add 2001:db8::1/64 dev out0 nodad
addr add 2001:db8:1::1/128 dev lo nodad
"""
BACK = "route add 10.65.0.0/16 via 192.0.2.2\nroute add fd65::/16 via 2001:db8::2\n"
# What leads over a link comes when it is up. Nobody waits for a test of its link-local address.
UP = "echo 0 > /proc/sys/net/ipv6/conf/{0}/accept_dad; ip link set {0} up"
WAYS = "route add default via 192.0.2.1\nroute add default via 2001:db8::1\n"
MOUNTS = "mount --make-rprivate / && mount -t tmpfs none /run && mount -t tmpfs none /var/lib && exec sleep infinity"


class Host:
    """The host, from its making to :meth:`stop`."""

    def __init__(self):
        self.process = subprocess.Popen(["unshare", "--net", "--mount", "sh", "-c", MOUNTS], stdin=subprocess.DEVNULL)
        own, deadline = Path("/proc/self/ns/net").readlink(), time.monotonic() + 30
        while not self._is_ready(own):
            assert time.monotonic() < deadline, "the namespaces were not made"
            time.sleep(0.01)
        self.within = ("nsenter", f"--target={self.process.pid}", "--net", "--mount")
        self.batch(WIRE)
        self.batch(OUTSIDE, netns="outside")
        self.run("sh", "-c", UP.format("up0"))
        self.run("sh", "-c", UP.format("out0"), netns="outside")
        self.batch(WAYS)
        self.batch(BACK, netns="outside")

    def _is_ready(self, own):
        """Tell whether the mounts are made: the process is another program then."""
        process = Path(f"/proc/{self.process.pid}")
        return process.joinpath("comm").read_text() == "sleep\n" and process.joinpath("ns/net").readlink() != own

    def stop(self):
        self.process.kill()
        self.process.wait()

    def run(self, *argv, netns=None, ok=(0,), text=None):
        """Run a command there, or in a namespace of there; return what it printed."""
        inside = ("ip", "netns", "exec", netns) if netns else ()
        done = subprocess.run(
            [*self.within, *inside, *argv], input=text, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode in ok, f"{argv}: exit status {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    def batch(self, text, netns=None):
        self.run("ip", "-batch", "-", netns=netns, text=text)

    def sysctl(self, path, value=None):
        """Return a setting below net; with a value, set it before."""
        if value is not None:
            self.run("sh", "-c", f"echo {value} > /proc/sys/net/{path}")
        return self.run("cat", f"/proc/sys/net/{path}").strip()

    def reaches(self, address, netns=None, source=None, wait=1):
        """Tell whether a ping is answered."""
        options = ["-I", source] if source else []
        argv = ["ping", "-n", "-q", "-c", "1", "-W", str(wait), *options, address]
        return " 1 received" in self.run(*argv, netns=netns, ok=(0, 1, 2))

    def proxy_arp(self, check=False, **options):
        """Run ``proxy_arp`` there; return its result."""
        return modules.module("proxy_arp", check, within=self.within, **options)

    def info(self):
        """Run ``proxy_arp_info`` there; return its result."""
        return modules.module("proxy_arp_info", within=self.within)

    def state(self):
        """Return all that a failed task must not change, and ``absent`` must not leave, in a form that compares."""
        shown = json.loads(self.run("ip", "-json", "addr"))
        links = sorted((one["ifname"], one["operstate"], str(one["addr_info"])) for one in shown)
        routes = self.run(
            "sh", "-c", "ip route show table all; ip -6 route show table all; ip neigh show proxy; ip rule"
        )
        spaces = self.run("ls", "/run/netns").split()
        settings = self.run("sh", "-c", "cd /proc/sys/net; grep -r . ipv4/conf ipv6/conf ipv4/neigh 2>/dev/null | sort")
        rules = self.run("nft", "-s", "list", "ruleset")
        return links, sorted(" ".join(one.split()) for one in routes.splitlines()), spaces, settings, rules
