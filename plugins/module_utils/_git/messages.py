# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages of commits: their trailers, and one message made of several.

Private to the collection; not a public interface.
"""

import re
from typing import NamedTuple, Tuple

TRAILER = re.compile(r"([A-Za-z0-9-]+)[ \t]*:(?=.*\S)")
# What git itself writes; with one of these a quarter of trailers is enough (git-interpret-trailers(1)).
OWN = ("Signed-off-by: ", "(cherry picked from commit ")
SINGLE = ("change-id",)  # Gerrit takes one for each commit
CO_AUTHOR = "Co-authored-by"
AUTOSQUASH = re.compile(r"(fixup|squash|amend)! ")


class Message(NamedTuple):
    """A message: its first line, the paragraphs after it, and the trailers as they were written."""

    subject: str
    body: str
    trailers: Tuple[str, ...]

    def __str__(self):
        parts = (self.subject, self.body, "\n".join(self.trailers))
        return "\n\n".join(part for part in parts if part) + "\n"


def split(text):
    """Return the :class:`Message` of a commit's text."""
    lines = [line.rstrip() for line in text.strip().split("\n")]
    paragraphs = re.split(r"\n{2,}", "\n".join(lines))
    trailers = ()
    if len(paragraphs) > 1:
        trailers = _trailers(paragraphs[-1].split("\n"))
    if trailers:
        paragraphs.pop()
    subject, _end, rest = paragraphs[0].partition("\n")
    return Message(subject, "\n\n".join(([rest] if rest else []) + paragraphs[1:]), trailers)


def _trailers(lines):
    """Return the trailers of a last paragraph, each with its continuation lines, or none."""
    found, others, own = [], 0, False
    for line in lines:
        own = own or line.startswith(OWN)
        if line[:1] in (" ", "\t") and found and _is_trailer(found[-1]):
            found[-1] += "\n" + line
            continue
        others += not _is_trailer(line)
        found.append(line)
    if len(found) == others or (others and not (own and (len(found) - others) * 3 >= others)):
        return ()
    return tuple(found)


def _is_trailer(line):
    return bool(TRAILER.match(line)) or line.startswith(OWN)


def key(trailer):
    """Return the name of a trailer in lower case."""
    found = TRAILER.match(trailer)
    return found.group(1).lower() if found else ""


def compose(texts):
    """Return one :class:`Message` of several texts, oldest first.

    The first gives the subject, the later ones become items of a list. A C(fixup!) says nothing new, a
    C(squash!) what follows its first line, as git-rebase(1) has it with --autosquash.
    """
    messages = [split(text) for text in texts]
    said = [messages[0].body]
    for one in messages[1:]:
        mark = AUTOSQUASH.match(one.subject)
        if not mark:
            said.append("* " + one.subject)
        if not mark or mark.group(1) != "fixup":
            said.append(one.body)
    return Message(messages[0].subject, "\n\n".join(part for part in said if part), gather(messages))


def gather(messages):
    """Return the trailers of all messages, each once, in the order in which they first appear."""
    found, singles = [], set()
    for trailer in (trailer for message in messages for trailer in message.trailers):
        single = key(trailer) in SINGLE
        if trailer.lower() not in [one.lower() for one in found] and not (single and key(trailer) in singles):
            found.append(trailer)
        if single:
            singles.add(key(trailer))
    return tuple(found)


def credit(trailers, author, others):
    """Return the trailers with a Co-authored-by for each of ``others`` who is not credited by mail already.

    :param author: ``Name <mail>`` of the author, who needs no credit.
    """
    seen = {_mail(author)}
    kept = []
    for trailer in trailers:
        if key(trailer) == CO_AUTHOR.lower():
            if _mail(trailer) in seen:
                continue
            seen.add(_mail(trailer))
        kept.append(trailer)
    for other in others:
        if _mail(other) not in seen:
            seen.add(_mail(other))
            kept.append(f"{CO_AUTHOR}: {other}")
    return tuple(kept)


def _mail(text):
    found = re.search(r"<([^<>]*)>\s*\Z", text)
    return found.group(1).lower() if found else text.lower()
