#!/usr/bin/python
# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: git_shallow
short_description: Check out versions of git repositories, fetching only what is needed
version_added: 1.0.0
description:
  - Brings a branch, a tag, any other ref or a commit, by its whole or abbreviated id, to a directory, with as much
    history, files and branches as declared, and not more.
  - What is declared can change. A clone is deepened, made whole, cut again, and moved to any other version.
  - Asks the server once. When nothing is to be done, that is all; for a commit by its whole id that is checked out,
    not even that is needed.
  - Never fetches everything instead of a part without saying so.
  - A new clone gets its name when it is complete. What a run leaves that was killed, or ran out of disk, is repaired by
    the next one.
  - Any number of checkouts in one task are looked at and fetched side by side.
author:
  - hostcraft.linux contributors (@hostcraft)
extends_documentation_fragment:
  - hostcraft.linux._attributes
options:
  checkouts:
    description: The checkouts, each with a directory of its own.
    type: list
    elements: dict
    required: true
    suboptions:
      repo:
        description:
          - The address of the repository, as C(git-clone(1)) takes it.
          - A user and a password in an C(https) address are used, but never written to the disk, shown, or put on a
            command line.
        type: str
        required: true
      dest:
        description:
          - The directory. It must not exist, be empty, or be a clone of O(checkouts[].repo).
        type: path
        required: true
      version:
        description:
          - A branch, a tag, a full ref such as V(refs/pull/7/head), or a commit by its id or the beginning of it.
          - V(HEAD) is the default branch of the repository.
          - A branch is checked out as a local branch of that name, everything else as a detached HEAD.
        type: str
        default: HEAD
      remote:
        description: The name of the remote.
        type: str
        default: origin
      depth:
        description:
          - How many commits of history there shall be, V(0) for all.
          - The default is 1, unless O(checkouts[].shallow_since) or O(checkouts[].shallow_exclude) is given.
        type: int
      shallow_since:
        description: Only history after this date.
        type: str
      shallow_exclude:
        description: Only history that these branches or tags do not have.
        type: list
        elements: str
      max_depth:
        description:
          - Where a server does not give out a commit by its id, all branches are deepened step by step to find it, up
            to so many commits. A warning says that it was done.
        type: int
        default: 1000
      filter:
        description:
          - Leave out files until they are needed, as V(blob:none), V(blob:limit=1m) or V(tree:0). A warning tells when
            the server cannot do that.
        type: str
      sparse:
        description:
          - The directories that the working tree has, or patterns as C(gitignore(5)) has them when
            O(checkouts[].sparse_mode=patterns). Without it, there is the full tree.
        type: list
        elements: str
      sparse_mode:
        description: How O(checkouts[].sparse) is read.
        type: str
        choices: [cone, patterns]
        default: cone
      single_branch:
        description: Whether only the version is fetched, or all branches and tags with it.
        type: bool
        default: true
      submodules:
        description: Whether submodules, at all levels, are checked out, with one commit or with all of their history.
        type: str
        choices: [none, shallow, full]
        default: none
      lfs:
        description: Whether the files of Git LFS are fetched where the host has C(git-lfs).
        type: bool
        default: true
      reference:
        description:
          - A repository on the host from which a new clone borrows objects instead of fetching them. The clone breaks
            when it is removed.
        type: path
      local_changes:
        description:
          - What is done with changed files, and with commits that are nowhere else when another version is checked out.
          - With V(refuse), the task fails and names them. With V(stash), files become a stash and commits a ref below
            C(refs/hostcraft/kept). With V(discard), they are gone.
        type: str
        choices: [refuse, stash, discard]
        default: refuse
      untracked:
        description:
          - Whether untracked files are local changes too. Ignored files never are.
          - Without it, they stay where they are, and the task fails when the version has a file in their place, but
            for O(checkouts[].local_changes=discard).
        type: bool
        default: false
      username:
        description: The user for C(https).
        type: str
      password:
        description:
          - The password or token for C(https). It is handed to git by an environment variable, and other credential
            helpers are left out, so that none stores it.
        type: str
      credential_helper:
        description: A credential helper, as C(gitcredentials(7)) has it, instead of those that are configured.
        type: str
      ssh_key:
        description: The path on the host of the only private key that ssh offers.
        type: path
      known_hosts:
        description: The path on the host of the file with the host keys of servers.
        type: path
      accept_new_host_key:
        description: Whether the host key of a server that is not known yet is believed and stored.
        type: bool
        default: false
      ca_file:
        description: The path on the host of the certificates that C(https) servers are checked with.
        type: path
      proxy:
        description:
          - The proxy for C(http) and C(https), with a name and a password in it if it wants them.
          - It is used for all servers, whatever C(no_proxy) says in the environment.
        type: str
      verify:
        description:
          - Whether the commit, or the annotated tag, must have a good signature, by GPG or ssh. What has none is not
            checked out.
        type: str
        choices: [none, commit, tag]
        default: none
      gnupg_home:
        description: The directory on the host with the keys that are trusted.
        type: path
      allowed_signers:
        description: The file on the host with the ssh keys that are trusted, as C(ssh-keygen(1)) has it.
        type: path
      signers:
        description: Fingerprints of keys, or principals of ssh signatures, of which one must have signed.
        type: list
        elements: str
      timeout:
        description: Seconds that talking to the server may take.
        type: float
        default: 600
      lock_timeout:
        description: Seconds to wait for another git, or another run of this module, that is at work in the directory.
        type: float
        default: 30
  jobs:
    description: How many checkouts are worked on at the same time.
    type: int
    default: 8
notes:
  - Needs git on the host, and is tested with git 2.4 to 2.47. An option that the host's git is too old for is named
    together with the version that brings it.
  - Set C(become_user) to the owner of the checkout. Git refuses to work in a repository of somebody else.
  - Objects that are no longer needed after a history was cut stay until C(git gc) removes them.
seealso:
  - module: hostcraft.linux.git_shallow_info
  - module: hostcraft.linux.git_squash
  - module: ansible.builtin.git
"""

EXAMPLES = r"""
- name: Check out a tag, with nothing else
  hostcraft.linux.git_shallow:
    checkouts:
      - repo: https://git.example.com/app.git
        dest: /srv/app
        version: v1.4.2

- name: Follow a branch, two commits deep, and put changes that were made on the host aside
  hostcraft.linux.git_shallow:
    checkouts:
      - repo: git@git.example.com:team/site.git
        dest: /srv/site
        version: main
        depth: 2
        local_changes: stash
        ssh_key: /etc/deploy/id_ed25519
        known_hosts: /etc/deploy/known_hosts

- name: Only one directory of a large repository, at a commit that a known key has signed
  hostcraft.linux.git_shallow:
    checkouts:
      - repo: https://git.example.com/everything.git
        dest: /srv/tools
        version: 1f0e3dad99908345f7439f8ffabdffc4fdc15b26
        filter: blob:none
        sparse: [tools]
        verify: commit
        allowed_signers: /etc/deploy/signers
        username: deploy
        password: "{{ deploy_token }}"
"""

RETURN = r"""
checkouts:
  description: What each checkout was, and what it is, or in check mode would be.
  returned: success
  type: list
  elements: dict
  contains:
    dest:
      description: The directory.
      type: str
    version:
      description: The version that was declared.
      type: str
    ref:
      description: The ref of the server by which it was found.
      type: str
    before:
      description: The commit that was checked out.
      type: str
    after:
      description: The commit that is checked out, or would be.
      type: str
    subjects:
      description: The first lines of the commits between them, newest first, as far as they are on the host.
      type: list
      elements: str
  sample:
    - dest: /srv/app
      version: main
      ref: refs/heads/main
      before: 1f0e3dad99908345f7439f8ffabdffc4fdc15b26
      after: 6ad4c0ff2cc7a7d19b7d1e52de0ad20c1e4c2f87
      subjects: ["6ad4c0f Read the configuration again"]
steps:
  description: What was done, or in check mode would be done, in order.
  returned: success
  type: list
  elements: str
  sample:
    - "fetch /srv/app: branch main 6ad4c0ff2c, depth 1"
    - "checkout /srv/app: 1f0e3dad99 -> branch main 6ad4c0ff2c"
failed_step:
  description: The step that failed.
  returned: when a step failed
  type: str
done:
  description: The steps that were done before.
  returned: when a step failed, or the host did not converge
  type: list
  elements: str
found:
  description: The state after the failure, of the checkouts that would still have to change.
  returned: when a step failed
  type: raw
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hostcraft.linux.plugins.module_utils._core.argspec import compose
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import reconcile, reported
from ansible_collections.hostcraft.linux.plugins.module_utils._git import shallow_declare
from ansible_collections.hostcraft.linux.plugins.module_utils._git.fleet import Fleet

OPTIONS = dict(
    argument_spec=dict(
        checkouts=dict(type="list", elements="dict", required=True, options=shallow_declare.CHECKOUT_OPTIONS),
        jobs=dict(type="int", default=8),
    )
)
# A branch can move between the first look at the server and the fetch; then there is one more round.
ROUNDS = 2


def main():
    module = AnsibleModule(**compose(OPTIONS))
    with reported(module):
        fleet = Fleet(shallow_declare.wanted(module.params, module.no_log_values), module.params["jobs"])
    result = reconcile(module, fleet.observe, fleet.plan, fleet.apply, rounds=ROUNDS)
    for text in fleet.said:
        module.warn(text)
    module.exit_json(checkouts=fleet.report(), **result)


if __name__ == "__main__":
    main()
