#!/usr/bin/python
# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: tproxy
short_description: Hand traffic to a transparent proxy, and let none by
version_added: 1.0.0
description:
  - Captures what goes to or through a host, and what the host itself sends, for a proxy on that host. Both directions
    are declared independently, for TCP and UDP, IPv4 and IPv6.
  - B(Fails closed). What is captured is dropped while no proxy listens, unless O(captures[].on_proxy_down=bypass).
  - B(Refuses loops). What captures the host's own traffic must say what the proxy's own is known by.
  - New connections are captured; a TCP connection that is there already goes on as it is. A connection that goes
    through the proxy survives every later change of what is captured. A change of the mark, the table or the mode ends
    those that O(captures[].outbound) has handed to the proxy by V(tproxy).
  - Rules are replaced in one transaction, together with the policy routing that they need. Rules that somebody else has
    changed, and routes or rules of C(ip-rule(8)) that got lost, are put right again. The counters of the rules go on as
    long as nothing changes.
  - A mark or a routing table that somebody else uses is refused, and named.
  - The port of ssh is left out of what is captured on the way to this host, and the plan says so; see
    O(captures[].ssh_ports). With O(confirm_timeout) the host puts back what was there before, by itself, unless the
    controller reaches it over a new connection in time.
  - The rules are gone after a reboot; with O(save) and the role P(hostcraft.linux.transparent_proxy#role) they come
    back before the network does.
author:
  - hostcraft.linux contributors (@hostcraft)
extends_documentation_fragment:
  - hostcraft.linux._attributes
  - hostcraft.linux._guard
  - hostcraft.linux._tproxy
seealso:
  - module: hostcraft.linux.tproxy_info
  - name: Transparent proxy support
    description: How the kernel does it.
    link: https://docs.kernel.org/networking/tproxy.html
requirements:
  - nftables 0.9.3 and Linux 5.2, or iptables 1.4.21, on the host
  - iproute2 on the host
  - ipset on the host, for more than 64 networks in a list with iptables
"""

EXAMPLES = r"""
- name: Send the web traffic that goes through this gateway to the proxy at port 15006, which sees the real destination
  hostcraft.linux.tproxy:
    confirm_timeout: 60
    captures:
      - name: web
        inbound:
          mode: tproxy
          port: 15006
          protocols: [tcp, udp]
          ports: ["80", "443"]
          interfaces: [eth1]
          destinations: forwarded
          exclude_cidrs: [10.0.0.0/8, fd00::/8]
  become: true

- name: Send all that this host's programs send by TCP to a proxy that runs as the user envoy
  hostcraft.linux.tproxy:
    captures:
      - name: egress
        outbound:
          mode: redirect
          port: 15001
        dns:
          port: 15053
        proxy:
          uids: [envoy]
  become: true

- name: Set up what Istio's sidecar has, in the network namespace of a container
  hostcraft.linux.tproxy:
    captures:
      - name: istio
        netns: /proc/4711/ns/net
        preset: istio_sidecar
  become: true

- name: End a capture
  hostcraft.linux.tproxy:
    captures:
      - name: web
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
    - "add route of web: IPv4 default to this host in table 133"
    - "add rule of web: IPv4 mark 0x539/0xfff to table 133 at priority 133"
    - "capture web: inbound tcp 80, 443 by tproxy to port 15006; ssh to this host (tcp 22) is left alone"
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
foreign:
  description: What of others has the mark or the table.
  returned: when a capture is refused for it
  type: list
  elements: str
  sample: ["'ip -4 rule' 32765: from all fwmark 0x539 lookup 133 (as Istio has it)"]
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
  description: The state after the failure, of the captures that would still have to change.
  returned: when a step failed
  type: raw
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hostcraft.linux.plugins.module_utils._core import guard
from ansible_collections.hostcraft.linux.plugins.module_utils._core.argspec import compose
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import reconcile, reported
from ansible_collections.hostcraft.linux.plugins.module_utils._tproxy import arguments, declare, host
from ansible_collections.hostcraft.linux.plugins.module_utils._tproxy.plan import plan


def main():
    module = AnsibleModule(**compose(arguments.ARGUMENTS, guard.ARGUMENTS))
    with reported(module):
        wanted = declare.wanted(module.params, host.uid_of, host.gid_of)
    result = reconcile(
        module,
        observe=lambda: host.observe(wanted),
        plan=lambda state: plan(wanted, state),
        apply=host.apply,
        guard=guard.Guard(
            module, module.params["confirm_timeout"], undo=lambda _state, todo: host.recorded(todo.steps)
        ),
    )
    module.exit_json(**result)


if __name__ == "__main__":
    main()
