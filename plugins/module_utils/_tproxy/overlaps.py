# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What two captures would both take. Pure.

Excluded networks and sources are not looked at: who needs two captures of the same ports tells them apart by what is
included.
Private to the collection; not a public interface.
"""

from . import networks, ports


def common(one, other):
    """Return the first thing that both captures take, in words; None when they have nothing in common."""
    families = set(one.families).intersection(other.families)
    for name in ("inbound", "outbound"):
        first, second = getattr(one, name), getattr(other, name)
        if first and second and _meet(first, second, families):
            for proto in ("tcp", "udp"):
                shared = _both(getattr(first, proto), getattr(second, proto))
                if shared:
                    return f"{name} {proto} {ports.texts(shared)[0]}"
    for first, second in ((one, other), (other, one)):
        if first.dns and second.outbound and _both(second.outbound.tcp + second.outbound.udp, ((53, 53),)):
            return "outbound port 53"
    return "dns" if one.dns and other.dns else None


def _meet(one, other, families):
    """Tell whether two sides have interfaces, networks and destinations in common."""
    if {one.destinations, other.destinations} == {"local", "forwarded"}:
        return False
    if one.interfaces and other.interfaces and not set(one.interfaces).intersection(other.interfaces):
        return False
    if set(one.interfaces).intersection(other.exclude_interfaces) == set(one.interfaces) != set():
        return False
    if set(other.interfaces).intersection(one.exclude_interfaces) == set(other.interfaces) != set():
        return False
    return any(_networks_meet(one.networks, other.networks, family) for family in families)


def _networks_meet(one, other, family):
    """Tell whether the networks of two sides overlap in one family; a side without any takes all."""
    if not one or not other:
        return bool((one or other).of(family)) or not (one or other)
    bits = networks.BITS[family]
    spans = sorted(
        (address, address + (1 << (bits - length)) - 1, number)
        for number, many in enumerate((one.of(family), other.of(family)))
        for address, length in many
    )
    # Those of one side do not overlap each other, so that two that do are neighbours here.
    return any(low <= end and side != last for (_start, end, last), (low, _end, side) in zip(spans, spans[1:]))


def _both(one, other):
    return ports.without(one, ports.without(((0, 65535),), other))
