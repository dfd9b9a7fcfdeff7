# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What 500 endpoints cost in one task, against ``ip -batch`` by hand, and how long a first packet takes.

Run by ``make bench``, in network and mount namespaces of its own. By hand means as few programs as can be: a batch for
the host, one for each namespace, and a shell that writes the sysctls; nothing is looked at, checked or undone.
"""

import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COUNT = 500
FIRST = 40  # endpoints whose first packets are timed
ROUNDS = 2
MARK = "HOSTCRAFT_BENCH_UNSHARED"
BIN = Path(sys.executable).parent
SETUP = """
mount --make-rprivate / && mount -t tmpfs none /run && mkdir /run/netns && ip link set lo up
ip link add up0 type veth peer name up1 && ip link set up0 up && ip link set up1 up
ip addr add 192.0.2.2/24 dev up0 && ip addr add 2001:db8::2/64 dev up0 nodad
ip route add default via 192.0.2.1 && echo 1 > /proc/sys/net/ipv4/ip_forward
echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
"""
SETTINGS = {
    "ipv4/conf/{}/proxy_arp": 1, "ipv4/conf/{}/forwarding": 1, "ipv4/conf/{}/rp_filter": 1,
    "ipv4/neigh/{}/proxy_delay": 0, "ipv6/conf/{}/accept_ra": 0, "ipv6/conf/{}/addr_gen_mode": 1,
    "ipv6/conf/{}/proxy_ndp": 1, "ipv6/conf/{}/forwarding": 1, "ipv6/neigh/{}/proxy_delay": 0,
}  # fmt: skip
GATEWAY6 = "fe80::ecee:eeff:feee:eeee"


def addresses(number: int) -> tuple[str, str]:
    return f"10.65.{number // 250}.{number % 250 + 1}", f"fd65::{number + 1:x}"


def declaration() -> dict:
    endpoints = [{"name": f"e{number}", "addresses": list(addresses(number))} for number in range(COUNT)]
    return {"hostcraft.linux.proxy_arp": {"endpoints": endpoints}}


def by_hand() -> None:
    """Make the endpoints with ip(8) and a shell."""
    host, settings, up, inside = [], [], [], []
    for number in range(COUNT):
        four, six = addresses(number)
        link = f"arp{number}"
        host += [
            f"netns add e{number}",
            f"link add {link} address ee:ee:ee:ee:ee:ee type veth peer name eth0 netns e{number}",
        ]
        settings += [f"echo {value} > /proc/sys/net/{path.format(link)}" for path, value in SETTINGS.items()]
        up += [
            f"link set {link} up",
            f"addr add {GATEWAY6}/64 dev {link} nodad",
            f"route add {four}/32 dev {link} scope link",
            f"route add {six}/128 dev {link}",
        ]
        batch = (
            f"link set lo up\\nlink set eth0 up\\naddr add {four}/32 dev eth0\\naddr add {six}/128 dev eth0 nodad\\n"
            f"route add 169.254.1.1 dev eth0 scope link\\nroute add default via 169.254.1.1\\n"
            f"route add default via {GATEWAY6} dev eth0\\n"
        )
        inside.append(f"printf '{batch}' | ip -n e{number} -batch -")
    script = [
        "set -e",
        "ip -batch - <<'END'", *host, "END",
        *settings,
        "ip -batch - <<'END'", *up, "END",
        *inside,
    ]  # fmt: skip
    subprocess.run(["bash"], input="\n".join(script), text=True, timeout=600, check=True)


def clear() -> None:
    """Remove all endpoints: with its namespace goes each link, many at a time."""
    names = "\n".join(f"netns del e{number}" for number in range(COUNT))
    subprocess.run(["ip", "-force", "-batch", "-"], input=names, text=True, timeout=600, check=False, stderr=-3)
    deadline = time.monotonic() + 300
    while subprocess.run(["ip", "-br", "link"], stdout=-1, text=True, check=True).stdout.count("\n") > 3:
        if time.monotonic() > deadline:
            sys.exit("the links of the namespaces do not go")
        time.sleep(0.1)


def play(tasks: list[dict], directory: Path, changed: int) -> None:
    """Run tasks on the local host, of which so many must change it."""
    book = directory / "play.json"
    book.write_text(json.dumps([{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}]))
    variables = {"ansible_python_interpreter": sys.executable}
    argv = [str(BIN / "ansible-playbook"), "-i", "localhost,", "-e", json.dumps(variables), str(book)]
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900, check=False)
    if done.returncode or (tasks and f"changed={changed} " not in done.stdout):
        sys.exit(f"{' '.join(argv)} failed, or did not change what it should:\n{done.stdout[-3000:]}")


def measured(what) -> tuple[float, float]:
    """Return the wall seconds of a call, and the CPU seconds of it and of all the programs that it started."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF)]
    began = time.perf_counter()
    what()
    wall = time.perf_counter() - began
    now = [resource.getrusage(who) for who in (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF)]
    return wall, sum(
        after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        for before, after in zip(used, now, strict=True)
    )


def in_module() -> None:
    """Do what the module does, without Ansible around it."""
    from ansible_collections.hostcraft.linux.plugins.module_utils._endpoints import arguments, declare, host
    from ansible_collections.hostcraft.linux.plugins.module_utils._endpoints.plan import plan

    params = {name: one.get("default") for name, one in arguments.ARGUMENTS["argument_spec"].items()}
    nothing = {name: one.get("default") for name, one in arguments.ENDPOINT.items()}
    declared = next(iter(declaration().values()))["endpoints"]
    wanted = declare.wanted(dict(params, endpoints=[dict(nothing, **one) for one in declared]))
    kernel = host.Kernel()
    for step in plan(wanted, host.observe(wanted)).steps:
        kernel.apply(step)
    kernel.close()
    left = plan(wanted, host.observe(wanted)).steps
    if left:
        sys.exit(f"{len(left)} steps are left")


def first_packets() -> float:
    """Return the longest time, in milliseconds, of the first packet through an endpoint and back, of both families."""
    found = []
    for number in range(FIRST):
        for target in ("192.0.2.2", "2001:db8::2"):
            argv = ["ip", "netns", "exec", f"e{number}", "ping", "-n", "-c", "1", "-W", "2", target]
            said = subprocess.run(argv, stdout=subprocess.PIPE, text=True, timeout=30, check=False).stdout
            answer = re.search(r"time=([0-9.]+) ms", said)
            if not answer:
                sys.exit(f"no answer: {' '.join(argv)}")
            found.append(float(answer.group(1)))
    return max(found)


def row(what: str, ours: float, peer: float, unit: str, target: str) -> None:
    print(f"{what:66} {ours:9.3f} {peer:9.3f} {unit:6} {ours / peer:7.2f}x  {target}", flush=True)


def main() -> None:
    """Print the table."""
    if MARK not in os.environ:
        argv = ["unshare", "--net", "--mount", "sh", "-c", f'{SETUP} exec "$@"', "sh", sys.executable, __file__]
        os.execvpe(argv[0], argv, os.environ | {MARK: "1"})
    for where in os.environ.get("ANSIBLE_COLLECTIONS_PATH", "").split(":"):
        sys.path.insert(0, where)
    print(f"{'what':66} {'ours':>9} {'peer':>9} {'':6} {'ratio':>7}")
    took: dict[str, list[tuple[float, float]]] = {}
    first = 0.0
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for _round in range(ROUNDS):
            for what, do in (
                ("hand", by_hand),
                ("module", in_module),
                ("task", lambda: play([declaration()], directory, 1)),
            ):
                took.setdefault(what, []).append(measured(do))
                if what == "task":
                    # Before anything else has gone that way.
                    first = max(first, first_packets())
                    took.setdefault("again", []).append(measured(lambda: play([declaration()], directory, 0)))
                clear()
            took.setdefault("empty", []).append(measured(lambda: play([], directory, 0)))
    best = {what: [min(column) for column in zip(*many, strict=True)] for what, many in took.items()}
    for index, unit in enumerate(("s", "CPU s")):
        empty, hand = best["empty"][index], best["hand"][index]
        target = "target <= 1.5x"
        row(
            f"{COUNT} endpoints: one task above an empty play / by hand",
            best["task"][index] - empty,
            hand,
            unit,
            target,
        )
        row(f"{COUNT} endpoints: inside the module, read twice / by hand", best["module"][index], hand, unit, target)
        row(f"{COUNT} endpoints, unchanged: one task / by hand", best["again"][index] - empty, hand, unit, "")
    each = best["task"][0] - best["empty"][0], best["hand"][0]
    row("one endpoint of them: one task / by hand", *(1000 * one / COUNT for one in each), "ms", "target <= 1.5x")
    row(f"first packet, the slowest of {2 * FIRST} / 20 ms", first, 20.0, "ms", "target < 1x")


if __name__ == "__main__":
    main()
