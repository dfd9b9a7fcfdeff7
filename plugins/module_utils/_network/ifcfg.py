# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of the initscripts (EL7, EL8) in /etc/sysconfig/network-scripts: read, and edited key by key. Pure.

ifcfg-NAME is a shell script that the initscripts source; what it says of other things, its comments and its order stay
as they are. Whatever is None or missing in a link leaves its keys alone. The rules are those of initscripts 9.49 and
10.00: ifup, ifup-eth, ifup-ipv6, ifup-routes and network-functions. Private to the collection.
"""

import contextlib
import ipaddress
import re

from .._core.reconcile import ReconcileError
from . import ifcfg_routes, options
from .ifcfg_text import Text, is_true
from .model import Link, Route

DIRECTORY = "/etc/sysconfig/network-scripts"
TYPES = {"bond": "Bond", "bridge": "Bridge", "nic": "Ethernet"}
# ifup-eth writes each word of BRIDGING_OPTS to a file of sysfs, of the bridge or of its port, in the kernel's units.
PORT = {"cost": "path_cost", "priority": "priority", "hairpin": "hairpin_mode"}
BRIDGE = {
    name: name
    for name in (
        "forward_delay",
        "hello_time",
        "max_age",
        "ageing_time",
        "priority",
        "vlan_filtering",
        "multicast_snooping",
    )
}
BOND = {name: name for name in options.BOND}  # install_bonding_driver: the files of sysfs have the names of the options
SECONDS = {"DELAY": "forward_delay", "AGEING": "ageing_time"}
# expand_config: IPADDR, IPADDR0 and IPADDR1 are looked at in any case, then on up to the first that is missing.
NUMBERS = ("", *(str(number) for number in range(256)))
DEFAULT = {4: "0.0.0.0/0", 6: "::/0"}


def render(link, links, have):
    """Return the files of a link, ``{file name: text}``; None for one that is not to be there.

    :param link: the :class:`Link`; what is None in it, or not among its options, stays as the files have it.
    :param links: all links as they are to be, by name; they tell what its master is.
    :param have: the texts of its files that are there, by file name.
    :raises ReconcileError: the initscripts cannot do it; names the link and what can.
    """
    _check(link)
    with _readable(link.name):
        return _render(link, links, have)


def _render(link, links, have):
    name = f"ifcfg-{link.name}"
    text = Text(have.get(name))
    text.set("DEVICE", link.name)
    if link.kind in _RENDER:
        _RENDER[link.kind](link, text)
    elif name not in have:
        text.set("TYPE", TYPES["nic"])
    if link.up is not None:
        text.set("ONBOOT", "yes" if link.up else "no")
    dynamic = text.get("BOOTPROTO") in ("dhcp", "bootp")
    if not dynamic or link.master or any(":" not in one for one in link.addresses or ()):
        text.set("BOOTPROTO", "none")  # ifup-eth: with dhcp it reads no IPADDR
    _render_master(link, links, text)
    for key, value in (("MTU", link.mtu), ("MACADDR", link.mac)):
        if value is not None:
            text.set(key, str(value))
    if link.addresses is not None:
        _render_addresses(link.addresses, text)
    files = dict(have)
    if link.routes is not None:
        files.update(_render_routes(link, text, have))
    text.set("NM_CONTROLLED", "no")
    files[name] = str(text)
    return files


def parse(name, files):
    """Return the :class:`Link` that the files of ``name`` declare.

    :param files: their texts by file name, as :func:`render` returns them.
    :raises ReconcileError: a value is none; names the file.
    """
    with _readable(name):
        return _parse(name, files)


@contextlib.contextmanager
def _readable(name):
    try:
        yield
    except ValueError as error:
        raise ReconcileError(f"{DIRECTORY}/ifcfg-{name}: {error}; mend it first") from None


def _parse(name, files):
    text = Text(files.get(f"ifcfg-{name}"))
    kind = _kind(text)
    master = text.get("BRIDGE") or (text.get("MASTER") if is_true(text.get("SLAVE")) else None) or ""
    addresses = _addresses(text)
    return Link(
        name,
        kind,
        _options(kind, name, text),
        master,
        _read(options.PORT, PORT, _words(text.get("BRIDGING_OPTS"))) if text.get("BRIDGE") else {},
        int(text.get("MTU")) if text.get("MTU") else None,
        text.get("MACADDR").lower() if text.get("MACADDR") else None,
        addresses,
        _gateways(text, addresses) + ifcfg_routes.parse(name, files),
        is_true(text.get("ONBOOT")),
    )


def _check(link):
    """Refuse what ``ifup`` cannot make of a VLAN: it calls ``ip link add ... type vlan id N``, and no more."""
    what = None
    if link.kind == "vlan":
        given = link.options
        what = "protocol 802.1ad" if given.get("protocol") == "802.1ad" else what
        for key in ("mvrp", "loose_binding", "ingress_qos_map"):
            what = key if given.get(key) else what
    if what:
        raise ReconcileError(
            f"vlan '{link.name}': the initscripts know no {what}, so it would be lost at the next boot; "
            "leave it out, or let NetworkManager keep this link"
        )


def _render_bond(link, text):
    """A bond is known by BONDING_OPTS; of these, mode and miimon are set first and primary last, in any order here."""
    text.set("TYPE", TYPES["bond"])
    text.set("BONDING_MASTER", "yes")
    text.set("BONDING_OPTS", _edit_words(text.get("BONDING_OPTS"), options.BOND, BOND, link.options))


def _render_vlan(link, text):
    """ifup takes parent and id from a name like bond0.100; otherwise from PHYSDEV and VID."""
    text.set("VLAN", "yes")
    parent, number = link.options.get("parent"), link.options.get("id")
    if parent is not None and number is not None:
        plain = link.name == f"{parent}.{number}"
        text.set("PHYSDEV", None if plain else parent)
        text.set("VID", None if plain else str(number))
    for key, option, default in (("REORDER_HDR", "reorder_headers", True), ("GVRP", "gvrp", False)):
        value = link.options.get(option)
        if value is not None and (value != default or text.get(key) is not None):
            text.set(key, "yes" if value else "no")
    pairs = link.options.get("egress_qos_map")
    if pairs is not None:
        # Unquoted behind "egress": ip(8) takes the pairs one by one.
        text.set("VLAN_EGRESS_PRIORITY_MAP", " ".join(f"{key}:{to}" for key, to in pairs) or None)


def _render_bridge(link, text):
    """DELAY and AGEING are seconds for 9.49, which gives them to brctl(8), and hundredths for 10.00, which gives them
    to ip(8). What is in BRIDGING_OPTS goes to sysfs after that, in hundredths in both, and so is what counts."""
    text.set("TYPE", TYPES["bridge"])
    if "stp" in link.options:
        text.set("STP", "yes" if link.options["stp"] else "no")
    delay = link.options.get("forward_delay")
    if delay is not None:
        text.set("DELAY", str(delay // 100) if delay % 100 == 0 else None)
    for key, option in (("AGEING", "ageing_time"), ("PRIO", "priority")):
        if option in link.options:
            text.set(key, None)
    words = _edit_words(text.get("BRIDGING_OPTS"), options.BRIDGE, BRIDGE, link.options)
    text.set("BRIDGING_OPTS", words or None)


def _render_master(link, links, text):
    """Say whose port a link is; what a master is that is no link of ours, such as Open vSwitch, stays as it is said."""
    if link.master is None or (link.master and link.master not in links):
        return
    kind = links[link.master].kind if link.master else None
    if kind != "bridge" and text.get("BRIDGE"):
        text.set("BRIDGING_OPTS", None)
    text.set("MASTER", link.master if kind == "bond" else None)
    text.set("SLAVE", "yes" if kind == "bond" else None)
    text.set("BRIDGE", link.master if kind == "bridge" else None)
    if kind == "bridge":
        words = _edit_words(text.get("BRIDGING_OPTS"), options.PORT, PORT, link.port)
        text.set("BRIDGING_OPTS", words or None)


def _render_addresses(addresses, text):
    """IPv4 as IPADDR and PREFIX, IPADDR1 and PREFIX1, ...; IPv6 as IPV6ADDR and the rest in IPV6ADDR_SECONDARIES."""
    four, six = ([one for one in addresses if (":" in one) == is_six] for is_six in (False, True))
    found = _addresses(text)
    if four != [one for one in found if ":" not in one]:
        for number in NUMBERS:
            for key in ("IPADDR", "PREFIX", "NETMASK", "BROADCAST"):
                text.set(f"{key}{number}", None)
        text.set("NETWORK", None)  # which ifup-eth would believe when it looks at GATEWAY
        for number, one in enumerate(four):
            address, _slash, prefix = one.partition("/")
            text.set(f"IPADDR{number or ''}", address)
            text.set(f"PREFIX{number or ''}", prefix)
    if six != [one for one in found if ":" in one]:
        text.set("IPV6ADDR", six[0] if six else None)
        text.set("IPV6ADDR_SECONDARIES", " ".join(six[1:]) or None)
    if six:
        text.set("IPV6INIT", "yes")


def _render_routes(link, text, have):
    """Say the default routes by GATEWAY and IPV6_DEFAULTGW where these can, and the others in files of their own."""
    addresses = _addresses(text)
    rest = list(link.routes)
    four = next((one for one in rest if _fits_gateway(one, addresses)), None)
    if four is not None or text.get("GATEWAY") is not None:
        text.set("GATEWAY", four and four.via)
        text.set("METRIC", str(four.metric) if four and four.metric is not None else None)
    if four is not None:
        rest.remove(four)
        if text.get("DEFROUTE") is not None:
            text.set("DEFROUTE", "yes")
    six = next((one for one in rest if one == Route(DEFAULT[6], one.via) and one.via), None)
    if six != next((one for one in _gateways(text, addresses) if one.to == DEFAULT[6]), None):
        text.set("IPV6_DEFAULTGW", six and six.via)
    if six is not None:
        rest.remove(six)
        text.set("IPV6INIT", "yes")
    return ifcfg_routes.render(link.name, rest, have)


def _fits_gateway(route, addresses):
    """ifup-eth heeds GATEWAY only in the network of the first address."""
    first = next((one for one in addresses if ":" not in one), None)
    if route.to != DEFAULT[4] or route.via is None or route.table is not None or first is None:
        return False
    return ipaddress.ip_address(route.via) in ipaddress.ip_interface(first).network


def _kind(text):
    if is_true(text.get("VLAN")):
        return "vlan"
    if text.get("TYPE") == "Bridge":
        return "bridge"
    bond = text.get("TYPE") == "Bond" or is_true(text.get("BONDING_MASTER")) or text.get("BONDING_OPTS") is not None
    return "bond" if bond else "nic"


def _options(kind, name, text):
    if kind == "vlan":
        return _parse_vlan(name, text)
    if kind == "bridge":
        return _parse_bridge(text)
    return _read(options.BOND, BOND, _words(text.get("BONDING_OPTS"))) if kind == "bond" else {}


def _parse_vlan(name, text):
    parent, number = text.get("PHYSDEV"), text.get("VID")
    if not number:
        dotted, old = re.match(r"(.+)\.(\d{1,4})\Z", name), re.match(r"vlan0*(\d{1,4})\Z", name)
        parent, number = dotted.groups() if dotted else (parent, old.group(1) if old else None)
    pairs = (one.split(":") for one in re.split(r"[\s,]+", text.get("VLAN_EGRESS_PRIORITY_MAP") or "") if ":" in one)
    return {
        "protocol": "802.1Q",
        "parent": parent,
        "id": int(number) if number else None,
        "reorder_headers": is_true(text.get("REORDER_HDR") or "yes"),
        "gvrp": is_true(text.get("GVRP")),
        "egress_qos_map": tuple(sorted((int(key), int(to)) for key, to in pairs)),
    }


def _parse_bridge(text):
    found = {option: _hundredths(text.get(key)) for key, option in SECONDS.items() if text.get(key)}
    if text.get("PRIO"):
        found["priority"] = int(text.get("PRIO"))
    if text.get("STP"):
        found["stp"] = is_true(text.get("STP"))
    return dict(found, **_read(options.BRIDGE, BRIDGE, _words(text.get("BRIDGING_OPTS"))))


def _hundredths(seconds):
    return int(float(seconds) * 100)


def _addresses(text):
    """Return the addresses that are configured, IPv4 first, ``ip/prefix``."""
    found = []
    for number in NUMBERS:
        address = text.get(f"IPADDR{number}")
        if not address:
            if number and int(number) >= 2:
                break
            continue
        prefix = text.get(f"PREFIX{number}") or text.get(f"NETMASK{number}") or "32"
        found.append(str(ipaddress.ip_interface(f"{address}/{prefix}")))
    for one in [text.get("IPV6ADDR") or "", *(text.get("IPV6ADDR_SECONDARIES") or "").split()]:
        found += [str(ipaddress.ip_interface(one if "/" in one else f"{one}/64"))] if one else []
    return tuple(found)


def _gateways(text, addresses):
    found = []
    metric = int(text.get("METRIC")) if text.get("METRIC") else None
    if text.get("GATEWAY") and is_true(text.get("DEFROUTE") or "yes"):
        route = Route(DEFAULT[4], text.get("GATEWAY"), metric)
        found += [route] if _fits_gateway(route, addresses) else []
    if text.get("IPV6_DEFAULTGW"):
        found.append(Route(DEFAULT[6], text.get("IPV6_DEFAULTGW").partition("%")[0]))
    return tuple(found)


def _words(value):
    """Return ``key=value`` words as pairs; ifup takes the key up to the first and the value from the last ``=``."""
    return [(word.partition("=")[0], word.rpartition("=")[2]) for word in (value or "").split()]


def _read(table, names, words):
    """Return the options among these words in the kernel's terms; a number may stand for the word of its place."""
    found, known = {}, {file: table[name] for name, file in names.items()}
    for key, value in words:
        if key in known:
            found[known[key].name] = _value(known[key], value)
    return found


def _value(option, text):
    if option.choices and text.isdigit() and int(text) < len(option.choices):
        return option.choices[int(text)]
    if option.type == "bool":
        return text == "1"
    if option.type == "list":
        return tuple(one for one in text.split(",") if one)
    return int(text) if option.type == "int" else text


def _edit_words(old, table, names, given):
    """Return ``key=value`` words with the given options among them; those that are the same, or unknown, stay."""
    words, done = [], set()
    known = {file: name for name, file in names.items()}
    for key, value in _words(old):
        name = known.get(key)
        if name not in given:
            words.append(f"{key}={value}")
        elif name not in done and given[name] not in ((), ""):
            same = _read(table, names, [(key, value)])[name] == given[name]
            words.append(f"{key}={value if same else _word(table[name], given[name])}")
        done.add(name)
    words += [
        f"{file}={_word(table[name], given[name])}"
        for name, file in names.items()
        if name in given and name not in done and given[name] not in ((), "")
    ]
    return " ".join(words)


def _word(option, value):
    if option.type == "bool":
        return "1" if value else "0"
    return ",".join(value) if option.type == "list" else str(value)


_RENDER = {"bond": _render_bond, "vlan": _render_vlan, "bridge": _render_bridge}
