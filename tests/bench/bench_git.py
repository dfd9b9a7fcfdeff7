# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``git_shallow`` and ``git_squash`` cost, against git by hand and ``ansible.builtin.git``, all in one run.

Run by ``make bench``. The server is git http-backend on loopback, which counts the bytes that it sends. CPU seconds are
those of all processes of a play, the server's excepted.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.integration.git_servers import daemon, web
from tests.integration.histories import commit, generate, git, new

COMMITS = 10_000
MANY = 50
FOLDED = 1000
ROUNDS = 3
BIN = Path(sys.executable).parent


def cpu() -> float:
    """Return the CPU seconds of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def play(tasks: list[dict], directory: Path) -> tuple[float, float]:
    """Run tasks on the local host; return CPU and wall seconds of the whole run."""
    book = directory / "play.json"
    book.write_text(json.dumps([{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}]))
    argv = [
        str(BIN / "ansible-playbook"),
        "-i",
        "localhost,",
        "-e",
        f"ansible_python_interpreter={sys.executable}",
        book,
    ]
    used, began = cpu(), time.monotonic()
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900, check=False)
    if done.returncode:
        sys.exit(f"the play failed:\n{done.stdout[-3000:]}")
    return cpu() - used, time.monotonic() - began


def shallow(*checkouts: dict) -> dict:
    return {"hostcraft.linux.git_shallow": {"checkouts": list(checkouts)}}


def builtin(**options) -> dict:
    return {"ansible.builtin.git": options}


def objects(dest: Path) -> int:
    """Return how many objects a clone has, packed or not."""
    said = dict(line.split(": ") for line in git(dest, "count-objects", "-v").splitlines())
    return int(said["count"]) + int(said["in-pack"])


def bytes_and_objects(directory: Path) -> None:
    """For branch, tag and commit id: what the server sends, and what the clone has then."""
    print(f"\n{COMMITS} commits: bytes that the server sends, objects in the clone")
    print(f"{'version':8} {'by hand':>18} {'git_shallow':>18} {'ratio':>6} {'builtin depth=1':>18} {'builtin':>18}")
    with web(directory / "served") as server:
        repo = f"{server.url}/app.git"
        middle = git(directory / "served/app.git", "rev-parse", f"main~{COMMITS // 3}")
        for name, version in (("branch", "main"), ("tag", f"v{COMMITS // 2}"), ("id", middle)):
            dests = [directory / f"{name}{number}" for number in range(4)]

            def by_hand(dest=dests[0], version=version):
                new(dest)
                git(dest, "remote", "add", "origin", repo)
                git(dest, "fetch", "--quiet", "--depth=1", "--no-tags", "origin", version)

            runs = [
                by_hand,
                lambda dest=dests[1], version=version: play(
                    [shallow({"repo": repo, "dest": str(dest), "version": version})], directory
                ),
                lambda dest=dests[2], version=version: play(
                    [builtin(repo=repo, dest=str(dest), version=version, depth=1)], directory
                ),
                lambda dest=dests[3], version=version: play(
                    [builtin(repo=repo, dest=str(dest), version=version)], directory
                ),
            ]
            found = []
            for run, dest in zip(runs, dests, strict=True):
                server.requests.clear()
                try:
                    run()
                    packs = sum(len(body) for _method, _path, body in server.requests)
                    found.append((packs, objects(dest)))
                except SystemExit:
                    found.append(None)
                shutil.rmtree(dest, ignore_errors=True)
            cells = ["fails" if one is None else f"{one[0]:,} / {one[1]:,}" for one in found]
            print(
                f"{name:8} {cells[0]:>18} {cells[1]:>18} {found[1][0] / found[0][0]:6.3f} {cells[2]:>18} {cells[3]:>18}"
            )


def nothing_to_do(directory: Path) -> None:
    """A second run: CPU and wall seconds above an empty play, ours and the builtin, in turns, the best of each."""
    with daemon(directory / "served") as url:
        repo = f"{url}/app.git"
        tasks = {
            "": [],
            "git_shallow, a branch": [shallow({"repo": repo, "dest": str(directory / "n1"), "version": "main"})] * 5,
            "builtin, a branch": [builtin(repo=repo, dest=str(directory / "n2"), version="main", depth=1)] * 5,
            f"git_shallow, {MANY} in one task": [
                shallow(*({"repo": repo, "dest": str(directory / f"many{n}"), "version": "main"} for n in range(MANY)))
            ],
            f"builtin, a loop of {MANY}": [
                {
                    **builtin(repo=repo, dest=f"{directory}/loop{{{{ item }}}}", version="main", depth=1),
                    "loop": list(range(MANY)),
                }
            ],
        }
        first = {name: play(one, directory) for name, one in tasks.items() if name}
        best = dict.fromkeys(tasks, (9000000000.0, 9000000000.0))
        for _number in range(ROUNDS):
            for name, one in tasks.items():
                best[name] = tuple(map(min, best[name], play(one, directory)))
        print(f"\n{'a play above an empty one':34} {'CPU s':>8} {'wall s':>8}   first run: {'CPU s':>8} {'wall s':>8}")
        empty = best.pop("")
        for name, took in best.items():
            share = 5 if "a branch" in name else 1
            shown = [(one - none) / share for one, none in zip(took, empty, strict=True)]
            begun = [one - none for one, none in zip(first[name], empty, strict=True)]
            print(f"{name:34} {shown[0]:8.3f} {shown[1]:8.3f}   {'':10} {begun[0]:8.3f} {begun[1]:8.3f}")


def squash(directory: Path) -> None:
    """Fold many commits into one: the module, against git rebase -i with an editor that writes fixup.

    Both alone, and each as the only task of a play, above an empty play.
    """
    source = new(directory / "series")
    commit(source, "base", base="x")
    for number in range(FOLDED):
        commit(source, f"change {number}", **{f"f{number % 50}": str(number)})
    old = git(source, "rev-parse", "HEAD")
    copies = [directory / f"copy{number}" for number in range(ROUNDS + 1)]
    for one in copies:
        shutil.copytree(source, one)
    inside = in_module(source)
    rebase = ["git", "-c", "user.name=x", "-c", "user.email=x@y", "rebase", "--quiet", "-i", f"HEAD~{FOLDED}"]
    editors = {"GIT_SEQUENCE_EDITOR": "sed -i -e '2,$s/^pick/fixup/'", "GIT_EDITOR": "true"}
    used, began = cpu(), time.monotonic()
    subprocess.run(rebase, cwd=copies[0], env={**os.environ, **editors}, timeout=900, check=True)
    alone = cpu() - used, time.monotonic() - began
    ours = {"hostcraft.linux.git_squash": {"branches": [{"path": str(source), "last": FOLDED}]}}
    rounds = []
    for one in copies[1:]:
        git(source, "update-ref", "refs/heads/main", old)
        peer = {"ansible.builtin.command": {"argv": rebase, "chdir": str(one)}, "environment": editors}
        rounds.append([play(tasks, directory) for tasks in ([], [ours], [peer])])
    empty, *both = ([min(times) for times in zip(*plays, strict=True)] for plays in zip(*rounds, strict=True))
    tasks = [[one - none for one, none in zip(best, empty, strict=True)] for best in both]
    tree = git(source, "rev-parse", "HEAD^{tree}")
    same = all(git(one, "rev-parse", "HEAD^{tree}") == tree for one in copies)
    print(f"\n{FOLDED} commits folded into one, against git rebase -i (target >= 20x; same files: {same})")
    print(f"{'':34} {'ours':>9} {'rebase':>9} {'ratio':>8}")
    for what, one, peer_s in (
        ("the module against git, CPU s", inside[0], alone[0]),
        ("the module against git, wall s", inside[1], alone[1]),
        ("a task against a task, CPU s", tasks[0][0], tasks[1][0]),
        ("a task against a task, wall s", tasks[0][1], tasks[1][1]),
    ):
        print(f"{what:34} {one:9.3f} {peer_s:9.3f} {peer_s / one:7.1f}x")


def in_module(source: Path) -> tuple[float, float]:
    """Return CPU and wall seconds of looking, planning, folding and looking again, without Ansible around them."""
    for where in os.environ.get("ANSIBLE_COLLECTIONS_PATH", "").split(":"):
        sys.path.insert(0, where)
    from ansible_collections.hostcraft.linux.plugins.module_utils._git import squash_apply, squash_history, squash_plan
    from ansible_collections.hostcraft.linux.plugins.module_utils._git.squash_model import Wanted

    wanted = (Wanted(str(source), last=FOLDED),)
    used, own, began = cpu(), time.process_time(), time.monotonic()
    for step in squash_plan.plan(wanted, squash_history.observe(wanted)).steps:
        squash_apply.apply(step)
    left = squash_plan.plan(wanted, squash_history.observe(wanted)).steps
    took = cpu() - used + time.process_time() - own, time.monotonic() - began
    if left or git(source, "rev-list", "--count", "HEAD") != "2":
        sys.exit("the fold is not what it should be")
    return took


def main() -> None:
    """Print the tables."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        os.environ.update(HOME=name, GIT_CONFIG_NOSYSTEM="1")
        squash(directory)
        generate(directory / "served/app.git", COMMITS)
        git(directory / "served/app.git", "repack", "-adq")
        bytes_and_objects(directory)
        nothing_to_do(directory)


if __name__ == "__main__":
    main()
