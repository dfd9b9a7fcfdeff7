#!/usr/bin/python
# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: xdp_drop_info
short_description: Read what XDP programs drop, by rule
version_added: 1.0.0
description:
  - Returns the rules that M(hostcraft.linux.xdp_drop) has given to interfaces, as it takes them, with the packets and
    bytes
    that each has matched.
author:
  - hostcraft.linux contributors (@hostcraft)
extends_documentation_fragment:
  - hostcraft.linux._attributes.info
options:
  interface:
    description: Names of the interfaces; all that have a program of ours if not given.
    type: list
    elements: str
  interval:
    description: Seconds between two reads, from which rates are reckoned. V(0) reads once.
    type: float
    default: 0
  top_sources:
    description:
      - How many of the source addresses that are dropped most are to be found, by sampling for O(interval) seconds.
      - The running program is told to record sources for that time, which costs it some of its speed. One task at a
        time does that on an interface. Of a task that was killed meanwhile, the next one ends the recording.
    type: int
    default: 0
  sample_every:
    description: Of how many dropped packets, on average, one is recorded for O(top_sources).
    type: int
    default: 64
seealso:
  - module: hostcraft.linux.xdp_drop
"""

EXAMPLES = r"""
- name: See for five seconds how much is dropped, and from where
  hostcraft.linux.xdp_drop_info:
    interface: [eth0]
    interval: 5
    top_sources: 10
  become: true
  register: found

- name: Show it
  ansible.builtin.debug:
    var: found.interfaces.eth0.counters
"""

RETURN = r"""
interfaces:
  description: What was found, by interface.
  returned: success
  type: dict
  contains:
    mode:
      description: V(native) or V(generic).
      type: str
    program_id:
      description: Id of the program in the kernel.
      type: int
    tag:
      description: What tells the program's instructions from others.
      type: str
    rules:
      description: The rules, as O(hostcraft.linux.xdp_drop#module:rules); null when they are not known any more.
      type: list
      elements: dict
    counters:
      description: Packets and bytes of each rule since it was attached and, with O(interval), those per second.
      type: list
      elements: dict
      sample:
        - {name: attackers, packets: 1200, bytes: 72000, packets_per_second: 600.0, bytes_per_second: 36000.0}
    no_rule:
      description: The same for the packets that no rule matched.
      type: dict
    top_sources:
      description: Addresses that were dropped most, and how many of their packets were recorded.
      returned: when O(top_sources) is not 0
      type: list
      elements: dict
      sample: [{source: 198.51.100.7, samples: 412}]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hostcraft.linux.plugins.module_utils._core.argspec import compose
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import ReconcileError, reported
from ansible_collections.hostcraft.linux.plugins.module_utils._xdp import survey

ARGUMENTS = dict(
    argument_spec=dict(
        interface=dict(type="list", elements="str"),
        interval=dict(type="float", default=0),
        top_sources=dict(type="int", default=0),
        sample_every=dict(type="int", default=64),
    )
)


def main():
    module = AnsibleModule(**compose(ARGUMENTS))
    given = module.params
    with reported(module):
        if given["interval"] < 0 or given["top_sources"] < 0 or given["sample_every"] < 1:
            raise ReconcileError("interval and top_sources must not be negative, and sample_every at least 1")
        if given["top_sources"] and not given["interval"]:
            raise ReconcileError("top_sources are sampled for an interval: set interval, for example to 5")
        found = survey.survey(given["interface"], given["interval"], given["top_sources"], given["sample_every"])
    module.exit_json(changed=False, interfaces=found)


if __name__ == "__main__":
    main()
