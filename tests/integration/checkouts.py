# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declare checkouts and look at them by git alone, for the tests of ``git_shallow``."""

from tests.integration.histories import git
from tests.integration.modules import module


def shallow(check=False, env=None, **entry):
    """Run ``git_shallow`` for one checkout; return its result."""
    checkout = {key: str(value) if key == "dest" else value for key, value in entry.items()}
    return module("git_shallow", check, env=env, checkouts=[checkout])


def done(env=None, **entry):
    """Declare, and see that it worked and that a second run changes nothing; return the first result."""
    result = shallow(env=env, **entry)
    assert not result["failed"], result
    again = shallow(env=env, **entry)
    assert (again["failed"], again.get("changed"), again.get("steps")) == (False, False, []), again
    return result


def four_beats(env=None, **entry):
    """Predict, apply, apply again; return the applied result."""
    predicted = shallow(check=True, env=env, **entry)
    applied = done(env=env, **entry)
    assert predicted["changed"], predicted
    assert (predicted["steps"], predicted["diff"]) == (applied["steps"], applied["diff"])
    return applied


def meant(source, version):
    """Return the commit of a version in the repository that is served."""
    return git(source, "rev-parse", f"{version}^{{commit}}")


def assert_is(dest, source, version, depth=1):
    """Compare a checkout with what the repository that is served has."""
    wanted = meant(source, version)
    assert git(dest, "rev-parse", "HEAD") == wanted
    assert git(dest, "status", "--porcelain") == ""
    assert git(dest, "write-tree") == git(source, "rev-parse", f"{wanted}^{{tree}}")
    if depth == 0:
        assert git(dest, "rev-list", "HEAD") == git(source, "rev-list", wanted)
    elif depth == 1:
        assert git(dest, "rev-list", "HEAD") == wanted
    git(dest, "fsck", "--connectivity-only")
