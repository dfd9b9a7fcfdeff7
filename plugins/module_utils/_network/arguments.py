# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a task, as an argument specification. Pure.

Private to the collection; not a public interface.
"""

from . import options
from .model import IPV6

ROUTE = dict(
    to=dict(type="str", required=True),
    via=dict(type="str"),
    metric=dict(type="int"),
    table=dict(type="int"),
)
RULE = {
    "priority": dict(type="int", required=True),
    "table": dict(type="int", required=True),
    "from": dict(type="str"),
    "to": dict(type="str"),
    "iif": dict(type="str"),
    "fwmark": dict(type="str"),
    "family": dict(type="str", choices=["ipv4", "ipv6"]),
}
# What every kind of link has.
COMMON = dict(
    mtu=dict(type="int"),
    mac=dict(type="str"),
    addresses=dict(type="list", elements="str"),
    gateway=dict(type="str"),
    gateway6=dict(type="str"),
    routes=dict(type="list", elements="dict", options=ROUTE),
    rules=dict(type="list", elements="dict", options=RULE),
    dns=dict(type="list", elements="str"),
    dns_search=dict(type="list", elements="str"),
    dhcp4=dict(type="bool"),
    ipv6=dict(type="str", choices=list(IPV6)),
)
NAME = dict(name=dict(type="str", required=True))
MADE = dict(state=dict(type="str", choices=["present", "absent"], default="present"))
MASTER = dict(ports=dict(type="list", elements="str"))
VLANS = dict(pvid=dict(type="int"), vids=dict(type="list", elements="str"))
PORT = dict(bridge_port=dict(type="dict", options=dict(options.argument_spec(options.PORT), **VLANS)))


def _links(table, *parts):
    """Return the option that is a list of links with the options of a table, and these parts."""
    found = dict(COMMON, **options.argument_spec(table))
    for part in parts:
        found.update(part)
    return dict(type="list", elements="dict", options=found)


ARGUMENTS = dict(
    argument_spec=dict(
        bonds=_links(options.BOND, NAME, MADE, MASTER, PORT),
        # Without a name it is called after its parent and id.
        vlans=_links(options.VLAN, dict(name=dict(type="str")), MADE, PORT),
        bridges=_links(options.BRIDGE, NAME, MADE, MASTER, VLANS),
        nics=_links({}, NAME, PORT),
        purge=dict(type="bool", default=False),
        backend=dict(type="str", choices=["auto", "networkmanager", "ifcfg", "runtime"], default="auto"),
    )
)
