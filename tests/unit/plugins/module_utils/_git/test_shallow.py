# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checkouts: what a version means, which steps are taken, what is refused; and that a second plan has none."""

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import ReconcileError
from ansible_collections.hostcraft.linux.plugins.module_utils._git import graph, shallow_declare, targets, urls
from ansible_collections.hostcraft.linux.plugins.module_utils._git.shallow_model import (
    Access,
    History,
    Local,
    State,
    Target,
    Verify,
    Wanted,
    branch_of,
    standing,
)
from ansible_collections.hostcraft.linux.plugins.module_utils._git.shallow_plan import check_version, plan
from hypothesis import given
from hypothesis import strategies as st

REPO, DEST = "https://x/app.git", "/srv/app"
OLD, NEW, TAG = "a" * 40, "b" * 40, "c" * 40
MAIN = Target("branch", NEW, "refs/heads/main")
WANT = Wanted(REPO, DEST, "main")
HAVE = Local(
    "repository",
    REPO,
    head=NEW,
    branch="main",
    target=NEW,
    tracked=NEW,
    history=History(1, 1),
    refspecs=standing(WANT, MAIN),
)


def steps(want, local, target=MAIN):
    return [str(step) for step in plan((want,), (State(local, target),)).steps]


def carried_out(want, state, steps):
    """Return the state once the steps were carried out: what looking again would give."""
    local, target = state.local, state.target
    for step in steps:
        verb = step.verb
        if verb == "clone":
            local = Local("repository")
        if verb in ("clone", "fetch"):
            depth = want.depth
            local = local._replace(
                kind="repository",
                url=local.url or want.repo,
                target=target.commit,
                tracked=target.tag or target.commit,
                history=History(depth or None, depth or 9) if depth is not None else None,
                recorded=f"{want.history} of {target.commit}",
                filter=want.filter,
                refspecs=standing(want, target),
                half_clone=False,
            )
        if verb in ("clone", "sparsify"):
            local = local._replace(sparse=want.sparse, cone=want.cone)
        if verb in ("clone", "checkout"):
            local = local._replace(
                head=target.commit, branch=branch_of(target), interrupted=None, submodules=(), lfs=()
            )
        if verb in ("stash", "discard"):
            local = local._replace(changes=(), untracked=() if want.untracked else local.untracked, own_commits=0)
        if verb == "configure":
            local = local._replace(url=want.repo, refspecs=standing(want, target))
        local = local._replace(
            **{"unlock": {"locks": ()}, "update": {"submodules": ()}, "pull": {"lfs": ()}}.get(verb, {})
        )
    return state._replace(local=local)


@pytest.mark.parametrize(
    ("want", "local", "expected"),
    [
        (WANT, HAVE, []),
        (WANT, Local("absent"), [f"clone {DEST}: {REPO} branch main bbbbbbbbbb, depth 1"]),
        (
            WANT,
            Local("empty", half_clone=True),
            [f"clone {DEST}: {REPO} branch main bbbbbbbbbb, depth 1, anew as one was left half done"],
        ),
        (
            WANT,
            HAVE._replace(head=OLD, target=None, tracked=OLD, history=None),
            [
                f"fetch {DEST}: branch main bbbbbbbbbb, depth 1",
                f"checkout {DEST}: aaaaaaaaaa -> branch main bbbbbbbbbb",
            ],
        ),
        (WANT, HAVE._replace(branch=None), [f"checkout {DEST}: bbbbbbbbbb -> branch main bbbbbbbbbb"]),
        (
            WANT._replace(depth=5),
            HAVE,
            [f"fetch {DEST}: branch main bbbbbbbbbb, depth 5, so far depth 1"],
        ),
        (WANT._replace(depth=5), HAVE._replace(history=History(None, 3)), []),
        (
            WANT,
            HAVE._replace(history=History(None, 3)),
            [f"fetch {DEST}: branch main bbbbbbbbbb, depth 1, so far the whole history"],
        ),
        (WANT._replace(depth=0), HAVE._replace(history=History(None, 3)), []),
        (
            WANT._replace(depth=None, since="2026-01-01"),
            HAVE._replace(history=None, recorded=f"since 2026-01-01 of {NEW}"),
            [],
        ),
        (
            WANT._replace(depth=None, since="2026-01-01"),
            HAVE._replace(history=None, recorded=f"depth 1 of {NEW}"),
            [f"fetch {DEST}: branch main bbbbbbbbbb, since 2026-01-01, so far depth 1"],
        ),
        (
            WANT._replace(local_changes="discard"),
            HAVE._replace(changes=("x", "y")),
            [f"discard {DEST}: 2 changed files (x, y)"],
        ),
        (
            WANT,
            HAVE._replace(url="https://me:pw@x/app.git"),
            [f"configure {DEST}: remote origin {REPO}, without user and password"],
        ),
        (
            WANT,
            HAVE._replace(locks=(f"{DEST}/.git/index.lock",), interrupted=NEW),
            [
                f"unlock {DEST}: .git/index.lock, left by a run that was killed",
                f"checkout {DEST}: bbbbbbbbbb -> branch main bbbbbbbbbb",
            ],
        ),
        (WANT._replace(sparse=("doc",)), HAVE, [f"sparsify {DEST}: doc"]),
        (WANT._replace(submodules="full"), HAVE._replace(submodules=("lib",)), [f"update {DEST}: submodules lib"]),
        (WANT, HAVE._replace(lfs=("big",)), [f"pull {DEST}: LFS files big"]),
    ],
)
def test_steps(want, local, expected):
    assert steps(want, local) == expected


def test_the_network_comes_first_for_all():
    other = WANT._replace(dest="/srv/b")
    old = HAVE._replace(head=OLD, target=None, tracked=OLD, history=None)
    todo = plan((WANT, other), (State(old, MAIN), State(old, MAIN)))
    assert [(step.verb, step.target) for step in todo.steps] == [
        ("fetch", DEST),
        ("fetch", "/srv/b"),
        ("checkout", DEST),
        ("checkout", "/srv/b"),
    ]


@pytest.mark.parametrize(
    ("want", "local", "message"),
    [
        (WANT, Local("files", found="x"), "it is no git repository, x is there"),
        (WANT, Local("bare"), "it is a bare repository"),
        (WANT, Local("linked", found="/r/.git/worktrees/x"), "linked working tree of /r/.git/worktrees/x"),
        (WANT, Local("broken", found="commit abc is missing"), "damaged: commit abc is missing"),
        (WANT, HAVE._replace(url=""), "has no remote 'origin'"),
        (WANT, HAVE._replace(url="https://y/z:pw@app"), "a clone of https://y/z:pw@app, not of"),
        (WANT, HAVE._replace(operation="a merge"), "a merge is under way"),
        (WANT, HAVE._replace(changes=("a", "b", "c", "d")), "4 changed files (a, b, c, ...)"),
        (WANT, HAVE._replace(branch="x", own_commits=1), "1 commit that nobody else has"),
        (
            WANT._replace(local_changes="stash"),
            HAVE._replace(changes=("a",), interrupted=NEW),
            "in the middle of a checkout that was cut off",
        ),
    ],
)
def test_what_is_refused(want, local, message):
    with pytest.raises(ReconcileError) as error:
        steps(want, local)
    assert message in str(error.value)
    assert str(error.value).startswith(DEST)


LOCALS = st.builds(
    Local,
    st.sampled_from(["absent", "empty", "repository"]),
    st.sampled_from([REPO, REPO + "/", "https://me:pw@x/app.git"]),
    head=st.sampled_from([None, OLD, NEW]),
    branch=st.sampled_from([None, "main", "x"]),
    changes=st.sampled_from([(), ("a",)]),
    untracked=st.sampled_from([(), ("u",)]),
    own_commits=st.integers(0, 2),
    locks=st.sampled_from([(), (f"{DEST}/.git/index.lock",)]),
    interrupted=st.sampled_from([None, OLD]),
    target=st.sampled_from([None, NEW]),
    tracked=st.sampled_from([None, OLD, NEW, TAG]),
    history=st.builds(History, st.sampled_from([None, 1, 3]), st.integers(1, 5)),
    recorded=st.sampled_from(["", f"depth 1 of {NEW}", f"since x of {NEW}"]),
    filter=st.sampled_from([None, "blob:none"]),
    sparse=st.sampled_from([None, ("doc",)]),
    cone=st.booleans(),
    refspecs=st.sampled_from([(), ("+refs/heads/*:refs/remotes/origin/*",)]),
    submodules=st.sampled_from([(), ("lib",)]),
    half_clone=st.booleans(),
    found=st.just(""),
    operation=st.just(""),
    lfs=st.sampled_from([(), ("big",)]),
)
WANTS = st.builds(
    WANT._replace,
    depth=st.sampled_from([None, 0, 1, 3]),
    since=st.just("x"),
    filter=st.sampled_from([None, "blob:none", "tree:0"]),
    sparse=st.sampled_from([None, ("doc",), ("lib",)]),
    cone=st.booleans(),
    single_branch=st.booleans(),
    local_changes=st.sampled_from(["stash", "discard"]),
    untracked=st.booleans(),
)
TARGETS = st.sampled_from(
    [MAIN, Target("tag", NEW, "refs/tags/v1", TAG), Target("commit", NEW), Target("ref", NEW, "refs/pull/1/head")]
)


@given(WANTS, LOCALS, TARGETS)
def test_a_plan_carried_out_leaves_no_steps(want, local, target):
    state = State(local, target)
    try:
        first = plan((want,), (state,))
    except ReconcileError:
        if local.interrupted is None:
            raise
        return  # git cannot stash in the middle of a checkout
    assert (first.before == first.after) == (not first.steps)
    left = plan((want,), (carried_out(want, state, first.steps),))
    assert [str(step) for step in left.steps] == []


REFS = {
    "HEAD": "ref: refs/heads/main",
    "refs/heads/main": OLD,
    "refs/heads/v1": NEW,
    "refs/tags/v1": OLD,
    "refs/tags/v2": TAG,
    "refs/tags/v2^{}": NEW,
    "refs/heads/near": "abcd" + "0" * 36,
    "refs/heads/far": "abcd" + "1" * 36,
}


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("HEAD", Target("branch", OLD, "refs/heads/main")),
        ("v1", Target("branch", NEW, "refs/heads/v1")),
        ("refs/tags/v1", Target("tag", OLD, "refs/tags/v1")),
        ("v2", Target("tag", NEW, "refs/tags/v2", TAG)),
        ("aaaaaaa", Target("commit", OLD)),
        ("abcd0", Target("commit", "abcd" + "0" * 36)),
        ("1234567", Target("commit", "1234567")),
    ],
)
def test_what_a_version_means(version, expected):
    assert targets.target(Wanted(REPO, DEST, version), REFS) == expected


@pytest.mark.parametrize(
    ("version", "refs", "message"),
    [
        ("none", REFS, "no branch and no tag 'none'"),
        ("abcd", REFS, "the beginning of 2 commits (abcd00000000, abcd11111111)"),
        ("HEAD", {}, "has no commits"),
        ("refs/heads/none", REFS, "no branch and no tag"),
    ],
)
def test_a_version_that_means_nothing(version, refs, message):
    with pytest.raises(ReconcileError) as error:
        targets.target(Wanted(REPO, DEST, version), refs)
    assert message in str(error.value)


def test_depth_is_counted_along_the_shortest_way():
    lines = ["a b c", "b d", "c e", "d e", "e f", "f"]
    assert graph.levels(lines, "a") == {"a": 0, "b": 1, "c": 1, "d": 2, "e": 2, "f": 3}
    assert graph.history(lines, "a", {"f"}) == History(4, 4)
    assert graph.history(lines, "a", set()) == History(None, 4)
    assert graph.satisfied(History(3, 3), 3)
    assert not graph.satisfied(History(2, 3), 3)
    assert not graph.satisfied(History(4, 4), 3)
    assert graph.satisfied(History(4, 4), 3, exact=False)
    assert not graph.satisfied(History(4, 4), 0)


@pytest.mark.parametrize(
    ("url", "expected", "secrets"),
    [
        ("https://u:p%40%21@h/x", ("https://h/x", "u", "p@!"), {"p%40%21", "p@!"}),
        ("https://ghp_0123456789@h/x", ("https://h/x", "ghp_0123456789", None), {"ghp_0123456789"}),
        ("https://git@h/x", ("https://h/x", "git", None), set()),
        ("ssh://git@h/x", ("ssh://git@h/x", "git", None), set()),
        ("git@h:x", ("git@h:x", None, None), set()),
        ("/srv/x@y", ("/srv/x@y", None, None), set()),
    ],
)
def test_addresses(url, expected, secrets):
    assert urls.clean(url) == expected
    assert urls.secrets(url) == secrets
    assert urls.same(url, expected[0] + "/")


@pytest.mark.parametrize(
    ("want", "version", "message"),
    [
        (WANT._replace(filter="blob:none"), (1, 8, 3), "filter needs git 2.19, this host has 1.8.3"),
        (WANT._replace(depth=None, since="x"), (1, 8, 3), "shallow_since needs git 2.11"),
        (WANT._replace(sparse=("x",)), (1, 8, 3), "sparse_mode: cone needs git 2.27"),
        (
            WANT._replace(access=Access(ssh_key="/k")),
            (1, 8, 3),
            "ssh_key, known_hosts, accept_new_host_key needs git 2.3",
        ),
        (WANT._replace(verify=Verify("commit")), (1, 8, 3), "verify needs git 2.6"),
    ],
)
def test_an_old_git(want, version, message):
    with pytest.raises(ReconcileError) as error:
        check_version(want, version)
    assert message in str(error.value)
    check_version(WANT, (1, 8, 3))
    check_version(want, (2, 39, 5))


def test_secrets_are_no_part_of_what_is_declared():
    base = {name: option.get("default") for name, option in shallow_declare.CHECKOUT_OPTIONS.items()}
    seen = set()
    (one,) = shallow_declare.wanted({"checkouts": [dict(base, repo="https://u:pw1@h/x", dest="/d/")]}, seen)
    assert (one.repo, one.dest, one.access.username, one.access.password) == ("https://h/x", "/d", "u", "pw1")
    assert seen == {"pw1"}
