#!/usr/bin/python
# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: bond_vlan_bridge_info
short_description: Read the bonds, VLANs, bridges and NICs of a host
version_added: 1.0.0
description:
  - Returns the links of a host in the words of M(hostcraft.linux.bond_vlan_bridge), so that an existing host can be
    adopted as it is.
  - What belongs to Open vSwitch, Docker, libvirt or another program is left out, and so are links that come and go with
    virtual machines.
  - Name servers and ways to get addresses are what NetworkManager or the initscripts know of them, whichever keeps most
    of the links.
author:
  - hostcraft.linux contributors (@hostcraft)
extends_documentation_fragment:
  - hostcraft.linux._attributes.info
seealso:
  - module: hostcraft.linux.bond_vlan_bridge
requirements:
  - iproute2 on the host. One that prints no JSON, as the 4.11 of CentOS 7, is not asked; the kernel itself is.
"""

EXAMPLES = r"""
- name: Read what a host has
  hostcraft.linux.bond_vlan_bridge_info:
  register: found

- name: Declare the same
  hostcraft.linux.bond_vlan_bridge:
    bonds: "{{ found.topology.bonds }}"
    vlans: "{{ found.topology.vlans }}"
    bridges: "{{ found.topology.bridges }}"
    nics: "{{ found.topology.nics }}"
  become: true
"""

RETURN = r"""
topology:
  description: >-
    O(hostcraft.linux.bond_vlan_bridge#module:bonds), O(hostcraft.linux.bond_vlan_bridge#module:vlans),
    O(hostcraft.linux.bond_vlan_bridge#module:bridges) and O(hostcraft.linux.bond_vlan_bridge#module:nics).
  returned: success
  type: dict
  sample:
    bonds: []
    vlans: []
    bridges: []
    nics:
      - name: eth0
        mtu: 1500
        addresses: [192.0.2.10/24]
        gateway: 192.0.2.1
owners:
  description: Which links belong to whom.
  returned: success
  type: dict
  sample:
    ovs-system: Open vSwitch
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hostcraft.linux.plugins.module_utils._core.argspec import compose
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import reported
from ansible_collections.hostcraft.linux.plugins.module_utils._network import host, report


def main():
    module = AnsibleModule(**compose({}))
    with reported(module):
        state = host.observe_all()
    module.exit_json(changed=False, topology=report.declaration(state), owners=state.owners)


if __name__ == "__main__":
    main()
