#!/usr/bin/python
# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: libvirt_domain_state_info
short_description: Read the states and definitions of libvirt domains
version_added: 1.0.0
description:
  - Returns the states of libvirt domains, with saved told from shut off and asleep from running.
  - RV(declarations) is valid input of O(hostcraft.linux.libvirt_domain_state#module:domains), so that a host can be
    brought back to what it was, or adopted.
  - Opens a read-only connection, which on most distributions every account may do.
author:
  - hostcraft.linux contributors (@hostcraft)
requirements:
  - python3-libvirt on the managed host (libvirt-python on Arch, py3-libvirt on Alpine)
extends_documentation_fragment:
  - hostcraft.linux._attributes.info
options:
  name:
    description: Names, patterns such as V(web-*), or UUIDs of domains. Without O(name) and O(tags) all are returned.
    type: list
    elements: str
    aliases: [names]
  tags:
    description: Domains that have all of these tags; see O(hostcraft.linux.libvirt_domain_state#module:tags).
    type: list
    elements: str
  definitions:
    description:
      - Whether the definitions are read as well, which takes a call or two for each domain.
      - A read-only connection does not get the passwords in them. What lacks a password is not to be declared again.
    type: bool
    default: false
  uri:
    description: The connection, as C(virsh -c) takes it.
    type: str
    default: qemu:///system
seealso:
  - module: hostcraft.linux.libvirt_domain_state
"""

EXAMPLES = r"""
- name: Remember what every domain does
  hostcraft.linux.libvirt_domain_state_info:
  register: before

- name: Shut down everything for maintenance
  hostcraft.linux.libvirt_domain_state:
    name: "*"
    state: shutoff
  become: true

- name: Bring everything back
  hostcraft.linux.libvirt_domain_state:
    domains: "{{ before.declarations }}"
  become: true

- name: Which machines run with something else than they are defined as?
  hostcraft.linux.libvirt_domain_state_info:
    definitions: true
  register: found

- name: Say so
  ansible.builtin.debug:
    msg: "{{ found.domains | selectattr('restart_required') | map(attribute='name') | join(', ') }}"
"""

RETURN = r"""
domains:
  description: The domains, sorted by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name.
      type: str
    uuid:
      description: UUID.
      type: str
    state:
      description:
        - V(running), V(paused), V(saved), V(shutoff), V(pmsuspended), V(crashed) or V(shutting down).
      type: str
    persistent:
      description: Whether it has a definition, so that it stays when it stops.
      type: bool
    autostart:
      description: Whether it starts with the host.
      type: bool
    snapshots:
      description: Whether it has snapshots.
      type: bool
    checkpoints:
      description: Whether it has checkpoints.
      type: bool
    xml:
      description: Its definition.
      returned: with O(definitions=true)
      type: str
    agent:
      description: Whether it has a channel for the QEMU guest agent.
      returned: with O(definitions=true)
      type: bool
    tags:
      description: Its tags.
      returned: with O(definitions=true)
      type: list
      elements: str
    disks:
      description: Its disks that are files or block devices, path by target name.
      returned: with O(definitions=true)
      type: dict
    restart_required:
      description: Where what runs differs from the definition.
      returned: with O(definitions=true)
      type: list
      elements: str
declarations:
  description: >-
    The domains as O(hostcraft.linux.libvirt_domain_state#module:domains) takes them. One that has crashed or is
    shutting down is declared V(shutoff).
  returned: success
  type: list
  elements: dict
  sample:
    - {name: web1, state: running, autostart: true}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hostcraft.linux.plugins.module_utils._core.argspec import compose
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import reported
from ansible_collections.hostcraft.linux.plugins.module_utils._libvirt import declare, report, survey
from ansible_collections.hostcraft.linux.plugins.module_utils._libvirt.session import Session

OPTIONS = dict(argument_spec=dict(definitions=dict(type="bool", default=False)))


def main():
    module = AnsibleModule(**compose(declare.SELECTION, OPTIONS))
    with reported(module), Session(module.params["uri"], read_only=True) as session, session.reading():
        chosen = survey.look(session, declare.selection(module.params)).chosen
        found = sorted({one for _target, domains in chosen for one in domains}, key=lambda one: one.name)
        if module.params["definitions"]:
            found = survey.with_definitions(session, found)
    module.exit_json(changed=False, domains=report.domains(found), declarations=report.declarations(found))


if __name__ == "__main__":
    main()
