# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of ``proxy_arp``.

Private to the collection; not a public interface.
"""

STATE = dict(type="str", choices=["present", "absent"], default="present")
ENDPOINT = dict(
    name=dict(type="str", required=True),
    netns=dict(type="str"),
    pid=dict(type="int"),
    create=dict(type="bool", default=True),
    interface=dict(type="str", default="eth0"),
    host_interface=dict(type="str"),
    addresses=dict(type="list", elements="str"),
    gateway=dict(type="str", default="169.254.1.1"),
    gateway6=dict(type="str"),
    mac=dict(type="str", default="ee:ee:ee:ee:ee:ee"),
    mtu=dict(type="int"),
    state=STATE,
)
PROXY = dict(
    interface=dict(type="str", required=True),
    addresses=dict(type="list", elements="str", required=True),
    state=STATE,
)
ARGUMENTS = dict(
    argument_spec=dict(
        endpoints=dict(type="list", elements="dict", options=ENDPOINT),
        proxies=dict(type="list", elements="dict", options=PROXY),
        purge=dict(type="bool", default=False),
        forwarding=dict(type="str", choices=["check", "set", "ignore"], default="check"),
        missing_namespace=dict(type="str", choices=["fail", "remove"], default="fail"),
        probe=dict(type="float", default=0.3),
        save=dict(type="path"),
    ),
    required_one_of=[["endpoints", "proxies", "purge"]],
)
