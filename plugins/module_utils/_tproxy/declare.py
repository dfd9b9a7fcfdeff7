# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the options of a task to the captures that are wanted; pure but for users and groups, looked up by functions.

Private to the collection; not a public interface.
"""

import re

from .._core.reconcile import ReconcileError
from . import networks, ports, presets
from .model import Capture, Dns, Mark, Proxy, Side, Wanted

# A proxy cannot stand for many. And who is on a link and sends to 127.0.0.1 would have the proxy call what this host
# keeps for itself: redirected, the packet gets past the kernel's own check (RFC 1122, section 3.2.1.3).
ALWAYS_OUT = networks.parse(["127.0.0.0/8", "224.0.0.0/4", "255.255.255.255/32", "ff00::/8"], "")
# Answers to a DHCP client of this host: to it they are no replies, since it asked everybody.
DHCP = ((68, 68), (546, 546))
RESERVED_TABLES = (0, 253, 254, 255)  # rtnetlink(7)
LAST_PRIORITY = 32765  # before the rule that looks up the main table (ip-rule(8))
NAME = 10  # the length of a capture's name; a chain of iptables may have 28 characters


def wanted(params, uid_of, gid_of):
    """Return the :class:`Wanted` of the options of ``tproxy``.

    :param uid_of: ``uid_of(name or number as text) -> uid``; ``gid_of`` the same for groups.
    :raises ReconcileError: names the capture and the option, what was found and what to do.
    """
    captures, absent, seen = [], [], set()
    for entry in params["captures"]:
        name = entry["name"]
        try:
            if not re.match(r"[a-z][a-z0-9]*\Z", name) or len(name) > NAME:
                raise ReconcileError(
                    f"it becomes part of names of rules; use up to {NAME} of a-z and 0-9, a letter first"
                )
            place = (namespace(entry.get("netns")), name)
            if place in seen:
                raise ReconcileError("it is declared twice for the same network namespace; leave out one of them")
            seen.add(place)
            if entry.get("state") == "absent":
                absent.append(place)
            else:
                captures.append(capture(entry, uid_of, gid_of))
        except ReconcileError as error:
            raise ReconcileError(f"capture '{name}': {error}") from error
    save = params.get("save")
    if save and any(one.netns for one in captures):
        raise ReconcileError(
            "save: a network namespace does not survive a reboot, so its captures cannot be saved; declare them in a "
            "task of their own without save, and run that when the namespace is made"
        )
    return Wanted(
        tuple(captures),
        tuple(absent),
        params.get("backend") or "auto",
        save,
        bool(params.get("set_sysctls")),
        bool(params.get("confirm_timeout")),
    )


def capture(entry, uid_of, gid_of):
    """Return the :class:`Capture` of an item of the option; see :func:`wanted`."""
    whole = presets.completed(entry)
    mark, table, priority = parse_mark(whole["mark"], "mark"), whole["table"], whole["priority"]
    if not mark.value:
        raise ReconcileError(f"mark: {mark} is what packets have that nobody has marked; choose another value")
    if mark.value == mark.mask:
        raise ReconcileError(
            f"mark: {mark} fills its mask; a value must leave a bit of the mask clear, by which captured connections "
            "are told from those that nobody has marked. Choose a wider mask or another value, such as 0x539/0xfff"
        )
    if table in RESERVED_TABLES or not 0 < table < 2**32:
        raise ReconcileError(f"table: {table} is not free for use; choose another, such as 133")
    if not 0 < priority <= LAST_PRIORITY:
        raise ReconcileError(f"priority: {priority} is not from 1 to {LAST_PRIORITY}, before the main table's")
    found = Capture(
        entry["name"],
        namespace(whole.get("netns")),
        _side(whole, "inbound"),
        _side(whole, "outbound"),
        _dns(whole),
        _proxy(whole["proxy"], uid_of, gid_of),
        tuple(sorted({"ipv4": 4, "ipv6": 6}[one] for one in whole["families"])),
        whole["on_proxy_down"] == "bypass",
        mark,
        table,
        priority,
        tuple(low for low, high in ports.parse(whole["ssh_ports"], "ssh_ports") for low in range(low, high + 1)),
    )
    _check(found, whole["allow_loop"])
    return found


def namespace(text):
    """Return how a network namespace is called here: what has a name is the same by its path. None stays None."""
    if text is None:
        return None
    if not re.match(r"(/[^/\s]+)+\Z|[^/\s]+\Z", text) or text in (".", ".."):
        raise ReconcileError(
            f"netns: '{text}' is no name as ip-netns(8) has it, and no path that begins with '/' such as "
            "/proc/4711/ns/net"
        )
    named = re.match(r"/(?:var/)?run/netns/([^/]+)\Z", text)
    return named.group(1) if named else text


def _check(one, allow_loop):
    if not (one.inbound or one.outbound or one.dns):
        raise ReconcileError("nothing is captured; give at least one of inbound, outbound and dns")
    if not one.families:
        raise ReconcileError("families: name at least one of ipv4 and ipv6")
    if (one.outbound or one.dns) and not any(one.proxy) and not allow_loop:
        raise ReconcileError(
            "it would capture what the proxy itself sends, and send it back to the proxy without end. Say what the "
            "proxy's own traffic is known by: proxy.uids, proxy.gids, proxy.marks or proxy.cgroups; or set allow_loop "
            "if no proxy of this host sends anything that is captured"
        )
    if one.inbound and one.inbound.hairpin and not one.proxy.uids:
        raise ReconcileError("inbound.hairpin is for what the proxy's user sends; give proxy.uids")
    if one.inbound and one.inbound.hairpin and one.inbound.mode != "redirect":
        raise ReconcileError("inbound.hairpin works with inbound.mode redirect only; set it to false")
    for mark in one.proxy.marks:
        if one.uses_tproxy and overlap(mark, one.mark):
            raise ReconcileError(f"proxy.marks: {mark} is met by the capture's own mark {one.mark}; choose another")
    _check_bypass(one)


def _check_bypass(one):
    """Refuse what cannot be done: by then the packet has its new destination, or is on its way to this host."""
    if not one.bypass:
        return
    for name, side in (("inbound", one.inbound), ("outbound", one.outbound)):
        if side and (name, side.mode) != ("inbound", "tproxy"):
            raise ReconcileError(
                f"on_proxy_down bypass is possible for inbound with mode tproxy only, and {name} has mode {side.mode}; "
                "use drop, or capture it under another name"
            )
    if one.dns:
        raise ReconcileError("on_proxy_down bypass is not possible for dns; use drop, or capture it under another name")


def _side(whole, name):
    given = whole.get(name)
    if given is None:
        return None
    for key in ("mode", "port"):
        if key not in given:
            raise ReconcileError(f"{name}.{key} is missing")
    port = _port(given["port"], f"{name}.port")
    protocols = set(given["protocols"])
    if given["mode"] == "redirect" and "udp" in protocols:
        raise ReconcileError(
            f"{name}.protocols: with mode redirect a proxy cannot ask where a UDP packet was going to; use mode tproxy "
            "for udp, or dns for questions to name servers"
        )
    included = ports.parse(given.get("ports"), f"{name}.ports") or None
    left = ports.without(included or ((0, 65535),), ports.parse(given.get("exclude_ports"), f"{name}.exclude_ports"))
    if not left:
        raise ReconcileError(f"{name}: no port is left to capture; see ports and exclude_ports")
    spared = DHCP if name == "inbound" and included is None else ()
    return Side(
        given["mode"],
        port,
        left if "tcp" in protocols else (),
        ports.without(left, spared) if "udp" in protocols else (),
        _interfaces(given.get("interfaces"), f"{name}.interfaces"),
        _interfaces(given.get("exclude_interfaces"), f"{name}.exclude_interfaces"),
        networks.parse(given.get("cidrs"), f"{name}.cidrs"),
        networks.union(networks.parse(given.get("exclude_cidrs"), f"{name}.exclude_cidrs"), ALWAYS_OUT),
        networks.parse(given.get("exclude_sources"), f"{name}.exclude_sources"),
        given.get("destinations", "all"),
        given.get("hairpin", False),
    )


def _dns(whole):
    given = whole.get("dns")
    if given is None:
        return None
    return Dns(_port(given.get("port"), "dns.port"), networks.parse(given.get("servers"), "dns.servers"))


def _proxy(given, uid_of, gid_of):
    cgroups = tuple(sorted({one.strip("/") for one in given.get("cgroups", ())}))
    for one in cgroups:
        if not re.match(r"[A-Za-z0-9_.:@/\\-]+\Z", one):
            raise ReconcileError(
                f"proxy.cgroups: '{one}' is no path of a control group, such as system.slice/x.service"
            )
    return Proxy(
        tuple(sorted({uid_of(one) for one in given.get("uids", ())})),
        tuple(sorted({gid_of(one) for one in given.get("gids", ())})),
        tuple(sorted({parse_mark(one, "proxy.marks") for one in given.get("marks", ())})),
        cgroups,
    )


def _port(value, what):
    if value is None or not 0 < value < 2**16:
        raise ReconcileError(f"{what}: {value} is no port from 1 to 65535")
    return value


def _interfaces(given, what):
    for one in given or ():
        # dev_valid_name of the kernel; a quote would end the name in the rules, and '+' is a pattern to iptables.
        if not re.match(r"[^\s/:\"'+*\\]{1,15}\Z", one) or one in (".", ".."):
            raise ReconcileError(f"{what}: '{one}' is no name of an interface")
        if one == "lo":
            raise ReconcileError(f"{what}: what goes over lo stays within the host and is never captured; leave it out")
    return tuple(sorted(set(given or ())))


def parse_mark(text, what):
    """Return the :class:`Mark` of ``0x539/0xfff``; without a mask all 32 bits count.

    :raises ReconcileError: it is none, or has bits outside its mask.
    """
    value, slash, mask = str(text).partition("/")
    try:
        found = Mark(int(value, 0), int(mask, 0) if slash else 0xFFFFFFFF)
    except ValueError:
        found = Mark(-1, 0)
    if not (0 <= found.value < 2**32 and 0 < found.mask < 2**32) or found.value & ~found.mask:
        raise ReconcileError(f"{what}: '{text}' is no mark such as 0x539/0xfff, a value within the bits of its mask")
    return found


def overlap(one, other):
    """Tell whether a packet's mark can meet both by the same bits."""
    common = one.mask & other.mask
    return bool(common) and not (one.value ^ other.value) & common
