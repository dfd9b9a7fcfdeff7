# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``rlimit`` costs: CPU seconds of controller and host together, against its peers, all in one run.

Run by ``make bench``. Every play runs over the local connection, so that the CPU time of all its
processes is that of this program's children (getrusage(2), RUSAGE_CHILDREN).
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ENTRIES = 40
PROCESSES = 1000
ROUNDS = 3
BIN = Path(sys.executable).parent


def cpu() -> float:
    """Return the CPU seconds of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def play(tasks: list[dict], directory: Path) -> float:
    """Run tasks on the local host and return the CPU seconds of the whole run."""
    book = directory / "play.json"
    book.write_text(json.dumps([{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}]))
    variables = {"ansible_python_interpreter": sys.executable}
    began = cpu()
    argv = [str(BIN / "ansible-playbook"), "-i", "localhost,", "-e", json.dumps(variables), str(book)]
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(argv)} failed:\n{done.stdout[-3000:]}")
    return cpu() - began


def entry(number: int) -> dict:
    return {"sessions": [f"{10000 + number}:"], "resources": {"nofile": 1000 + number}}


def row(what: str, ours: float, peer: float, unit: str, target: str) -> None:
    print(f"{what:58} {ours:9.3f} {peer:9.3f} {unit:6} {peer / ours:7.2f}x  {target}")


def tasks_against_ping(directory: Path) -> None:
    """(a) and (b): the cost of a task above an empty play, of one with many entries and of many with one."""
    file = str(directory / "limits.conf")
    one = {"hostcraft.linux.rlimit": {"limits_file": file, "limits": [entry(0)]}}
    # In turns, and the best of each: what else the machine does makes a run dearer, never cheaper.
    rounds = [
        (
            play([], directory),
            play([{"ansible.builtin.ping": {}}] * ENTRIES, directory),
            play([one] * ENTRIES, directory),
        )
        for _number in range(ROUNDS)
    ]
    empty, pings, singles = (min(column) for column in zip(*rounds, strict=True))
    ping, single = (pings - empty) / ENTRIES, (singles - empty) / ENTRIES
    print(f"one task, CPU s: rlimit {single:.3f}, ping {ping:.3f}, ratio {single / ping:.2f} (target <= 1.15)")
    tasks = [{"hostcraft.linux.rlimit": {"limits_file": file, "limits": [entry(n)]}} for n in range(ENTRIES)]
    Path(file).unlink()
    many = play(tasks, directory) - empty
    Path(file).unlink()
    bulk = (
        play(
            [{"hostcraft.linux.rlimit": {"limits_file": file, "limits": [entry(n) for n in range(ENTRIES)]}}], directory
        )
        - empty
    )
    row(f"{ENTRIES} entries: one task / {ENTRIES} tasks with one", bulk, many, "CPU s", "target >= 20x")
    try:
        pam = [
            {
                "community.general.pam_limits": {
                    "dest": str(directory / "pam.conf"),
                    "domain": f"{10000 + n}:",
                    "limit_type": "-",
                    "limit_item": "nofile",
                    "value": str(1000 + n),
                }
            }
            for n in range(ENTRIES)
        ]
        (directory / "pam.conf").write_text("")
        peer = play(pam, directory) - empty
    except SystemExit as error:
        print(f"community.general.pam_limits could not be measured: {str(error)[-300:]}")
    else:
        row(f"{ENTRIES} entries: one rlimit task / pam_limits, {ENTRIES} tasks", bulk, peer, "CPU s", "")


def processes(directory: Path) -> None:
    """(c): many processes changed by one task, against a loop of prlimit(1)."""
    children = [subprocess.Popen(["sleep", "987.5"]) for _number in range(PROCESSES)]
    try:
        empty = play([], directory)
        task = {
            "hostcraft.linux.rlimit": {
                "limits": [{"processes": [{"command": r"^sleep 987\.5"}], "resources": {"nofile": "200:300"}}]
            }
        }
        ours = play([task], directory) - empty
        began = cpu()
        for child in children:
            subprocess.run(["prlimit", "--pid", str(child.pid), "--nofile=100:200"], check=True)
        row(f"{PROCESSES} processes: one task / prlimit(1) in a loop", ours, cpu() - began, "CPU s", "")
        row(f"{PROCESSES} processes: inside the module / 1 s", in_module(), 1.0, "s", "target < 1 s")
    finally:
        for child in children:
            child.kill()
            child.wait()


def in_module() -> float:
    """Return the wall seconds that observing, planning and changing take, without Ansible around them."""
    from ansible_collections.hostcraft.linux.plugins.module_utils._rlimit import declare, host, pam
    from ansible_collections.hostcraft.linux.plugins.module_utils._rlimit.plan import plan

    nobody = dict.fromkeys(declare.SELECTOR_OPTIONS)
    wanted = declare.wanted(
        {
            "name": "90-x",
            "state": "present",
            "limits_file": None,
            "purge": False,
            "limits": [
                {
                    "sessions": None,
                    "services": None,
                    "processes": [dict(nobody, command=r"^sleep 987\.5")],
                    "resources": {"nofile": "50:60"},
                }
            ],
        },
        pam.uid_of,
    )
    began = time.perf_counter()
    todo = plan(wanted, host.observe(wanted))
    for step in todo.steps:
        host.apply(step, [])
    left = plan(wanted, host.observe(wanted)).steps
    took = time.perf_counter() - began
    if len(todo.steps) != PROCESSES or left:
        sys.exit(f"{len(todo.steps)} steps and {len(left)} left, not {PROCESSES} and 0")
    return took


def main() -> None:
    """Print the table."""
    for where in os.environ.get("ANSIBLE_COLLECTIONS_PATH", "").split(":"):
        sys.path.insert(0, where)
    print(f"{'what':58} {'ours':>9} {'peer':>9} {'':6} {'ratio':>7}")
    with tempfile.TemporaryDirectory() as name:
        tasks_against_ping(Path(name))
        processes(Path(name))


if __name__ == "__main__":
    main()
