# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commit objects: read, written and named as git does (gitformat-commit is what git-cat-file(1) prints).

Private to the collection; not a public interface.
"""

import hashlib
from typing import NamedTuple, Tuple

SIGNATURES = ("gpgsig", "gpgsig-sha256")


class Commit(NamedTuple):
    """A commit. ``author`` and ``committer`` are whole: name, mail, seconds and zone.

    ``headers`` are the others (encoding, gpgsig, mergetag), their values with inner line ends. All text
    is decoded as UTF-8 with surrogateescape, so that it can be written back byte for byte.
    """

    oid: str
    tree: str
    parents: Tuple[str, ...]
    author: str
    committer: str
    message: str
    headers: Tuple[Tuple[str, str], ...] = ()

    @property
    def encoding(self):
        """The encoding that names and message are in."""
        return dict(self.headers).get("encoding", "utf-8")

    @property
    def subject(self):
        """The first line of the message."""
        return decoded(self, self.message).strip("\n").split("\n")[0]


def parse(oid, text):
    """Return the :class:`Commit` of an object's text."""
    head, _empty, message = text.partition("\n\n")
    fields, parents, headers = {}, [], []
    for line in head.replace("\n ", "\0").split("\n"):
        key, _space, value = line.partition(" ")
        if key == "parent":
            parents.append(value)
        elif key in ("tree", "author", "committer"):
            fields[key] = value
        else:
            headers.append((key, value.replace("\0", "\n")))
    return Commit(oid, fields["tree"], tuple(parents), fields["author"], fields["committer"], message, tuple(headers))


def render(commit):
    """Return the text of a commit object; the inverse of :func:`parse`."""
    lines = [f"tree {commit.tree}"]
    lines.extend(f"parent {parent}" for parent in commit.parents)
    lines.extend([f"author {commit.author}", f"committer {commit.committer}"])
    lines.extend("{} {}".format(key, value.replace("\n", "\n ")) for key, value in commit.headers)
    return "\n".join(lines) + "\n\n" + commit.message


def named(commit):
    """Return the commit with the object id that git gives it; ids of 64 digits are SHA-256."""
    content = render(commit).encode("utf-8", "surrogateescape")
    make = hashlib.sha256 if len(commit.tree) == 64 else hashlib.sha1
    digest = make(b"commit %d\0" % len(content) + content).hexdigest()
    return commit._replace(oid=digest)


def unsigned(commit):
    """Return the commit without its signature, which holds for one parent and message only."""
    return commit._replace(headers=tuple(one for one in commit.headers if one[0] not in SIGNATURES))


def decoded(commit, text):
    """Return text of a commit in Unicode; bytes that are not in its encoding stay as surrogates."""
    if commit.encoding.lower() in ("utf-8", "utf8"):
        return text
    try:
        return text.encode("utf-8", "surrogateescape").decode(commit.encoding)
    except (LookupError, UnicodeDecodeError):
        return text


def person(identity):
    """Return name and mail of an identity, without its date."""
    return identity[: identity.rindex(">") + 1]


def date(identity):
    """Return seconds and zone of an identity."""
    return identity[identity.rindex(">") + 1 :].strip()


def mail(identity):
    """Return the mail address of an identity, in lower case."""
    return identity[identity.rindex("<") + 1 : identity.rindex(">")].lower()
