# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the options of a task to the links that are wanted.

Private to the collection; not a public interface.
"""

import ipaddress
import re

from .._core.reconcile import ReconcileError
from . import bridge_vlans, options
from .model import Link, Route, Rule, Wanted

# include/uapi/linux/if.h, IFNAMSIZ 16 with the closing zero; dev_valid_name() in net/core/dev.c.
NAME = re.compile(r"(?!\.{1,2}\Z)[^\s/:]{1,15}\Z")
# A label of a name (RFC 1123), and the dot alone, which is the root.
DOMAIN = re.compile(
    r"(?=.{1,253}\Z)(\.|[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?)\Z"
)
# Below 32766 the kernel looks in main, before 1 in local; 253 to 255 are these tables (rtnetlink(7)).
PRIORITIES, TABLES = range(1, 32766), range(1, 2**32)
FULL = 2**32 - 1  # the mask of a mark that is given without one
MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}\Z")


def wanted(params):
    """Return the :class:`Wanted` of the options of ``bond_vlan_bridge``.

    :raises ReconcileError: names the link, what was found, and what would be right.
    """
    links, absent, masters, exact = {}, [], {}, []
    for kind, entries in (("bond", "bonds"), ("vlan", "vlans"), ("bridge", "bridges"), ("nic", "nics")):
        for entry in params.get(entries) or ():
            name = _name(kind, entry)
            if name in links or name in absent:
                raise ReconcileError(f"{kind} '{name}': declared twice; put all that you want of it into one entry")
            if entry.get("state") == "absent":
                absent.append(name)
                continue
            links[name] = _link(kind, name, entry)
            if entry.get("ports") is not None:
                exact.append(name)
            for port in entry.get("ports") or ():
                if masters.setdefault(port, name) != name:
                    raise ReconcileError(
                        f"port '{port}': a link has one master, and both '{masters[port]}' and '{name}' claim it"
                    )
    for port, master in masters.items():
        if port in absent:
            raise ReconcileError(f"port '{port}': '{master}' claims it, and it is declared absent; decide for one")
        below = links.get(port, Link(port, "nic"))
        links[port] = below._replace(master=master)
    return Wanted(links, tuple(absent), tuple(exact) if params.get("purge") else ())


def _name(kind, entry):
    name = entry["name"]
    if kind == "vlan" and name is None:
        if entry["parent"] is None or entry["id"] is None:
            raise ReconcileError("vlan without a name: give name, or parent and id, of which one is made")
        name = f"{entry['parent']}.{entry['id']}"
    if not NAME.match(name):
        raise ReconcileError(
            f"{kind} '{name}': not the name of a link; 1 to 15 characters without blanks, slashes and colons"
        )
    return name


def _link(kind, name, entry):
    where = f"{kind} '{name}'"
    mac = entry["mac"] and entry["mac"].lower().replace("-", ":")
    if mac and not MAC.match(mac):
        raise ReconcileError(f"{where}: mac '{entry['mac']}' is none; write six pairs of hexadecimal digits")
    addresses = None if entry["addresses"] is None else _once(_address(where, one) for one in entry["addresses"])
    number = entry.get("id")
    if kind == "vlan" and number is not None and not 1 <= number <= 4094:
        raise ReconcileError(f"{where}: id {number} is none of a VLAN; they go from 1 to 4094 (IEEE 802.1Q)")
    port = entry.get("bridge_port") or {}
    # What a bridge is to itself are VLANs only.
    vlans = bridge_vlans.given(where, entry if kind == "bridge" else port)
    return Link(
        name,
        kind,
        options.given(options.KINDS[kind], entry),
        port=dict(options.given(options.PORT, port), **vlans),
        mtu=entry["mtu"],
        mac=mac,
        addresses=addresses,
        routes=_routes(where, entry),
        up=True,
        rules=None if entry["rules"] is None else _once(_rule(where, one) for one in entry["rules"]),
        dns=None if entry["dns"] is None else _servers(where, entry["dns"]),
        dns_search=None if entry["dns_search"] is None else _once(_domain(where, one) for one in entry["dns_search"]),
        dhcp4=entry["dhcp4"],
        ipv6=entry["ipv6"],
    )


def _address(where, text):
    try:
        one = ipaddress.ip_interface(text)
    except ValueError as error:
        raise ReconcileError(f"{where}: address '{text}': {error}; write it with its prefix, as 192.0.2.1/24") from None
    if "/" not in text:
        raise ReconcileError(
            f"{where}: address '{text}' has no prefix; write it as {text}/24 or whatever your network has"
        )
    return str(one)


def _routes(where, entry):
    """Return the routes of an entry, its gateways among them; None when it says nothing of them."""
    if entry["routes"] is None and entry["gateway"] is None and entry["gateway6"] is None:
        return None
    found = []
    for key, to in (("gateway", "0.0.0.0/0"), ("gateway6", "::/0")):
        if entry[key]:
            found.append(Route(to, _host(where, key, entry[key])))
    for one in entry["routes"] or ():
        try:
            to = str(ipaddress.ip_network(one["to"]))
        except ValueError as error:
            raise ReconcileError(f"{where}: route to '{one['to']}': {error}") from None
        via = one["via"] and _host(where, "via", one["via"])
        found.append(Route(to, via, one["metric"], one["table"]))
    return _once(found)


def _servers(where, texts):
    """Return name servers, those of IPv4 first: profiles of NetworkManager keep them by family."""
    return _once(sorted((_host(where, "dns", one) for one in texts), key=lambda one: ":" in one))


def _once(values):
    """Return values in their order, each once."""
    return tuple(dict.fromkeys(values))


def _rule(where, one):
    """Return one rule; its family is that of its prefixes."""
    ends = {key: one[key] and _prefix(where, key, one[key]) for key in ("from", "to")}
    families = {network.version for network in ends.values() if network}
    families |= {int(one["family"][-1])} if one["family"] else set()
    if len(families) > 1:
        raise ReconcileError(f"{where}: rule {one['priority']} has prefixes or a family of both IPv4 and IPv6")
    if one["priority"] not in PRIORITIES or one["table"] not in TABLES:
        raise ReconcileError(
            f"{where}: rule with priority {one['priority']} and table {one['table']}; priorities go from 1 to "
            f"{PRIORITIES[-1]}, tables from 1 up"
        )
    source, to = (None if network is None or network.prefixlen == 0 else str(network) for network in ends.values())
    mark = one["fwmark"] and _mark(where, one["fwmark"])
    return Rule(one["priority"], one["table"], max(families, default=4), source, to, one["iif"], mark)


def _prefix(where, key, text):
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise ReconcileError(f"{where}: rule {key} '{text}': {error}") from None


def _mark(where, text):
    """Return a mark, and its mask where it has one, as ip(8) shows them."""
    try:
        numbers = [int(one, 0) for one in text.split("/")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 2) or not all(0 <= one <= FULL for one in numbers):
        raise ReconcileError(f"{where}: rule fwmark '{text}'; write a number, or number/mask, as in 0x10/0xff")
    mark, mask = (*numbers, FULL)[:2]
    return hex(mark) if mask == FULL else f"{hex(mark)}/{hex(mask)}"


def _domain(where, text):
    if not DOMAIN.match(text):
        raise ReconcileError(f"{where}: dns_search '{text}' is not the name of a domain")
    return text.lower()


def _host(where, key, text):
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as error:
        raise ReconcileError(f"{where}: {key}: {error}") from None
