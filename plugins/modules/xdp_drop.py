#!/usr/bin/python
# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: xdp_drop
short_description: Drop unwanted packets before the kernel spends time on them
version_added: 1.0.0
description:
  - Gives interfaces an XDP program that drops or passes packets by declared rules, millions per second and core,
    where
    they arrive; the rest of the network stack never sees what is dropped.
  - Rules change in one step. While a new set of rules replaces the old one not one packet gets through that both
    drop.
    Counters go on for rules that keep their name. Where only prefixes of one side change they are changed in place.
  - Before anything is attached the program is tried in the kernel on made-up packets, also in check mode. A rule that
    would drop the SSH connection of this task, or a new one from the controller, is refused; see O(allow_lockout).
    With
    O(confirm_timeout) the host goes back to what was there before unless the controller reaches it again.
  - An XDP program of somebody else is reported with its name, id and tag, and left alone.
  - Only IPv4 and IPv6 packets are filtered. ARP, LLDP and the like always pass, and so does what is too short to be
    read;
    the kernel drops that itself.
author:
  - hostcraft.linux contributors (@hostcraft)
extends_documentation_fragment:
  - hostcraft.linux._attributes
  - hostcraft.linux._guard
options:
  interface:
    description:
      - Names of the interfaces, which all get the same rules. For a bond name the bond and not its ports; for a VLAN
        name
        the interface below it and use O(rules[].vlan).
    type: list
    elements: str
    required: true
  state:
    description:
      - V(absent) takes off what this module has put there, and removes what would bring it back at boot.
    type: str
    choices: [present, absent]
    default: present
  rules:
    description:
      - The rules, at most 64. The first one whose conditions all hold decides; a packet that no rule matches passes.
      - A condition that is not given holds always. One that lists several values holds when one of them does. An empty
        list is refused, but for lists of prefixes, also in a file. A rule with an empty one never matches, and a
        warning says so.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the rule, unique here. Its counters are kept by it.
        type: str
        required: true
      action:
        description: What is done with a packet that the rule matches.
        type: str
        choices: [drop, pass]
        required: true
      source:
        description: Prefixes of source addresses, IPv4 and IPv6. One without a length is a single address.
        type: list
        elements: str
      source_file:
        description:
          - File with prefixes of source addresses, one a line, up to a million. What stands behind C(#) or C(;) is a
            comment.
          - It lies on the controller (also in C(files) of a role), or on the host with O(remote_src).
        type: path
      destination:
        description: Prefixes of destination addresses, as in O(rules[].source).
        type: list
        elements: str
      destination_file:
        description: File with prefixes of destination addresses, as in O(rules[].source_file).
        type: path
      protocol:
        description:
          - Protocols by number, or V(icmp), V(igmp), V(tcp), V(udp), V(dccp), V(gre), V(esp), V(ah), V(icmpv6),
            V(ospf), V(vrrp),
            V(sctp), V(udplite). IPv6 extension headers are looked behind, up to eight of them.
        type: list
        elements: str
      source_ports:
        description: Source ports and ranges like V(1024-65535). Later fragments of a packet have no ports.
        type: list
        elements: str
      destination_ports:
        description: Destination ports and ranges, as in O(rules[].source_ports).
        type: list
        elements: str
      icmp_types:
        description: Types by number or name, like V(echo-request). O(rules[].protocol) must be V(icmp) or V(icmpv6).
        type: list
        elements: str
      tcp_flags:
        description: Flags that must be set and, with V(!) before them, that must not be, as V(syn) and V(!ack).
        type: list
        elements: str
      vlan:
        description:
          - VLAN ids and ranges, and V(untagged). Of two tags the outer one counts, unless its id is 0.
          - The program sees tags only where the NIC leaves them in the frame (C(ethtool -K eth0 rxvlan off)); if it
            does not,
            the task warns.
        type: list
        elements: str
      fragment:
        description: Whether the packet is a fragment, the first one included.
        type: bool
  remote_src:
    description: The files of prefixes lie on the host.
    type: bool
    default: false
  mode:
    description:
      - V(native) runs the program in the driver of the NIC, V(generic) in the kernel at about a third of the speed
        with any
        driver. V(offload), in the NIC itself, is refused, since such NICs hold arrays and hashes only, and the program
        needs tries for prefixes and counters of each CPU.
      - V(auto) means native, or else generic with a warning. A program that runs in mode generic already is left there,
        with a warning as well; V(native) moves it. The mode that was reached is returned.
    type: str
    choices: [auto, native, generic, offload]
    default: auto
  boot:
    description:
      - Whether the rules come back at boot, by a systemd unit that runs before the network is configured and needs
        nothing
        but Python. If not given, files that an earlier run made for this are kept up to date.
    type: bool
  allow_lockout:
    description: Attach rules that drop the connection of this task; a warning says so.
    type: bool
    default: false
notes:
  - Needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN, or root; CAP_SYS_ADMIN before Linux 5.8, and to tell the name of
    somebody else's program.
  - Needs a little-endian x86-64, aarch64 or ppc64le, and a BPF file system on C(/sys/fs/bpf), which systemd mounts.
  - Needs Linux 5.7, or an older kernel to which the distribution has added what is needed of it.
seealso:
  - module: hostcraft.linux.xdp_drop_info
"""

EXAMPLES = r"""
- name: Drop what comes from the attackers, and never what comes from the office
  hostcraft.linux.xdp_drop:
    interface: eth0
    confirm_timeout: 60
    rules:
      - name: office
        action: pass
        source: [192.0.2.0/24, "2001:db8:1::/48"]
      - name: attackers
        action: drop
        source_file: attackers.txt
      - name: amplified answers
        action: drop
        protocol: [udp]
        source_ports: ["19", "53", "123", "1900", "11211"]
      - name: pings
        action: drop
        protocol: [icmp]
        icmp_types: [echo-request]
  become: true

- name: Take it off again
  hostcraft.linux.xdp_drop:
    interface: eth0
    state: absent
  become: true
"""

RETURN = r"""
steps:
  description: What was done, or in check mode would be done, in order.
  returned: success
  type: list
  elements: str
  sample: ["attach eth0: 4 rules, 65541 prefixes"]
interfaces:
  description: What runs where now. The tag of somebody else's program is null without CAP_SYS_ADMIN.
  returned: success
  type: dict
  sample: {eth0: {mode: native, program_id: 42, tag: 0f2d0d0d77a4b3c1}}
fallbacks:
  description: What this kernel lacks, and what is done instead.
  returned: when it lacks something
  type: list
  elements: str
  sample: ["BPF arrays mapped into memory (Linux 5.5): they are written as entries"]
lockout:
  description: What of this task's own connection would be dropped, and by which rule.
  returned: when that is why the task failed
  type: list
  elements: str
foreign:
  description: The XDP programs of somebody else.
  returned: when one is why the task failed
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hostcraft.linux.plugins.module_utils._core import guard
from ansible_collections.hostcraft.linux.plugins.module_utils._core.argspec import compose
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import reconcile, reported
from ansible_collections.hostcraft.linux.plugins.module_utils._xdp import (
    arguments,
    boot,
    host,
    loader,
    prefixes,
    report,
    task,
)


def main():
    module = AnsibleModule(**compose(arguments.ARGUMENTS, guard.ARGUMENTS))
    given, told = module.params, []
    guarded = given["confirm_timeout"] > 0
    with reported(module):
        features = loader.features()
        wanted = task.wanted_of(
            given["interface"], given["rules"], given["mode"], given["state"] == "present", in_place=not guarded
        )
        rules = (
            [report.options(rule, prefixes.shown) for rule in wanted.rules] if boot.wants(wanted, given["boot"]) else ()
        )
        wanted = wanted._replace(files=boot.wanted_files(wanted, rules, given["boot"]))
        planned = task.tried_planner(wanted, features, given["allow_lockout"])
    result = reconcile(
        module,
        observe=lambda: host.observe(wanted.interfaces, wanted.mode, features, wanted.files),
        plan=planned,
        apply=lambda step: host.apply(step, features, told),
        guard=guard.Guard(module, given["confirm_timeout"], undo=boot.undo, settle=boot.settle),
    )
    with reported(module):
        if result["changed"] and not module.check_mode:
            boot.reload_systemd(result["steps"])
            if not guarded:
                host.collect(wanted.interfaces)
        result["interfaces"] = host.running(wanted.interfaces)
    if loader.fallbacks(features):
        result["fallbacks"] = loader.fallbacks(features)
    for warning in told:
        module.warn(warning)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
