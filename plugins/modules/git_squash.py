#!/usr/bin/python
# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: git_squash
short_description: Fold a series of commits into one, without a checkout
version_added: 1.0.0
description:
  - Folds the newest commits of a branch, all commits since it was forked, or several groups of commits, into one each.
  - The files after are the files before, to the last bit. That is checked before the branch moves.
  - New commits are written as objects, and one transaction of refs moves the branch. Index and working tree are never
    touched, staged and local changes stay as they are, no rebase can stop half way and no editor opens.
  - What the branch was before is kept below C(refs/hostcraft/squash/), and O(state=restored) goes back to it.
  - A second run sees its own result. As long as the tip of a branch is the result of a squash, O(branches[].last),
    O(branches[].since) and O(branches[].groups) are counted on the history from before it.
author:
  - hostcraft.linux contributors (@hostcraft)
extends_documentation_fragment:
  - hostcraft.linux._attributes
options:
  branches:
    description: The branches that are folded, each once.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: A working tree of the repository on the host, or a bare repository.
        type: path
        required: true
      branch:
        description: The branch. Without it, the one that is checked out.
        type: str
      last:
        description:
          - Fold so many commits, counted from the tip along first parents.
          - When it is the number of all commits, the root commit is folded as well.
        type: int
      since:
        description: Fold all that came after the fork point from this branch, tag or commit.
        type: str
      groups:
        description:
          - Fold several ranges, each into a commit of its own, so that a series becomes a smaller series.
          - Commits between and after the ranges keep message, author, dates and files.
        type: list
        elements: dict
        suboptions:
          first:
            description: The oldest commit of the range, by its id or a tag.
            type: str
            required: true
          last:
            description: The newest commit of the range, by its id or a tag.
            type: str
            required: true
          commit_message:
            description: As O(branches[].commit_message), for this range.
            type: str
          author:
            description: As O(branches[].author), for this range.
            type: str
            default: first
          date:
            description: As O(branches[].date), for this range.
            type: str
            default: first
          committer:
            description: As O(branches[].committer), for this range.
            type: str
          trailers:
            description: As O(branches[].trailers), for this range.
            type: bool
            default: true
      fixups:
        description:
          - Fold only the commits whose subject begins with C(fixup!), C(squash!) or C(amend!), in the range that
            O(branches[].last) or O(branches[].since) names, each into the commit before that it is meant for.
          - They must be neighbours. To move a commit over others can change what these hold, and is refused.
        type: bool
        default: false
      commit_message:
        description:
          - The message of the one commit. Without it, it is composed. The first commit gives the subject, the others
            become items of a list.
        type: str
      author:
        description: Who the author is, that of the V(first) or V(last) of the folded commits, or C(Name <mail>).
        type: str
        default: first
      date:
        description:
          - When it was written and committed, the dates of the V(first) or V(last) of the folded commits, or a date
            like V(2026-01-31T12:00:00+01:00).
        type: str
        default: first
      committer:
        description: Who the committer is, as C(Name <mail>). Without it, that of the last of the folded commits.
        type: str
      trailers:
        description:
          - Whether trailers such as C(Signed-off-by) of all folded commits are kept, and the other authors are named
            by C(Co-authored-by).
        type: bool
        default: true
      merges:
        description: Whether a range with a merge in it is refused, or folded together with what was merged.
        type: str
        choices: [refuse, fold]
        default: refuse
      published:
        description: Whether commits that a remote branch has are refused, or rewritten.
        type: str
        choices: [refuse, rewrite]
        default: refuse
      push:
        description:
          - With V(with_lease), the upstream branch is replaced too, if it still is what was last seen there, and has
            nothing that the branch lacks.
        type: str
        choices: [never, with_lease]
        default: never
      sign:
        description: Whether the new commits are signed, by the means of C(git-commit-tree(1)).
        type: bool
        default: false
      signing_key:
        description: The key to sign with, as C(user.signingKey) of C(git-config(1)) has it.
        type: str
      signing_format:
        description: The kind of signature. Without it, C(gpg.format) of git's configuration.
        type: str
        choices: [openpgp, ssh, x509]
      backup_expires:
        description:
          - Remove backups of this branch that are older, such as V(12h), V(30d), V(8w) or V(1y). Without it, they are
            kept.
          - The backup of what the branch is at present is never removed.
        type: str
  state:
    description:
      - With V(squashed), the commits are folded.
      - With V(restored), the branches become what they were before their last squash. Ranges are not needed then.
        It is refused when something came after it.
    type: str
    choices: [squashed, restored]
    default: squashed
notes:
  - The id of a new commit that is not signed depends on the declaration and the old commits only. Check mode shows it,
    and two clones that are squashed alike get the same commit.
  - Needs git on the host, and is tested with git 2.4 to 2.47. O(branches[].push=with_lease) needs git 1.8.5.
seealso:
  - module: hostcraft.linux.git_shallow
"""

EXAMPLES = r"""
- name: Fold all of a branch since it left main, and name it
  hostcraft.linux.git_squash:
    branches:
      - path: /srv/app
        branch: feature
        since: main
        commit_message: "Add the feature"

- name: Fold the three newest commits, and replace the upstream branch
  hostcraft.linux.git_squash:
    branches:
      - path: /srv/app
        last: 3
        author: last
        date: last
        push: with_lease

- name: Make a smaller series of a series
  hostcraft.linux.git_squash:
    branches:
      - path: /srv/app
        branch: feature
        groups:
          - {first: 1f0e3dad, last: 9b7d1e52, commit_message: "Read the configuration"}
          - {first: 6ad4c0ff, last: 2cc7a7d1}

- name: Go back to what it was
  hostcraft.linux.git_squash:
    state: restored
    branches:
      - path: /srv/app
        branch: feature
"""

RETURN = r"""
branches:
  description: The branches as they are after the task. In check mode, as they are before.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: The repository.
      type: str
    branch:
      description: The branch.
      type: str
    commit:
      description: The commit at its tip.
      type: str
    backup:
      description: The ref that has the history from before, when the tip is the result of a squash.
      type: str
    before:
      description: The tip before the squash, when the tip is the result of one.
      type: str
steps:
  description: What was done, or in check mode would be done, in order.
  returned: success
  type: list
  elements: str
  sample:
    - "fold feature in /srv/app: 12 commits -> 1 commit, 83be1cfc24: 'Add the feature'"
    - "push feature in /srv/app: origin refs/heads/feature 51ab3f24c1 -> 83be1cfc24"
failed_step:
  description: The step that failed.
  returned: when a step failed
  type: str
done:
  description: The steps that were done before.
  returned: when a step failed
  type: list
  elements: str
undone:
  description: Those of them that were undone again.
  returned: when a step failed
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hostcraft.linux.plugins.module_utils._core.argspec import compose
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import reconcile, reported
from ansible_collections.hostcraft.linux.plugins.module_utils._git import (
    squash_apply,
    squash_declare,
    squash_history,
    squash_plan,
)

OPTIONS = dict(
    argument_spec=dict(
        branches=dict(type="list", elements="dict", required=True, options=squash_declare.BRANCH_OPTIONS),
        state=dict(type="str", choices=["squashed", "restored"], default="squashed"),
    )
)


def main():
    module = AnsibleModule(**compose(OPTIONS))
    restore = module.params["state"] == "restored"
    found = []
    with reported(module):
        wanted = squash_declare.wanted(module.params)

    def observe():
        found[:] = squash_history.observe(wanted)
        return found

    result = reconcile(
        module,
        observe=observe,
        plan=lambda states: squash_plan.plan(wanted, states, restore),
        apply=squash_apply.apply,
    )
    module.exit_json(branches=squash_plan.report(found), **result)


if __name__ == "__main__":
    main()
