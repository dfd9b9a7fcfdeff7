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
# The one ratio is of two that hardly differ, the others are of what differs twentyfold.
ROUNDS_OF_ALIKE, ROUNDS = 6, 2
LIMITS_D = Path("/etc/security/limits.d")  # an empty one in a mount namespace of the benchmark's own
MARK = "HOSTCRAFT_BENCH_UNSHARED"
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


def best(plays: dict[str, list[dict]], rounds: int, directory: Path) -> dict[str, float]:
    """Return the CPU seconds that each list of tasks takes above an empty play, the limits' files being empty before.

    In turns, and the best of each: what else the machine does makes a run dearer, never cheaper.
    """
    found: dict[str, list[float]] = {}
    for _number in range(rounds):
        for name, tasks in {"": [], **plays}.items():
            for file in LIMITS_D.iterdir():
                file.unlink()
            (LIMITS_D / "pam.conf").touch()
            found.setdefault(name, []).append(play(tasks, directory))
    empty = min(found.pop(""))
    return {name: min(took) - empty for name, took in found.items()}


def tasks_against_ping(directory: Path) -> None:
    """(a), (b) and (d): a task above an empty play, one task with many entries and many tasks with one."""
    pam = {"dest": str(LIMITS_D / "pam.conf"), "limit_type": "-", "limit_item": "nofile"}
    alike = {
        "ping": [{"ansible.builtin.ping": {}}] * ENTRIES,
        "unchanged": [{"hostcraft.linux.rlimit": {"limits": [entry(0)]}}] * ENTRIES,
    }
    plays = {
        "many": [{"hostcraft.linux.rlimit": {"limits": [entry(n)]}} for n in range(ENTRIES)],
        "bulk": [{"hostcraft.linux.rlimit": {"limits": [entry(n) for n in range(ENTRIES)]}}],
        "pam": [
            {"community.general.pam_limits": {**pam, "domain": f"{10000 + n}:", "value": str(1000 + n)}}
            for n in range(ENTRIES)
        ],
    }
    took = best(alike, ROUNDS_OF_ALIKE, directory) | best(plays, ROUNDS, directory)
    single, ping = took["unchanged"] / ENTRIES, took["ping"] / ENTRIES
    print(f"one task, CPU s: rlimit {single:.3f}, ping {ping:.3f}, ratio {single / ping:.2f} (target <= 1.15)")
    row(f"{ENTRIES} entries: one task / {ENTRIES} tasks with one", took["bulk"], took["many"], "CPU s", "target >= 20x")
    row(f"{ENTRIES} entries: one rlimit task / pam_limits, {ENTRIES} tasks", took["bulk"], took["pam"], "CPU s", "")


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
    """Print the table, in a mount namespace where the limits of sessions may be changed."""
    if MARK not in os.environ:
        argv = ["unshare", "--mount", "--propagation", "private", sys.executable, __file__]
        os.execvpe(argv[0], argv, os.environ | {MARK: "1"})
    subprocess.run(["mount", "-t", "tmpfs", "bench", LIMITS_D], check=True)
    for where in os.environ.get("ANSIBLE_COLLECTIONS_PATH", "").split(":"):
        sys.path.insert(0, where)
    print(f"{'what':58} {'ours':>9} {'peer':>9} {'':6} {'ratio':>7}")
    with tempfile.TemporaryDirectory() as name:
        tasks_against_ping(Path(name))
        processes(Path(name))


if __name__ == "__main__":
    main()
