#!/usr/bin/python
# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: tproxy_info
short_description: Read what a host captures for transparent proxies
version_added: 1.0.0
description:
  - Returns the captures of M(hostcraft.linux.tproxy) in the words of that module, whether their rules and their policy
    routing are still as they were made, and whether a proxy listens.
author:
  - hostcraft.linux contributors (@hostcraft)
extends_documentation_fragment:
  - hostcraft.linux._attributes.info
options:
  netns:
    description: The network namespaces to look at besides that of the host, by name or path.
    type: list
    elements: str
    default: []
seealso:
  - module: hostcraft.linux.tproxy
requirements:
  - nftables or iptables, and iproute2, on the host
"""

EXAMPLES = r"""
- name: Read what is captured
  hostcraft.linux.tproxy_info:
  register: found
  become: true

- name: Stop when somebody has changed the rules, or no proxy listens
  ansible.builtin.assert:
    that:
      - found.status | rejectattr('intact') | list == []
      - found.status | map(attribute='warnings') | flatten == []

- name: Declare the same
  hostcraft.linux.tproxy:
    captures: "{{ found.captures }}"
  become: true
"""

RETURN = r"""
captures:
  description: O(hostcraft.linux.tproxy#module:captures), of all captures whose record is there.
  returned: success
  type: list
  elements: dict
  sample:
    - name: web
      state: present
      inbound: {mode: tproxy, port: 15006, protocols: [tcp], ports: ["80"]}
status:
  description: What was found of each capture, in the same order; those without a record come last.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
    netns:
      description: Its network namespace.
      type: str
      returned: for a capture that is not in the host's own
    backend:
      description: Who has its rules; none when somebody has removed them.
      type: str
    intact:
      description: Whether its rules and its policy routing are as they were made.
      type: bool
    missing:
      description: What is missing of its policy routing.
      type: list
      elements: str
    warnings:
      description: What will not work as it is meant, for example that no proxy listens.
      type: list
      elements: str
backends:
  description: The backends that work on the host, the best first.
  returned: success
  type: list
  elements: str
  sample: [nftables, iptables_nft]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hostcraft.linux.plugins.module_utils._core.argspec import compose
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import reported
from ansible_collections.hostcraft.linux.plugins.module_utils._tproxy import declare, host, survey

OPTIONS = dict(argument_spec=dict(netns=dict(type="list", elements="str", default=[])))


def main():
    module = AnsibleModule(**compose(OPTIONS))
    with reported(module):
        asked = map(declare.namespace, module.params["netns"])
        places = {netns: host.look(netns) for netns in (None, *asked)}
        found = survey.survey(places, lambda entry: declare.capture(entry, host.uid_of, host.gid_of))
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
