#!/usr/bin/python
# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: bond_vlan_bridge
short_description: Bonds, VLANs and bridges of a host, also of the one you are connected through
version_added: 1.0.0
description:
  - Brings the bonds, VLANs, bridges and NICs of a host to one declaration. The order of the lists does not matter.
  - Only what is named is touched, and an option that is not given keeps its value.
  - With O(confirm_timeout) the host puts back what was there before, by itself, unless the controller reaches it over
    a new connection in time. So a change can be made over the very link that it changes.
  - Where NetworkManager keeps the links it is told by profiles (keyfiles), where the initscripts keep them their files
    are written and the running kernel is changed to match, so that both are the same after a reboot. Where nobody keeps
    them only the running kernel is changed, and the task warns; see O(backend).
  - Each step of the plan says what it does to the link. C(restart) names what cannot be changed without taking the link
    down for a moment, and why; C(reapply) and C(set) change it in place.
author:
  - hostcraft.linux contributors (@hostcraft)
extends_documentation_fragment:
  - hostcraft.linux._attributes
  - hostcraft.linux._guard
  - hostcraft.linux._network
seealso:
  - module: hostcraft.linux.bond_vlan_bridge_info
requirements:
  - iproute2 on the host. One that prints no JSON, as the 4.11 of CentOS 7, is not asked; the kernel itself is.
"""

EXAMPLES = r"""
- name: Give the machines of a hypervisor a bridge on VLAN 100, where the host's own address moves to
  hostcraft.linux.bond_vlan_bridge:
    confirm_timeout: 120
    bonds:
      - name: bond0
        mode: 802.3ad
        miimon: 100
        lacp_rate: fast
        xmit_hash_policy: layer2+3
        ports: [eth1, eth2]
    vlans:
      - parent: bond0
        id: 100
        addresses: []
      - parent: bond0
        id: 200
        addresses: [10.10.200.2/24]
    bridges:
      - name: br0
        ports: [bond0.100]
        addresses: [10.10.100.2/24]
        gateway: 10.10.100.1
  become: true

- name: Give a second uplink its own routing table, and the host its name servers
  hostcraft.linux.bond_vlan_bridge:
    confirm_timeout: 120
    nics:
      - name: eth1
        addresses: [192.0.2.10/24]
        gateway: 192.0.2.1
        dns: [192.0.2.53]
        dns_search: [example.org]
        ipv6: manual
      - name: eth2
        addresses: [198.51.100.10/24]
        routes:
          - {to: 0.0.0.0/0, via: 198.51.100.1, table: 100}
        rules:
          - {priority: 100, from: 198.51.100.10/32, table: 100}
  become: true

- name: Let a bridge filter VLANs, with one port of a machine in VLAN 100 and the trunk in all of them
  hostcraft.linux.bond_vlan_bridge:
    confirm_timeout: 120
    bonds:
      - name: bond0
        bridge_port: {vids: [100-199]}
    bridges:
      - name: br0
        vlan_filtering: true
        vlan_default_pvid: 0
        ports: [bond0, eth3]
    nics:
      - name: eth3
        bridge_port: {pvid: 100}
  become: true

- name: Remove a VLAN that is no longer needed
  hostcraft.linux.bond_vlan_bridge:
    confirm_timeout: 60
    vlans:
      - name: bond0.200
        state: absent
  become: true
"""

RETURN = r"""
steps:
  description: What was done, or in check mode would be done, in order.
  returned: success
  type: list
  elements: str
  sample:
    - "create br0: bridge"
    - "start br0"
    - "add br0: address 10.10.100.2/24"
    - "enslave bond0.100: to br0"
    - "remove bond0.100: address 10.10.100.2/24"
guard:
  description: The guard of the change.
  returned: when O(confirm_timeout) is not 0 and something was changed
  type: dict
  contains:
    id:
      description: Its name, below C(/var/lib/hostcraft/guard) on the host.
      type: str
    timeout:
      description: Seconds between the end of the change and its confirmation.
      type: int
    deadline:
      description: When the host would have put the change back, by its own clock (ISO 8601, UTC).
      type: str
      sample: "2026-01-31T03:02:00Z"
    confirmed:
      description: Whether the change was confirmed.
      type: bool
rolled_back:
  description: Whether the host has put back what was there before.
  returned: when a guarded change failed
  type: bool
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
found:
  description: The state after the failure, of the objects that would still have to change.
  returned: when a step failed
  type: raw
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hostcraft.linux.plugins.module_utils._core import guard
from ansible_collections.hostcraft.linux.plugins.module_utils._core.argspec import compose
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import reconcile, reported
from ansible_collections.hostcraft.linux.plugins.module_utils._network import (
    arguments,
    declare,
    host,
    plan,
    plan_ifcfg,
    plan_profiles,
    topology,
)

PLANS = {"networkmanager": plan_profiles, "ifcfg": plan_ifcfg, "runtime": plan}


def main():
    module = AnsibleModule(**compose(arguments.ARGUMENTS, guard.ARGUMENTS))
    backend, known = module.params["backend"], set()
    with reported(module):
        wanted = declare.wanted(module.params)
        named = topology.named(wanted)
        # Once: what is made meanwhile may at first be kept by nobody.
        backend = host.find_backend(named) if backend == "auto" else backend
    result = reconcile(
        module,
        observe=lambda: host.observe(backend, named),
        plan=lambda state: PLANS[state.backend].plan(wanted, state),
        apply=lambda step: host.apply(step, known),
        guard=guard.Guard(
            module,
            module.params["confirm_timeout"],
            undo=lambda state, todo: host.recorded(PLANS[state.backend].undo(state, todo)),
        ),
    )
    if result["changed"] and (backend, module.params["backend"]) == ("runtime", "auto"):
        module.warn(
            "Neither NetworkManager nor the initscripts keep these links, so the change is gone after the next boot; "
            "set backend to runtime to say that this is meant"
        )
    module.exit_json(**result)


if __name__ == "__main__":
    main()
