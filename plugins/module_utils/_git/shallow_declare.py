# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the options of a task to the checkouts that are wanted.

Private to the collection; not a public interface.
"""

import re

from .._core.reconcile import ReconcileError
from . import urls
from .shallow_model import Access, Verify, Wanted

CHECKOUT_OPTIONS = dict(
    repo=dict(type="str", required=True),
    dest=dict(type="path", required=True),
    version=dict(type="str", default="HEAD"),
    remote=dict(type="str", default="origin"),
    depth=dict(type="int"),
    shallow_since=dict(type="str"),
    shallow_exclude=dict(type="list", elements="str"),
    max_depth=dict(type="int", default=1000),
    filter=dict(type="str"),
    sparse=dict(type="list", elements="str"),
    sparse_mode=dict(type="str", choices=["cone", "patterns"], default="cone"),
    single_branch=dict(type="bool", default=True),
    submodules=dict(type="str", choices=["none", "shallow", "full"], default="none"),
    lfs=dict(type="bool", default=True),
    reference=dict(type="path"),
    local_changes=dict(type="str", choices=["refuse", "stash", "discard"], default="refuse"),
    untracked=dict(type="bool", default=False),
    username=dict(type="str"),
    password=dict(type="str", no_log=True),
    credential_helper=dict(type="str"),
    ssh_key=dict(type="path", no_log=False),
    known_hosts=dict(type="path"),
    accept_new_host_key=dict(type="bool", default=False, no_log=False),
    ca_file=dict(type="path"),
    proxy=dict(type="str"),
    verify=dict(type="str", choices=["none", "commit", "tag"], default="none"),
    gnupg_home=dict(type="path"),
    allowed_signers=dict(type="path"),
    signers=dict(type="list", elements="str"),
    timeout=dict(type="float", default=600.0),
    lock_timeout=dict(type="float", default=30.0),
)
FILTER = re.compile(r"(blob:none|blob:limit=\d+[kmg]?|tree:\d+)\Z")


def wanted(params, secrets):
    """Return one :class:`Wanted` for each entry of ``checkouts``.

    :param secrets: set that the secrets are added to which stand in addresses.
    :raises ReconcileError: names the entry, counted from 1, and what is wrong with it.
    """
    found, seen = [], set()
    for number, entry in enumerate(params["checkouts"], 1):
        try:
            one = _checkout(entry, secrets)
            if one.dest in seen:
                raise ReconcileError(f"dest {one.dest}: it is declared twice; a directory holds one checkout")
        except ReconcileError as error:
            raise ReconcileError(f"checkouts, entry {number}: {error}") from error
        seen.add(one.dest)
        found.append(one)
    return tuple(found)


def _checkout(entry, secrets):
    secrets.update(urls.secrets(entry["repo"]) | urls.secrets(entry["proxy"] or ""))
    repo, user, password = urls.clean(entry["repo"])
    if repo.startswith("ssh://") and password:
        raise ReconcileError(f"repo {repo}: ssh takes no password from an address; use ssh_key")
    dest = entry["dest"].rstrip("/")
    if not dest.startswith("/"):
        raise ReconcileError("dest {dest}: write the whole path, from / on".format(**entry))
    for name in ("repo", "version", "remote"):
        if not entry[name] or re.search(r"[\0\n]", entry[name]):
            raise ReconcileError(f"{name}: it is empty, or has a line end")
    if repo.startswith("-"):
        raise ReconcileError(f"repo {repo}: an address does not begin with a minus; write the whole path or URL")
    if not re.match(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z", entry["remote"]):
        raise ReconcileError("remote '{remote}': use letters, digits, '.', '_' and '-'".format(**entry))
    if entry["filter"] is not None and not FILTER.match(entry["filter"]):
        raise ReconcileError("filter '{filter}': write blob:none, blob:limit=1m or tree:0".format(**entry))
    if entry["sparse"] is not None and not entry["sparse"]:
        raise ReconcileError("sparse: the list is empty; leave it out for a full working tree")
    return Wanted(
        repo,
        dest,
        entry["version"],
        entry["remote"],
        _depth(entry),
        entry["shallow_since"],
        tuple(entry["shallow_exclude"] or ()),
        entry["max_depth"],
        _filter(entry["filter"]),
        None if entry["sparse"] is None else _sparse(entry),
        entry["sparse_mode"] == "cone",
        entry["single_branch"],
        entry["submodules"],
        entry["lfs"],
        entry["reference"],
        entry["local_changes"],
        entry["untracked"],
        Verify(entry["verify"], entry["gnupg_home"], entry["allowed_signers"], tuple(entry["signers"] or ())),
        Access(
            entry["username"] or (None if repo.startswith("ssh://") else user),
            entry["password"] if entry["password"] is not None else password,
            entry["credential_helper"],
            entry["ssh_key"],
            entry["known_hosts"],
            entry["accept_new_host_key"],
            entry["ca_file"],
            entry["proxy"],
        ),
        entry["timeout"],
        entry["lock_timeout"],
    )


def _filter(text):
    """Return a filter as git writes it into its configuration, where sizes are bytes."""
    found = re.match(r"blob:limit=(\d+)([kmg])\Z", text or "")
    if not found:
        return text
    return "blob:limit={}".format(int(found.group(1)) << {"k": 10, "m": 20, "g": 30}[found.group(2)])


def _depth(entry):
    """Return the depth: 1 when nothing else says how much history there shall be."""
    others = [name for name in ("shallow_since", "shallow_exclude") if entry[name]]
    if entry["depth"] is None:
        return None if others else 1
    if others:
        raise ReconcileError(f"depth and {others[0]} both say where history is cut off; give one")
    if entry["depth"] < 0:
        raise ReconcileError("depth {depth}: give the number of commits, or 0 for the whole history".format(**entry))
    return entry["depth"]


def _sparse(entry):
    lines = [line.strip() for line in entry["sparse"]]
    if entry["sparse_mode"] == "cone":
        lines = sorted({line.strip("/") for line in lines if line.strip("/")})
    if any("\n" in line or not line for line in lines):
        raise ReconcileError("sparse: an item is empty, or has a line end")
    return tuple(lines)
