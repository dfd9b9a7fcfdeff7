# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Make the report of a maintenance run."""

DOCUMENTATION = r"""
name: maintenance_report
short_description: Make the report of a maintenance run
version_added: 1.0.0
description:
  - Makes of the journals of all hosts a report, as a dictionary or as an HTML page with a timeline. The page has all in
    itself and needs neither scripts nor other files.
author:
  - hostcraft.linux contributors (@hostcraft)
positional: run, now
options:
  _input:
    description: The journals by host. An empty one is that of a host that the run has not come to.
    type: dict
    required: true
  run:
    description: What the run is called.
    type: str
    required: true
  now:
    description: The time in UTC, as V(2026-11-24T06:00:03Z).
    type: str
    required: true
  format:
    description: What to return.
    type: str
    choices: [data, html]
    default: data
seealso:
  - plugin: hostcraft.linux.maintenance_journal
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Write the page
  ansible.builtin.copy:
    content: "{{ journals | hostcraft.linux.maintenance_report('tuesday', time, format='html') }}"
    dest: report.html
    mode: "0640"
  delegate_to: localhost
"""

RETURN = r"""
_value:
  description: The report, with C(run), C(written), C(counts) by result and C(hosts), or the text of the page.
  type: raw
"""

from collections.abc import Mapping

from ansible.errors import AnsibleFilterError
from ansible_collections.hostcraft.linux.plugins.plugin_utils import maintenance


def maintenance_report(journals, run, now, format="data"):  # noqa: A002 the name that a playbook writes
    """Return the report of a run.

    :raises AnsibleFilterError: the input has no journals.
    """
    if format not in ("data", "html"):
        raise AnsibleFilterError(f"maintenance_report: format '{format}' is none; it is data or html")
    if not isinstance(journals, Mapping):
        raise AnsibleFilterError(f"maintenance_report: the input is a {type(journals).__name__}, not journals by host")
    found = maintenance.report(journals, run, now)
    return maintenance.page(found) if format == "html" else found


class FilterModule:
    """The filter, as Ansible finds it."""

    def filters(self):
        """Return the filters of this file."""
        return {"maintenance_report": maintenance_report}
