# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``git_squash`` on real repositories: four beats, any range of any history, what is refused, and faults."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.histories import PEOPLE, commit, generate, git, new
from tests.integration.modules import module, result, start
from tests.unit import conftest as _importable  # noqa: F401 makes the collection's own files importable

BIG = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def squash(path, check=False, state="squashed", **entry):
    return module("git_squash", check, state=state, branches=[dict(entry, path=str(path))])


def four_beats(path, **entry):
    """Predict, apply, apply again; return the applied result."""
    before = snapshot(path)
    predicted = squash(path, check=True, **entry)
    assert snapshot(path) == before
    applied = squash(path, **entry)
    again = squash(path, **entry)
    assert predicted["changed"], predicted
    assert (predicted["steps"], predicted["diff"]) == (applied["steps"], applied["diff"])
    assert (again["changed"], again["steps"]) == (False, []), again
    return applied


def snapshot(path):
    """Return all that a failed task, or one in check mode, must leave as it is: refs, objects, index and files."""
    names = sorted(str(one) for one in path.rglob("*") if one.is_file())
    status = git(path, "status", "--porcelain", "--ignored") if (path / ".git").exists() else ""
    return names, git(path, "for-each-ref"), status


@pytest.fixture
def repo(tmp_path):
    """A repository with three commits on main and four on the branch feature, which is checked out."""
    path = new(tmp_path / "repo")
    for number in range(3):
        commit(path, f"main {number}", **{f"m{number}": "x"})
    git(path, "checkout", "--quiet", "-b", "feature")
    for number in range(4):
        commit(path, f"part {number}\n\nSigned-off-by: S <s@x>", PEOPLE[number % 3], **{f"f{number}": "y"})
    return path


def test_a_branch_since_its_fork(repo):
    old = git(repo, "rev-parse", "HEAD")
    (repo / "f1").write_text("staged")
    git(repo, "add", "f1")
    (repo / "f2").write_text("changed")
    (repo / "new").write_text("untracked")
    dirty = git(repo, "status", "--porcelain")
    index = (repo / ".git/index").read_bytes()
    applied = four_beats(repo, since="main", commit_message="All of it")
    assert git(repo, "status", "--porcelain") == dirty
    assert (repo / ".git/index").read_bytes() == index
    assert git(repo, "diff", old, "feature") == ""
    assert git(repo, "rev-list", "--count", "main..feature") == "1"
    assert git(repo, "log", "-1", "--format=%B%an") == (
        "All of it\n\nSigned-off-by: S <s@x>\nCo-authored-by: Bob <bob@example.com>\n"
        "Co-authored-by: Cy <cy@example.com>\nAnn"
    )
    assert git(repo, "fsck", "--strict", "--no-dangling") == ""
    assert applied["branches"][0]["before"] == old
    assert git(repo, "rev-parse", applied["branches"][0]["backup"] + "^{commit}") == old
    assert git(repo, "rev-parse", "HEAD") == applied["diff"]["after"][f"feature in {repo}"]["tip"]


def test_restored_and_squashed_again_gives_the_same_commit(repo):
    old = git(repo, "rev-parse", "HEAD")
    made = squash(repo, last=3)["branches"][0]["commit"]
    back = four_beats(repo, state="restored")
    assert back["steps"] == [f"restore feature in {repo}: {made[:10]} -> {old[:10]}"]
    assert git(repo, "rev-parse", "HEAD") == old
    assert squash(repo, last=3)["branches"][0]["commit"] == made


def test_another_declaration_is_made_from_the_history_before(repo):
    squash(repo, last=3, commit_message="one")
    four_beats(repo, last=4, commit_message="two")
    assert git(repo, "log", "--format=%s", "main..feature") == "two"
    commit(repo, "later", f9="z")
    assert squash(repo, last=4, commit_message="two")["failed"] is False
    assert git(repo, "log", "--format=%s", "-2", "feature") == "two\nmain 0"


def test_groups(repo):
    ids = git(repo, "rev-list", "--reverse", "main..feature").split()
    groups = [
        {"first": ids[0], "last": ids[1][:12], "commit_message": "a"},
        {"first": ids[2], "last": ids[3], "commit_message": "b"},
    ]
    four_beats(repo, groups=groups)
    assert git(repo, "log", "--format=%s", "--reverse", "main..feature") == "a\nb"
    assert git(repo, "rev-parse", "feature~1^{tree}") == git(repo, "rev-parse", f"{ids[1]}^{{tree}}")
    assert "means another commit once" in squash(repo, groups=[{"first": "HEAD~1", "last": ids[3]}])["msg"]


def test_a_bare_repository_and_another_branch_than_the_one_checked_out(repo, tmp_path):
    git(repo, "checkout", "--quiet", "main")
    four_beats(repo, branch="feature", last=2)
    git(tmp_path, "clone", "--quiet", "--bare", str(repo), "bare")
    four_beats(tmp_path / "bare", branch="main", last=3, commit_message="root and all")
    assert git(tmp_path / "bare", "rev-list", "--parents", "main").count(" ") == 0


def test_merges(repo):
    git(repo, "checkout", "--quiet", "main")
    commit(repo, "main later", m9="x")
    git(repo, "checkout", "--quiet", "feature")
    git(repo, "merge", "--quiet", "--no-edit", "main")
    old = git(repo, "rev-parse", "HEAD")
    assert "is a merge" in squash(repo, since="main")["msg"]
    four_beats(repo, since="main", merges="fold")
    assert git(repo, "rev-list", "--parents", "-1", "HEAD").split()[1:] == [git(repo, "rev-parse", "main")]
    assert git(repo, "diff", old, "HEAD") == ""


def test_a_merge_that_grew_from_the_range_is_not_doubled(repo):
    git(repo, "checkout", "--quiet", "-b", "side", "feature~2")
    commit(repo, "side", s="1")
    git(repo, "checkout", "--quiet", "feature")
    git(repo, "merge", "--quiet", "--no-edit", "side")
    ids = git(repo, "rev-list", "--first-parent", "--reverse", "main..feature").split()
    assert "would be there twice" in squash(repo, groups=[{"first": ids[0], "last": ids[1]}])["msg"]


def test_what_is_under_way_is_left_alone(repo, tmp_path):
    git(repo, "worktree", "add", "--quiet", "-b", "other", str(tmp_path / "linked"), "feature")
    commit(tmp_path / "linked", "theirs", f3="other")
    commit(repo, "ours", f3="mine")
    git(repo, "merge", "other", ok=(1,))
    before = snapshot(repo)
    assert "a merge is under way on this branch" in squash(repo, since="main")["msg"]
    assert snapshot(repo) == before
    assert squash(tmp_path / "linked", since="main")["changed"] is True
    git(repo, "merge", "--abort")
    git(tmp_path / "linked", "rebase", "feature", ok=(1,))
    refused = squash(repo, branch="other", last=1, commit_message="x")
    assert "a rebase is under way on this branch" in refused["msg"]


@pytest.fixture
def published(repo, tmp_path):
    """The same repository, its branch pushed to a bare one."""
    new(tmp_path / "upstream", "--bare")
    git(repo, "remote", "add", "origin", str(tmp_path / "upstream"))
    git(repo, "push", "--quiet", "--set-upstream", "origin", "feature")
    return repo


def test_what_is_published(published, tmp_path):
    before = snapshot(published)
    assert "published, origin/feature has them" in squash(published, last=2)["msg"]
    assert snapshot(published) == before
    applied = four_beats(published, last=2, push="with_lease")
    assert applied["steps"][1].startswith(f"push feature in {published}: origin refs/heads/feature ")
    assert git(tmp_path / "upstream", "rev-parse", "feature") == git(published, "rev-parse", "feature")
    four_beats(published, state="restored", push="with_lease")
    assert git(tmp_path / "upstream", "rev-parse", "feature") == git(published, "rev-parse", "feature")


def test_nobody_elses_push_is_lost(published, tmp_path):
    git(tmp_path, "clone", "--quiet", "--branch=feature", "upstream", "theirs")
    commit(tmp_path / "theirs", "theirs", t="1")
    git(tmp_path / "theirs", "push", "--quiet")
    theirs = git(tmp_path / "upstream", "rev-parse", "feature")
    assert "somebody else has pushed" in squash(published, last=2, push="with_lease")["msg"]
    git(published, "fetch", "--quiet")
    assert (
        "has 1 commit in refs/heads/feature that the branch lacks"
        in squash(published, last=2, push="with_lease")["msg"]
    )
    assert git(tmp_path / "upstream", "rev-parse", "feature") == theirs


def test_a_shallow_clone(repo, tmp_path):
    git(tmp_path, "clone", "--quiet", "--depth=2", f"file://{repo}", "shallow")
    for how in ({"last": 2}, {"last": 3}):
        assert "history of this clone is cut off" in squash(tmp_path / "shallow", published="rewrite", **how)["msg"]
    git(tmp_path / "shallow", "fetch", "--quiet", "--depth=4")
    assert squash(tmp_path / "shallow", published="rewrite", last=2)["changed"] is True


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"branch": "none", "last": 1}, "there is no branch 'none'"),
        ({"since": "none"}, "'none' is no branch, tag or commit here"),
        ({"since": "--output=/tmp/hostcraft-x"}, "is no branch, tag or commit here"),
        ({"branch": "--all", "last": 1}, "there is no branch '--all'"),
        ({"last": 8}, "has only 7 commits"),
        ({"state": "restored"}, "there is no backup"),
    ],
)
def test_what_is_not_there(repo, entry, message):
    before = snapshot(repo)
    assert message in squash(repo, **entry)["msg"]
    assert snapshot(repo) == before


def test_places_that_are_no_repository(repo, tmp_path):
    assert "no git repository" in squash(tmp_path, last=1)["msg"]
    assert "no such directory" in squash(tmp_path / "none", last=1)["msg"]
    git(repo, "checkout", "--quiet", "--detach")
    assert "no branch is checked out" in squash(repo, last=1)["msg"]
    git(repo, "update-ref", "refs/heads/--all", "HEAD")
    assert squash(repo, branch="--all", since="main")["changed"] is True


def test_one_branch_that_is_refused_stops_all(repo):
    git(repo, "branch", "two")
    entries = [{"path": str(repo), "since": "main"}, {"path": str(repo), "branch": "two", "last": 99}]
    before = snapshot(repo)
    assert module("git_squash", branches=entries)["failed"]
    assert snapshot(repo) == before
    entries[1]["last"] = 2
    assert len(module("git_squash", branches=entries)["steps"]) == 2


@pytest.mark.parametrize("kind", ["openpgp", "ssh"])
def test_signed(repo, tmp_path, kind, monkeypatch):
    # gpg-agent's socket is there, and its path may not be longer than 107 bytes (unix(7)).
    home = tempfile.mkdtemp(prefix="gnupg-")
    monkeypatch.setenv("GNUPGHOME", home)
    entry = {"sign": True, "signing_format": kind, "since": "main"}
    if kind == "ssh":
        key = tmp_path / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        (tmp_path / "signers").write_text(f"test@example.com {(tmp_path / 'key.pub').read_text()}")
        verify = ["-c", f"gpg.ssh.allowedSignersFile={tmp_path / 'signers'}", "verify-commit", "feature"]
        entry["signing_key"] = f"{key}.pub"
    else:
        subprocess.run(
            ["gpg", "--batch", "--passphrase", "", "--quick-gen-key", "test@example.com", "ed25519", "sign"],
            check=True,
            capture_output=True,
        )
        verify, entry["signing_key"] = ["verify-commit", "feature"], "test@example.com"
    try:
        old = git(repo, "rev-parse", "HEAD")
        assert "could not sign" in squash(repo, **dict(entry, signing_key="/none"))["msg"]
        assert git(repo, "rev-parse", "HEAD") == old
        four_beats(repo, **entry)
        git(repo, *verify)
        assert git(repo, "diff", old, "feature") == ""
    finally:
        subprocess.run(["gpgconf", "--kill", "all"], check=False)
        shutil.rmtree(home)


def test_backups_expire(repo):
    squash(repo, last=2)
    commit(repo, "later")
    (first,) = git(repo, "for-each-ref", "--format=%(refname)", "refs/hostcraft").split()
    time.sleep(1.1)
    applied = squash(repo, since="main", backup_expires="0h")
    assert [one.partition(":")[0] for one in applied["steps"]] == [f"fold feature in {repo}", f"expire {first}"]
    (kept,) = git(repo, "for-each-ref", "--format=%(refname)", "refs/hostcraft").split()
    assert kept != first
    time.sleep(1.1)
    assert squash(repo, since="main", backup_expires="0h")["changed"] is False


def test_the_trailers_of_git_and_ours_are_the_same(tmp_path):
    from ansible_collections.hostcraft.linux.plugins.module_utils._git import messages

    line = st.sampled_from(
        ["A: b", "Signed-off-by: x", "text", "", " more", "no colon", "X-y : z", "(cherry picked from commit 1)"]
    )

    @BIG
    @given(st.lists(line, min_size=1, max_size=9))
    def check(lines):
        text = "subject\n\n" + "\n".join(lines) + "\n"
        theirs = git(tmp_path, "interpret-trailers", "--parse", "--unfold", stdin=text).splitlines()
        ours = [" ".join(one.split("\n")) for one in messages.split(text).trailers]
        ours = [" ".join(one.split()).replace(" :", ":", 1) for one in ours if messages.key(one)]
        assert ours == [" ".join(one.split()) for one in theirs], text

    check()


def test_any_range_of_any_history_keeps_its_files(tmp_path):
    """The tree after is the tree before, fsck finds nothing, a second run nothing to do; and back again."""
    source = generate(tmp_path / "source", 120)
    length = int(git(source, "rev-list", "--count", "--first-parent", "main"))

    @settings(BIG, max_examples=15)
    @given(st.data())
    def check(data):
        clone = tmp_path / f"clone{time.monotonic_ns()}"
        git(tmp_path, "clone", "--quiet", "--bare", "--shared", str(source), str(clone))
        old = git(clone, "rev-parse", "main")
        ids = git(clone, "rev-list", "--first-parent", "--reverse", "main").split()
        way = data.draw(st.sampled_from(["last", "since", "groups"]))
        entry = {"branch": "main", "merges": "fold", "commit_message": data.draw(st.sampled_from([None, "given"]))}
        if way == "last":
            entry["last"] = data.draw(st.integers(2, length))
        elif way == "since":
            entry["since"] = data.draw(st.sampled_from(ids[:-2]))
        else:
            cuts = sorted(data.draw(st.sets(st.integers(0, length - 1), min_size=2, max_size=6)))
            entry["groups"] = [{"first": ids[a], "last": ids[b]} for a, b in zip(cuts[::2], cuts[1::2], strict=False)]
        done = squash(clone, **entry)
        if "would be there twice" in done.get("msg", ""):
            return
        assert done["changed"], done
        assert git(clone, "diff", old, "main") == ""
        assert git(clone, "fsck", "--no-dangling") == ""
        assert int(git(clone, "rev-list", "--count", "--first-parent", "main")) < length
        assert squash(clone, **entry)["changed"] is False
        squash(clone, state="restored", branch="main")
        assert git(clone, "rev-parse", "main") == old

    check()


def test_most_of_ten_thousand_commits(ten_thousand, tmp_path):
    git(tmp_path, "clone", "--quiet", "--bare", "--shared", str(ten_thousand), "many")
    path, old = tmp_path / "many", git(ten_thousand, "rev-parse", "main")
    four_beats(path, branch="main", last=9000, merges="fold")
    assert git(path, "diff", old, "main") == ""
    assert git(path, "rev-list", "--count", "--first-parent", "main") == "1001"
    # Each of the 243 merges says nothing itself, and brings two commits.
    assert git(path, "log", "-1", "--format=%B", "main").count("\n* Change ") == 8999 + 243 * (2 - 1)
    git(path, "fsck", "--connectivity-only", "--no-dangling")
    four_beats(path, state="restored", branch="main")
    assert git(path, "rev-parse", "main") == old


# A git in front of the real one: kills the whole task at the N-th command that writes.
KILLER = """#!/bin/sh
case "$*" in
    *hash-object*|*commit-tree*|*update-ref*|*push*)
        echo x >> {count}
        if [ "$(wc -l < {count})" -gt {spare} ]; then kill -9 $PPID; exit 1; fi ;;
esac
exec {git} "$@"
"""


@pytest.mark.parametrize("spare", [0, 1, 2, 3])
def test_killed_at_each_write(published, tmp_path, spare):
    entry = {"path": str(published), "last": 3, "push": "with_lease"}
    old = git(published, "rev-parse", "feature")
    predicted = module("git_squash", True, branches=[entry])["diff"]["after"][f"feature in {published}"]["tip"]
    real = subprocess.run(["which", "git"], capture_output=True, text=True, check=True).stdout.strip()
    trap = tmp_path / "bin"
    trap.mkdir()
    (trap / "git").write_text(KILLER.format(git=real, count=tmp_path / "count", spare=spare))
    (trap / "git").chmod(0o755)
    # What is killed cannot clear up.
    surroundings = {"PATH": f"{trap}:{os.environ['PATH']}", "TMPDIR": str(tmp_path)}
    run = start("git_squash", branches=[entry], env=surroundings)
    assert run.wait(timeout=60) == -signal.SIGKILL
    with contextlib.suppress(ProcessLookupError):
        os.killpg(run.pid, signal.SIGKILL)
    assert git(published, "rev-parse", "feature") in (old, predicted)
    git(published, "fsck")
    finished = module("git_squash", branches=[entry])
    assert finished["changed"], finished
    assert git(published, "rev-parse", "feature", "origin/feature").split() == [predicted] * 2
    assert module("git_squash", branches=[entry])["changed"] is False


def test_a_branch_that_moves_meanwhile_is_not_overwritten(repo, tmp_path):
    real = subprocess.run(["which", "git"], capture_output=True, text=True, check=True).stdout.strip()
    trap = tmp_path / "bin"
    trap.mkdir()
    (trap / "git").write_text(
        f'#!/bin/sh\ncase "$*" in *update-ref*) {real} update-ref refs/heads/feature refs/heads/main;; esac\n'
        f'exec {real} "$@"\n'
    )
    (trap / "git").chmod(0o755)
    entry = {"path": str(repo), "last": 3}
    said = result(start("git_squash", branches=[entry], env={"PATH": f"{trap}:{os.environ['PATH']}"}))
    assert "refs/heads/feature" in said["msg"], said
    assert "Nothing was changed" in said["msg"]
    assert git(repo, "rev-parse", "feature") == git(repo, "rev-parse", "main")
    assert git(repo, "for-each-ref", "refs/hostcraft") == ""
