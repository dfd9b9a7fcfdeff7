# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses and gateways of an ifcfg file. Pure.

Private to the collection; not a public interface.
"""

import ipaddress

from . import ifcfg_routes
from .ifcfg_text import is_true
from .model import Route

# expand_config: IPADDR, IPADDR0 and IPADDR1 are looked at in any case, then on up to the first that is missing.
NUMBERS = ("", *(str(number) for number in range(256)))
DEFAULT = {4: "0.0.0.0/0", 6: "::/0"}


def render(addresses, text):
    """IPv4 as IPADDR and PREFIX, IPADDR1 and PREFIX1, ...; IPv6 as IPV6ADDR and the rest in IPV6ADDR_SECONDARIES."""
    four, six = ([one for one in addresses if (":" in one) == is_six] for is_six in (False, True))
    found = parse(text)
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


def render_routes(link, text, have):
    """Say the default routes by GATEWAY and IPV6_DEFAULTGW where these can, and the others in files of their own."""
    addresses = parse(text)
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
    if six != next((one for one in gateways(text, addresses) if one.to == DEFAULT[6]), None):
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


def parse(text):
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


def gateways(text, addresses):
    found = []
    metric = int(text.get("METRIC")) if text.get("METRIC") else None
    if text.get("GATEWAY") and is_true(text.get("DEFROUTE") or "yes"):
        route = Route(DEFAULT[4], text.get("GATEWAY"), metric)
        found += [route] if _fits_gateway(route, addresses) else []
    if text.get("IPV6_DEFAULTGW"):
        found.append(Route(DEFAULT[6], text.get("IPV6_DEFAULTGW").partition("%")[0]))
    return tuple(found)
