# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""On which device of a stack of them the program belongs. Pure.

Private to the collection; not a public interface.
"""

TEAMS = ("bond", "team")


def advice(interface, known):
    """Return why an interface is the wrong one, and which is right; "" for one that is right.

    :param interface: :class:`rtnetlink.Interface`.
    :param known: ``{index: Interface}`` of all.
    """
    master = known.get(interface.master)
    if master is not None and master.kind in TEAMS:
        return (
            f"{interface.name} is a port of the {master.kind} {master.name}, which runs its XDP program on all its "
            f"ports: declare 'interface: {master.name}'"
        )
    if interface.kind == "vlan":
        lower = known.get(interface.lower)
        below = lower.name if lower else "the interface below it"
        return (
            f"{interface.name} is VLAN {interface.vlan} of {below}, and frames meet an XDP program on {below} only: "
            f"declare 'interface: {below}' and in the rules 'vlan: [{interface.vlan}]'; or, slower, 'mode: generic'"
        )
    if interface.kind == "bridge":
        ports = sorted(one.name for one in known.values() if one.master == interface.ifindex)
        return (
            f"{interface.name} is a bridge, and frames meet an XDP program on its ports only: declare "
            f"'interface: [{', '.join(ports) or 'its ports'}]'; or, slower, 'mode: generic'"
        )
    return ""


def refuses(interface, known, mode):
    """Return :func:`advice` where it is a reason to refuse; in mode generic only the port of a bond is wrong."""
    if mode == "generic" and interface.kind in ("vlan", "bridge"):
        return ""
    return advice(interface, known)
