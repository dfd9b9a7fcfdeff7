# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the options of a task to what is wanted. Pure.

Private to the collection; not a public interface.
"""

import hashlib
import ipaddress
import re

from .._core.reconcile import ReconcileError
from .model import Endpoint, Proxy, Wanted, shown

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@-]{0,63}\Z")
# dev_valid_name() of the kernel: 15 bytes, no slash, colon or space.
INTERFACE = re.compile(r"(?!\.{1,2}\Z)[^\s/:]{1,15}\Z")
MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}\Z")
LONGEST_PATH = 150  # IFALIASZ is 256 with the name, and what stands before them
MOST = 4096  # addresses that one entry of proxies may stand for


def wanted(params):
    """Return the :class:`Wanted` of the options of ``proxy_arp``.

    :raises ReconcileError: names the entry and what is wrong with it.
    """
    endpoints, absent = [], {}
    for number, entry in enumerate(params["endpoints"] or (), 1):
        try:
            if entry["state"] == "absent":
                name = entry["host_interface"] or host_interface(entry["name"])
                absent[_name(entry)] = (_place(entry), name)
            else:
                endpoints.append(_endpoint(entry))
        except ReconcileError as error:
            raise ReconcileError(f"endpoints, entry {number} ({entry['name']}): {error}") from error
    _once("endpoints", "the name", [one.name for one in endpoints] + list(absent))
    _once("endpoints", "host_interface", [one.host_interface for one in endpoints])
    _once("endpoints", "the address", [address for one in endpoints for address in one.addresses])
    _once("endpoints", "the namespace and interface", [f"{one.place} {one.interface}" for one in endpoints])
    for version in (4, 6):
        # Each is the way to everywhere.
        places = [f"{shown(one.place)}, IPv{version}" for one in endpoints if one.family(version)]
        _once("endpoints", "the default route of a namespace", places)
    proxies = [(_proxy(entry), entry["state"]) for entry in params["proxies"] or ()]
    _once("proxies", "the interface", [f"{one.interface} ({state})" for one, state in proxies])
    return Wanted(
        tuple(endpoints),
        absent,
        tuple(one for one, state in proxies if state == "present"),
        tuple(one for one, state in proxies if state == "absent"),
        params["purge"],
        params["forwarding"],
        params["missing_namespace"],
        params["probe"],
    )


def host_interface(name):
    """Return the name that our end has unless another is given: the same for the same endpoint on every host."""
    return "arp" + hashlib.sha256(name.encode()).hexdigest()[:11]


def link_local(mac):
    """Return the link-local address that a MAC stands for (RFC 4291, appendix A)."""
    one = bytes(int(byte, 16) for byte in mac.split(":"))
    eui = bytes([one[0] ^ 2]) + one[1:3] + b"\xff\xfe" + one[3:]
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + eui))


def _endpoint(entry):
    name, place = _name(entry), _place(entry)
    mac = entry["mac"].lower()
    if not MAC.match(mac) or int(mac[:2], 16) & 1:
        raise ReconcileError(f"mac '{mac}' is no address of one link; give six bytes, the first of them even")
    if not entry["addresses"]:
        raise ReconcileError("it has no addresses; give at least one")
    if entry["mtu"] is not None and not 68 <= entry["mtu"] <= 65535:
        raise ReconcileError(f"mtu {entry['mtu']} is not between 68 and 65535")
    addresses = tuple(_host(text) for text in entry["addresses"])
    if entry["mtu"] is not None and entry["mtu"] < 1280 and any(":" in one for one in addresses):
        raise ReconcileError(f"mtu {entry['mtu']} is too small for IPv6, which needs 1280 (RFC 8200, section 5)")
    one = Endpoint(
        name,
        place,
        entry["create"] and "/" not in place and not place.startswith("pid:"),
        _interface("interface", entry["interface"]),
        _interface("host_interface", entry["host_interface"] or host_interface(entry["name"])),
        addresses,
        _gateway("gateway", entry["gateway"], 4),
        _gateway("gateway6", entry["gateway6"] or link_local(mac), 6),
        mac,
        entry["mtu"],
    )
    if one.gateway in addresses:
        raise ReconcileError(f"its gateway {one.gateway} is one of its own addresses")
    return one


def _name(entry):
    if not NAME.match(entry["name"]):
        raise ReconcileError("the name may have up to 64 letters, digits and '_.:@-'")
    return entry["name"]


def _place(entry):
    if entry["netns"] is not None and entry["pid"] is not None:
        raise ReconcileError("netns and pid exclude each other")
    if entry["pid"] is not None:
        return f"pid:{entry['pid']}"
    place = entry["netns"] if entry["netns"] is not None else entry["name"]
    if "/" in place:
        if not place.startswith("/") or len(place) > LONGEST_PATH:
            raise ReconcileError(f"netns '{place}': a path begins with '/' and has at most {LONGEST_PATH} characters")
        # What has a name is the same by its path.
        named = re.match(r"/(?:var/)?run/netns/([^/]+)\Z", place)
        return named.group(1) if named else place
    if not NAME.match(place):
        raise ReconcileError(f"netns '{place}': a name may have up to 64 letters, digits and '_.:@-'")
    return place


def _interface(option, name):
    if not INTERFACE.match(name):
        raise ReconcileError(f"{option} '{name}': a link's name has 1 to 15 characters, no space, '/' or ':'")
    return name


def _host(text):
    """Return an address without its prefix, which must be that of a single one."""
    try:
        one = ipaddress.ip_interface(text)
    except ValueError as error:
        raise ReconcileError(f"'{text}' is no address: {error}") from error
    if one.network.prefixlen != one.max_prefixlen:
        raise ReconcileError(
            f"'{text}' is a whole network; an endpoint has single addresses: {one.ip}/{one.max_prefixlen}"
        )
    if one.ip.is_multicast or one.ip.is_unspecified or one.ip.is_loopback or one.ip.is_link_local:
        raise ReconcileError(f"'{text}' is multicast, link-local, loopback or nothing; an endpoint needs its own")
    if one.version == 6 and int(one.ip) >> 48 == 0:
        raise ReconcileError(f"'{text}' stands for an IPv4 address (RFC 4291, section 2.5.5); give that itself")
    return str(one.ip)


def _gateway(option, text, version):
    try:
        one = ipaddress.ip_address(text)
    except ValueError as error:
        raise ReconcileError(f"{option} '{text}' is no address") from error
    if one.version != version or (version == 6 and not one.is_link_local) or one.is_multicast:
        kind = "an IPv4 address" if version == 4 else "a link-local IPv6 address such as fe80::1"
        raise ReconcileError(f"{option} '{text}' is not {kind}")
    return str(one)


def _proxy(entry):
    name = entry["interface"]
    found = []
    for text in entry["addresses"]:
        try:
            network = ipaddress.ip_network(text)
        except ValueError as error:
            raise ReconcileError(f"proxies, {name}: '{text}' is no address or network: {error}") from error
        if network.num_addresses > MOST:
            raise ReconcileError(f"proxies, {name}: '{text}' has more than {MOST} addresses, each an entry of its own")
        found += [str(one) for one in network]
    return Proxy(_interface("proxies: interface", name), tuple(dict.fromkeys(found)))


def _once(option, what, values):
    if len(set(values)) < len(values):
        twice = sorted({one for one in values if values.count(one) > 1})
        raise ReconcileError(f"{option}: {what} is given twice: {', '.join(twice)}")
