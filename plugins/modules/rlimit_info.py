#!/usr/bin/python
# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: rlimit_info
short_description: Read resource limits of running processes, login sessions and systemd services
version_added: 1.0.0
description:
  - Returns the limits of chosen processes and how much of them is used, those nearest to a limit first.
  - Returns what C(pam_limits(8)) would give to new sessions, and the limits of chosen systemd units.
  - RV(limits) is valid input of O(hostcraft.linux.rlimit#module:limits), so that what a host has can be adopted.
author:
  - hostcraft.linux contributors (@hostcraft)
extends_documentation_fragment:
  - hostcraft.linux._attributes.info
options:
  sessions:
    description:
      - Domains of C(limits.conf(5)) to return. Without this option all that the files name are returned.
    type: list
    elements: str
  services:
    description: Names of systemd units; C(.service) may be left out.
    type: list
    elements: str
  processes:
    description:
      - Running processes. All conditions of an item must hold; every item adds processes.
    type: list
    elements: dict
    suboptions:
      pid:
        description: A process id.
        type: int
      user:
        description: The name or number of the real user.
        type: str
      command:
        description: A Python regular expression that is searched for in the command line with its arguments.
        type: str
      unit:
        description: A systemd unit whose processes are meant.
        type: str
      cgroup:
        description: The path of a control group, as C(/proc/PID/cgroup) has it; those below it are meant as well.
        type: path
seealso:
  - module: hostcraft.linux.rlimit
"""

EXAMPLES = r"""
- name: Which process of the web server is near a limit?
  hostcraft.linux.rlimit_info:
    processes:
      - unit: nginx
  become: true
  register: web

- name: Say so
  ansible.builtin.debug:
    msg: "{{ item.name }} has used {{ item.nearest.percent }} % of {{ item.nearest.resource }}"
  loop: "{{ web.processes | selectattr('nearest.percent', '>', 80) }}"
  loop_control:
    label: "{{ item.pid }}"

- name: Read what a host has
  hostcraft.linux.rlimit_info:
    services: [ssh]
  become: true
  register: found

- name: Declare the same
  hostcraft.linux.rlimit:
    limits: "{{ found.limits }}"
  become: true
"""

RETURN = r"""
processes:
  description: The chosen processes, those nearest to one of their soft limits first.
  returned: success
  type: list
  elements: dict
  contains:
    pid:
      description: Process id.
      type: int
    name:
      description: Name of the program.
      type: str
    command:
      description: Command line.
      type: str
    uid:
      description: Real user id.
      type: int
    cgroup:
      description: Control group.
      type: str
    limits:
      description: >-
        Soft and hard limit of each resource, as O(hostcraft.linux.rlimit#module:limits[].resources) takes them.
      type: dict
    use:
      description: What is used, in the same units, of the resources for which the kernel tells.
      type: dict
    nearest:
      description: The resource of which the largest share is used, and that share in percent.
      type: dict
      sample: {resource: nofile, percent: 93.8}
limits:
  description: >-
    Sessions, services and processes with their limits, as O(hostcraft.linux.rlimit#module:limits) takes them.
  returned: success
  type: list
  elements: dict
  sample:
    - sessions: [postgres]
      resources: {nofile: {soft: 65536, hard: 65536}}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hostcraft.linux.plugins.module_utils._core.argspec import compose
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import reported
from ansible_collections.hostcraft.linux.plugins.module_utils._rlimit import declare, pam, report, survey
from ansible_collections.hostcraft.linux.plugins.module_utils._rlimit.unit_names import unit_name


def main():
    module = AnsibleModule(**compose(declare.SUBJECTS))
    with reported(module):
        selectors = declare.selectors(module.params["processes"], pam.uid_of)
        services = tuple(unit_name(name) for name in module.params["services"] or ())
        found = survey.look(selectors, services)
    module.exit_json(
        changed=False,
        processes=report.processes(found.processes, found.uses),
        limits=report.limits(found, module.params["sessions"]),
    )


if __name__ == "__main__":
    main()
