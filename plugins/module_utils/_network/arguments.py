# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a task, as an argument specification. Pure.

Private to the collection; not a public interface.
"""

from . import options

ROUTE = dict(
    to=dict(type="str", required=True),
    via=dict(type="str"),
    metric=dict(type="int"),
    table=dict(type="int"),
)
# What every kind of link has.
COMMON = dict(
    mtu=dict(type="int"),
    mac=dict(type="str"),
    addresses=dict(type="list", elements="str"),
    gateway=dict(type="str"),
    gateway6=dict(type="str"),
    routes=dict(type="list", elements="dict", options=ROUTE),
)
NAME = dict(name=dict(type="str", required=True))
MADE = dict(state=dict(type="str", choices=["present", "absent"], default="present"))
MASTER = dict(ports=dict(type="list", elements="str"))
PORT = dict(bridge_port=dict(type="dict", options=options.argument_spec(options.PORT)))


def _links(table, *parts):
    """Return the option that is a list of links with the options of a table, and these parts."""
    found = dict(COMMON, **options.argument_spec(table))
    for part in parts:
        found.update(part)
    return dict(type="list", elements="dict", options=found)


ARGUMENTS = dict(
    argument_spec=dict(
        bonds=_links(options.BOND, NAME, MADE, MASTER),
        # Without a name it is called after its parent and id.
        vlans=_links(options.VLAN, dict(name=dict(type="str")), MADE),
        bridges=_links(options.BRIDGE, NAME, MADE, MASTER),
        nics=_links({}, NAME, PORT),
        purge=dict(type="bool", default=False),
        backend=dict(type="str", choices=["auto", "networkmanager", "runtime"], default="auto"),
    )
)
