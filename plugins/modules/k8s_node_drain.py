#!/usr/bin/python
# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: k8s_node_drain
short_description: Cordon and empty Kubernetes nodes before maintenance, and undo only one's own cordon afterwards
version_added: 1.0.0
description:
  - Cordons nodes and marks them with the annotation C(hostcraft.io/cordoned-by), which names the owner of the cordon.
    A cordon of anybody else is respected, that is, it is neither taken over nor undone.
  - Empties them through the eviction API, so that every PodDisruptionBudget holds. An eviction that a budget does not
    permit yet is tried again until O(timeout), all pods at the same time, so that one cannot block another that it
    waits for.
  - Pods of a DaemonSet and mirror pods stay. Pods that nothing would make again, and those with data in an C(emptyDir),
    are refused before anything is changed, unless an option gives them up.
  - A drain that was aborted, or was not through in time, leaves the nodes cordoned. The same task goes on with it.
author:
  - hostcraft.linux contributors (@hostcraft)
extends_documentation_fragment:
  - hostcraft.linux._attributes
  - hostcraft.linux._kubernetes
  - hostcraft.linux._kubernetes.package
attributes:
  check_mode:
    description: Can run in check mode and predicts exactly the steps that the real run takes.
    support: full
    details:
      - The server is asked with C(dryRun=All), so that missing permissions are found, and evictions that a budget would
        not permit now are warned of.
options:
  name:
    description: Names of nodes.
    type: list
    elements: str
    required: true
    aliases: [names, node]
  state:
    description:
      - V(cordoned) keeps new pods away.
      - V(drained) does that, and evicts those that are there.
      - V(uncordoned) lets pods in again where the cordon is that of O(owner).
    type: str
    choices: [drained, cordoned, uncordoned]
    default: drained
  owner:
    description: In whose name the node is cordoned. Two that use the same name undo each other's cordon.
    type: str
    default: hostcraft.linux
  delete_emptydir_data:
    description: Whether pods are evicted that have an C(emptyDir), whose content is lost.
    type: bool
    default: false
  delete_unmanaged:
    description: Whether pods are evicted that no controller makes again elsewhere.
    type: bool
    default: false
  grace_period:
    description: Seconds that each pod is given to end, instead of its own.
    type: int
  timeout:
    description: Seconds after which a drain fails. What was evicted by then is gone, and the nodes stay cordoned.
    type: float
    default: 300
  parallelism:
    description: How many requests are under way at the same time.
    type: int
    default: 8
seealso:
  - module: hostcraft.linux.reboot_check
  - name: Maintenance as a scheduled job
    description: The role that uses this module, and the ClusterRole that is needed.
    link: https://github.com/hostcraft/hostcraft.linux/blob/main/docs/maintenance.md
"""

EXAMPLES = r"""
- name: Empty a node
  hostcraft.linux.k8s_node_drain:
    name: worker1
    delete_emptydir_data: true
  delegate_to: localhost

- name: Use it again, unless somebody else keeps it cordoned
  hostcraft.linux.k8s_node_drain:
    name: worker1
    state: uncordoned
  delegate_to: localhost

- name: Keep new pods away from a whole rack, in the name of a change
  hostcraft.linux.k8s_node_drain:
    name: "{{ groups['rack7'] }}"
    state: cordoned
    owner: change-4711
    context: production
  delegate_to: localhost
"""

RETURN = r"""
steps:
  description: What was done, or in check mode would be done.
  returned: success
  type: list
  elements: str
  sample:
    - "cordon node worker1: in the name of hostcraft.linux"
    - "evict pod shop/web-5d9c: from node worker1"
nodes:
  description: The nodes by name, as they are at the end.
  returned: success
  type: dict
  contains:
    unschedulable:
      description: Whether it is cordoned.
      type: bool
    cordoned_by:
      description: In whose name, V(null) where nobody left one.
      type: str
    pods:
      description: Pods that a drain evicts; empty unless O(state=drained).
      type: list
      elements: str
    left_alone:
      description: Pods that a drain leaves where they are, with the reason.
      type: dict
remaining:
  description: Pods that were left at the deadline, with what the server said of each.
  returned: when O(timeout) is over
  type: dict
  sample: {"shop/db-0": "Cannot evict pod as it would violate the pod's disruption budget."}
unmanaged:
  description: Pods that nothing would make again; nothing was changed.
  returned: when pods are refused
  type: list
  elements: str
with_emptydir:
  description: Pods with data in an C(emptyDir); nothing was changed.
  returned: when pods are refused
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hostcraft.linux.plugins.module_utils._core.argspec import compose
from ansible_collections.hostcraft.linux.plugins.module_utils._k8s import arguments, drain, drain_model


def main():
    module = AnsibleModule(**compose(arguments.AUTH, drain_model.OPTIONS))
    module.exit_json(**drain.run(module))


if __name__ == "__main__":
    main()
