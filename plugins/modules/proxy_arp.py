#!/usr/bin/python
# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: proxy_arp
short_description: Routed endpoints in network namespaces behind proxy ARP, and addresses that a link answers for
version_added: 1.0.0
description:
  - Gives network namespaces (containers) addresses of their own without a bridge, as Calico does. Each has one link to
    the host, routes of its addresses alone lead there, and the host answers ARP for a gateway that nobody has.
  - Also makes an existing link answer for addresses that are behind the host, each of them by name (plain proxy ARP and
    its IPv6 counterpart, proxy NDP), so that a subnet can be split without a word to its other machines.
  - Hundreds of endpoints are one task, which starts no program on the host for each of them.
  - What comes from an endpoint with a source that is not its own is dropped. For IPv4 that is C(rp_filter) of its link;
    for IPv6, where there is none, one rule in the nftables table C(ip6 hostcraft_endpoints), which goes with the last
    endpoint. It is for endpoints without an IPv6 address, too. Where C(nft) or the kernel cannot do it, the task warns.
  - What was not made by this module is refused, with what it is. Links of this module have the group C(26723) and an
    alias that names the endpoint; C(ip link show group 26723) lists them.
  - What would make endpoints silently fail is looked for and refused with what to do. That is no route to the gateway,
    forwarding that is off, a loose rp_filter of the whole host, an address that is in use, routed or ruled elsewhere.
  - Nothing of it outlives a boot by itself; see O(save).
author:
  - hostcraft.linux contributors (@hostcraft)
extends_documentation_fragment:
  - hostcraft.linux._attributes
  - hostcraft.linux._guard
options:
  endpoints:
    description: The endpoints.
    type: list
    elements: dict
    suboptions:
      name:
        description: Its name, by which it is found again.
        type: str
        required: true
      netns:
        description:
          - Where its namespace is, a name as C(ip netns) has it, or a path such as C(/run/docker/netns/0123456789ab).
            Without it and O(endpoints[].pid) it is O(endpoints[].name).
        type: str
      pid:
        description: A process that is in the namespace.
        type: int
      create:
        description:
          - Whether a namespace that is given by its name is made when it is not there. One that was made goes with its
            last endpoint.
        type: bool
        default: true
      interface:
        description: The name of the link in the namespace.
        type: str
        default: eth0
      host_interface:
        description: The name of its other end on the host. Without it, C(arp) and a digest of O(endpoints[].name).
        type: str
      addresses:
        description: Its IPv4 and IPv6 addresses, each alone (C(/32), C(/128)); all that the link has in the end.
        type: list
        elements: str
      gateway:
        description: The address that the namespace sends IPv4 to. Nobody has it; the host answers ARP for it.
        type: str
        default: 169.254.1.1
      gateway6:
        description:
          - The link-local address that the namespace sends IPv6 to, such as V(fe80::1). The host has it on its end.
            Without it, the one that stands for O(endpoints[].mac).
        type: str
      mac:
        description: The MAC of the host's end. It may be the same for all, since each is alone on its link.
        type: str
        default: ee:ee:ee:ee:ee:ee
      mtu:
        description: The MTU of both ends. Without it, it is left as it is.
        type: int
      state:
        description:
          - With V(absent) the link, its routes, and the namespace if it was made for this, are removed. Only the name
            is needed.
        type: str
        choices: [present, absent]
        default: present
  proxies:
    description: Addresses that links of the host answer for.
    type: list
    elements: dict
    suboptions:
      interface:
        description: The link, which must be there.
        type: str
        required: true
      addresses:
        description:
          - The addresses, or small networks that stand for all of theirs (at most 4096). Each must be routed by another
            link, else the kernel would not answer. Others that the link answers for are left alone.
        type: list
        elements: str
        required: true
      state:
        description: Whether the link answers for them.
        type: str
        choices: [present, absent]
        default: present
  purge:
    description: Remove all endpoints of this module that are not listed.
    type: bool
    default: false
  forwarding:
    description:
      - What is done about forwarding of IPv4 on the links of default routes and of O(proxies), and of IPv6 on the whole
        host, where it is off. Without it nothing from outside comes back to endpoints.
      - V(check) fails and names it. V(set) switches it on; links that heed IPv6 routers go on doing so
        (C(accept_ra=2)), else the host would lose its own default route. It is not switched off again by removing
        endpoints. V(ignore) is for endpoints that are to reach only the host and each other.
    type: str
    choices: [check, set, ignore]
    default: check
  missing_namespace:
    description:
      - What is done about endpoints whose namespace is not there and is not to be made. V(fail) names them. V(remove)
        cleans up what is left of them on the host, and warns.
    type: str
    choices: [fail, remove]
    default: fail
  probe:
    description:
      - Seconds in which somebody who has a new address already must answer for it, by ARP or neighbour discovery, for
        all addresses together. Only the network of the link that leads to the address is asked. V(0) does not ask.
    type: float
    default: 0.3
  save:
    description:
      - A directory in which the declaration is kept, with a program C(apply) that makes the same again and needs
        nothing of Ansible. What was kept before and is not named stays, O(forwarding=set) as well. The role
        P(hostcraft.linux.routed_endpoints#role) has it run at boot.
    type: path
seealso:
  - module: hostcraft.linux.proxy_arp_info
requirements:
  - Linux 4.13 or newer on the host
  - nftables on the host, to drop forged sources of IPv6
"""

EXAMPLES = r"""
- name: Give two containers addresses of their own
  hostcraft.linux.proxy_arp:
    confirm_timeout: 60
    forwarding: set
    endpoints:
      - name: web1
        addresses: [10.65.0.2, "fd65::2"]
      - name: web2
        addresses: [10.65.0.3, "fd65::3"]
        gateway6: fe80::1
        mtu: 1450
  become: true

- name: Connect a container that runs, which has no network yet
  hostcraft.linux.proxy_arp:
    endpoints:
      - name: "{{ container.Name }}"
        pid: "{{ container.State.Pid }}"
        addresses: [10.65.0.4]
  become: true

- name: Let machines of the LAN reach addresses out of their own subnet that are behind this host
  hostcraft.linux.proxy_arp:
    confirm_timeout: 60
    forwarding: set
    proxies:
      - interface: eth0
        addresses: [192.0.2.128/28, "2001:db8::2:1"]
  become: true

- name: Remove an endpoint
  hostcraft.linux.proxy_arp:
    endpoints:
      - name: web2
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
    - "set forwarding: net.ipv4.conf.eth0.forwarding 0 -> 1"
    - "add IPv6 source filter: drops what comes from an endpoint with a source that is not its own"
    - "create web1: arp3f1a9c5d2e7 to eth0 in netns web1 (new), 10.65.0.2, fd65::2"
    - "set web2: rp_filter 0 -> 1"
problems:
  description: All that is in the way, where the message names only some of it.
  returned: when a declaration cannot be met
  type: list
  elements: str
guard:
  description: The guard of the change; see M(hostcraft.linux.bond_vlan_bridge).
  returned: when O(confirm_timeout) is not 0 and something was changed
  type: dict
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
from ansible_collections.hostcraft.linux.plugins.module_utils._endpoints import arguments, declare, host, plan, protect


def main():
    module = AnsibleModule(**compose(arguments.ARGUMENTS, guard.ARGUMENTS))
    with reported(module):
        wanted = protect.saved(declare.wanted(module.params), module.params)
    kernel = host.Kernel()
    watch = guard.Guard(
        module,
        module.params["confirm_timeout"],
        undo=lambda _state, todo: protect.recorded(todo, watch.directory),
    )
    result = reconcile(
        module,
        observe=lambda: host.observe(wanted),
        plan=lambda state: plan.plan(wanted, state),
        apply=kernel.apply,
        guard=watch,
    )
    module.exit_json(**result)


if __name__ == "__main__":
    main()
