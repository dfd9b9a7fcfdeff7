# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures of commits and tags.

Private to the collection; not a public interface.
"""

import re

from .._core.reconcile import ReconcileError
from .git import git

# What gpg says of a good signature's key and its primary key, and ssh-keygen of the principal and key.
GPG = re.compile(r"^\[GNUPG:\] VALIDSIG (\S+)(?: .* (\S+))?$", re.MULTILINE)
SSH = re.compile(r'^Good "git" signature for (.+) with \S+ key (\S+)$', re.MULTILINE)


def check(wanted, target, commit):
    """Check the signature that is wanted of a target.

    :raises ReconcileError: there is none, it is not good, or not by one of the signers. Nothing is checked out.
    """
    verify = wanted.verify
    if verify.what == "none":
        return
    name = commit
    if verify.what == "tag":
        if target.kind != "tag":
            raise ReconcileError(f"{wanted.dest}: verify is tag, but the version is the {target.shown}; name a tag")
        name = target.ref
        if git(wanted.dest, "cat-file", "-t", name).strip() != "tag":
            raise ReconcileError(
                f"{wanted.dest}: {target.ref} is a light tag, which cannot be signed; verify the commit"
            )
    options = []
    if verify.allowed_signers:
        options = ["-c", f"gpg.ssh.allowedSignersFile={verify.allowed_signers}"]
    env = {"GNUPGHOME": verify.gnupg_home} if verify.gnupg_home else {}
    said = []
    argument = name[len("refs/tags/") :] if verify.what == "tag" else name
    try:
        git(wanted.dest, *options, f"verify-{verify.what}", "--raw", "--", argument, env=env, log=said, timeout=60.0)
    except ReconcileError as error:
        reason = "; ".join(line for line in "".join(said).splitlines() if line and not line.startswith("[GNUPG:] "))
        states = re.findall(r"^\[GNUPG:\] (\S+)", "".join(said), re.MULTILINE)
        raise ReconcileError(
            "{}: the {} {} has no good signature ({}); it is not checked out".format(
                wanted.dest, verify.what, target.shown, reason or ", ".join(states) or "it is not signed"
            ),
            **error.details,
        ) from error
    text = "".join(said)
    found = [one for match in GPG.findall(text) + SSH.findall(text) for one in match if one]
    if verify.signers and not set(found).intersection(verify.signers):
        raise ReconcileError(
            "{}: the {} {} is signed by {}, who is not among the signers; it is not checked out".format(
                wanted.dest, verify.what, target.shown, ", ".join(found) or "somebody unknown"
            )
        )
