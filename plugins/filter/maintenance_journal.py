# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Write in the journal of a host's maintenance."""

DOCUMENTATION = r"""
name: maintenance_journal
short_description: Write in the journal of a host's maintenance
version_added: 1.0.0
description:
  - Returns a journal with one more entry. The step that ran has ended then, and another one begins.
  - The role P(hostcraft.linux.node_maintenance#role) keeps the journal of each host with it.
author:
  - hostcraft.linux contributors (@hostcraft)
positional: now
options:
  _input:
    description: The journal so far; an empty dictionary begins one.
    type: dict
    required: true
  now:
    description: The time in UTC, as V(2026-11-24T06:00:03Z).
    type: str
    required: true
  step:
    description: The step that begins. Without it none does.
    type: str
  result:
    description: How the whole maintenance stands when no step begins.
    type: str
    choices: [done, failed, not needed, skipped]
  detail:
    description: Lines about the step that has ended.
    type: list
    elements: str
  resume:
    description: Whether this is the journal of an earlier run, which goes on. A step that it left open was interrupted.
    type: bool
    default: false
seealso:
  - plugin: hostcraft.linux.maintenance_report
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Begin a journal
  ansible.builtin.set_fact:
    journal: "{{ {} | hostcraft.linux.maintenance_journal(now(utc=true, fmt='%Y-%m-%dT%H:%M:%SZ'), step='drain') }}"
"""

RETURN = r"""
_value:
  description: >-
    The journal, with C(events), the steps that are C(done), the C(step) that it is at, and the C(result).
  type: dict
"""

from collections.abc import Mapping

from ansible.errors import AnsibleFilterError
from ansible_collections.hostcraft.linux.plugins.plugin_utils import maintenance


def maintenance_journal(journal, now, *, step=None, result=None, detail=None, resume=False):
    """Return a journal with one more entry.

    :raises AnsibleFilterError: the input is no journal.
    """
    if not isinstance(journal, Mapping):
        raise AnsibleFilterError(f"maintenance_journal: the input is a {type(journal).__name__}, not a journal")
    if result not in (None, *maintenance.RESULTS):
        raise AnsibleFilterError(f"maintenance_journal: no result is called '{result}'")
    if resume:
        return maintenance.resume(journal, now)
    return maintenance.note(journal, now, step, result, detail)


class FilterModule:
    """The filter, as Ansible finds it."""

    def filters(self):
        """Return the filters of this file."""
        return {"maintenance_journal": maintenance_journal}
