# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of a maintenance and its report: what is written, counted and drawn, and that data stays data."""

from html.parser import HTMLParser

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.hostcraft.linux.plugins.filter.maintenance_journal import FilterModule as Journal
from ansible_collections.hostcraft.linux.plugins.filter.maintenance_report import FilterModule as Report

write = Journal().filters()["maintenance_journal"]
report = Report().filters()["maintenance_report"]


def at(minute):
    return f"2026-11-24T06:{minute:02}:00Z"


def test_a_journal_from_its_beginning_to_its_end():
    one = write({}, at(0), step="drain")
    assert (one["result"], one["step"], one["began"], one["done"]) == ("unfinished", "drain", at(0), [])
    two = write(one, at(5), step="reboot", detail=["evict pod a/b"])
    assert one["events"][0]["result"] == "running", "what was written is not changed behind its back"
    assert two["events"][0] == {
        "step": "drain",
        "began": at(0),
        "ended": at(5),
        "result": "done",
        "detail": ["evict pod a/b"],
    }
    end = write(two, at(7), result="done")
    assert (end["result"], end["done"]) == ("done", ["drain", "reboot"])
    assert [one["result"] for one in end["events"]] == ["done", "done"]


def test_a_failure_is_that_of_the_step_and_what_is_resumed_was_interrupted():
    begun = write({}, at(0), step="drain")
    failed = write(begun, at(1), result="failed", detail=["late"])
    assert (failed["result"], failed["done"], failed["events"][0]["result"]) == ("failed", [], "failed")
    again = write(failed, at(2), resume=True)
    assert (again["result"], again["step"], again["resumed"]) == ("unfinished", "drain", [at(2)])
    assert again["events"][0]["result"] == "failed"
    killed = write(begun, at(3), resume=True)
    assert killed["events"][0]["result"] == "interrupted"
    assert write(killed, at(4), step="drain")["events"][0]["ended"] == at(3)


def test_hosts_are_counted_and_those_that_were_not_begun_are_there():
    journals = {"a": write(write({}, at(0), step="drain"), at(1), result="failed"), "b": {}, "c": None}
    found = report(journals, "tuesday", at(2))
    assert {word: number for word, number in found["counts"].items() if number} == {"failed": 1, "waiting": 2}
    assert found["hosts"]["b"] == {"result": "waiting", "events": [], "reason": ""}


class Page(HTMLParser):
    """What a browser would load or run, and what it shows."""

    def __init__(self):
        super().__init__()
        self.tags, self.loads, self.text, self.styles = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.loads += [value for name, value in attrs if name in ("src", "href") or name.startswith("on")]
        self.styles += [value for name, value in attrs if name == "style"]

    def handle_data(self, data):
        self.text.append(data)


def drawn(journals):
    found = Page()
    found.feed(report(journals, "<run>", at(10), format="html"))
    return found


def test_the_page_has_all_in_itself_and_nothing_of_the_data_is_markup():
    evil = "<script>alert(1)</script>"
    journal = write(write({}, at(0), step="drain"), at(10), result="failed", detail=[evil])
    page = drawn({"<b>host": dict(journal, reason='"><img src=x onerror=y>')})
    assert page.loads == []
    assert not {"script", "img", "link", "b>host"} & set(page.tags)
    text = "".join(page.text)
    for one in (evil, "<b>host", "<run>", "onerror"):
        assert one in text


def test_the_timeline_is_to_scale():
    first = write(write(write({}, at(0), step="drain"), at(5), step="reboot"), at(10), result="done")
    second = write({}, at(5), step="drain")
    page = drawn({"a": first, "b": second})
    # Unfinished hosts come first: they are what the reader looks for.
    assert page.styles == [
        "left:50.00%;width:50.00%",
        "left:0.00%;width:50.00%",
        "left:50.00%;width:50.00%",
    ]
    assert drawn({"a": {}}).styles == []


def test_errors():
    for wrong in (lambda: write("x", at(0)), lambda: write({}, at(0), result="fine"), lambda: report([], "r", at(0))):
        with pytest.raises(AnsibleFilterError):
            wrong()
    with pytest.raises(AnsibleFilterError):
        report({}, "r", at(0), format="pdf")
