# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``git_shallow`` and ``git_squash`` with other versions of git than the machine's own, as client and as server."""

import os

import pytest

from tests.integration.checkouts import assert_is, done, four_beats, meant, shallow
from tests.integration.git_servers import daemon, web
from tests.integration.histories import commit, generate, git, new
from tests.integration.modules import module
from tests.tools import gits

pytestmark = pytest.mark.usefixtures("no_settings_of_the_user")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A generated repository, in a directory that is served."""
    path = generate(tmp_path_factory.mktemp("served") / "app.git", 120)
    git(path, "update-ref", "refs/pull/7/head", "main~9")
    git(path, "config", "uploadpack.allowReachableSHA1InWant", "true")
    return path


@pytest.fixture(scope="module", params=[*gits.SOURCES, gits.OLDEST])
def other(request):
    """The directory of another git, its version, and the environment in which modules find it first."""
    try:
        place = gits.ensure(request.param)
    except gits.Unavailable as error:
        pytest.skip(f"git {request.param} can not be had here: {error}")
    version = tuple(int(number) for number in request.param.split("."))
    return place, version, {"PATH": f"{place}:{os.environ['PATH']}"}


def shown(version):
    return ".".join(map(str, version))


def test_versions_and_histories(other, source, tmp_path):
    _place, version, env = other
    with daemon(source.parent) as url:
        entry = {"repo": f"{url}/app.git", "dest": tmp_path / "app", "env": env}
        four_beats(**entry, version="main")
        assert_is(tmp_path / "app", source, "main")
        ids = meant(source, "main~33"), meant(source, "side")[:9]
        if version < (1, 9):
            assert "needs git 1.9. Name the branch or tag" in shallow(**entry, version=ids[0])["msg"]
            ids = ()
        for name in ("v50", "v100", "side", "refs/pull/7/head", *ids):
            done(**entry, version=name)
            assert_is(tmp_path / "app", source, name)
        for depth in (4, 0, 1):
            done(**entry, version="main", depth=depth)
            assert_is(tmp_path / "app", source, "main", depth)
        if version >= (2, 8):
            done(**entry, version="HEAD")
        else:
            assert f"version: HEAD needs git 2.8, this host has {shown(version)}" in shallow(**entry)["msg"]


def test_local_changes_and_sparse_trees(other, source, tmp_path):
    env, dest = other[2], tmp_path / "app"
    entry = {"repo": f"file://{source}", "dest": dest, "env": env, "version": "v50"}
    done(**entry)
    (dest / "counter").write_text("mine\n")
    (dest / "mine").write_text("mine\n")
    assert "2 changed files (counter, mine)" in shallow(**entry, untracked=True)["msg"]
    later = {**entry, "version": "main"}
    four_beats(**later, local_changes="stash", untracked=True)
    assert git(dest, "show", "stash@{0}:counter") == "mine"
    (dest / "counter").write_text("mine\n")
    four_beats(**later, local_changes="discard")
    assert_is(dest, source, "main")
    four_beats(**later, sparse=["/src/", "/counter"], sparse_mode="patterns")
    assert sorted(one.name for one in dest.iterdir()) == [".git", "counter", "src"]
    four_beats(**later)
    assert_is(dest, source, "main")


@pytest.mark.parametrize(
    ("since", "name", "options"),
    [
        ((2, 11), "shallow_since", {"shallow_since": "2020-01-01"}),
        ((2, 11), "shallow_exclude", {"shallow_exclude": ["v50"]}),
        ((2, 19), "filter", {"filter": "blob:none"}),
        ((2, 27), "sparse_mode: cone", {"sparse": ["src"]}),
        ((2, 6), "verify", {"verify": "commit"}),
    ],
)
def test_what_a_version_lacks_is_named(other, tmp_path, since, name, options):
    _place, version, env = other
    source = generate(tmp_path / "app.git", 60)
    result = shallow(repo=f"file://{source}", dest=tmp_path / "app", version="main", env=env, **options)
    if version < since:
        assert (
            f"{name} needs git {'.'.join(map(str, since))}, this host has {'.'.join(map(str, version))}"
            in (result["msg"])
        )
        assert not (tmp_path / "app").exists()
    elif name == "verify":
        assert "has no good signature" in result["msg"]
    else:
        assert not result["failed"], result


def test_submodules(other, tmp_path):
    served = tmp_path / "served"
    generate(served / "lib", 10)
    commit(new(served / "app"), "itself")
    with daemon(served) as url:
        git(served / "app", "submodule", "--quiet", "add", f"{url}/lib", "lib")
        commit(served / "app", "with a submodule")
        entry = {"repo": f"{url}/app", "dest": tmp_path / "app", "version": "main", "env": other[2]}
        if other[1] < (1, 8, 4):
            assert "submodules: shallow needs git 1.8.4" in shallow(**entry, submodules="shallow")["msg"]
            entry["submodules"] = "full"
        four_beats(**dict({"submodules": "shallow"}, **entry))
        assert git(tmp_path / "app/lib", "rev-parse", "HEAD") == git(served / "lib", "rev-parse", "main")


def test_folding(other, tmp_path):
    path, env = new(tmp_path / "repo"), other[2]
    for number in range(6):
        commit(path, f"part {number}", **{f"f{number}": "x"})
    git(path, "branch", "two")
    old = git(path, "rev-parse", "main")
    entry = {"path": str(path), "last": 3}
    predicted = module("git_squash", True, env=env, branches=[entry])
    applied = module("git_squash", env=env, branches=[entry])
    assert applied["changed"], applied
    assert predicted["steps"] == applied["steps"]
    assert git(path, "diff", old, "main") == ""
    git(path, "fsck", "--strict")
    assert module("git_squash", env=env, branches=[entry])["changed"] is False
    assert module("git_squash", env=env, branches=[entry], state="restored")["changed"]
    assert git(path, "rev-parse", "main") == old
    new(tmp_path / "upstream", "--bare")
    git(path, "remote", "add", "origin", str(tmp_path / "upstream"))
    git(path, "push", "--quiet", "--set-upstream", "origin", "main")
    pushed = module("git_squash", env=env, branches=[dict(entry, push="with_lease")])
    if other[1] < (1, 8, 5):
        assert "push: with_lease needs git 1.8.5" in pushed["msg"]
        assert git(path, "rev-parse", "main") == old
        return
    assert len(pushed["steps"]) == 2, pushed
    assert git(tmp_path / "upstream", "rev-parse", "main") == git(path, "rev-parse", "main")


def test_as_a_server(other, tmp_path):
    """An old server gives out no commit by its id, so that branches are deepened step by step; a new one does."""
    place, version, _env = other
    source = generate(tmp_path / "served/app.git", 120)
    with web(source.parent) as server:
        server.git = str(place / "git")
        entry = {"repo": f"{server.url}/app.git", "dest": tmp_path / "app"}
        for name in ("HEAD", "v50", "v100"):
            done(**entry, version=name)
            assert_is(tmp_path / "app", source, {"HEAD": "main"}.get(name, name))
        applied = done(**entry, version=meant(source, "main~80"))
        assert_is(tmp_path / "app", source, "main~80")
        assert any("were fetched to find it" in one for one in applied["warnings"]) is (version < (2, 18))
