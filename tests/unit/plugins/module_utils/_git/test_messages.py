# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages of commits: trailers as git reads them, and one message of several."""

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._git import messages


@pytest.mark.parametrize(
    ("text", "subject", "body", "trailers"),
    [
        ("one\n", "one", "", ()),
        ("one\ntwo\n\nthree\n", "one", "two\n\nthree", ()),
        ("one\n\nA: b\nC: d\n  more\n", "one", "", ("A: b", "C: d\n  more")),
        ("A: b\n", "A: b", "", ()),
        ("one\n\nA: b\nnot one\n", "one", "A: b\nnot one", ()),
        ("one\n\nSigned-off-by: x\n[note]\n", "one", "", ("Signed-off-by: x", "[note]")),
        ("one\n\nx:\n", "one", "x:", ()),
    ],
)
def test_split(text, subject, body, trailers):
    found = messages.split(text)
    assert (found.subject, found.body, found.trailers) == (subject, body, trailers)
    assert messages.split(str(found)) == found


def test_compose_takes_each_trailer_once():
    texts = [
        "a\n\nX: 1\nChange-Id: I1\n",
        "fixup! a\n\nX: 1\n",
        "squash! a\n\nwhy\n\nY: 2\nChange-Id: I2\n",
        "b\n\ntext\n",
    ]
    assert str(messages.compose(texts)) == "a\n\nwhy\n\n* b\n\ntext\n\nX: 1\nChange-Id: I1\nY: 2\n"


def test_credit():
    trailers = ("Co-authored-by: A <a@x>", "X: 1", "Co-authored-by: B <B@x>")
    assert messages.credit(trailers, "A <a@x>", ["A <a@x>", "B <b@x>", "C <c@x>", "C2 <c@x>"]) == (
        "X: 1",
        "Co-authored-by: B <B@x>",
        "Co-authored-by: C <c@x>",
    )
