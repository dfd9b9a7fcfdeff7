# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of a server by protocol version 2, and what its answers mean."""

import io

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._git import ls_refs
from ansible_collections.hostcraft.linux.plugins.module_utils._git.shallow_model import Wanted

OLD, NEW, TAG = "a" * 40, "b" * 40, "c" * 40


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("HEAD", ("HEAD",)),
        ("main", ("refs/heads/main", "refs/tags/main")),
        ("refs/pull/7/head", ("refs/pull/7/head",)),
        ("abcd", ("refs/heads/", "refs/tags/")),
    ],
)
def test_only_what_a_version_may_mean_is_asked_for(version, expected):
    assert ls_refs.prefixes(version) == expected


def test_a_question_is_written_in_packets():
    assert ls_refs.question(["refs/tags/v\u00e9"], ["object-format=sha256"]) == (
        b"0014command=ls-refs\n0019object-format=sha256\n0001"
        b"0009peel\n000csymrefs\n001dref-prefix refs/tags/v\xc3\xa9\n0000"
    )


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([f"{OLD} refs/heads/main"], {"refs/heads/main": OLD}),
        ([f"{TAG} refs/tags/v1 peeled:{NEW}"], {"refs/tags/v1": TAG, "refs/tags/v1^{}": NEW}),
        ([f"{OLD} HEAD symref-target:refs/heads/main"], {"HEAD": "ref: refs/heads/main", "refs/heads/main": OLD}),
        ([f"{OLD} HEAD"], {"HEAD": OLD}),
        ([], {}),
        (["ERR mismatched object format"], None),
        (None, None),
    ],
)
def test_answers(lines, expected):
    assert ls_refs.answer(lines) == expected


def test_the_list_of_an_old_server():
    listed = ["@refs/heads/main HEAD", f"{OLD} refs/heads/main", f"{TAG} refs/tags/v1", f"{NEW} refs/tags/v1^{{}}"]
    assert ls_refs.old(listed) == {
        "HEAD": "ref: refs/heads/main",
        "refs/heads/main": OLD,
        "refs/tags/v1": TAG,
        "refs/tags/v1^{}": NEW,
    }


ABLE = b"000eversion 2\n0017object-format=sha1\n0000"
HELLO = b"\n\n" + ABLE


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (HELLO + b"003d" + OLD.encode() + b" refs/heads/main\n0000", {"refs/heads/main": OLD}),
        (HELLO + b"0000", {}),
        (HELLO + b"003d" + OLD.encode(), None),
        (HELLO + b"<html>", None),
        (HELLO[:20], None),
        (b"\n\n000eversion 1\n0000", None),
        (OLD.encode() + b" refs/heads/main\n\nfallback\n", {"refs/heads/main": OLD}),
        (b"\nfallback\n", None),
        (b"", None),
    ],
)
def test_conversations_that_end_well_or_in_the_middle(said, expected):
    asked = io.BytesIO()
    assert ls_refs._talk(["refs/heads/main"], asked, io.BytesIO(said)) == expected
    assert asked.getvalue().startswith(b"list\nstateless-connect git-upload-pack\n")


@pytest.mark.parametrize(
    ("repo", "version"), [("git://x/y", (2, 39)), ("/srv/x", (2, 39)), ("me@x:y", (2, 39)), ("https://x/y", (2, 17))]
)
def test_others_are_asked_in_another_way(repo, version):
    assert ls_refs.ask(Wanted(repo, "/srv/app", "main"), version) is None
