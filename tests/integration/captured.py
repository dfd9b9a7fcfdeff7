# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three network namespaces, client - router - server, with the reference proxy on the router, for ``tproxy``."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

from ansible_collections.hostcraft.linux.plugins.module_utils._tproxy import declare, verdict

from tests.integration import modules

ROOT = Path(__file__).resolve().parents[2]
PROXY = ROOT / "roles/transparent_proxy/files/reference_proxy.py"
FLOWS = Path(__file__).with_name("flows.py")
APP, PROXY_USER = 1000, 1337
# Whoever they run as, they must find Python and this directory, which may be below /root.
READ = "+dac_read_search"
CAPABILITIES = f"+net_admin,+net_bind_service,{READ}"
IN, OUT, IN_R, OUT_R, DNS = 15006, 15001, 15106, 15101, 15053
PORTS = (8080, 8081, 53)
# Addresses of the router and of the server; the second of each is outside of what is captured.
HERE = {4: ("10.9.1.1", "10.9.1.3"), 6: ("fd09:1::1", "fd09:1::3")}
THERE = {4: ("10.9.2.2", "10.9.2.3"), 6: ("fd09:2::2", "fd09:2::3")}
CLIENT = {4: "10.9.1.2", 6: "fd09:1::2"}
ROUTER = {4: "10.9.2.1", 6: "fd09:2::1"}
OUTSIDE = ["10.9.1.3", "10.9.2.3", "fd09:1::3", "fd09:2::3"]
LINKS = """
link set lo up
"""
CLIENT_LINKS = """
addr add 10.9.1.2/24 dev c0
addr add fd09:1::2/64 dev c0 nodad
link set c0 up
route add default via 10.9.1.1
route add default via fd09:1::1
"""
ROUTER_LINKS = """
addr add 10.9.1.1/24 dev r0
addr add 10.9.1.3/24 dev r0
addr add fd09:1::1/64 dev r0 nodad
addr add fd09:1::3/64 dev r0 nodad
link set r0 up
addr add 10.9.2.1/24 dev r1
addr add fd09:2::1/64 dev r1 nodad
link set r1 up
"""
SERVER_LINKS = """
addr add 10.9.2.2/24 dev s0
addr add 10.9.2.3/24 dev s0
addr add fd09:2::2/64 dev s0 nodad
addr add fd09:2::3/64 dev s0 nodad
link set s0 up
route add default via 10.9.2.1
route add default via fd09:2::1
"""


class Groups:
    """Control groups of version 2 below one that is named after the test; removed with :meth:`remove`.

    The hierarchy is mounted for itself, for where this machine has it, if at all, is its own affair.
    """

    # nft looks for them below /sys/fs/cgroup, and there alone.
    WITHIN = (
        "unshare", "--mount", "--propagation", "slave", "sh", "-c", 'mount -t cgroup2 none /sys/fs/cgroup && exec "$@"',
        "sh",
    )  # fmt: skip

    def __init__(self, where, top):
        self.where, self.top = where, top

    def make(self, *names):
        """Make groups; return their paths in the hierarchy."""
        if not self.where.exists():
            self.where.mkdir()
            subprocess.run(["mount", "-t", "cgroup2", "none", self.where], check=True)
        for name in names:
            (self.where / self.top / name).mkdir(parents=True)
        return [f"{self.top}/{name}" for name in names]

    def as_member(self, group):
        """Return what runs a command in a group; nothing without one."""
        where = self.where / group / "cgroup.procs"
        return ["sh", "-c", f'echo 0 > {where} && exec "$@"', "sh"] if group else []

    def remove(self):
        """Remove all that was made."""
        if self.where.exists():
            for path, _directories, _files in os.walk(self.where / self.top, topdown=False):
                os.rmdir(path)
            subprocess.run(["umount", self.where], check=True)
            self.where.rmdir()


class Net:
    """The namespaces, with what runs in them; a context manager that ends all of it."""

    def __init__(self, directory, mark=""):
        self.mark = f"hct{os.getpid()}{mark}"
        self.log = Path(directory) / "proxy.log"
        self.running, self.proxy, self.read = [], None, 0
        self.groups = Groups(Path(directory) / "cgroup", self.mark)

    def __enter__(self):
        self.log.touch()
        self.log.chmod(0o666)
        try:
            self._wire()
            self.start("s", *self._serving(THERE))
            self.start("r", *self._serving(HERE))
            self.start_proxy()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_error):
        for process in self.running:
            process.kill()
            process.wait()
        for place in "crs":
            subprocess.run(["ip", "netns", "del", self.name(place)], check=False, stderr=subprocess.DEVNULL)
        self.groups.remove()

    def name(self, place):
        """Return the name of a namespace: c, r or s."""
        return f"{self.mark}{place}"

    def _wire(self):
        for place in "crs":
            self._machine(["ip", "netns", "add", self.name(place)])
        for near, one, far, other in (("c", "c0", "r", "r0"), ("r", "r1", "s", "s0")):
            argv = ["ip", "-n", self.name(near), "link", "add", one, "type", "veth", "peer", "name", other]
            self._machine([*argv, "netns", self.name(far)])
        for place, links in (("c", CLIENT_LINKS), ("r", ROUTER_LINKS), ("s", SERVER_LINKS)):
            self._machine(["ip", "-n", self.name(place), "-batch", "-"], LINKS + links)
        for setting in ("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"):
            self.run("r", "sysctl", "-q", "-w", setting)

    @staticmethod
    def _machine(argv, text=""):
        subprocess.run(argv, input=text, text=True, timeout=60, check=True)

    @staticmethod
    def _serving(addresses):
        every = [address for many in addresses.values() for address in many]
        return [sys.executable, str(FLOWS), "serve", ",".join(map(str, PORTS)), *every]

    @staticmethod
    def as_user(user, rights=READ, group=None):
        """Return what runs a command as a user, and as a group of the same number unless another is given."""
        user = ["setpriv", f"--reuid={user}", f"--regid={group or user}", "--clear-groups"]
        return [*user, f"--inh-caps={rights}", f"--ambient-caps={rights}"]

    def argv(self, place, *command):
        """Return what runs a command in a namespace."""
        return ["nsenter", f"--net=/run/netns/{self.name(place)}", "--", *command]

    def run(self, place, *command, text="", ok=(0,)):
        """Run a command in a namespace; return what it printed."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        done = subprocess.run(self.argv(place, *command), input=text, text=True, timeout=120, check=False, **pipes)
        assert done.returncode in ok, f"{command}: exit status {done.returncode}: {done.stderr}"
        return done.stdout

    def start(self, place, *command):
        """Start a program that says when it is ready; return its process."""
        process = subprocess.Popen(self.argv(place, *command), stdout=subprocess.PIPE, text=True)
        self.running.append(process)
        assert process.stdout.readline() == "ready\n", f"{command} did not start"
        return process

    def start_proxy(self, *options, tproxy=(IN, OUT), redirect=(IN_R, OUT_R), user=PROXY_USER, group=""):
        """Start the reference proxy at these ports; it is the one of :meth:`stop_proxy`."""
        where = [word for port in tproxy for word in ("--tproxy", port)]
        where += [word for port in redirect for word in ("--redirect", port)]
        command = [sys.executable, PROXY, "--keep-source", "--log", self.log, *where, *options]
        member = self.groups.as_member(group)
        self.proxy = self.start("r", *member, *self.as_user(user, CAPABILITIES), *map(str, command))

    def stop_proxy(self):
        """End the reference proxy."""
        self.proxy.kill()
        self.proxy.wait()
        self.running.remove(self.proxy)

    def tproxy(self, *captures, check=False, backend="auto", **options):
        """Run the module ``tproxy`` with captures of the router; return its result.

        ``within`` and ``env`` are those of :func:`modules.module`.
        """
        whole = [dict(one, netns=self.name("r")) for one in captures]
        return modules.module("tproxy", check, captures=whole, backend=backend, **options)

    def info(self):
        """Return the captures of the router and their status, as ``tproxy_info`` tells."""
        found = modules.module("tproxy_info", netns=[self.name("r")])
        assert not found["failed"], found
        mine = [number for number, one in enumerate(found["captures"]) if one.get("netns") == self.name("r")]
        return [found["captures"][one] for one in mine], [found["status"][one] for one in mine]

    def noted(self):
        """Return what the proxy has noted since the last time."""
        with self.log.open() as stream:
            stream.seek(self.read)
            text = stream.read()
            self.read = stream.tell()
        return [json.loads(line) for line in text.splitlines()]

    def state(self):
        """Return all of the router that a capture may change, as its own tools show it."""
        programs = [f"{name}-{flavour}-save" for flavour in ("legacy", "nft") for name in ("iptables", "ip6tables")]
        filters = "".join(self.run("r", one) for one in programs)
        tables = [line for line in self.run("r", "nft", "list", "tables").splitlines() if "inet" in line]
        ways = ["rule"], ["route", "show", "table", "all"]
        shown = [self.run("r", "ip", family, *way) for family in ("-4", "-6") for way in ways]
        # Routes of link-local addresses come when their test for duplicates has ended.
        routing = [[line for line in text.splitlines() if "fe80" not in line and "ff00" not in line] for text in shown]
        records = sorted(str(one) for one in Path("/run").glob(f"hostcraft-tproxy/netns-{self.name('r')}.*"))
        # Tables with the chains that the kernel asks are made by whoever lists them; the others have no policy.
        kept = [line for line in filters.splitlines() if not line.startswith(("#", ":", "*", "COMMIT"))]
        kept += [line.split()[0] for line in filters.splitlines() if line.startswith(":") and line.split()[1] == "-"]
        sets = self.run("r", "ipset", "list", "-n").split()
        return tables + kept + sets, routing, records, self.settings()

    def settings(self):
        """Return {name: value} of the settings of the router that captures depend on."""
        keys = "rp_filter", "route_localnet", "src_valid_mark"
        shown = self.run("r", "sysctl", "-a", "-r", rf"^net\.(ipv4\.conf\..*\.({'|'.join(keys)})|bridge\..*tables)$")
        return dict(line.split(" = ") for line in shown.splitlines())

    def set(self, name, value, place="r"):
        """Set a setting of the kernel there; return its value from before."""
        before = self.run(place, "sysctl", "-n", name).strip()
        self.run(place, "sysctl", "-q", "-w", f"{name}={value}")
        return before

    def call(self, flows, lost=()):
        """Send flows, all at the same time; return what became of each.

        :param lost: those that are not expected to be answered, for which nobody waits long.
        """
        found = [None] * len(flows)
        senders = {}
        for number, flow in enumerate(flows):
            sender = ("c", 0, 0, "") if flow.way == "in" else ("r", flow.uid, flow.gid, flow.cgroup)
            senders.setdefault(sender, []).append(number)
        running = []
        for (place, uid, gid, group), numbers in senders.items():
            user = [*self.groups.as_member(group), *self.as_user(uid, group=gid)] if uid else ()
            argv = self.argv(place, *user, sys.executable, str(FLOWS), "call")
            process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            told = [dict(flows[one]._asdict(), patience=0.6 if flows[one] in lost else 20.0) for one in numbers]
            process.stdin.write(json.dumps(told))
            process.stdin.close()
            running.append((process, numbers))
        for process, numbers in running:
            for number, answer in zip(numbers, json.loads(process.stdout.read()), strict=True):
                found[number] = answer
            assert process.wait(60) == 0
        return found


def matrix():
    """Return the flows: proto x family x to the host, through it, out of it x user x in and out of CIDR x port."""
    flows = []
    for proto in ("tcp", "udp"):
        for family in (4, 6):
            for inside in (0, 1):
                for port in (8080, 8081):
                    known = {"proto": proto, "port": port}
                    client = dict(known, way="in", source=CLIENT[family], interface="r0")
                    flows.append(verdict.Flow(destination=HERE[family][inside], to_host=True, **client))
                    flows.append(verdict.Flow(destination=THERE[family][inside], **client))
                    for uid in (APP, PROXY_USER):
                        own = dict(known, way="out", source=ROUTER[family], interface="r1", uid=uid, gid=uid)
                        flows.append(verdict.Flow(destination=THERE[family][inside], **own))
    return flows


def became(flow, answer, noted, transparent=(IN, OUT)):
    """Return what became of a flow in the words of the model; check all addresses on the way.

    :param transparent: the ports at which the proxy goes on in the client's name.
    """
    mine = [one for one in noted if one["proto"] == flow.proto and one["client"] == answer["local"]]
    mine = [one for one in mine if one["destination"] == [flow.destination, flow.port]]
    if "seen" not in answer:
        assert not mine or answer["outcome"] == "lost", (flow, answer, mine)
        return {"lost": verdict.DROPPED, "refused": verdict.REFUSED}.get(answer["outcome"], answer["outcome"])
    assert answer["server"] == flow.destination, f"{flow}: another server has answered: {answer}"
    if not mine:
        assert answer["seen"] == answer["local"], f"{flow}: changed on the way: {answer}"
        return verdict.DIRECT
    assert len(mine) == 1, (flow, mine)
    if mine[0]["port"] in transparent and not flow.to_host:
        assert answer["seen"][0] == flow.source, f"{flow}: the server does not see the client: {answer}"
    return mine[0]["port"]


def expected(capture, flow, listening=()):
    """Return what the model says of a flow, for a capture as the option takes it."""
    return verdict.verdict(declared(json.dumps(capture)), flow, listening)


@functools.lru_cache(maxsize=8)
def declared(text):
    """Return the capture of a declaration, which may name thousands of networks and is asked about each flow."""
    return declare.wanted({"captures": [json.loads(text)]}, int, int).captures[0]
