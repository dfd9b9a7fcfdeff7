# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a server over HTTP for the refs of some names only, and for nothing else.

C(git ls-remote) lets the server send all branches, or all tags: it has no finer prefix. A tag among thousands would
cost more than what it points to. So git's own transport, which knows passwords, proxies and certificates, is asked
here as git asks it (gitremote-helpers(7)), and the question is written as gitprotocol-v2(5) has it.

Private to the collection; not a public interface.
"""

import re
from functools import partial

from . import urls
from .git import git
from .remote import reach
from .targets import ABBREVIATED, FULL

HTTP = re.compile(r"https?://")
FLUSH, DELIMITER = b"0000", b"0001"
SINCE = (2, 18)  # the first git with protocol version 2


def prefixes(version):
    """Return with what the names of the refs begin that a version may mean."""
    if version == "HEAD" or version.startswith("refs/"):
        return (version,)
    if ABBREVIATED.match(version) and not FULL.match(version):
        return "refs/heads/", "refs/tags/"
    return f"refs/heads/{version}", f"refs/tags/{version}"


def ask(wanted, since):
    """Return ``{ref: id}`` as :func:`remote.refs` does, or None where it must be asked for in another way.

    :param since: the version of this host's git.
    """
    if since < SINCE or not HTTP.match(wanted.repo):
        return None
    url = git("/", "ls-remote", "--get-url", "--", wanted.repo).strip()  # url.NAME.insteadOf (git-config(1))
    if not HTTP.match(url) or urls.clean(url)[0] != url:  # what the configuration has put into it may be a secret
        return None
    helper = "remote-" + url.partition(":")[0]
    names = prefixes(wanted.version)
    return reach("/", wanted, "-c", "protocol.version=2", helper, "origin", url, ok=(0, 1), talk=partial(_talk, names))


def _talk(names, write, read):
    """Hold the conversation with the transport; return ``{ref: id}``, or None where it does not come to that."""
    # A server that knows versions 0 and 1 only has sent all refs by now, and they are listed.
    write.write(b"list\nstateless-connect git-upload-pack\n")
    write.flush()
    listed = list(iter(lambda: _text(read.readline()), ""))
    if read.readline() != b"\n":
        return old(listed) or None
    able = _message(read)
    if not able or able[0] != "version 2":
        return None
    write.write(question(names, [line for line in able if line.startswith("object-format=")]))
    write.flush()
    return answer(_message(read))


def question(names, settings=()):
    """Return the request for the refs that begin with one of ``names``, annotated tags with what they point to."""
    lines = ["peel", "symrefs"] + [f"ref-prefix {name}" for name in names]
    command = b"".join(map(_packet, ["command=ls-refs", *settings]))
    return command + DELIMITER + b"".join(map(_packet, lines)) + FLUSH


def _packet(line):
    data = line.encode("utf-8", "surrogateescape") + b"\n"
    return b"%04x" % (len(data) + 4) + data


def _message(read):
    """Return the lines up to the next flush packet, or None where the answer is cut off or no message at all."""
    lines = []
    while True:
        head = read.read(4)
        if not re.match(rb"[0-9a-f]{4}\Z", head):
            return None
        size = int(head, 16)
        if size < 4:
            return lines
        lines.append(_text(read.read(size - 4)))


def _text(data):
    return data.decode("utf-8", "surrogateescape").rstrip("\n")


def answer(lines):
    """Return ``{ref: id}`` of the lines of an answer; None for none, or an error, which begins with C(ERR)."""
    if lines is None or any(line.startswith("ERR ") for line in lines):
        return None
    found = {}
    for line in lines:
        oid, name, *more = line.split(" ")
        known = dict(one.split(":", 1) for one in more)
        head = known.get("symref-target") if name == "HEAD" else None
        found.update({"HEAD": f"ref: {head}", head: oid} if head else {name: oid})
        if "peeled" in known:
            found[name + "^{}"] = known["peeled"]
    return found


def old(lines):
    """Return ``{ref: id}`` of a list of all refs, where C(@REF HEAD) says what is the default branch."""
    found = {}
    for line in lines:
        value, _space, name = line.partition(" ")
        if value.startswith("@"):
            found.update({name: f"ref: {value[1:]}"} if name == "HEAD" else {})
        elif name:
            found[name] = value
    return found
