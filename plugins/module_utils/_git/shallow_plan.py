# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which steps make the checkouts what is declared. Pure: nothing of the system is touched here.

Private to the collection; not a public interface.
"""

from .._core.reconcile import Plan, ReconcileError, Step
from . import graph, urls
from .shallow_model import branch_of, standing

# What a declaration needs of git, and since when (the release notes of these versions).
NEEDS = (
    ("shallow_since", (2, 11), lambda one: one.since),
    ("shallow_exclude", (2, 11), lambda one: one.exclude),
    ("version: HEAD", (2, 8), lambda one: one.version == "HEAD"),
    ("filter", (2, 19), lambda one: one.filter),
    ("sparse_mode: cone", (2, 27), lambda one: one.sparse is not None and one.cone),
    (
        "ssh_key, known_hosts, accept_new_host_key",
        (2, 3),
        lambda one: one.access.ssh_key or one.access.known_hosts or one.access.accept_new_host_key,
    ),
    ("verify with allowed_signers", (2, 34), lambda one: one.verify.allowed_signers),
    ("verify", (2, 6), lambda one: one.verify.what != "none"),
    ("submodules: shallow", (1, 8, 4), lambda one: one.submodules == "shallow"),
)
# The steps that wait for the network come first, for all checkouts: they are carried out side by side.
NETWORK = ("clone", "fetch")


def check_version(wanted, version):
    """Refuse what this host's git cannot do.

    :raises ReconcileError: names the option, and the version that brings it.
    """
    for name, since, is_used in NEEDS:
        if is_used(wanted) and version < since:
            raise ReconcileError(
                "{}: {} needs git {}, this host has {}".format(
                    wanted.dest, name, ".".join(map(str, since)), ".".join(map(str, version))
                )
            )


def plan(wanted, states):
    """Return the :class:`Plan` for all checkouts; ``states`` has one state for each of ``wanted``.

    :raises ReconcileError: what is at a destination is not ours to change; nothing has been changed.
    """
    whole = Plan({}, {}, ())
    for one, state in zip(wanted, states):
        whole = whole.then(_checkout(one, state))
    first = tuple(step for step in whole.steps if step.verb in NETWORK)
    rest = tuple(step for step in whole.steps if step.verb not in NETWORK)
    return whole._replace(steps=first + rest)


def _checkout(wanted, state):
    local, target = state.local, state.target
    if local.kind in ("absent", "empty"):
        return _clone(wanted, state)
    _check_ours(wanted, local)
    steps = _repair(wanted, local) + _settings(wanted, state)
    needs_fetch = _needs_fetch(wanted, state)
    if needs_fetch is not None:
        steps.append(_step("fetch", wanted, f"{target.shown}, {wanted.history}{needs_fetch}", state))
    moves = local.head != target.commit or local.branch != branch_of(target) or local.interrupted is not None
    steps += _changes(wanted, local, moves)
    if _sparse(wanted, local):
        shown = "full working tree" if wanted.sparse is None else ", ".join(wanted.sparse) or "files at the top"
        steps.append(_step("sparsify", wanted, shown, state))
    if moves:
        was = local.head[:10] if local.head else "nothing"
        steps.append(_step("checkout", wanted, f"{was} -> {target.shown}", state))
    if local.submodules and not moves:  # a checkout brings those of the new commit along
        steps.append(_step("update", wanted, "submodules {}".format(", ".join(local.submodules[:3])), state))
    if local.lfs and not moves:
        steps.append(_step("pull", wanted, "LFS files {}".format(", ".join(local.lfs[:3])), state))
    if not steps:
        return Plan({}, {}, (), state.warnings)
    return Plan({wanted.dest: _before(local)}, {wanted.dest: _after(wanted, state)}, tuple(steps), state.warnings)


def _step(verb, wanted, detail, state):
    return Step(verb, wanted.dest, detail, (wanted, state))


def _clone(wanted, state):
    detail = f"{wanted.repo} {state.target.shown}, {wanted.history}"
    if state.local.half_clone:
        detail += ", anew as one was left half done"
    step = _step("clone", wanted, detail, state)
    return Plan({wanted.dest: None}, {wanted.dest: _after(wanted, state)}, (step,), state.warnings)


def _before(local):
    found = {"commit": local.head, "branch": local.branch, "history": _shown(local)}
    if local.changes or local.untracked:
        found["changes"] = list(local.changes + local.untracked)
    if local.locks or local.interrupted:
        found["left by a run that was killed"] = list(local.locks) or ["a checkout"]
    if local.sparse is not None:
        found["sparse"] = list(local.sparse)
    if local.filter:
        found["filter"] = local.filter
    if local.submodules:
        found["stale submodules"] = list(local.submodules)
    if local.lfs:
        found["missing LFS files"] = list(local.lfs)
    found["fetches"] = list(local.refspecs)
    found["seen at the server"] = local.tracked
    found["remote"] = urls.clean(local.url)[0]
    return found


def _after(wanted, state):
    found = {"commit": state.target.commit, "branch": branch_of(state.target), "history": wanted.history}
    if wanted.sparse is not None:
        found["sparse"] = list(wanted.sparse)
    if wanted.filter:
        found["filter"] = wanted.filter
    found["fetches"] = list(standing(wanted, state.target))
    found["seen at the server"] = state.target.tag or state.target.commit
    found["remote"] = wanted.repo
    return found


def _shown(local):
    if local.history is None:
        return local.recorded or "unknown"
    return "whole history" if local.history.cut is None else f"depth {local.history.cut}"


def _check_ours(wanted, local):
    """Refuse a destination that is not a clone of the repository, or that cannot be read."""
    dest = wanted.dest
    if local.kind == "files":
        raise ReconcileError(
            f"{dest}: it is no git repository, {local.found} is there; take another dest, or move it away"
        )
    if local.kind == "linked":
        raise ReconcileError(f"{dest}: it is a submodule or a linked working tree of {local.found}; take another dest")
    if local.kind == "bare":
        raise ReconcileError(f"{dest}: it is a bare repository, which has no working tree; take another dest")
    if local.kind == "broken":
        raise ReconcileError(
            f"{dest}: the repository there is damaged: {local.found}. 'git fsck' tells more; move it away, "
            "and the next run clones it anew"
        )
    if not local.url:
        others = f"only {local.found}" if local.found else "and no other"
        raise ReconcileError(
            f"{dest}: the repository there has no remote '{wanted.remote}', {others}; it is not a clone of "
            f"{wanted.repo}. Name its remote, or take another dest"
        )
    if not urls.same(local.url, wanted.repo):
        raise ReconcileError(
            f"{dest}: it is a clone of {urls.clean(local.url)[0]}, not of {wanted.repo}. Take another dest; if the "
            f"repository has moved: git -C {dest} remote set-url {wanted.remote} {wanted.repo}"
        )
    if local.operation:
        raise ReconcileError(
            f"{dest}: {local.operation} is under way there; finish or abort it, 'git status' shows how"
        )


def _repair(wanted, local):
    steps = []
    if local.locks:
        names = ", ".join(path[len(wanted.dest) + 1 :] for path in local.locks)
        steps.append(Step("unlock", wanted.dest, f"{names}, left by a run that was killed", (wanted, local)))
    return steps


def _settings(wanted, state):
    """Settings that are wrong on the disk: an address with a secret in it, or what is fetched by default."""
    local, wrong = state.local, []
    if local.url != wanted.repo and urls.clean(local.url)[0] != local.url:
        wrong.append(f"remote {wanted.remote} {wanted.repo}, without user and password")
    if local.head and wanted.single_branch and local.refspecs != standing(wanted, state.target):
        wrong.append("fetch by default {}".format(", ".join(standing(wanted, state.target)) or "only what is named"))
    return [_step("configure", wanted, "; ".join(wrong), state)] if wrong else []


def _needs_fetch(wanted, state):
    """Return why something must be fetched, as the end of a step's text, or None."""
    local, target = state.local, state.target
    if local.target is None:
        return ""
    why = []
    if target.ref and local.tracked != (target.tag or target.commit):
        why.append("the ref")
    if wanted.depth is not None:
        if not graph.satisfied(local.history, wanted.depth, wanted.single_branch):
            cut = local.history.cut
            why.append("so far {}".format("the whole history" if cut is None else f"depth {cut}"))
    elif local.recorded != f"{wanted.history} of {target.commit}":
        why.append("so far {}".format(local.recorded.partition(" of ")[0] or "other history"))
    if (local.filter or None) != wanted.filter:
        why.append("filter {} instead of {}".format(wanted.filter or "none", local.filter or "none"))
    if not wanted.single_branch and local.refspecs != standing(wanted, target):
        why.append("other refs by default")
    return ", " + ", ".join(why) if why else None


def _changes(wanted, local, moves):
    """Refuse local changes, or put them away as the declaration says."""
    found = list(local.changes) + (list(local.untracked) if wanted.untracked else [])
    lost = local.own_commits if moves else 0
    if not found and not lost:
        return []
    shown = []
    if found:
        shown.append(
            "{} ({})".format(_many(len(found), "changed file"), ", ".join(found[:3]) + (", ..." if found[3:] else ""))
        )
    if lost:
        shown.append(_many(lost, "commit") + " that nobody else has")
    text = " and ".join(shown)
    if wanted.local_changes == "refuse":
        raise ReconcileError(
            f"{wanted.dest}: there are local changes: {text}. Commit and push them, or set local_changes to stash or "
            "discard"
        )
    if wanted.local_changes == "stash" and local.interrupted and found:
        raise ReconcileError(
            f"{wanted.dest}: {text}, in the middle of a checkout that was cut off, where git cannot stash. Save the "
            "files elsewhere, and set local_changes to discard"
        )
    return [Step(wanted.local_changes, wanted.dest, text, (wanted, local))]


def _many(number, what):
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _sparse(wanted, local):
    if local.sparse is None or wanted.sparse is None:
        return local.sparse != wanted.sparse
    return (local.sparse, local.cone) != (wanted.sparse, wanted.cone)
