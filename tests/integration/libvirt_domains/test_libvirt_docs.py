# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The diagram and tables of the documentation are those of the table that the module works by."""

from tests.tools import lifecycle_diagram as drawn


def test_the_page_and_the_picture_are_up_to_date():
    life, path = drawn.table()
    again = "run python3 -m tests.tools.lifecycle_diagram"
    assert drawn.PICTURE.read_text() == drawn.svg(life), again
    text = drawn.PAGE.read_text()
    assert text == drawn.page(text, life, path), again


def test_the_picture_and_the_page_have_every_state_and_transition():
    life, _path = drawn.table()
    picture, page = drawn.PICTURE.read_text(), drawn.PAGE.read_text()
    for state in life.STATES:
        assert f">{state}</text>" in picture
    for one in life.TRANSITIONS:
        assert f">{one.name}</text>" in picture
        assert f"| {one.name} | {', '.join(one.sources)} | {one.target} |" in page
