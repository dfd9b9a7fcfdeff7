# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folding commits: what is refused, what a range becomes, and the theorem that a second plan has no steps."""

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import ReconcileError
from ansible_collections.hostcraft.linux.plugins.module_utils._git import commits, squash_declare
from ansible_collections.hostcraft.linux.plugins.module_utils._git.commits import Commit
from ansible_collections.hostcraft.linux.plugins.module_utils._git.squash_model import (
    Backup,
    Group,
    Remote,
    State,
    Wanted,
    Wording,
)
from ansible_collections.hostcraft.linux.plugins.module_utils._git.squash_plan import plan
from hypothesis import given
from hypothesis import strategies as st

ROOT = commits.named(Commit("", "0" * 40, (), "R <r@x> 1 +0000", "R <r@x> 1 +0000", "root\n"))
GIVEN = "G <g@x>"


def series(*messages, on=ROOT):
    """Return commits on top of ``on``, each with a tree, an author and dates of its own."""
    made, parent = [], on
    for number, message in enumerate(messages, 1):
        who = f"P{number} <p{number}@x> {1000 + number} +0100"
        tree = f"{number:040x}"
        parent = commits.named(Commit("", tree, (parent.oid,) if parent else (), who, who, message + "\n"))
        made.append(parent)
    return tuple(made)


def state(chain, **more):
    base = chain[0].parents[0] if chain and chain[0].parents else None
    found = dict(tip=chain[-1].oid if chain else ROOT.oid, chain=chain, base=base, now=10**6)
    found.update(more)
    found.setdefault("origin", found["tip"])
    found.setdefault("named", {one.oid: one.oid for one in chain})
    return State("/r", "refs/heads/b", **found)


def carried_out(found, steps):
    """Return the state once the steps were carried out: what reading the repository again would give."""
    for step in steps:
        if step.verb == "fold":
            _wanted, _state, made = step.data
            record = Backup("refs/x", found.origin, made.tip, made.tip, False, found.now)
            kept = tuple(one for one in found.backups if one.old != found.origin)
            found = found._replace(tip=made.tip, backups=(record, *kept))
        elif step.verb == "restore":
            found = found._replace(tip=step.data[1].old, origin=step.data[1].old)
        elif step.verb == "push":
            found = found._replace(remote=found.remote._replace(seen=found.tip, actual=found.tip))
        else:
            found = found._replace(backups=tuple(one for one in found.backups if one != step.data[1]))
    return found


def steps(want, found, **more):
    return [str(step) for step in plan((want,), (found,), **more).steps]


def folded(want, found):
    """Return the one commit that comes last."""
    (step,) = plan((want,), (found,)).steps
    return step.data[2].new[-1]


def test_a_commit_is_written_as_it_was_read():
    text = (
        "tree {0}\nparent {0}\nauthor \udce9 <a> 1 +0000\ncommitter B <b> 2 -0500\nencoding ISO-8859-1\n"
        "gpgsig -----BEGIN\n \n line\n -----END\n\nsubject\r\n\n\nbody\n".format("a" * 40)
    )
    one = commits.parse("x", text)
    assert commits.render(one) == text
    assert dict(one.headers)["gpgsig"] == "-----BEGIN\n\nline\n-----END"
    assert commits.decoded(one, one.author)[0] == "é"


def test_a_range_becomes_one_commit():
    chain = series("one\n\nSigned-off-by: S <s@x>", "two\n\nmore", "three\n\nSigned-off-by: S <s@x>")
    new = folded(Wanted("/r", last=3), state(chain))
    assert (new.tree, new.parents) == (chain[-1].tree, (ROOT.oid,))
    assert (new.author, new.committer) == ("P1 <p1@x> 1001 +0100", "P3 <p3@x> 1001 +0100")
    assert new.message == (
        "one\n\n* two\n\nmore\n\n* three\n\n"
        "Signed-off-by: S <s@x>\nCo-authored-by: P2 <p2@x>\nCo-authored-by: P3 <p3@x>\n"
    )


@pytest.mark.parametrize(
    ("wording", "author", "committer", "message"),
    [
        (Wording("new\n"), "P1 <p1@x> 1001 +0100", "P2 <p2@x> 1001 +0100", "new\n\nA: b\nCo-authored-by: P2 <p2@x>\n"),
        (Wording("new\n", trailers=False), "P1 <p1@x> 1001 +0100", "P2 <p2@x> 1001 +0100", "new\n"),
        (
            Wording(author="last", date="last"),
            "P2 <p2@x> 1002 +0100",
            "P2 <p2@x> 1002 +0100",
            "one\n\n* two\n\nA: b\nCo-authored-by: P1 <p1@x>\n",
        ),
        (
            Wording("n\n", GIVEN, "5 +0000", "C <c@x>", False),
            "G <g@x> 5 +0000",
            "C <c@x> 5 +0000",
            "n\n",
        ),
    ],
)
def test_wording(wording, author, committer, message):
    new = folded(Wanted("/r", last=2, wording=wording), state(series("one\n\nA: b", "two")))
    assert (new.author, new.committer, new.message) == (author, committer, message)


def test_groups_make_a_smaller_series_and_keep_what_is_between():
    chain = series("a", "b", "c", "d", "e")
    groups = (
        Group(chain[3].oid, chain[4].oid, Wording("DE\n", trailers=False)),
        Group(chain[0].oid, chain[1].oid, Wording()),
    )
    (step,) = plan((Wanted("/r", groups=groups),), (state(chain),)).steps
    new = step.data[2].new
    assert [one.subject for one in new] == ["a", "c", "DE"]
    assert [one.tree for one in new] == [chain[1].tree, chain[2].tree, chain[4].tree]
    assert (new[1].author, new[1].message, new[1].parents) == (chain[2].author, "c\n", (new[0].oid,))


def test_fixups_go_into_the_commit_before():
    chain = series("a\n\ntext", "fixup! a", "squash! fixup! a\n\nalso", "b")
    (step,) = plan((Wanted("/r", last=4, fixups=True),), (state(chain),)).steps
    new = step.data[2].new
    assert [one.subject for one in new] == ["a", "b"]
    assert new[0].message.startswith("a\n\ntext\n\nalso\n\nCo-authored-by: P2")
    assert steps(Wanted("/r", last=1, fixups=True), state(series("a"))) == []


def test_the_commits_of_a_merge_are_credited_and_the_root_is_folded():
    (side,) = series("side\n\nCo-authored-by: K <k@x>")
    chain = series("a", "Merge branch 'side'", on=None)
    chain = (chain[0], commits.named(chain[1]._replace(parents=(chain[0].oid, side.oid))))
    new = folded(Wanted("/r", last=2, merges=True), state(chain, sides={chain[1].oid: (side,)}))
    assert new.message == "a\n\n* side\n\nCo-authored-by: K <k@x>\nCo-authored-by: P2 <p2@x>\n"
    assert new.parents == ()


CHAIN = series("a", "b", "c")
MERGE = (CHAIN[0], CHAIN[1]._replace(parents=(CHAIN[0].oid, "f" * 40)), CHAIN[2])
GONE = Backup("refs/b1", "1" * 40, "2" * 40, "2" * 40, False, 5)


@pytest.mark.parametrize(
    ("want", "found", "message"),
    [
        (Wanted("/r", last=4), state(CHAIN), "has only 3 commits along its first parents. Give at most 3"),
        (Wanted("/r", last=9), state(CHAIN, shallow=(CHAIN[0].oid,)), "the history of this clone is cut off at"),
        (Wanted("/r", since="v1"), state(CHAIN, base=None), "no commit in common with 'v1'"),
        (Wanted("/r", last=3), state(MERGE), "'b' is a merge"),
        (Wanted("/r", last=3), state(CHAIN, operation="a rebase"), "a rebase is under way"),
        (Wanted("/r", last=3), state(CHAIN, published=("origin/b",)), "published, origin/b has them"),
        (
            Wanted("/r", last=3, push=True),
            state(CHAIN, published=("o/b", "o/c"), remote=Remote("o", "refs/heads/b", None, None)),
            "published, o/c has them",
        ),
        (Wanted("/r", last=3, fixups=True), state(series("a", "b", "fixup! a")), "'fixup! a' does not follow"),
        (
            Wanted("/r", groups=(Group(CHAIN[1].oid, CHAIN[0].oid, Wording()),)),
            state(CHAIN),
            "first is the older one",
        ),
        (
            Wanted(
                "/r",
                groups=(
                    Group(CHAIN[0].oid, CHAIN[1].oid, Wording()),
                    Group(CHAIN[1].oid, CHAIN[2].oid, Wording()),
                ),
            ),
            state(CHAIN),
            "overlap",
        ),
        (
            Wanted("/r", groups=(Group("v9", "v9", Wording()),)),
            state(CHAIN, named={"v9": "9" * 40}),
            "commit v9 is not among the 3 commits",
        ),
        (
            Wanted("/r", last=2, push=True),
            state(CHAIN[1:], remote=Remote("o", "refs/heads/b", "1" * 40, "2" * 40)),
            "somebody else has pushed",
        ),
        (
            Wanted("/r", last=2, push=True),
            state(CHAIN[1:], remote=Remote("o", "refs/heads/b", "1" * 40, "1" * 40, 4)),
            "o has 4 commits in refs/heads/b that the branch lacks",
        ),
    ],
)
def test_what_is_refused(want, found, message):
    with pytest.raises(ReconcileError) as error:
        plan((want,), (found,))
    assert message in str(error.value)
    assert "b in /r" in str(error.value)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (state(CHAIN), "no backup of it"),
        (state(CHAIN, backups=(GONE,)), "moved on since it was squashed"),
    ],
)
def test_what_cannot_be_restored(found, message):
    with pytest.raises(ReconcileError) as error:
        plan((Wanted("/r"),), (found,), restore=True)
    assert message in str(error.value)


def test_only_backups_of_the_past_expire():
    current = GONE._replace(ref="refs/b2", old=CHAIN[2].oid)
    found = state(CHAIN[2:], backups=(current, GONE))
    want = Wanted("/r", last=1, keep_seconds=60)
    assert steps(want, found) == ["expire refs/b1: made 1970-01-01"]
    assert steps(want._replace(keep_seconds=None), found) == []


MESSAGES = st.sampled_from(["a", "b\n\nbody", "c\n\nX: 1\nY: 2", "d\n\nSigned-off-by: P1 <p1@x>"])
WORDINGS = st.builds(
    Wording,
    st.sampled_from([None, "new\n", "new\n\nX: 1\n"]),
    st.sampled_from(["first", "last", GIVEN]),
    st.sampled_from(["first", "last", "7 +0000"]),
    st.sampled_from([None, GIVEN]),
    st.booleans(),
)


@st.composite
def declarations(draw):
    chain = series(*draw(st.lists(MESSAGES, min_size=1, max_size=7)), on=draw(st.sampled_from([None, ROOT])))
    remote = Remote("o", "refs/heads/b", *[draw(st.sampled_from([None, ROOT.oid]))] * 2)
    want = Wanted("/r", wording=draw(WORDINGS), push=draw(st.booleans()))
    way = draw(st.sampled_from(["last", "since", "groups"]))
    if way == "groups":
        cuts = sorted(draw(st.sets(st.integers(0, len(chain) - 1), min_size=2, max_size=4)) if len(chain) > 3 else {0})
        pairs = list(zip(cuts[::2], cuts[1::2])) or [(0, 0)]
        want = want._replace(groups=tuple(Group(chain[a].oid, chain[b].oid, draw(WORDINGS)) for a, b in pairs))
    elif way == "since" and chain[0].parents:
        want = want._replace(since="main")
    else:
        want = want._replace(last=len(chain))
    return want, state(chain, remote=remote if want.push else None)


@given(declarations())
def test_a_plan_carried_out_leaves_no_steps_and_the_same_tree(declared):
    want, found = declared
    first = plan((want,), (found,))
    assert (first.before == first.after) == (not first.steps)
    after = carried_out(found, first.steps)
    assert plan((want,), (after,)).steps == ()
    for step in first.steps:
        if step.verb == "fold" and step.data[2].new:
            assert step.data[2].new[-1].tree == found.chain[-1].tree
    if any(step.verb == "fold" for step in first.steps):
        want = want._replace(push=False)
        back = plan((want,), (after,), restore=True)
        assert [step.verb for step in back.steps] == ["restore"]
        was = carried_out(after, back.steps)
        assert was.tip == found.tip
        assert plan((want,), (was,), restore=True).steps == ()


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({}, "exactly one of last, since and groups; there is none"),
        ({"groups": []}, "there is none"),
        ({"last": 2, "since": "main"}, "found last and since"),
        ({"last": 0}, "last 0: the number"),
        ({"last": 1, "author": "me"}, "author 'me': write first, last or Name <mail>"),
        ({"last": 1, "committer": "first"}, "committer 'first': write Name <mail>"),
        ({"last": 1, "date": "yesterday"}, "date 'yesterday'"),
        ({"last": 1, "date": "2026-02-30T00:00:00Z"}, "day is out of range"),
        ({"last": 1, "commit_message": " \n"}, "commit_message: it is empty"),
        ({"last": 1, "backup_expires": "soon"}, "backup_expires 'soon'"),
        ({"groups": [dict(first="a", last="b")], "fixups": True}, "leave out groups"),
    ],
)
def test_declarations_that_are_refused(entry, message):
    base = {name: option.get("default") for name, option in squash_declare.BRANCH_OPTIONS.items()}
    with pytest.raises(ReconcileError) as error:
        squash_declare.wanted({"branches": [dict(base, path="/r", **entry)], "state": "squashed"})
    assert str(error.value).startswith("branches, entry 1: ")
    assert message in str(error.value)


def test_dates_and_durations():
    assert squash_declare.git_date("2026-01-31T12:00:00+01:00") == "1769857200 +0100"
    assert squash_declare.git_date("2026-01-31 11:00:00Z") == "1769857200 +0000"
    assert squash_declare.duration("2w") == 14 * 86400
