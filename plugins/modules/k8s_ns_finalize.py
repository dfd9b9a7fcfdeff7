#!/usr/bin/python
# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: k8s_ns_finalize
short_description: Free Kubernetes namespaces that are stuck in Terminating, without leaving orphans
version_added: 1.0.0
description:
  - Finds out what keeps a namespace from going, and does what the options permit, in the order that leaves nothing
    behind. It leaves a young namespace to its controllers, puts back the finalizer C(kubernetes) of one that was
    finalized while it was Active, clears the finalizers that are named, waits for the controller, and only then, when
    every list succeeded and came back empty, finalizes the namespace itself.
  - What nothing permits stays as it is. The task then fails at its end with the verdict and the remedy; the other
    namespaces are freed nevertheless.
  - An Active namespace is never finalized, and one that was deleted and made again meanwhile is left alone.
  - Removes objects whose namespace no longer exists, by the one way that works (O(state=orphans_removed)).
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
      - The server is asked with C(dryRun=All), so that missing permissions and webhooks that refuse are found as well.
options:
  name:
    description:
      - Names of namespaces, or patterns such as V(dev-*), which mean Terminating ones. A name that no namespace has is
        taken for done.
      - Without O(name) and O(label_selectors) every Terminating namespace is meant.
    type: list
    elements: str
    aliases: [names, namespace]
  label_selectors:
    description: Label selectors, all of which the Terminating namespaces must match.
    type: list
    elements: str
  min_age:
    description:
      - Seconds since its deletion in which a namespace is left to its controllers. One that was named is waited for,
        others are not meant before.
    type: float
    default: 60
  parallelism:
    description: How many requests are under way at the same time.
    type: int
    default: 8
  state:
    description:
      - V(finalized) frees Terminating namespaces.
      - V(orphans_removed) removes the objects of namespaces that do not exist, of all or of those in O(name). Without a
        namespace neither finalizers can be changed nor deletions end, so that it is made again and deleted in the
        normal way. RoleBindings and Secrets among them work again for that moment. Nothing is begun where a kind of
        object cannot be listed.
    type: str
    choices: [finalized, orphans_removed]
    default: finalized
  object_finalizers:
    description:
      - Finalizers, by name or pattern, that are taken from objects which are being deleted. What their owners would
        have cleaned up elsewhere is then not cleaned up.
      - Objects with any other finalizer keep it.
    type: list
    elements: str
    default: []
  namespace_finalizers:
    description:
      - Finalizers, by name or pattern, that are taken from the namespace itself, from C(spec.finalizers) and
        C(metadata.finalizers). V(kubernetes) is not one of them.
    type: list
    elements: str
    default: []
  force:
    description:
      - Whether a namespace is finalized although objects are left or cannot be listed. These stay in the store without
        a namespace, cannot be deleted there, and come back with the next namespace of that name.
      - They are named in the step, warned of if they are RoleBindings or Secrets, and returned in RV(orphans). What the
        step did not name is not orphaned; the task then fails, and names it when it is run again.
      - Objects that a controller is still about to delete are no reason for force before the namespace was deleted five
        minutes ago.
    type: bool
    default: false
  timeout:
    description: Seconds that each namespace is waited for, before it is finalized and at the end.
    type: float
    default: 60
seealso:
  - module: hostcraft.linux.k8s_ns_finalize_info
  - name: Why is my namespace stuck?
    description: The verdicts, what to do, and the ClusterRole that is needed.
    link: https://github.com/hostcraft/hostcraft.linux/blob/main/docs/k8s_ns_finalize.md
"""

EXAMPLES = r"""
- name: Free what nothing but a missed finalizer keeps, and say why the rest stays
  hostcraft.linux.k8s_ns_finalize:
  delegate_to: localhost

- name: The operator of these was uninstalled before its namespaces
  hostcraft.linux.k8s_ns_finalize:
    name: tenant-*
    object_finalizers: ["*.example.com/*"]
    namespace_finalizers: [controller.cattle.io/namespace-auth]
  delegate_to: localhost

- name: Nobody can repair what holds this one
  hostcraft.linux.k8s_ns_finalize:
    context: staging
    name: broken
    force: true
  register: forced
  delegate_to: localhost

- name: Remove what earlier recipes have left behind
  hostcraft.linux.k8s_ns_finalize:
    state: orphans_removed
  delegate_to: localhost
"""

RETURN = r"""
steps:
  description:
    - What was done, or in check mode would be done, namespace after namespace. Steps after the one at which a namespace
      has gone were not needed.
  returned: always, unless nothing could be read or a permission is missing
  type: list
  elements: str
  sample:
    - "clear configmaps in stuck: example.com/never-cleared from 1: guarded"
    - "wait for namespace stuck: its controller, 60 s at most"
    - "finalize namespace stuck: if its controller has not, and only when nothing is left"
namespaces:
  description: What was found before, as RV(hostcraft.linux.k8s_ns_finalize_info#module:namespaces).
  returned: always
  type: list
  elements: dict
outcomes:
  description: What came of each namespace, by name; empty in check mode and when nothing was to be done.
  returned: always
  type: dict
  contains:
    gone:
      description: Whether it is gone.
      type: bool
    changed:
      description: Whether anything was written.
      type: bool
    failed:
      description: Whether it stays.
      type: bool
    msg:
      description: Why it stays, and what to do.
      type: str
    cleared:
      description: Objects that were relieved of the C(finalizers) in this list.
      type: list
      elements: dict
    orphaned:
      description: Objects that were left without a namespace.
      type: list
      elements: dict
    seconds:
      description: How long it took.
      type: float
orphans:
  description:
    - Objects without a namespace, those found and those that O(force) has made, or in check mode would make, with
      C(namespace).
  returned: always
  type: list
  elements: dict
missing_permissions:
  description: What the account is not permitted to do, as RBAC calls it; nothing was changed.
  returned: when permissions are missing
  type: list
  elements: str
  sample: ["patch configmaps", "update namespaces/finalize"]
unread:
  description:
    - With O(state=orphans_removed), kinds of objects and group versions in which nobody can look for orphans, each with
      C(what), C(status) and C(message).
  returned: when there are any
  type: list
  elements: dict
active:
  description: Namespaces that were named and are Active; nothing was changed.
  returned: when there are any
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hostcraft.linux.plugins.module_utils._core.argspec import compose
from ansible_collections.hostcraft.linux.plugins.module_utils._k8s import arguments, declare, task


def main():
    module = AnsibleModule(**compose(arguments.AUTH, declare.SELECTION, declare.OPTIONS))
    module.exit_json(**task.run(module))


if __name__ == "__main__":
    main()
