# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of ``xdp_drop``, as AnsibleModule checks them.

Private to the collection; not a public interface.
"""


def _texts():
    return dict(type="list", elements="str")


RULE = dict(
    name=dict(type="str", required=True),
    action=dict(type="str", required=True, choices=["drop", "pass"]),
    source=_texts(),
    source_file=dict(type="path"),
    destination=_texts(),
    destination_file=dict(type="path"),
    protocol=_texts(),
    source_ports=_texts(),
    destination_ports=_texts(),
    icmp_types=_texts(),
    tcp_flags=_texts(),
    vlan=_texts(),
    fragment=dict(type="bool"),
)
ARGUMENTS = dict(
    argument_spec=dict(
        interface=dict(type="list", elements="str", required=True),
        state=dict(type="str", default="present", choices=["present", "absent"]),
        rules=dict(type="list", elements="dict", options=RULE),
        remote_src=dict(type="bool", default=False),
        mode=dict(type="str", default="auto", choices=["auto", "native", "generic", "offload"]),
        boot=dict(type="bool"),
        allow_lockout=dict(type="bool", default=False),
    ),
    required_if=[("state", "present", ["rules"])],
)
