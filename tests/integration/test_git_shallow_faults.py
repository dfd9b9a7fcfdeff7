# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``git_shallow`` killed at each step, out of disk, cut off, and beside others: the next run ends what was begun."""

import os
import shutil
import signal
import subprocess
import threading

import pytest

from tests.integration.git_servers import web
from tests.integration.histories import commit, generate, git
from tests.integration.modules import module, result, start

pytestmark = pytest.mark.usefixtures("no_settings_of_the_user")
BIG = 4_000_000  # bytes of a file that comes with main~60 and stays
# In front of the real git. Only commands that write count; at the N-th, the module is killed: before the command, or
# some time after it began, together with it and all that it started.
TRAP = """#!/bin/sh
case " $* " in
    *" fetch "*|*" checkout "*|*" init "*|*" stash "*|*" reset "*|*" config hostcraft"*|*" config --add "*)
        echo "$*" >> {log}
        if [ "$(wc -l < {log})" -eq {number} ]; then
            if [ {delay} = before ]; then kill -9 $PPID; exit 1; fi
            {git} "$@" &
            sleep {delay}
            kill -9 $PPID
            kill -9 -$$
        fi ;;
esac
exec {git} "$@"
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    path = tmp_path_factory.mktemp("served")
    generate(path / "app.git", 120, big=BIG)
    return path


@pytest.fixture(scope="module")
def server(root):
    with web(root) as serving:
        yield serving


@pytest.fixture(scope="module")
def older(root, server, tmp_path_factory):
    """A clone of an older version, made once; each run that is killed gets a copy of its own."""
    path = tmp_path_factory.mktemp("older") / "app"
    assert not shallow(entry_of(server, path, "v50"))["failed"]
    assert git(path, "rev-parse", "HEAD") == git(root / "app.git", "rev-parse", "v50^{commit}")
    return path


def entry_of(server, dest, version="main", **more):
    return dict({"repo": f"{server.url}/app.git", "dest": str(dest), "version": version}, **more)


def shallow(entry):
    return module("git_shallow", checkouts=[entry])


def assert_is(dest, root, version):
    assert git(dest, "rev-parse", "HEAD^{tree}") == git(root / "app.git", "rev-parse", f"{version}^{{tree}}")
    assert git(dest, "status", "--porcelain") == ""
    assert git(dest, "write-tree") == git(dest, "rev-parse", "HEAD^{tree}")
    git(dest, "fsck", "--connectivity-only")
    assert not list((dest / ".git").rglob("*.lock"))
    assert not list((dest / ".git").rglob("tmp_*"))
    assert not (dest / ".git/hostcraft-journal").exists()


def run_killed(tmp_path, entry, number, delay):
    """Run with the trap set; return whether it struck."""
    real = subprocess.run(["which", "git"], capture_output=True, text=True, check=True).stdout.strip()
    trap, log = tmp_path / f"trap{number}", tmp_path / f"log{number}"
    trap.mkdir()
    (trap / "git").write_text(TRAP.format(git=real, log=log, number=number, delay=delay))
    (trap / "git").chmod(0o755)
    run = start("git_shallow", env={"PATH": f"{trap}:{os.environ['PATH']}"}, checkouts=[entry])
    return run.wait(timeout=60) == -signal.SIGKILL


@pytest.mark.parametrize("delay", ["before", "0.02"])
def test_a_clone_that_is_killed_at_each_step(root, server, tmp_path, delay):
    struck = 0
    for number in range(1, 9):
        dest = tmp_path / f"app{number}"
        if not run_killed(tmp_path, entry_of(server, dest), number, delay):
            break
        struck += 1
        assert not dest.exists() or (dest / ".git").exists()
        finished = shallow(entry_of(server, dest))
        assert not finished["failed"], finished
        assert_is(dest, root, "main")
        assert shallow(entry_of(server, dest))["changed"] is False
        assert not (tmp_path / f".app{number}.hostcraft").exists()
    assert struck >= 4


@pytest.mark.parametrize(
    ("policy", "delay"),
    [("refuse", "before"), ("refuse", "0.02"), ("stash", "0.005"), ("discard", "0.005"), ("discard", "0.04")],
)
def test_an_update_that_is_killed_at_each_step(root, server, older, tmp_path, policy, delay):  # noqa: PLR0917 fixtures
    struck = 0
    for number in range(1, 9):
        dest = tmp_path / f"app{number}"
        shutil.copytree(older, dest, symlinks=True)
        if policy != "refuse":
            (dest / "counter").write_text("mine")
        entry = entry_of(server, dest, local_changes=policy)
        if not run_killed(tmp_path, entry, number, delay):
            break
        struck += 1
        finished = shallow(entry)
        assert not finished["failed"], finished
        assert_is(dest, root, "main")
        if policy == "stash":
            assert git(dest, "show", "stash@{0}:counter") == "mine"
        assert shallow(entry)["changed"] is False
    assert struck >= 3


def journal(dest):
    place = dest / ".git/hostcraft-journal"
    return place.read_text() if place.exists() else ""


def test_a_change_made_after_a_run_was_killed_is_not_lost(root, server, tmp_path):
    """What the checkout that was cut off has written is ended; what somebody wrote since is refused by name."""
    dest = tmp_path / "app"
    assert not shallow(entry_of(server, dest, "v50"))["failed"]
    for number in (3, 4, 5):
        if run_killed(tmp_path, entry_of(server, dest), number, "0.02") and "checkout" in journal(dest):
            break
    (dest / "counter").write_text("mine")
    refused = shallow(entry_of(server, dest))
    assert "changed file" in refused["msg"]
    assert "counter" in refused["msg"]
    assert (dest / "counter").read_text() == "mine"
    assert not shallow(entry_of(server, dest, local_changes="discard"))["failed"]
    assert_is(dest, root, "main")


@pytest.mark.parametrize("cut", [30, 3000, 200_000])
def test_a_connection_that_is_cut(root, server, tmp_path, cut):
    dest = tmp_path / "app"
    server.cut = cut
    assert shallow(entry_of(server, dest))["failed"]
    assert list(tmp_path.iterdir()) == []
    server.cut = None
    assert not shallow(entry_of(server, dest, "v50"))["failed"]
    server.cut = cut
    failed = shallow(entry_of(server, dest))
    assert failed["failed"]
    server.cut = None
    assert_is(dest, root, "v50")
    assert not shallow(entry_of(server, dest))["failed"]
    assert_is(dest, root, "main")


@pytest.fixture
def small(tmp_path):
    """A file system that can grow."""
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "hostcraft-test", str(place)], check=True)
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_is_full(root, server, small):
    dest = small / "app"
    failed = shallow(entry_of(server, dest))
    assert failed["failed"]
    assert "No space left" in failed["msg"] + failed.get("stderr", "")
    assert list(small.iterdir()) == []
    assert not shallow(entry_of(server, dest, "v50"))["failed"]
    for size in ("4m", "7m"):  # too small for the fetch, then for the checkout
        subprocess.run(["mount", "-o", f"remount,size={size}", str(small)], check=True)
        failed = shallow(entry_of(server, dest))
        assert failed["failed"], size
        assert git(dest, "rev-parse", "HEAD") == git(root / "app.git", "rev-parse", "v50")
    subprocess.run(["mount", "-o", "remount,size=40m", str(small)], check=True)
    finished = shallow(entry_of(server, dest))
    assert not finished["failed"], finished
    assert_is(dest, root, "main")


@pytest.mark.parametrize("name", ["index.lock", "index.stash.7.lock", "shallow.lock", "refs/remotes/origin/main.lock"])
def test_a_lock_of_somebody_else(root, server, tmp_path, name):
    dest = tmp_path / "app"
    assert not shallow(entry_of(server, dest, "v50"))["failed"]
    lock = dest / ".git" / name
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.touch()
    refused = shallow(entry_of(server, dest, lock_timeout=0.5))
    assert "no git process works there" in refused["msg"]
    assert f"rm {lock}" in refused["msg"]
    assert lock.exists()
    holder = subprocess.Popen(["git", "cat-file", "--batch"], cwd=dest, stdin=subprocess.PIPE)
    try:
        refused = shallow(entry_of(server, dest, lock_timeout=0.5))
        assert f"git process {holder.pid} holds {lock}" in refused["msg"]
    finally:
        holder.stdin.close()
        holder.wait(timeout=10)
    assert_is_old = git(dest, "rev-parse", "HEAD")
    assert assert_is_old == git(root / "app.git", "rev-parse", "v50")
    threading.Timer(1.0, lock.unlink).start()
    assert not shallow(entry_of(server, dest, lock_timeout=30))["failed"]
    assert_is(dest, root, "main")


def test_two_runs_at_once(root, server, tmp_path):
    dest = tmp_path / "app"
    for version, other in (("main", "main"), ("v50", "v50")):
        runs = [start("git_shallow", checkouts=[entry_of(server, dest, one)]) for one in (version, other)]
        for found in [result(run) for run in runs]:
            assert not found["failed"] or "another run" in found["msg"] or "lock" in found["msg"], found
        assert not shallow(entry_of(server, dest, version))["failed"]
        assert_is(dest, root, version)


def test_a_clone_that_another_git_left_half_done(root, server, tmp_path):
    """As git clone leaves it when it is killed: a repository with a remote and nothing else."""
    dest = tmp_path / "app"
    dest.mkdir()
    git(dest, "init", "--quiet")
    git(dest, "remote", "add", "origin", f"{server.url}/app.git")
    (dest / ".git/objects/pack").mkdir(exist_ok=True)
    assert not shallow(entry_of(server, dest))["failed"]
    assert_is(dest, root, "main")


def test_a_branch_that_moves_during_the_run(tmp_path):
    """Between the question and the fetch somebody pushes; the run ends with what is there then."""
    source = generate(tmp_path / "app.git", 5)
    entry = {"repo": f"file://{source}", "dest": str(tmp_path / "app"), "version": "main"}
    assert not shallow(entry)["failed"]
    git(tmp_path, "clone", "--quiet", str(source), "work")
    commit(tmp_path / "work", "first")
    git(tmp_path / "work", "push", "--quiet")
    last = commit(tmp_path / "work", "second")
    real = subprocess.run(["which", "git"], capture_output=True, text=True, check=True).stdout.strip()
    trap = tmp_path / "trap"
    trap.mkdir()
    (trap / "git").write_text(
        f'#!/bin/sh\ncase " $* " in *" fetch "*) {real} -C {tmp_path}/work push --quiet;; esac\nexec {real} "$@"\n'
    )
    (trap / "git").chmod(0o755)
    found = result(start("git_shallow", env={"PATH": f"{trap}:{os.environ['PATH']}"}, checkouts=[entry]))
    assert not found["failed"], found
    assert git(tmp_path / "app", "rev-parse", "HEAD") == last
