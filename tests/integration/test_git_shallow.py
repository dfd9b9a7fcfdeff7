# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``git_shallow`` against real git servers: any version, as much history as declared, and nobody's work lost."""

import itertools
import json

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.integration.checkouts import assert_is, done, four_beats, meant, shallow
from tests.integration.git_servers import daemon, web
from tests.integration.histories import commit, generate, git, new
from tests.integration.modules import module

pytestmark = pytest.mark.usefixtures("no_settings_of_the_user")
# Every step is a real clone: to make a failing sequence smaller would take minutes.
FEW = settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
TOKEN = "s3cret-T0ken%21"  # noqa: S105


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A directory with a generated repository."""
    path = tmp_path_factory.mktemp("served")
    git(generate(path / "app.git", 200), "config", "uploadpack.allowFilter", "true")
    git(path / "app.git", "update-ref", "refs/pull/7/head", "main~9")
    return path


@pytest.fixture(scope="module")
def server(root):
    with web(root) as serving:
        yield serving


@pytest.fixture
def fresh(server):
    """The same server with nothing special about it, and an empty list of requests."""
    server.user, server.old, server.cut = None, False, None
    server.requests.clear()
    yield server
    server.user, server.old, server.cut = None, False, None


@pytest.mark.parametrize("kind", ["http", "git", "file"])
@pytest.mark.parametrize("version", ["HEAD", "main", "side", "v50", "v100", "refs/pull/7/head", "id", "short id"])
def test_every_version_of_every_server(root, fresh, tmp_path, kind, version):
    known = {"id": meant(root / "app.git", "main~33"), "short id": meant(root / "app.git", "side")[:9]}
    name = {"HEAD": "main"}.get(version, known.get(version, version))
    serving = daemon(root) if kind == "git" else None
    try:
        base = {"http": fresh.url, "file": f"file://{root}"}.get(kind) or serving.__enter__()
        applied = four_beats(repo=f"{base}/app.git", dest=tmp_path / "app", version=known.get(version, version))
    finally:
        if serving:
            serving.__exit__(None, None, None)
    assert_is(tmp_path / "app", root / "app.git", name)
    assert applied["checkouts"][0]["after"] == meant(root / "app.git", name)
    assert git(tmp_path / "app", "rev-parse", "--abbrev-ref", "HEAD") == (
        name if version in ("HEAD", "main", "side") else "HEAD"
    )
    assert not list(tmp_path.glob(".app*"))


@pytest.mark.parametrize("depth", [0, 1, 2, 7])
def test_history_follows_the_declaration(root, fresh, tmp_path, depth):
    entry = {"repo": f"{fresh.url}/app.git", "dest": tmp_path / "app", "version": "main"}
    for other in (1, 5, 0):
        done(**entry, depth=other)
        done(**entry, depth=depth)
        assert_is(tmp_path / "app", root / "app.git", "main", depth)
        by_hand = tmp_path / f"hand{other}"
        git(tmp_path, "clone", "--quiet", *([f"--depth={depth}"] if depth else []), entry["repo"], str(by_hand))
        assert git(tmp_path / "app", "rev-list", "HEAD") == git(by_hand, "rev-list", "HEAD")


def test_history_since_a_date_and_without_a_tag(root, fresh, tmp_path):
    entry = {"repo": f"{fresh.url}/app.git", "dest": tmp_path / "app", "version": "main"}
    four_beats(**entry, shallow_exclude=["v150"])
    assert git(tmp_path / "app", "rev-list", "HEAD") == git(root / "app.git", "rev-list", "main", "^v150")
    since = git(root / "app.git", "log", "-1", "--format=%cI", "main~20")
    four_beats(**entry, shallow_since=since)
    assert git(tmp_path / "app", "rev-list", "HEAD") == git(root / "app.git", "rev-list", f"--since={since}", "main")
    done(**entry, depth=1)
    assert_is(tmp_path / "app", root / "app.git", "main")


def test_any_sequence_of_declarations_ends_as_a_fresh_clone(ten_thousand, tmp_path):
    """HEAD and files are those of a full clone at that version, whatever the directory was before."""
    numbers, full = itertools.count(), tmp_path / "full"
    git(tmp_path, "clone", "--quiet", f"file://{ten_thousand}", str(full))
    ids = git(full, "rev-list", "HEAD").split()
    ids = [ids[place] for place in (5, 60, 4000, 9990)]
    version = st.sampled_from(["HEAD", "main", "side", "v50", "v100", "v9900", *ids, ids[1][:12]])
    history = [{"depth": depth} for depth in (0, 1, 1, 2, 300)] + [{"shallow_exclude": ["v9750"]}]
    more = st.sampled_from([{}, {}, {"sparse": ["side"]}, {"filter": "blob:none"}, {"single_branch": False}])

    @FEW
    @given(st.lists(st.tuples(version, st.sampled_from(history), more), min_size=2, max_size=4))
    def check(declared):
        dest = tmp_path / f"any{next(numbers)}"
        for name, depth, options in declared:
            if "shallow_exclude" in depth and name not in ("HEAD", "main", "v9900"):
                depth = {"depth": 3}  # noqa: PLW2901 the others are not newer than that tag
            done(repo=f"{server.url}/app.git", dest=dest, version=name, **depth, **options)
            wanted = meant(full, {"side": "origin/side", "main": "origin/main"}.get(name, name))
            assert git(dest, "rev-parse", "HEAD") == wanted
            assert git(dest, "write-tree") == git(full, "rev-parse", f"{wanted}^{{tree}}")
            assert git(dest, "status", "--porcelain") == ""
            if depth == {"depth": 0}:
                assert git(dest, "rev-list", "HEAD") == git(full, "rev-list", wanted)

    with web(ten_thousand.parent) as server:
        check()


def test_a_run_with_nothing_to_do_is_one_question(root, fresh, tmp_path):
    entry = {"repo": f"{fresh.url}/app.git", "dest": tmp_path / "app", "version": "main"}
    done(**entry)
    fresh.requests.clear()
    assert shallow(**entry)["changed"] is False
    assert [one[:2] for one in fresh.requests] == [
        ("GET", "/app.git/info/refs"),
        ("POST", "/app.git/git-upload-pack"),
    ]
    assert b"refs/heads/main" in fresh.requests[1][2]
    assert b"refs/pull" not in fresh.requests[1][2]
    entry["version"] = meant(root / "app.git", "main")
    done(**entry)
    fresh.requests.clear()
    assert shallow(**entry)["changed"] is False
    assert fresh.requests == []


def test_check_mode_tells_commits_and_subjects(root, tmp_path):
    source = generate(tmp_path / "app.git", 5)
    entry = {"repo": f"file://{source}", "dest": tmp_path / "app", "version": "main", "depth": 0}
    old = done(**entry)["checkouts"][0]["after"]
    git(tmp_path, "clone", "--quiet", str(source), "work")
    fresh_id = commit(tmp_path / "work", "Something new")
    git(tmp_path / "work", "push", "--quiet")
    told = shallow(check=True, **entry)["checkouts"][0]
    assert (told["before"], told["after"], told["subjects"]) == (old, fresh_id, [])
    assert (
        not (tmp_path / "app/.git/FETCH_HEAD").exists()
        or fresh_id not in (tmp_path / "app/.git/FETCH_HEAD").read_text()
    )
    git(tmp_path / "app", "fetch", "--quiet")
    assert shallow(check=True, **entry)["checkouts"][0]["subjects"] == [f"{fresh_id[:7]} Something new"]
    assert done(**entry)["checkouts"][0]["subjects"] == [f"{fresh_id[:7]} Something new"]


@pytest.mark.parametrize("short", [False, True])
def test_a_server_that_gives_no_commits_by_id(root, fresh, tmp_path, short):
    fresh.old = True
    wanted = meant(root / "app.git", "main~120")
    entry = {"repo": f"{fresh.url}/app.git", "dest": tmp_path / "app", "version": wanted[:12] if short else wanted}
    refused = shallow(**entry, max_depth=60)
    assert "is not among the newest 60 commits of any branch" in refused["msg"]
    assert not (tmp_path / "app").exists()
    applied = four_beats(**entry)
    assert "were fetched to find it" in applied["warnings"][0]
    assert_is(tmp_path / "app", root / "app.git", wanted)
    assert git(tmp_path / "app", "for-each-ref", "refs/hostcraft/search") == ""


def test_what_moved_at_the_server(root, tmp_path):
    """A branch that was rewritten, a tag that was moved, a branch in the place of a tag."""
    source = generate(tmp_path / "app.git", 60)
    entry = {"repo": f"file://{source}", "dest": tmp_path / "app"}
    done(**entry, version="main", depth=3)
    git(source, "update-ref", "refs/heads/main", "v50")
    done(**entry, version="main", depth=3)
    assert git(tmp_path / "app", "rev-parse", "HEAD") == git(source, "rev-parse", "v50")
    done(**entry, version="v50")
    git(source, "update-ref", "refs/tags/v50", "main~4")
    done(**entry, version="v50")
    assert git(tmp_path / "app", "rev-parse", "HEAD") == git(source, "rev-parse", "main~4")
    git(source, "update-ref", "refs/heads/v50", "main~9")
    done(**entry, version="v50")
    assert git(tmp_path / "app", "rev-parse", "HEAD") == git(source, "rev-parse", "main~9")


@pytest.fixture
def changed(root, fresh, tmp_path):
    """A clone in which somebody changed, staged, removed and made files, and committed."""
    entry = {"repo": f"{fresh.url}/app.git", "dest": tmp_path / "app", "version": "v150"}
    done(**entry)
    dest = tmp_path / "app"
    names = git(dest, "ls-files", "src").split()
    (dest / names[0]).write_text("mine\n")
    (dest / names[1]).unlink()
    (dest / "mine").write_text("untracked\n")
    (dest / ".git/info/exclude").write_text("ignored\n")
    (dest / "ignored").write_text("ignored\n")
    return dict(entry, version="main"), dest, names


@pytest.mark.parametrize("untracked", [False, True])
def test_local_changes(root, changed, untracked):
    entry, dest, names = changed
    before = git(dest, "status", "--porcelain")
    refused = shallow(**entry, untracked=untracked)
    shown = f"{3 if untracked else 2} changed files ({names[0]}, {names[1]}"
    assert shown in refused["msg"]
    assert git(dest, "status", "--porcelain") == before
    assert git(dest, "rev-parse", "HEAD") == meant(root / "app.git", "v150")
    applied = four_beats(**entry, local_changes="stash", untracked=untracked)
    assert [step.split()[0] for step in applied["steps"]] == ["fetch", "configure", "stash", "checkout"]
    assert git(dest, "rev-parse", "HEAD") == meant(root / "app.git", "main")
    assert (dest / "mine").exists() is not untracked
    assert (dest / "ignored").exists()
    assert git(dest, "show", f"stash@{{0}}:{names[0]}") == "mine"
    if untracked:
        assert git(dest, "show", "stash@{0}^3:mine") == "untracked"


@pytest.mark.parametrize("untracked", [False, True])
def test_local_changes_that_are_thrown_away(root, changed, untracked):
    entry, dest, _names = changed
    four_beats(**entry, local_changes="discard", untracked=untracked)
    assert (dest / "mine").exists() is not untracked
    assert (dest / "ignored").exists()
    assert git(dest, "status", "--porcelain") == ("" if untracked else "?? mine")


def test_local_changes_are_drift_too(root, changed):
    """The version is checked out already, but its files are not what it has."""
    entry, dest, _names = changed
    entry["version"] = "v150"
    assert "there are local changes" in shallow(**entry)["msg"]
    four_beats(**entry, local_changes="discard")
    assert git(dest, "status", "--porcelain") == "?? mine"


def test_commits_that_nobody_else_has(root, fresh, tmp_path):
    entry = {"repo": f"{fresh.url}/app.git", "dest": tmp_path / "app", "version": "main"}
    done(**entry)
    mine = commit(tmp_path / "app", "mine", mine="1")
    assert "1 commit that nobody else has" in shallow(**entry)["msg"]
    assert git(tmp_path / "app", "rev-parse", "HEAD") == mine
    four_beats(**entry, local_changes="stash")
    assert git(tmp_path / "app", "for-each-ref", "--format=%(objectname)", "refs/hostcraft/kept") == mine
    assert_is(tmp_path / "app", root / "app.git", "main")


def test_an_untracked_file_in_the_way_is_not_overwritten(root, fresh, tmp_path):
    entry = {"repo": f"{fresh.url}/app.git", "dest": tmp_path / "app"}
    done(**entry, version="v50")
    (tmp_path / "app/side").mkdir(exist_ok=True)
    name = next(
        one
        for one in git(root / "app.git", "ls-tree", "-r", "--name-only", "main", "side/").split()
        if not (tmp_path / "app" / one).exists()
    )
    (tmp_path / "app" / name).write_text("mine")
    for _twice in range(2):
        refused = shallow(**entry, version="main")
        assert f"are in the way: {name}" in refused["msg"]
        assert (tmp_path / "app" / name).read_text() == "mine"
    assert_head = git(tmp_path / "app", "rev-parse", "HEAD")
    assert assert_head == meant(root / "app.git", "v50")
    done(**entry, version="main", local_changes="discard")
    assert_is(tmp_path / "app", root / "app.git", "main")


def other_remote(path):
    git(new(path), "remote", "add", "origin", "https://example.com/other.git")


def bare(path):
    new(path, "--bare")


def a_file(path):
    path.write_text("x")


def full(path):
    path.mkdir()
    (path / "x").write_text("x")


def no_remote(path):
    commit(new(path), "x")


def damaged(path):
    commit(new(path), "x")
    git(path, "remote", "add", "origin", "REPO")
    for one in (path / ".git/objects").glob("??/*"):
        one.unlink()


def merging(path):
    commit(new(path), "x")
    git(path, "remote", "add", "origin", "REPO")
    (path / ".git/MERGE_HEAD").write_text(git(path, "rev-parse", "HEAD"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (other_remote, "it is a clone of https://example.com/other.git, not of"),
        (bare, "it is a bare repository"),
        (a_file, "it is no git repository, a file is there"),
        (full, "it is no git repository, x is there"),
        (no_remote, "has no remote 'origin', and no other"),
        (damaged, "the repository there is damaged"),
        (merging, "a merge is under way there"),
    ],
)
def test_a_place_that_is_not_ours_is_left_alone(fresh, tmp_path, make, message):
    dest, repo = tmp_path / "app", f"{fresh.url}/app.git"
    make(dest)
    if (dest / ".git/config").exists():
        (dest / ".git/config").write_text((dest / ".git/config").read_text().replace("REPO", repo))
    before = sorted((str(one), one.stat().st_mtime_ns) for one in tmp_path.rglob("*"))
    result = shallow(repo=repo, dest=dest)
    assert result["failed"]
    assert message in result["msg"]
    assert str(dest) in result["msg"]
    assert sorted((str(one), one.stat().st_mtime_ns) for one in tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"version": "none"}, "has no branch and no tag 'none'"),
        ({"version": "--upload-pack=touch /tmp/hostcraft-owned"}, "has no branch and no tag"),
        ({"version": "f" * 40}, "not our ref"),
        ({"version": "abcd"}, "is not among the newest"),
        ({"dest": "relative"}, "write the whole path"),
        ({"depth": -1}, "depth -1"),
        ({"depth": 1, "shallow_since": "2026-01-01"}, "give one"),
        ({"filter": "all"}, "filter 'all': write blob:none"),
        ({"remote": "-o"}, "remote '-o'"),
        ({"repo": "https://127.0.0.1:1/x.git"}, "the server cannot be reached"),
        ({"repo": "--upload-pack=touch /tmp/hostcraft-owned"}, "does not begin with a minus"),
        ({"repo": "ssh://me:secret@example.com/x"}, "takes no password from an address"),
        ({"verify": "commit"}, "has no good signature"),
    ],
)
def test_what_cannot_be(fresh, tmp_path, entry, message):
    result = shallow(**dict({"repo": f"{fresh.url}/app.git", "dest": str(tmp_path / "app")}, **entry))
    assert result["failed"], result
    assert message in result["msg"]
    assert "secret" not in json.dumps(result)
    assert list(tmp_path.iterdir()) == []


def test_a_ref_that_looks_like_an_option(root, tmp_path):
    source = generate(tmp_path / "app.git", 20)
    git(source, "update-ref", "refs/heads/--force", "main~3")
    dest = tmp_path / "-app" / "--dest"
    dest.parent.mkdir()
    four_beats(repo=f"file://{source}", dest=dest, version="refs/heads/--force")
    assert git(dest, "rev-parse", "HEAD") == git(source, "rev-parse", "main~3")


@pytest.mark.parametrize("how", ["options", "address"])
def test_secrets_stay_secret(root, fresh, tmp_path, monkeypatch, how):
    fresh.user = f"deploy:{TOKEN}"
    trace, dest = tmp_path / "trace", tmp_path / "app"
    repo, more = f"{fresh.url}/app.git", {}
    assert "the server wants other credentials" in shallow(repo=repo, dest=dest)["msg"]
    if how == "options":
        more = {"username": "deploy", "password": TOKEN}
    else:
        repo = repo.replace("://", "://deploy:s3cret-T0ken%2521@")
    monkeypatch.setenv("GIT_TRACE2_EVENT", str(trace))
    git(
        tmp_path,
        "config",
        "--global",
        "credential.helper",
        f"store --file={tmp_path}/stored",
        HOME=str(tmp_path),
        GIT_CONFIG_GLOBAL=str(tmp_path / ".gitconfig"),
    )
    results = [shallow(check=True, repo=repo, dest=dest, **more), done(repo=repo, dest=dest, **more)]
    results.append(done(repo=repo, dest=dest, version="v50", **more))
    assert_is(dest, root / "app.git", "v50")
    assert '"argv"' in trace.read_text()
    for text in (
        trace.read_text(),
        json.dumps(results),
        *[one.read_text("latin-1") for one in dest.rglob("*") if one.is_file()],
    ):
        assert "s3cret" not in text
    assert not (tmp_path / "stored").exists()


def test_an_address_with_a_secret_on_the_disk_is_cleaned(root, fresh, tmp_path):
    dest = tmp_path / "app"
    git(tmp_path, "clone", "--quiet", f"{fresh.url}/app.git", "app")
    git(dest, "remote", "set-url", "origin", f"{fresh.url}/app.git".replace("://", "://me:s3cret@"))
    applied = four_beats(repo=f"{fresh.url}/app.git", dest=dest, depth=0)
    assert "without user and password" in applied["steps"][0]
    assert "s3cret" not in (dest / ".git/config").read_text() + json.dumps(applied)


def test_many_at_once_and_one_that_fails(root, fresh, tmp_path):
    entries = [
        {
            "repo": f"{fresh.url}/app.git",
            "dest": str(tmp_path / f"many/{number}"),
            "version": f"v{50 * (1 + number % 4)}",
        }
        for number in range(12)
    ]
    broken = {"repo": f"{fresh.url}/none.git", "dest": str(tmp_path / "many/none")}
    refused = module("git_shallow", checkouts=[*entries, broken])
    assert "none.git: there is no such repository" in refused["msg"]
    assert not (tmp_path / "many").exists()
    applied = module("git_shallow", checkouts=entries)
    assert len(applied["steps"]) == 12, applied
    for number, entry in enumerate(entries):
        assert_is(tmp_path / f"many/{number}", root / "app.git", entry["version"])
    assert module("git_shallow", checkouts=entries)["changed"] is False
    twice = module("git_shallow", checkouts=[entries[0], entries[0]])
    assert "it is declared twice" in twice["msg"]


def test_what_is_read_can_be_declared(root, fresh, tmp_path):
    repo = f"{fresh.url}/app.git"
    entries = [
        {"repo": repo, "dest": str(tmp_path / "a"), "version": "main", "depth": 3},
        {"repo": repo, "dest": str(tmp_path / "b"), "version": "v100", "depth": 0, "single_branch": False},
        {
            "repo": repo,
            "dest": str(tmp_path / "c"),
            "version": meant(root / "app.git", "main~5"),
            "depth": 1,
            "sparse": ["side"],
        },
        {"repo": repo, "dest": str(tmp_path / "d"), "version": "main", "shallow_exclude": ["v150"]},
    ]
    module("git_shallow", checkouts=entries)
    (tmp_path / "a/mine").write_text("x")
    found = module("git_shallow_info", paths=[str(tmp_path / name) for name in ("a", "b", "c", "d", "none")])
    assert found["checkouts"][0] == entries[0]
    assert found["checkouts"][1] == entries[1]
    assert found["checkouts"][2] == dict(entries[2], sparse_mode="cone")
    assert found["checkouts"][3] == entries[3]
    assert found["details"][0]["untracked"] == ["mine"]
    assert found["details"][1]["commit"] == meant(root / "app.git", "v100")
    assert module("git_shallow", checkouts=found["checkouts"])["changed"] is False
