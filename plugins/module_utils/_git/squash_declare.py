# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the options of a task to the branches that are to be squashed.

Private to the collection; not a public interface.
"""

import datetime
import re

from .._core.reconcile import ReconcileError
from .squash_model import Group, Wanted, Wording

WORDING_OPTIONS = dict(
    commit_message=dict(type="str"),
    author=dict(type="str", default="first"),
    date=dict(type="str", default="first"),
    committer=dict(type="str"),
    trailers=dict(type="bool", default=True),
)
BRANCH_OPTIONS = dict(
    WORDING_OPTIONS,
    path=dict(type="path", required=True),
    branch=dict(type="str"),
    last=dict(type="int"),
    since=dict(type="str"),
    groups=dict(
        type="list",
        elements="dict",
        options=dict(WORDING_OPTIONS, first=dict(type="str", required=True), last=dict(type="str", required=True)),
    ),
    fixups=dict(type="bool", default=False),
    merges=dict(type="str", choices=["refuse", "fold"], default="refuse"),
    published=dict(type="str", choices=["refuse", "rewrite"], default="refuse"),
    push=dict(type="str", choices=["never", "with_lease"], default="never"),
    sign=dict(type="bool", default=False),
    signing_key=dict(type="str", no_log=False),
    signing_format=dict(type="str", choices=["openpgp", "ssh", "x509"]),
    backup_expires=dict(type="str"),
)
PERSON = re.compile(r"[^<>\n\0]+ <[^<>\n\0]*>\Z")
DATE = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d) ?(Z|[+-]\d\d:?\d\d)\Z")
SECONDS = {"h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}


def wanted(params):
    """Return one :class:`Wanted` for each entry of ``branches``.

    :raises ReconcileError: names the entry, counted from 1, and what is wrong with it.
    """
    found, seen = [], set()
    for number, entry in enumerate(params["branches"], 1):
        try:
            one = _branch(entry, params["state"] == "squashed")
            if (one.path, one.branch) in seen:
                raise ReconcileError(f"{one.path}: this branch is declared twice; give each branch one entry")
        except ReconcileError as error:
            raise ReconcileError(f"branches, entry {number}: {error}") from error
        seen.add((one.path, one.branch))
        found.append(one)
    return tuple(found)


def _branch(entry, squashed):
    ways = [name for name in ("last", "since", "groups") if entry[name] not in (None, [])]
    if squashed and len(ways) != 1:
        raise ReconcileError(
            "say which commits are folded by exactly one of last, since and groups; {}".format(
                "found " + " and ".join(ways) if ways else "there is none"
            )
        )
    if entry["last"] is not None and entry["last"] < 1:
        raise ReconcileError("last {last}: the number of commits that become one is at least 1".format(**entry))
    if entry["fixups"] and entry["groups"] is not None:
        raise ReconcileError("fixups finds the groups by itself in what last or since names; leave out groups")
    if not squashed:
        entry = dict(entry, last=None, since=None, groups=None)
    return Wanted(
        entry["path"].rstrip("/") or "/",
        entry["branch"],
        entry["last"],
        entry["since"],
        tuple(Group(one["first"], one["last"], wording(one)) for one in entry["groups"] or ()),
        entry["fixups"],
        wording(entry),
        entry["merges"] == "fold",
        entry["published"] == "rewrite",
        entry["push"] == "with_lease",
        entry["sign"],
        entry["signing_key"],
        entry["signing_format"],
        duration(entry["backup_expires"]),
    )


def wording(entry):
    """Return the :class:`Wording` of an entry of ``branches`` or ``groups``."""
    message = entry["commit_message"]
    if message is not None:
        if not message.strip() or "\0" in message:
            raise ReconcileError("commit_message: it is empty or has a NUL; leave it out to have one composed")
        message = message.strip("\n").rstrip() + "\n"
    for name in ("author", "committer"):
        value = entry[name]
        words = ("first", "last") if name == "author" else ()
        if value is not None and value not in words and not PERSON.match(value):
            choices = "first, last or " if words else ""
            raise ReconcileError(f"{name} '{value}': write {choices}Name <mail>")
    when = entry["date"]
    return Wording(
        message,
        entry["author"],
        when if when in ("first", "last") else git_date(when),
        entry["committer"],
        entry["trailers"],
    )


def git_date(text):
    """Return a date as git keeps it, seconds and zone.

    :raises ReconcileError: it is not like V(2026-01-31T12:00:00+01:00).
    """
    found = DATE.match(text)
    if not found:
        raise ReconcileError(f"date '{text}': write first, last or a date like 2026-01-31T12:00:00+01:00")
    day, time, zone = found.groups()
    zone = "+0000" if zone == "Z" else zone.replace(":", "")
    try:
        moment = datetime.datetime.strptime(f"{day} {time} {zone}", "%Y-%m-%d %H:%M:%S %z")
    except ValueError as error:
        raise ReconcileError(f"date '{text}': {error}") from error
    return f"{int(moment.timestamp())} {zone}"


def duration(text):
    """Return the seconds of V(12h), V(30d), V(8w) or V(1y); None stays None."""
    if text is None:
        return None
    found = re.match(r"(\d+)([hdwy])\Z", text)
    if not found:
        raise ReconcileError(f"backup_expires '{text}': write a number and h, d, w or y, such as 30d")
    return int(found.group(1)) * SECONDS[found.group(2)]
