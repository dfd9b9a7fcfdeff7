#!/usr/bin/python
# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: proxy_arp_info
short_description: Read the routed endpoints of a host, and the addresses that its links answer for
version_added: 1.0.0
description:
  - Returns what M(hostcraft.linux.proxy_arp) has made on a host, in the words of its options, and the addresses that
    links answer for, whoever made them do so.
author:
  - hostcraft.linux contributors (@hostcraft)
extends_documentation_fragment:
  - hostcraft.linux._attributes.info
seealso:
  - module: hostcraft.linux.proxy_arp
requirements:
  - Linux 4.13 or newer on the host
"""

EXAMPLES = r"""
- name: Read what a host has
  hostcraft.linux.proxy_arp_info:
  become: true
  register: found

- name: Declare the same, which also mends what has changed since
  hostcraft.linux.proxy_arp:
    endpoints: "{{ found.endpoints }}"
    proxies: "{{ found.proxies }}"
  become: true
"""

RETURN = r"""
endpoints:
  description: >-
    The endpoints, by name, as O(hostcraft.linux.proxy_arp#module:endpoints) takes them.
  returned: success
  type: list
  elements: dict
  sample:
    - name: web1
      netns: web1
      create: true
      interface: eth0
      host_interface: arp3f1a9c5d2e7
      addresses: [10.65.0.2, "fd65::2"]
      gateway: 169.254.1.1
      mac: ee:ee:ee:ee:ee:ee
      mtu: 1500
proxies:
  description: >-
    The addresses that links answer for, as O(hostcraft.linux.proxy_arp#module:proxies) takes them.
  returned: success
  type: list
  elements: dict
  sample:
    - interface: eth0
      addresses: [192.0.2.128]
lost:
  description:
    - Endpoints whose namespace cannot be reached any more (or links that were only half made).
      M(hostcraft.linux.proxy_arp) removes what is left of them.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hostcraft.linux.plugins.module_utils._core.argspec import compose
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import reported
from ansible_collections.hostcraft.linux.plugins.module_utils._endpoints import host, report


def main():
    module = AnsibleModule(**compose({}))
    with reported(module):
        state = host.observe()
    module.exit_json(
        changed=False,
        endpoints=report.endpoints(state),
        proxies=report.proxies(state),
        lost=report.lost(state),
    )


if __name__ == "__main__":
    main()
