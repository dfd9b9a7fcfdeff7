# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many checkouts at once: looked at side by side, and fetched side by side.

Private to the collection; not a public interface.
"""

from concurrent.futures import ThreadPoolExecutor

from .._core.reconcile import ReconcileError
from . import checkout, clone, fetch, journal, ls_refs, remote, shallow_plan, signatures, targets, worktree
from .git import version
from .shallow_model import State, Target

STEPS = {
    "unlock": checkout.unlock,
    "configure": checkout.configure,
    "stash": checkout.stash,
    "discard": checkout.discard,
    "sparsify": checkout.sparsify,
    "checkout": checkout.switch,
    "update": checkout.submodules,
    "pull": checkout.lfs,
}


class Fleet:
    """The checkouts of a task, the threads that work for them, and what they have to say."""

    def __init__(self, wanted, jobs):
        self.wanted = wanted
        self.said = []
        self.before = ()
        self._after = ()
        self._git = version()
        self._pool = ThreadPoolExecutor(max_workers=max(1, min(jobs, len(wanted))))
        self._todo = ()
        self._started = {}
        self._fetched = {}
        for one in wanted:
            shallow_plan.check_version(one, self._git)
            remote.check_helpers(one, self._git)

    def observe(self):
        """Return the :class:`State` of every checkout, in order.

        :raises ReconcileError: the first one in order that cannot be looked at.
        """
        self._after = tuple(self._each(self._look, self.wanted))
        self.before = self.before or self._after
        return self._after

    def _each(self, function, items):
        return [future.result() for future in [self._pool.submit(function, item) for item in items]]

    def _look(self, wanted):
        local = clone.look(wanted)
        if targets.FULL.match(wanted.version):  # an id means the same everywhere: nobody need be asked
            target = Target("commit", wanted.version)
        elif wanted.dest in self._fetched:  # the fetch has just said what the server has
            target = clone.fetched(wanted, self._fetched.pop(wanted.dest))
        else:
            refs = ls_refs.ask(wanted, self._git)
            if refs is None:
                refs = remote.refs(wanted, clone.has_tag(wanted))
            target = targets.target(wanted, refs)
        target = clone.resolve(wanted, local, target)
        local = clone.compare(wanted, local, target)
        if local.target and local.head == target.commit:
            signatures.check(wanted, target, target.commit)
        warnings = ()
        if wanted.lfs and local.kind == "repository" and not worktree.has_lfs() and worktree.uses_lfs(wanted.dest):
            warnings = (
                f"{wanted.dest}: it has files of Git LFS, but this host has no git-lfs; only pointers are there",
            )
        return State(local, target, self._git, warnings)

    def plan(self, states):
        """Return the plan, and remember its steps: those that wait for the network are begun together."""
        todo = shallow_plan.plan(self.wanted, states)
        self._todo, self._started = todo.steps, {}
        return todo

    def apply(self, step):
        """Carry out one step. None of them can be undone: what was fetched stays, and does no harm."""
        if step.verb not in shallow_plan.NETWORK:
            self._change(step)
            return
        if not self._started:
            for one in self._todo:
                if one.verb in shallow_plan.NETWORK:
                    function = {"clone": fetch.new, "fetch": fetch.update}[one.verb]
                    self._started[str(one)] = self._pool.submit(function, *one.data, self.said.append)
        try:
            self._started[str(step)].result()
            one, state = step.data
            self._fetched[one.dest] = state.target
        except ReconcileError as error:
            raise self._all(step, error) from error

    def _change(self, step):
        """Change what is there; a run that is killed meanwhile is known by its journal."""
        if step.verb in ("unlock", "checkout"):  # the one is no git, the other keeps a journal that says more
            STEPS[step.verb](*step.data)
            return
        with journal.written(checkout.directory_of(step.target), change=step.verb):
            STEPS[step.verb](*step.data)

    def _all(self, failed, error):
        """Wait for what was begun together with a step that failed; return an error that tells of all."""
        others = []
        for name, future in self._started.items():
            if name != str(failed) and not future.cancel():
                problem = future.exception()
                if problem is not None:
                    others.append(str(problem))
        if not others:
            return error
        return ReconcileError("{}. Also: {}".format(str(error).rstrip("."), "; ".join(others)), **error.details)

    def report(self):
        """Return what the user is told of each checkout: what it was, and what it is or would be."""
        return [
            {
                "dest": one.dest,
                "version": one.version,
                "ref": after.target.ref or None,
                "before": before.local.head,
                "after": after.target.commit,
                "subjects": list(clone.subjects(one.dest, before.local.head, after.target.commit)),
            }
            for one, before, after in zip(self.wanted, self.before, self._after)
        ]
