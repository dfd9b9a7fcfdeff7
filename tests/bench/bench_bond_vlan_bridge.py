# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``bond_vlan_bridge`` costs with 200 bridges on a host: CPU seconds of controller and host, and time inside.

Run by ``make bench``, in a network namespace of its own, where every kernel has bridges. Every play runs over the local
connection, so that the CPU time of all its processes is that of this program's children (getrusage(2)).
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COUNT = 200
SINGLE = 20  # tasks of one bridge each, from which as many as COUNT are extrapolated
REPEAT = 5  # tasks of which the cost of one is taken
ROUNDS = 2
MARK = "HOSTCRAFT_BENCH_UNSHARED"
BIN = Path(sys.executable).parent


def bridge(number: int) -> dict:
    return {"name": f"vbr{number}", "addresses": [f"10.{number}.0.1/24"], "mtu": 1400}


def declaration(*bridges: dict) -> dict:
    return {"hostcraft.linux.bond_vlan_bridge": {"backend": "runtime", "bridges": list(bridges)}}


def cpu() -> float:
    """Return the CPU seconds of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def play(tasks: list[dict], directory: Path, changed: int) -> float:
    """Run tasks on the local host, of which so many must change it; return the CPU seconds of the whole run."""
    book = directory / "play.json"
    book.write_text(json.dumps([{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}]))
    variables = {"ansible_python_interpreter": sys.executable}
    began = cpu()
    argv = [str(BIN / "ansible-playbook"), "-i", "localhost,", "-e", json.dumps(variables), str(book)]
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900, check=False)
    if done.returncode or (tasks and f"changed={changed} " not in done.stdout):
        sys.exit(f"{' '.join(argv)} failed, or did not change what it should:\n{done.stdout[-3000:]}")
    return cpu() - began


def clear() -> None:
    """Remove all bridges at once."""
    # Not from /sys, which shows the network namespace that it was mounted in.
    argv = ["ip", "-json", "link", "show", "type", "bridge"]
    shown = subprocess.run(argv, stdout=subprocess.PIPE, text=True, timeout=60, check=True).stdout
    gone = "".join(f"link del {one['ifname']}\n" for one in json.loads(shown or "[]"))
    subprocess.run(["ip", "-batch", "-"], input=gone, text=True, timeout=120, check=True)


def row(what: str, ours: float, peer: float, unit: str, target: str) -> None:
    print(f"{what:64} {ours:9.3f} {peer:9.3f} {unit:6} {peer / ours:7.2f}x  {target}", flush=True)


def rounds(directory: Path) -> dict[str, float]:
    """Return the CPU seconds of each play above an empty one; in turns, and the best of each."""
    every = [bridge(number) for number in range(COUNT)]
    plays = {
        "empty": ([], 0),
        "ping": ([{"ansible.builtin.ping": {}}] * REPEAT, 0),
        "create": ([declaration(*every)], 1),
        "unchanged": ([declaration(*every)], 0),
        "one": ([declaration(every[0])] * REPEAT, 0),
        "single": ([declaration(one) for one in every[:SINGLE]], SINGLE),
    }
    found: dict[str, list[float]] = {}
    for _number in range(ROUNDS):
        for name, (tasks, changed) in plays.items():
            if name in ("create", "single"):
                clear()
            found.setdefault(name, []).append(play(tasks, directory, changed))
    empty = min(found.pop("empty"))
    return {name: min(took) - empty for name, took in found.items()}


def in_module() -> tuple[float, float]:
    """Return wall seconds and CPU seconds, those of ip(8) included, of observing and planning where nothing changes."""
    from ansible_collections.hostcraft.linux.plugins.module_utils._network import arguments, declare, host
    from ansible_collections.hostcraft.linux.plugins.module_utils._network.plan import plan

    nothing = dict.fromkeys(arguments.ARGUMENTS["argument_spec"]["bridges"]["options"])
    params = {"bridges": [dict(nothing, state="present", **bridge(number)) for number in range(COUNT)]}
    best = []
    for _number in range(ROUNDS):
        began, used = time.perf_counter(), time.process_time() + cpu()
        wanted = declare.wanted(params)
        todo = plan(wanted, host.observe("runtime", list(wanted.links)))
        best.append((time.perf_counter() - began, time.process_time() + cpu() - used))
        if todo.steps:
            sys.exit(f"{len(todo.steps)} steps are left, not 0")
    return min(best)


def main() -> None:
    """Print the table, in a network namespace where bridges may be made."""
    if MARK not in os.environ:
        argv = ["unshare", "--net", sys.executable, __file__]
        os.execvpe(argv[0], argv, os.environ | {MARK: "1"})
    for where in os.environ.get("ANSIBLE_COLLECTIONS_PATH", "").split(":"):
        sys.path.insert(0, where)
    print(f"{'what':64} {'ours':>9} {'peer':>9} {'':6} {'ratio':>7}")
    with tempfile.TemporaryDirectory() as name:
        took = rounds(Path(name))
        ping = took["ping"] / REPEAT
        row("one bridge, unchanged: one task / one ping", took["one"] / REPEAT, ping, "CPU s", "")
        row(f"{COUNT} bridges, unchanged: one task / one ping", took["unchanged"], ping, "CPU s", "")
        many = took["single"] / SINGLE * COUNT
        what = f"{COUNT} bridges made: one task / {COUNT} tasks, extrapolated from {SINGLE}"
        row(what, took["create"], many, "CPU s", "")
        clear()
        play([declaration(*map(bridge, range(COUNT)))], Path(name), 1)
        wall, used = in_module()
        row(f"{COUNT} bridges, unchanged: inside the module / 0.5 s", wall, 0.5, "s", "target < 0.5 s")
        row(f"{COUNT} bridges, unchanged: inside the module, with ip(8) / 0.5 s", used, 0.5, "CPU s", "")


if __name__ == "__main__":
    main()
