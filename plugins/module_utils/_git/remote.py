# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Talk to the server of a repository: how it is reached, and what it has.

Private to the collection; not a public interface.
"""

import re
import shlex

from .._core.reconcile import ReconcileError
from .git import maybe, online
from .targets import ABBREVIATED, FULL

# Git runs this in a shell of its own, where the names below are in the environment and nowhere else
# (gitcredentials(7), a helper that begins with an exclamation mark).
HELPER = '!f() { test "$1" = get && printf "username=%s\\npassword=%s\\n" "$HOSTCRAFT_USER" "$HOSTCRAFT_PASSWORD"; }; f'
# What the messages of git mean, and what to do.
REASONS = (
    (r"Could not resolve host|Name or service not known", "the name of the server cannot be resolved"),
    (
        r"Connection refused|Connection timed out|No route to host|unable to connect|Failed to connect",
        "the server cannot be reached",
    ),
    (
        r"Host key verification failed",
        "ssh does not know the server's host key; give known_hosts, or accept_new_host_key",
    ),
    (r"unsupported option \"accept-new\"", "accept_new_host_key needs OpenSSH 7.6 on this host; give known_hosts"),
    (r"Permission denied \(", "ssh was not let in; give ssh_key, the path of a key that the server accepts"),
    (
        r"\b407\b|Proxy Authentication",
        "the proxy wants other credentials; write them into proxy, http://NAME:PASSWORD@HOST",
    ),
    (
        r"terminal prompts disabled|Authentication failed|could not read Username",
        "the server wants other credentials; give username and password",
    ),
    (r"certificate", "the server's certificate is not trusted; give ca_file"),
    (r"not our ref", "there is no such commit"),
    (r"does not support shallow", "the server cannot send a part of the history; use depth: 0"),
    (r"not found|does not appear to be a git repository|not exported", "there is no such repository for this user"),
)


def check_helpers(wanted, since):
    """Refuse to hand a password to a git that cannot leave out the helpers of this host, which may store it.

    :param since: the version of git; since 2.9 an empty helper takes back all others (gitcredentials(7)).
    :raises ReconcileError: names the helper.
    """
    access = wanted.access
    if since >= (2, 9) or (access.password is None and access.credential_helper is None):
        return
    found = maybe("/", "config", "--get-regexp", r"^credential\.(.*\.)?helper$")
    if found:
        raise ReconcileError(
            f"{wanted.dest}: git before 2.9 cannot leave out {found.splitlines()[0]}, which would store the password. "
            "Take it out of the configuration of this user and host, or use ssh_key"
        )


def options(access):
    """Return the options of git for reaching the server; none of them is secret."""
    found = []
    if access.password is not None or access.credential_helper is not None:
        # Other helpers would be asked first, and would store what they see.
        found += ["-c", "credential.helper="]
    if access.password is not None:
        found += ["-c", f"credential.helper={HELPER}"]
    elif access.credential_helper is not None:
        found += ["-c", f"credential.helper={access.credential_helper}"]
    if access.username and access.password is None:
        found += ["-c", f"credential.username={access.username}"]
    return found


def environment(access):
    """Return the variables for reaching the server."""
    variables = {}
    if access.password is not None:
        variables.update(HOSTCRAFT_USER=access.username or "", HOSTCRAFT_PASSWORD=access.password)
    if access.ca_file:
        variables["GIT_SSL_CAINFO"] = access.ca_file  # which wins over http.sslCAInfo (git-config(1))
    if access.proxy:
        variables.update(http_proxy=access.proxy, https_proxy=access.proxy, HTTPS_PROXY=access.proxy)
        variables.update(no_proxy=None, NO_PROXY=None)
    # A server that is gone without a word is noticed after a minute.
    ssh = ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=30", "-o", "ServerAliveInterval=15"]
    if access.ssh_key:
        ssh += ["-i", access.ssh_key, "-o", "IdentitiesOnly=yes"]
    if access.known_hosts:
        ssh += ["-o", f"UserKnownHostsFile={access.known_hosts}"]
    ssh += ["-o", "StrictHostKeyChecking={}".format("accept-new" if access.accept_new_host_key else "yes")]
    variables["GIT_SSH_COMMAND"] = " ".join(shlex.quote(word) for word in ssh)
    return variables


def reach(where, wanted, *arguments, **how):
    """Run a git command that talks to the server.

    :raises ReconcileError: names the repository, and says what to do where the reason is known.
    """
    how.setdefault("timeout", wanted.timeout)
    how["env"] = dict(environment(wanted.access), **how.get("env") or {})
    try:
        return online(where, *options(wanted.access), *arguments, **how)
    except ReconcileError as error:
        said = error.details.get("stderr", "")
        reason = next((reason for pattern, reason in REASONS if re.search(pattern, said)), None)
        if reason is None:
            raise
        lines = [line for line in said.strip().splitlines() if line.startswith(("fatal", "error", "ssh", "remote"))]
        raise ReconcileError(
            "{}: {} (git says: {})".format(wanted.repo, reason, "; ".join(lines[-2:]) or said.strip()), **error.details
        ) from error


def refs(wanted, is_tag=False):
    """Return ``{ref: id}`` of what the server has under the name of the version.

    With protocol version 2 only branches, or tags, are sent (git-ls-remote(1), --heads and --tags give the server a
    prefix). So a name is asked for among the branches first, which are fewer and win, and only then among the tags;
    both in one question where ``is_tag`` says that it was a tag before. C(HEAD) is a symbolic ref: its value here is
    V(ref: NAME), and the branch has its own entry.
    """
    version = wanted.version
    heads, tags = (f"refs/heads/{version}",), (f"refs/tags/{version}", f"refs/tags/{version}^{{}}")
    if version == "HEAD":
        return _ask(wanted, ["--symref"], ["HEAD"])
    if version.startswith("refs/"):
        kinds = {"heads": ["--heads"], "tags": ["--tags"]}.get(version.split("/")[1], [])
        return _ask(wanted, kinds, [version, version + "^{}"])
    if ABBREVIATED.match(version) and not FULL.match(version):
        return _ask(wanted, ["--heads", "--tags"], [])
    if is_tag:
        return _ask(wanted, ["--heads", "--tags"], heads + tags)
    return _ask(wanted, ["--heads"], heads) or _ask(wanted, ["--tags"], tags)


def _ask(wanted, kinds, names):
    """Ask for names. Before git 2.8, ls-remote knew no C(--); an address that begins with a minus is none."""
    found = {}
    for line in reach("/", wanted, "ls-remote", *kinds, wanted.repo, *names).splitlines():
        value, _tab, ref = line.partition("\t")
        if value.startswith("ref: "):
            found["HEAD"] = value
            continue
        if ref == "HEAD" and "HEAD" in found:
            ref = found["HEAD"][len("ref: ") :]
        found[ref] = value
    return found
