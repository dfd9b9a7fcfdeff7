#!/usr/bin/python
# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: git_shallow_info
short_description: Read which versions of which git repositories are checked out
version_added: 1.0.0
description:
  - Returns what directories have checked out, how much history, which files, and what somebody has changed there.
  - RV(checkouts) is valid input of O(hostcraft.linux.git_shallow#module:checkouts), so that what a host has can be
    adopted.
  - Asks no server.
author:
  - hostcraft.linux contributors (@hostcraft)
extends_documentation_fragment:
  - hostcraft.linux._attributes.info
options:
  paths:
    description: The directories. One that is no repository with a working tree is left out.
    type: list
    elements: path
    required: true
  remote:
    description: The name of the remote.
    type: str
    default: origin
seealso:
  - module: hostcraft.linux.git_shallow
"""

EXAMPLES = r"""
- name: Find all checkouts below /srv
  ansible.builtin.find:
    paths: /srv
    file_type: directory
    recurse: false
  register: found

- name: Read what they have
  hostcraft.linux.git_shallow_info:
    paths: "{{ found.files | map(attribute='path') }}"
  register: have

- name: Declare the same
  hostcraft.linux.git_shallow:
    checkouts: "{{ have.checkouts }}"
"""

RETURN = r"""
checkouts:
  description: >-
    What is checked out, as O(hostcraft.linux.git_shallow#module:checkouts) takes it. The version is the branch where
    one is checked out, a tag of the commit, or the commit's id.
  returned: success
  type: list
  elements: dict
  sample:
    - {repo: "https://git.example.com/app.git", dest: /srv/app, version: main, depth: 1}
details:
  description: More of each of them, in the same order.
  returned: success
  type: list
  elements: dict
  contains:
    dest:
      description: The directory.
      type: str
    commit:
      description: The commit that is checked out.
      type: str
    subject:
      description: The first line of its message.
      type: str
    changes:
      description: Names of tracked files that were changed.
      type: list
      elements: str
    untracked:
      description: Names of files that are neither tracked nor ignored.
      type: list
      elements: str
    own_commits:
      description: How many commits are nowhere else, as far as this clone knows.
      type: int
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hostcraft.linux.plugins.module_utils._core.argspec import compose
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import reported
from ansible_collections.hostcraft.linux.plugins.module_utils._git import survey

OPTIONS = dict(
    argument_spec=dict(
        paths=dict(type="list", elements="path", required=True),
        remote=dict(type="str", default="origin"),
    )
)


def main():
    module = AnsibleModule(**compose(OPTIONS))
    with reported(module):
        checkouts, details = survey.look(module.params["paths"], module.params["remote"])
    module.exit_json(changed=False, checkouts=checkouts, details=details)


if __name__ == "__main__":
    main()
