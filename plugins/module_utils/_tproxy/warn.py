# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What will not work as it is meant, though nothing forbids it. Pure.

Private to the collection; not a public interface.
"""

from . import refusals, sysctls
from .model import LOOPBACK


def warnings(wanted, state):
    """Return the warnings for all captures that are declared."""
    found = [text for one in wanted.captures for text in of(one, state.places[one.netns], wanted.set_sysctls)]
    return tuple(dict.fromkeys(found))


def of(capture, place, set_sysctls):
    """Return the warnings for one capture.

    :param set_sysctls: whether settings that are in the way are set anyhow.
    """
    found = _proxies(capture, place.listeners)
    if not set_sysctls:
        found += [
            f"capture '{capture.key}': {name.replace('/', '.')} is {old}: {why}; set_sysctls sets it to {new}"
            for name, (old, new, why) in sorted(sysctls.wrong(capture, place).items())
        ]
    found += _unnumbered(capture, place)
    if refusals.swallows(capture, place.connection):
        found.append(f"capture '{capture.key}': it takes the ssh connection that this task came by")
    return found


def _unnumbered(capture, place):
    """Tell of links without an address that a filter for all links closes; see :func:`sysctls.needs`."""
    value = place.sysctls.get("net/ipv4/conf/all/rp_filter", "0")
    named = capture.inbound.interfaces if capture.inbound and 4 in capture.families else ()
    return [
        f"capture '{capture.key}': {link} has no IPv4 address and no route leads out by it, and "
        f"net.ipv4.conf.all.rp_filter is {value}, so all that comes in there is lost; give it an address (a /32 does)"
        for link in named
        if value != "0" and place.dead_ends.get(link) is False
    ]


def _proxies(capture, listeners):
    if listeners is None:
        return []
    found = []
    for name, mode, port, protocols in _ports(capture):
        for proto in protocols:
            there = {one: _there(listeners, proto, one, port) for one in capture.families}
            # What the host's programs send reaches the loopback, and what comes in does not.
            missing = [one for one, kinds in there.items() if not kinds]
            inner = [one for one, kinds in there.items() if list(kinds) == [LOOPBACK] and name == "inbound"]
            opaque = [one for one, kinds in there.items() if one not in inner and set(kinds.values()) == {False}]
            where = f"capture '{capture.key}': at {proto} port {port}, where {name} goes,"
            if missing:
                found.append(f"{where} nobody listens over {_families(missing)}; {_meanwhile(capture, mode)}")
            if inner:
                found.append(
                    f"{where} somebody listens over {_families(inner)} at the loopback alone, where nothing comes in "
                    f"from elsewhere; {_meanwhile(capture, mode)}"
                )
            if opaque and mode == "tproxy":
                found.append(
                    f"{where} the listener over {_families(opaque)} is not IP_TRANSPARENT, and is none to the kernel; "
                    f"{_meanwhile(capture, mode)}"
                )
    return found


def _there(listeners, proto, family, port):
    """Return {0 or LOOPBACK: whether it is transparent} of who listens at a port."""
    keys = [(own, (proto, family, own + port)) for own in (0, LOOPBACK)]
    return {own: listeners[key] for own, key in keys if key in listeners}


def _ports(capture):
    for name, side in (("inbound", capture.inbound), ("outbound", capture.outbound)):
        if side:
            yield name, side.mode, side.port, [one for one in ("tcp", "udp") if getattr(side, one)]
    if capture.dns:
        yield "dns", "redirect", capture.dns.port, ["udp", "tcp"]


def _families(numbers):
    return " and ".join(f"IPv{one}" for one in numbers)


def _meanwhile(capture, mode):
    if mode == "redirect":
        return "what is captured is refused until a proxy does"
    return (
        "what is captured passes by until a proxy does"
        if capture.bypass
        else "what is captured is dropped until a proxy does"
    )
