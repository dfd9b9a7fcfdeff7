#!/usr/bin/python
# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

DOCUMENTATION = r"""
module: libvirt_domain_state
short_description: Bring libvirt domains to a declared state by the shortest safe way
version_added: 1.0.0
description:
  - Brings any number of virtual machines to a declared state, one, a list, a pattern, those with a tag, or all.
  - The way is the shortest one on the table of libvirt's states and transitions on which the memory of a guest is
    not lost. A paused guest that is to be shut off is resumed first, a sleeping one that is to be saved is woken.
    Where only a lossy way is left, the task fails and says which step would lose what.
  - Waits until the state is truly reached. All domains of a task are driven at the same time, each with a result of
    its own; one that fails does not stop the others.
  - A daemon that is restarted meanwhile is connected to again, and the task goes on from what it finds.
  - Defines domains and changes their definitions (O(xml)), and removes them with what belongs to them.
author:
  - hostcraft.linux contributors (@hostcraft)
requirements:
  - python3-libvirt on the managed host (libvirt-python on Arch, py3-libvirt on Alpine)
extends_documentation_fragment:
  - hostcraft.linux._attributes
attributes:
  idempotent:
    support: partial
    details:
      - A second run changes nothing, but for O(state=rebooted) and O(state=reset), which boot a guest anew each time.
options:
  name:
    description:
      - Names, patterns such as V(web-*), or UUIDs of domains. V(*) means all of them.
      - A name that no domain has is an error, unless O(state=absent) or O(xml) is given; a pattern that matches none
        is a warning.
      - One of O(name), O(tags), O(domains) or O(xml) is needed.
    type: list
    elements: str
    aliases: [names]
  tags:
    description:
      - Domains that have all of these tags in their metadata, C(<tag>) in the element C(tags) of the XML namespace
        C(https://hostcraft.io/xml/tags/1).
    type: list
    elements: str
  domains:
    description:
      - Several domains, each with a state of its own. What an earlier
        RV(hostcraft.linux.libvirt_domain_state_info#module:declarations) was can be given here.
    type: list
    elements: dict
    suboptions:
      name:
        description: A name, pattern or UUID.
        type: str
        required: true
      state:
        description: As O(state).
        type: str
        choices: [defined, running, paused, saved, shutoff, pmsuspended, absent, rebooted, reset]
        default: defined
      xml:
        description: As O(xml).
        type: str
      autostart:
        description: As O(autostart).
        type: bool
  state:
    description:
      - V(defined) leaves the domain in the state that it is in; one that is to be defined by O(xml) is shut off then.
      - V(running), V(paused), V(shutoff) are what they are called in libvirt.
      - V(saved) has its memory in a managed image, from which the next start goes on.
      - V(pmsuspended) sleeps as a laptop does (S3); only the guest's agent can put it there.
      - V(absent) is not defined. A domain that runs is shut down first.
      - V(rebooted) and V(reset) boot a guest anew, by its own means or by the reset button, and start one that is off.
        V(reset) needs O(allow_data_loss).
      - A transient domain cannot be V(saved) or V(shutoff), since it is gone when it stops.
    type: str
    choices: [defined, running, paused, saved, shutoff, pmsuspended, absent, rebooted, reset]
    default: defined
  xml:
    description:
      - The definition of the domain, in libvirt's own format.
      - It is compared with the one that exists by what it says, not as a text; what libvirt has added to that one is
        no difference. The UUID, MAC addresses, addresses of devices and metadata that it has are kept where the
        declared one does not say them.
      - A domain that runs goes on with what it has; RV(restart_required) says what waits for the next start.
    type: str
  autostart:
    description:
      - Whether libvirt starts the domain when the host boots.
    type: bool
  uri:
    description:
      - The connection, as C(virsh -c) takes it; a remote one is opened from the managed host.
    type: str
    default: qemu:///system
  allow_data_loss:
    description:
      - Whether steps may be taken that lose the memory of a guest, and what it has not yet written to its disks.
      - A way without such a step is preferred where there is one that is about as short.
    type: bool
    default: false
  start_to_save:
    description:
      - Whether a domain that is off is booted so that it can be V(saved).
    type: bool
    default: false
  shutdown_by:
    description:
      - How a guest is asked to shut down or reboot, by its guest agent, by the ACPI power button, or by the first of
        both that works. Empty leaves it to libvirt's driver.
      - The request is repeated every 15 seconds, because a guest that is still booting does not notice the button.
    type: list
    elements: str
    choices: [agent, acpi]
    default: []
  timeout:
    description:
      - Seconds in which each transition must be through. Saving that takes longer is aborted; the guest runs on.
      - Another job on the domain is waited for as long, and so is a daemon that is restarted.
    type: float
    default: 180
  force_after:
    description:
      - Seconds after which a guest that does not shut down is destroyed, and one that does not reboot is reset. This
        loses what it has in memory. Without this option no guest is ever forced.
    type: float
  parallelism:
    description:
      - How many domains are driven at the same time.
    type: int
    default: 10
  leftovers:
    description:
      - What becomes of the things of a domain that is made V(absent).
    type: dict
    default: {}
    suboptions:
      nvram:
        description: The file with the variables of its UEFI firmware.
        type: str
        choices: [keep, remove]
        default: keep
      tpm:
        description: The state of its emulated TPM. V(keep) needs libvirt 8.9.
        type: str
        choices: [keep, remove]
        default: keep
      snapshots:
        description:
          - What libvirt knows of its snapshots. V(keep) makes the task fail if there are any, since that cannot be
            kept without the domain. The data in the disks stays in any case.
        type: str
        choices: [keep, remove]
        default: keep
      checkpoints:
        description: The same for its checkpoints.
        type: str
        choices: [keep, remove]
        default: keep
      volumes:
        description:
          - Disks to delete, by target name such as V(vda) or by path. They must be in an active storage pool.
          - A disk that another domain uses as well is an error.
        type: list
        elements: str
        default: []
seealso:
  - module: hostcraft.linux.libvirt_domain_state_info
  - name: Life cycle of a domain
    description: The table and diagram of states that this module works by.
    link: https://github.com/hostcraft/hostcraft.linux/blob/main/docs/libvirt_domain_state.md
  - name: Domain XML format
    description: What can be said in a definition.
    link: https://libvirt.org/formatdomain.html
"""

EXAMPLES = r"""
- name: Start all web servers, and with the host from now on
  hostcraft.linux.libvirt_domain_state:
    name: web-*
    state: running
    autostart: true
  become: true

- name: Shut down everything, ten minutes at most, then pull the plug
  hostcraft.linux.libvirt_domain_state:
    name: "*"
    state: shutoff
    force_after: 600
    parallelism: 50
  become: true

- name: Save the machines of the laboratory, whether they run, are paused or asleep
  hostcraft.linux.libvirt_domain_state:
    tags: [laboratory]
    state: saved
  become: true

- name: Define a machine and start it
  hostcraft.linux.libvirt_domain_state:
    xml: "{{ lookup('ansible.builtin.template', 'db1.xml.j2') }}"
    state: running
  become: true
  register: db1

- name: Boot it anew if what runs is not what is declared
  hostcraft.linux.libvirt_domain_state:
    name: db1
    state: rebooted
  when: db1.restart_required | length > 0
  become: true

- name: Remove a machine with its first disk and the variables of its firmware
  hostcraft.linux.libvirt_domain_state:
    name: old1
    state: absent
    leftovers:
      nvram: remove
      volumes: [vda]
  become: true
"""

RETURN = r"""
steps:
  description: What was done, or in check mode would be done, domain after domain.
  returned: success
  type: list
  elements: str
  sample:
    - resume web1
    - "shut down web1: by what its guest offers"
domains:
  description: What was done with each domain, by name; empty in check mode and when nothing was to be done.
  returned: success, and when domains failed
  type: dict
  contains:
    state:
      description: The state in which it was seen last.
      type: str
    path:
      description: The transitions that were carried out, which are fewer than planned when the guest was faster.
      type: list
      elements: str
    changed:
      description: Whether anything was done with it.
      type: bool
    forced:
      description: Whether O(force_after) was needed.
      type: bool
    failed:
      description: Whether its state was not reached.
      type: bool
    msg:
      description: Why not.
      type: str
    seconds:
      description: How long it took.
      type: float
  sample:
    web1: {state: shutoff, path: [resume, shutdown], changed: true, forced: false, failed: false, msg: "", seconds: 2.1}
restart_required:
  description: What runs otherwise than its declared O(xml) says, by name of the domain.
  returned: success
  type: dict
  sample:
    db1: ["memory", "devices/interface[52:54:00:00:00:01]/source@bridge"]
refused:
  description: One message for each domain that cannot be made what is declared; nothing has been changed.
  returned: when the declaration cannot be met
  type: list
  elements: str
done:
  description: The steps that were done.
  returned: when domains did not stay what they were made
  type: list
  elements: str
remaining:
  description: Steps that are needed again although they were done.
  returned: when domains did not stay what they were made
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hostcraft.linux.plugins.module_utils._core.argspec import compose
from ansible_collections.hostcraft.linux.plugins.module_utils._libvirt import declare, task


def main():
    module = AnsibleModule(**compose(declare.SELECTION, declare.OPTIONS))
    module.exit_json(**task.run(module))


if __name__ == "__main__":
    main()
