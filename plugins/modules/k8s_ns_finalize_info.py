#!/usr/bin/python
# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: k8s_ns_finalize_info
short_description: Tell why Kubernetes namespaces are stuck in Terminating
version_added: 1.0.0
description:
  - Returns a verdict on each namespace with the remedy in one sentence, and every object that is left in it.
  - What is left is listed from the API, never taken from the conditions of the namespace, which name no objects and
    from Kubernetes 1.33 on may say that everything is gone while it is all there.
  - Finds objects whose namespace no longer exists (O(orphans)).
author:
  - hostcraft.linux contributors (@hostcraft)
extends_documentation_fragment:
  - hostcraft.linux._attributes.info
  - hostcraft.linux._kubernetes
  - hostcraft.linux._kubernetes.package
options:
  name:
    description:
      - Names of namespaces, whatever their state, or patterns such as V(dev-*), which mean Terminating ones.
      - Without O(name) and O(label_selectors) every Terminating namespace is meant.
    type: list
    elements: str
    aliases: [names, namespace]
  label_selectors:
    description: Label selectors, all of which the Terminating namespaces must match.
    type: list
    elements: str
  min_age:
    description: Seconds since its deletion before a namespace is meant that was not named.
    type: float
    default: 60
  parallelism:
    description: How many requests are under way at the same time.
    type: int
    default: 8
  orphans:
    description:
      - Whether objects without a namespace are looked for, of all namespaces or those in O(name). All objects of the
        cluster are listed for that, their metadata only.
    type: bool
    default: false
seealso:
  - module: hostcraft.linux.k8s_ns_finalize
  - name: Why is my namespace stuck?
    description: The verdicts, and what to do.
    link: https://github.com/hostcraft/hostcraft.linux/blob/main/docs/k8s_ns_finalize.md
"""

EXAMPLES = r"""
- name: Why are these stuck?
  hostcraft.linux.k8s_ns_finalize_info:
  register: stuck
  delegate_to: localhost

- name: Say so
  ansible.builtin.debug:
    msg: "{{ item.verdict }}: {{ item.reason }}. {{ item.remedy }}"
  loop: "{{ stuck.namespaces }}"
  loop_control:
    label: "{{ item.name }}"

- name: What has been left behind by namespaces that were finalized by force?
  hostcraft.linux.k8s_ns_finalize_info:
    context: production
    orphans: true
  register: left
  delegate_to: localhost
"""

RETURN = r"""
namespaces:
  description: The namespaces, sorted by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name.
      type: str
    uid:
      description: UID; empty when it does not exist.
      type: str
    verdict:
      description:
        - The decisive cause, one of V(forbidden), V(finalized_while_active), V(controller_not_running),
          V(discovery_failure), V(content_failure), V(unlistable), V(pods_blocking), V(object_finalizers),
          V(spec_finalizers), V(metadata_finalizers), V(in_progress), V(active) or V(absent).
      type: str
    reason:
      description: What was found.
      type: str
    remedy:
      description: What to do, in one sentence.
      type: str
    causes:
      description: All causes, the decisive one first, each with C(code), C(reason) and C(remedy).
      type: list
      elements: dict
    age:
      description: Seconds since its deletion, by the clock of the server.
      type: int
    spec_finalizers:
      description: What C(spec.finalizers) has.
      type: list
      elements: str
    metadata_finalizers:
      description: What C(metadata.finalizers) has.
      type: list
      elements: str
    conditions:
      description: The messages of the conditions that are true, by type.
      type: dict
    objects:
      description: Every object in it; C(deleting) says that it was deleted and does not go.
      type: list
      elements: dict
      sample:
        - api_version: v1
          resource: configmaps
          kind: ConfigMap
          name: guarded
          uid: 5b4a6fb1-4a20-4b09-a4ee-4b1c6fa0ee37
          finalizers: [example.com/never-cleared]
          deleting: true
    unread:
      description: What could not be listed, each with C(what), C(status) and C(message).
      type: list
      elements: dict
orphans:
  description: Objects without a namespace, as in RV(namespaces), each with the C(namespace) that it had.
  returned: success
  type: list
  elements: dict
unread:
  description:
    - Kinds of objects and group versions in which O(orphans) could not look for any, each with C(what), C(status) and
      C(message); also warned of.
  returned: success
  type: list
  elements: dict
requests:
  description: How many requests were answered.
  returned: success
  type: int
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hostcraft.linux.plugins.module_utils._core.argspec import compose
from ansible_collections.hostcraft.linux.plugins.module_utils._k8s import arguments, declare, task

OPTIONS = dict(argument_spec=dict(orphans=dict(type="bool", default=False)))


def main():
    module = AnsibleModule(**compose(arguments.AUTH, declare.SELECTION, OPTIONS))
    module.exit_json(**task.info(module))


if __name__ == "__main__":
    main()
