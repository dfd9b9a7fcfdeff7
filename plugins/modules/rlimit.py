#!/usr/bin/python
# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: rlimit
short_description: Set resource limits of running processes, login sessions and systemd services
version_added: 1.0.0
description:
  - Sets the soft and hard resource limits of C(setrlimit(2)) in the three places that count, from one declaration.
  - B(Running processes) are changed at once, by C(prlimit(2)), without a restart.
  - B(Login sessions) that are opened from now on get theirs from a file of C(pam_limits(8)).
  - B(systemd services) get theirs from a drop-in of the unit at the next start, and their running processes at once.
  - One task takes any number of entries, users, services and processes. That costs little more than a single one.
  - Where something else on the host would win over what is declared, a warning names the file and the line.
author:
  - hostcraft.linux contributors (@hostcraft)
extends_documentation_fragment:
  - hostcraft.linux._attributes
options:
  limits:
    description:
      - What is limited, and for whom. Where two entries mean the same, the later one wins.
    type: list
    elements: dict
    required: true
    suboptions:
      sessions:
        description:
          - Domains of C(limits.conf(5)), a user, C(@group), C(*), a range of uids such as V(1000:1999) or V(1000:), a
            single one as V(:1000), or the same of gids after C(@).
          - A line for a user or a range of uids goes before one for a group, and C(*) gives way to both; of two alike
            the later one counts. On Debian, neither groups nor C(*) reach the superuser.
        type: list
        elements: str
      services:
        description:
          - Names of systemd units that run processes (service, socket, mount, swap); C(.service) may be left out.
          - A template such as V(getty@.service) stands for all its instances.
        type: list
        elements: str
      processes:
        description:
          - Running processes. All conditions of an item must hold; every item adds processes.
          - The task itself is never meant, and the login that runs it only when O(limits[].processes[].pid),
            O(limits[].processes[].unit) or O(limits[].processes[].cgroup) names it.
          - With O(state=absent) this cannot be used, since nobody knows the limits from before.
        type: list
        elements: dict
        suboptions:
          pid:
            description: A process id. One that has ended is reported in RV(gone) and is no error.
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
      resources:
        description:
          - The limits. Each is one value for both, V(soft:hard), or a dictionary with C(soft), C(hard) or both; a
            limit that is not given stays as it is.
          - V(unlimited) stands for no limit.
          - With O(state=absent) only the names count; without any, all limits are removed.
        type: dict
        suboptions:
          as:
            description: Address space, in bytes or as V(64K), V(8G) to the base of 1024.
            type: raw
          core:
            description: Size of a core file, in bytes or as V(64K), V(8G).
            type: raw
          cpu:
            description: CPU time, in seconds or as V(90s), V(5min), V(2h). For sessions it must be whole minutes.
            type: raw
          data:
            description: Data segment, in bytes or as V(64K), V(8G).
            type: raw
          fsize:
            description: Size of a file that is written, in bytes or as V(64K), V(8G).
            type: raw
          locks:
            description: Number of file locks. Linux since 2.4.25 ignores it.
            type: raw
          memlock:
            description: Locked memory, in bytes or as V(64K), V(8G).
            type: raw
          msgqueue:
            description: POSIX message queues of the user, in bytes or as V(64K), V(8G).
            type: raw
          nice:
            description:
              - How far the nice level may be lowered, from V(20) (not at all) to V(-20). The kernel's own limit is
                20 minus this number.
            type: raw
          nofile:
            description: Number of open files, at most C(fs.nr_open).
            type: raw
          nproc:
            description: Number of threads of the user.
            type: raw
          rss:
            description: Resident memory, in bytes or as V(64K), V(8G). Linux since 2.6 ignores it.
            type: raw
          rtprio:
            description: Highest real-time priority, 0 to 99.
            type: raw
          rttime:
            description: CPU time of a real-time process without a blocking call, in microseconds or as V(500ms), V(2s).
            type: raw
          sigpending:
            description: Number of queued signals of the user.
            type: raw
          stack:
            description: Stack of the main thread, in bytes or as V(64K), V(8G).
            type: raw
  state:
    description:
      - V(present) sets the limits. V(absent) removes the named ones from the files of sessions and services;
        running processes keep what they have.
    type: str
    choices: [present, absent]
    default: present
  name:
    description:
      - Name of the file in C(/etc/security/limits.d) and of the drop-in of each unit, without C(.conf).
      - Files are read in the order of their names, and the last one wins.
      - A file of this name that this module made is rewritten as a whole. In one that somebody else made, only the
        lines that must change are changed; comments and order stay.
    type: str
    default: 90-hostcraft
  limits_file:
    description:
      - Another file for sessions, for example C(/etc/security/limits.conf).
    type: path
  purge:
    description:
      - Whether limits that are not declared are removed from the files that are touched.
      - Only files that this module made can be purged.
    type: bool
    default: false
seealso:
  - module: hostcraft.linux.rlimit_info
  - name: getrlimit(2)
    description: What each resource means.
    link: https://man7.org/linux/man-pages/man2/getrlimit.2.html
  - name: limits.conf(5)
    description: The file of pam_limits.
    link: https://man7.org/linux/man-pages/man5/limits.conf.5.html
  - name: systemd.exec(5)
    description: How systemd sets limits, under "Process Properties".
    link: https://www.freedesktop.org/software/systemd/man/latest/systemd.exec.html
"""

EXAMPLES = r"""
- name: Give a database what it needs, now and after every restart and login
  hostcraft.linux.rlimit:
    limits:
      - services: [postgresql@15-main]
        sessions: [postgres]
        processes:
          - user: postgres
        resources:
          nofile: 65536
          memlock: unlimited
          core: {soft: 0, hard: 8G}
  become: true

- name: Limit the members of a group at their next login, and one service
  hostcraft.linux.rlimit:
    limits:
      - sessions: ["@students"]
        resources: {nproc: 200, cpu: 30min, as: 4G}
      - services: [cron]
        resources: {nice: "10"}
  become: true

- name: Lower the core files of every running Java process
  hostcraft.linux.rlimit:
    limits:
      - processes:
          - command: ^/usr/bin/java\b
        resources: {core: {soft: 0}}
  become: true

- name: Edit limits.conf itself, line by line
  hostcraft.linux.rlimit:
    limits_file: /etc/security/limits.conf
    limits:
      - sessions: ["*"]
        resources: {core: {soft: 0}}
  become: true

- name: Take back what was declared for a group
  hostcraft.linux.rlimit:
    state: absent
    limits:
      - sessions: ["@students"]
  become: true
"""

RETURN = r"""
steps:
  description: What was done, or in check mode would be done, in order.
  returned: success
  type: list
  elements: str
  sample:
    - "limit process 4711 (postgres): nofile 1024:524288 -> 65536:65536"
    - "write /etc/security/limits.d/90-hostcraft.conf: postgres nofile unset -> 65536:65536"
    - "reload systemd: daemon-reload for postgresql@15-main.service"
gone:
  description: Processes that ended before their limits were set, and those named by a pid that no process has.
  returned: success
  type: list
  elements: str
  sample: []
failed_step:
  description: The step that failed.
  returned: when a step failed
  type: str
done:
  description: The steps that were done before.
  returned: when a step failed, or the host did not converge
  type: list
  elements: str
undone:
  description: Those of them that were undone again.
  returned: when a step failed
  type: list
  elements: str
found:
  description: The state after the failure, of the objects that would still have to change.
  returned: when a step failed
  type: raw
remaining:
  description: Steps that are needed again although they were done.
  returned: when the host did not converge
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hostcraft.linux.plugins.module_utils._core.argspec import compose
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import reconcile, reported
from ansible_collections.hostcraft.linux.plugins.module_utils._rlimit import declare, host, pam
from ansible_collections.hostcraft.linux.plugins.module_utils._rlimit.plan import plan

OPTIONS = dict(
    argument_spec=dict(
        limits=dict(type="list", elements="dict", required=True, options=declare.LIMITS_OPTIONS),
        state=dict(type="str", choices=["present", "absent"], default="present"),
        name=dict(type="str", default="90-hostcraft"),
        limits_file=dict(type="path"),
        purge=dict(type="bool", default=False),
    )
)
# Processes are forked while they are looked at; their children carry the old limits.
ROUNDS = 3


def main():
    module = AnsibleModule(**compose(OPTIONS))
    with reported(module):
        wanted = declare.wanted(module.params, pam.uid_of)
    gone = host.ended(wanted)
    result = reconcile(
        module,
        observe=lambda: host.observe(wanted),
        plan=lambda state: plan(wanted, state),
        apply=lambda step: host.apply(step, gone),
        rounds=ROUNDS,
    )
    module.exit_json(gone=gone, **result)


if __name__ == "__main__":
    main()
