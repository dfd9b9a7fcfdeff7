#!/usr/bin/python
# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: reboot_check
short_description: Tell whether a host was rebooted since then, and whether it needs to be
version_added: 1.0.0
description:
  - Compares boot IDs, as the kubelet does. The kernel draws a random one at every start, so a restarted service, a
    changed clock or a lost connection is never taken for a reboot.
  - Answers V(yes), V(no), or V(unknown) with the reason. A file that cannot be read and a container, which shares the
    boot ID of its host, are V(unknown) and not V(no).
  - The boot that the host is compared with is the one recorded in a file, a given boot ID, or the one that the host's
    Kubernetes node tells of.
  - Tells whether the host needs a reboot, and what asks for it.
  - With O(state=waited) it waits until the host has come back from a reboot, and its Kubernetes node as well if
    O(node) names it. It does not reboot it.
author:
  - hostcraft.linux contributors (@hostcraft)
extends_documentation_fragment:
  - hostcraft.linux._attributes
  - hostcraft.linux._kubernetes
requirements:
  - With O(node), the Python package kubernetes on the controller, for the Python that runs Ansible itself
notes:
  - The cluster is asked by the controller and not by the host. The options for the connection, files and variables of
    the environment among them, are those of the controller, and none of them is sent to the host.
options:
  state:
    description:
      - V(checked) only tells.
      - V(recorded) writes down the boot that the host is in, for a later task, and tells of the one recorded before.
      - V(waited) asks over new connections until RV(rebooted) is V(yes); the task fails when it does not become that.
        In check mode it asks once.
    type: str
    choices: [checked, recorded, waited]
    default: checked
  boot_id:
    description:
      - The boot ID of the boot to compare with, for example RV(boot_id) of an earlier task. An empty one gives
        V(unknown).
      - Without this option and O(node) the host is compared with what is recorded in O(path).
    type: str
  node:
    description:
      - The name of the Kubernetes node that the host is. Its C(status.nodeInfo.bootID), which the kubelet writes when
        it starts, is what the host is compared with. An empty name, and a node that does not exist, has no boot ID,
        or cannot be asked for now give V(unknown).
      - With O(state=waited) the host is compared with O(boot_id) or the record, and the node must then be back as well,
        that is, it tells of the boot that the host is in, is Ready, and its heartbeat is newer than that boot.
      - The controller asks, and hands the host a dictionary with C(name), C(boot_id) and C(problem). Such a dictionary
        can be given as well, of a node that was read in another way, but not with O(state=waited).
    type: raw
  path:
    description: The file of the record.
    type: path
    default: /var/lib/hostcraft/reboot_check.json
  boot_id_file:
    description:
      - Where the boot ID of the host is read. Of several files, with commas between them, the first that can be read
        counts, as with the kubelet's flag of this name.
    type: str
    default: /proc/sys/kernel/random/boot_id
  timeout:
    description: How many seconds O(state=waited) waits.
    type: int
    default: 600
seealso:
  - module: ansible.builtin.reboot
"""

EXAMPLES = r"""
- name: Does the host need a reboot?
  hostcraft.linux.reboot_check:
  become: true
  register: boot

- name: Say why
  ansible.builtin.debug:
    msg: "{{ boot.reasons | selectattr('answer', 'eq', 'yes') | map(attribute='reason') }}"
  when: boot.reboot_required == 'yes'

- name: Write down the boot before the maintenance
  hostcraft.linux.reboot_check:
    state: recorded
  become: true

- name: Reboot, and leave without a good-bye
  ansible.builtin.command: systemd-run --on-active=2 systemctl reboot
  become: true
  changed_when: true

- name: Wait until the host is back from it
  hostcraft.linux.reboot_check:
    state: waited
    timeout: 900
  become: true

- name: Has the node been rebooted since its kubelet told the cluster?
  hostcraft.linux.reboot_check:
    node: "{{ inventory_hostname }}"
    context: production

- name: Wait until the host is back from a reboot, and its node is Ready in the new boot
  hostcraft.linux.reboot_check:
    state: waited
    node: "{{ inventory_hostname }}"
  become: true
"""

RETURN = r"""
rebooted:
  description: V(yes), V(no) or V(unknown).
  returned: success
  type: str
  sample: "no"
reason:
  description: Why.
  returned: success
  type: str
  sample: the boot ID is that of the record /var/lib/hostcraft/reboot_check.json
soft_rebooted:
  description: >-
    Whether only the userspace was restarted since the record, C(systemd-soft-reboot.service(8)). V(null) where that
    cannot be told.
  returned: success
  type: bool
reboot_required:
  description: >-
    V(yes) when any of RV(reasons) says so. V(no) when none is V(yes) and none is V(unknown).
  returned: success
  type: str
  sample: "yes"
reasons:
  description: >-
    What each source says that this host has. C(marker) is C(/run/reboot-required), C(package_manager) is
    C(needs-restarting -r) or its kin of dnf, of which only the documented exit status is an answer, C(kernel) compares
    the running kernel with those installed, and C(libraries) are replaced ones that are still in use.
  returned: success
  type: list
  elements: dict
  sample:
    - {source: kernel, answer: "yes", reason: "kernel 6.1.0-40-amd64 runs, 6.1.0-41-amd64 is installed"}
boot_id:
  description: The boot ID of this host, V(null) where it cannot be read.
  returned: success
  type: str
  sample: 3d1f0b7c-7e3c-4c0f-9a54-0d6e9b0f6f0e
booted:
  description: When the kernel was started, by the clock as it is set now.
  returned: success
  type: str
  sample: "2026-11-24T06:00:03Z"
pid1_started:
  description: >-
    When process 1 was started; in a container that is the start of the container. V(null) where C(/proc) hides it.
  returned: success
  type: str
  sample: "2026-11-24T06:00:04Z"
soft_reboots:
  description: How many soft reboots systemd has counted, V(null) where it counts none.
  returned: success
  type: int
container:
  description: What kind of container this host is, V(null) when it is none.
  returned: success
  type: str
kernel:
  description: The release of the kernel that runs.
  returned: success
  type: str
  sample: 6.1.0-40-amd64
node:
  description: The Kubernetes node, as the cluster has it.
  returned: when O(node) is a name
  type: dict
  contains:
    name:
      description: Its name.
      type: str
    boot_id:
      description: The boot that it tells of, V(null) where that is not known.
      type: str
    ready:
      description: The status of its condition Ready.
      type: str
    heartbeat:
      description: When the kubelet last wrote that condition.
      type: str
    unschedulable:
      description: Whether it is cordoned.
      type: bool
    back:
      description: Whether it is Ready in the boot that the host is in, V(yes), V(no) or V(unknown).
      type: str
    reason:
      description: Why.
      type: str
waited:
  description: How many seconds the task has waited.
  returned: with O(state=waited)
  type: int
ansible_facts:
  description: All of these, as the fact C(hostcraft_boot).
  returned: success
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hostcraft.linux.plugins.module_utils._boot import host, model, node, report, verdict
from ansible_collections.hostcraft.linux.plugins.module_utils._boot.plan import plan
from ansible_collections.hostcraft.linux.plugins.module_utils._core.argspec import compose
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import ReconcileError, reconcile, reported
from ansible_collections.hostcraft.linux.plugins.module_utils._k8s.arguments import AUTH

OPTIONS = dict(
    argument_spec=dict(
        state=dict(type="str", choices=["checked", "recorded", "waited"], default="checked"),
        boot_id=dict(type="str"),
        node=dict(type="raw"),
        path=dict(type="path", default="/var/lib/hostcraft/reboot_check.json"),
        boot_id_file=dict(type="str", default="/proc/sys/kernel/random/boot_id"),
        timeout=dict(type="int", default=600),
    ),
    mutually_exclusive=[("boot_id", "node")],
)


def reference(params, recorded):
    """Return what the host is compared with: the boot ID that was given or that its node tells of, else the record."""
    given, told = params["boot_id"], params["node"]
    if given is None and told is None:
        return recorded
    if told is not None:
        if not isinstance(told, dict) or "name" not in told:
            raise ReconcileError(
                f"node: {told!r} was to be read on the controller, by the action plugin of this module. Give the name "
                "of a node in a task of hostcraft.linux.reboot_check, or a dictionary with name, boot_id and problem"
            )
        given, found = told.get("boot_id"), node.reference(told["name"], told.get("boot_id"), told.get("problem"))
    else:
        found = model.Reference("the option boot_id", given)
    if given and not verdict.is_boot_id(given):
        raise ReconcileError(
            f"{found.source}: {given!r} is not a boot ID, such as /proc/sys/kernel/random/boot_id has it"
        )
    return found


def main():
    module = AnsibleModule(**compose(AUTH, OPTIONS))
    path, recording = module.params["path"], module.params["state"] == "recorded"
    with reported(module):
        boot, recorded = host.boot(module.params["boot_id_file"]), host.record(path)
        if recording and boot.boot_id is None:
            raise ReconcileError(f"Nothing can be recorded: the boot ID of this host cannot be read: {boot.problem}")
        found = report.report(boot, reference(module.params, recorded), host.signals(boot), host.kernel())
    result = reconcile(
        module,
        observe=lambda: host.record(path),
        plan=lambda now: plan(recording, path, now, boot),
        apply=lambda step: host.write(path, step.data),
    )
    module.exit_json(ansible_facts={"hostcraft_boot": found}, **dict(found, **result))


if __name__ == "__main__":
    main()
