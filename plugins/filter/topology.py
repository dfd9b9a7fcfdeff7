# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Draw the links of a host."""

DOCUMENTATION = r"""
name: topology
short_description: Draw bonds, VLANs and bridges, also before and after a change
version_added: 1.0.0
description:
  - Draws a topology as M(hostcraft.linux.bond_vlan_bridge_info) returns it, or as M(hostcraft.linux.bond_vlan_bridge)
    takes it, as the text of a Mermaid flowchart or as an SVG picture.
  - With O(after) or O(declared) it draws what changes. What is new is green and has a bold arrow, what goes is red and
    has a dashed one, and what changes is yellow, with V(+) and V(-) before what it gets and loses.
author:
  - hostcraft.linux contributors (@hostcraft)
positional: after
options:
  _input:
    description: The lists C(bonds), C(vlans), C(bridges) and C(nics), each of which may be missing.
    type: dict
    required: true
  after:
    description: The whole topology after the change. What it does not have is drawn as removed.
    type: dict
  declared:
    description:
      - What M(hostcraft.linux.bond_vlan_bridge) is to be given. What it does not name stays as it is.
      - Excludes O(after).
    type: dict
  format:
    description: What to return. V(svg) needs the program C(dot) of graphviz on the controller.
    type: str
    choices: [mermaid, svg]
    default: mermaid
seealso:
  - module: hostcraft.linux.bond_vlan_bridge
  - module: hostcraft.linux.bond_vlan_bridge_info
"""

EXAMPLES = r"""
- name: Read what the host has
  hostcraft.linux.bond_vlan_bridge_info:
  register: found

- name: Show what a declaration will change
  ansible.builtin.debug:
    msg: "{{ found.topology | hostcraft.linux.topology(declared=wanted) }}"
  vars:
    wanted:
      bridges:
        - name: br0
          ports: [bond0.100]
          addresses: [10.10.100.2/24]
          gateway: 10.10.100.1

- name: Draw the host for its documentation
  ansible.builtin.copy:
    content: "{{ found.topology | hostcraft.linux.topology(format='svg') }}"
    dest: "{{ inventory_hostname }}.svg"
    mode: "0644"
  delegate_to: localhost
"""

RETURN = r"""
_value:
  description: The text of the flowchart, or of the picture.
  type: str
"""

import shutil
import subprocess
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError
from ansible_collections.hostcraft.linux.plugins.plugin_utils import topology as draw

LIMIT = 60.0  # seconds that dot may take


def topology(before, after=None, declared=None, format="mermaid"):  # noqa: A002 the name that a playbook writes
    """Return the drawing of a topology, or of its change to another one.

    :raises AnsibleFilterError: the input is no topology, or dot(1) is missing or fails.
    """
    if after is not None and declared is not None:
        raise AnsibleFilterError("topology: after and declared exclude each other; after is a whole topology")
    if format not in ("mermaid", "svg"):
        raise AnsibleFilterError(f"topology: format '{format}' is none; it is mermaid or svg")
    for name, value in (("the input", before), ("after", after), ("declared", declared)):
        if not isinstance(value, Mapping) and not (value is None and name != "the input"):
            raise AnsibleFilterError(
                f"topology: {name} is a {type(value).__name__} and no dictionary with bonds, vlans, bridges and nics, "
                "as bond_vlan_bridge_info returns it in 'topology'"
            )
    try:
        old, new = draw.links(before), None
        if declared is not None:
            new = draw.declared(old, declared)
        elif after is not None:
            new = draw.links(after)
    except ValueError as error:
        raise AnsibleFilterError(f"topology: {error}") from error
    drawn = draw.drawing(old, new)
    return draw.mermaid(drawn) if format == "mermaid" else _svg(draw.dot(drawn))


def _svg(text):
    program = shutil.which("dot")
    if program is None:
        raise AnsibleFilterError(
            "topology: format svg needs the program 'dot' on the controller, and it is not there; install graphviz, "
            "or leave the format at mermaid"
        )
    try:
        done = subprocess.run(
            [program, "-Tsvg"], input=text, capture_output=True, encoding="utf-8", timeout=LIMIT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AnsibleFilterError(f"topology: {program} did not draw: {error}") from error
    if done.returncode:
        raise AnsibleFilterError(f"topology: {program} failed with status {done.returncode}: {done.stderr.strip()}")
    return done.stdout


class FilterModule:
    """The filters of this file."""

    def filters(self):
        return {"topology": topology}
