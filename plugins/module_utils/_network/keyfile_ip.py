# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sections ipv4 and ipv6 of a profile of NetworkManager (nm-settings-keyfile(5)): addresses, routes, rules, name
servers, and the way to get addresses. Pure.

Private to the collection; not a public interface.
"""

import ipaddress
import re

from .._core.reconcile import ReconcileError
from . import rules as policy
from .model import ANY, Route

SECTIONS = {4: "ipv4", 6: "ipv6"}
ADDRESS = re.compile(r"address\d+\Z|addresses\d*\Z|gateway\Z|route\d+(_options)?\Z|routes\d*\Z")
ROUTE = re.compile(r"routes?\d*\Z")
RULE = re.compile(r"routing-rule\d+\Z")
WORDS = {"priority", "from", "to", "iif", "fwmark", "table"}
# How NetworkManager does IPv6, and what that is called here.
METHODS = {"ignore": "disabled", "disabled": "disabled", "link-local": "manual", "shared": "manual"}
METHODS.update({"manual": "manual", "auto": "auto", "dhcp": "dhcp"})
AUTO = {"method": "auto"}
WITH_DNS = ("manual", "auto", "dhcp")  # with another one it does not load a profile that has name servers


def edit(sections, link, declared, whole):
    """Let the sections of a profile say what is declared of a link that is no port.

    :param link: the link as it is to be.
    :param declared: what of it is declared; of sections that are there only this is changed.
    :param whole: the profile is new, or was that of a port, and has no such sections. Where one is missing in another
        profile, NetworkManager takes it for one with method auto.
    :raises ReconcileError: name servers are declared where NetworkManager takes none.
    """
    missing = [name for name in SECTIONS.values() if name not in sections]
    for version, name in SECTIONS.items():
        old = sections.get(name, None if whole else AUTO)
        sections[name] = _edited(version, old, link, declared)
    _set_dns(sections, link, declared)
    for name in missing:
        if sections[name] == AUTO:
            del sections[name]


def read(sections):
    """Return what a profile says of rules, name servers and ways to get addresses, as a link has them."""
    both = [(version, sections.get(name, {})) for version, name in SECTIONS.items()]
    (_four, four), (_six, six) = both
    port = {"master", "controller"}.intersection(sections.get("connection", {}))
    usual = None if port else "auto"
    rules = [_rule(version, section[key]) for version, section in both for key in section if RULE.match(key)]
    return {
        "rules": tuple(one for one in rules if one),
        "dns": (*_list(four, "dns"), *_list(six, "dns")),
        "dns_search": (*_list(four, "dns-search"), *_list(six, "dns-search")),
        "dhcp4": four.get("method", usual) == "auto",
        "ipv6": METHODS.get(six.get("method", usual)),
    }


def metrics(sections):
    """Return the metrics that a profile states: ``{(prefix, metric)}`` of its routes, and ``{version: metric}`` of all
    others (``route-metric``)."""
    stated, usual = set(), {}
    for version, name in SECTIONS.items():
        for key, value in sections.get(name, {}).items():
            words = [one.strip() for one in value.split(",")]
            if ROUTE.match(key) and words[2:] and words[2].isdigit():
                stated.add((str(ipaddress.ip_network(words[0], strict=False)), int(words[2])))
            elif key == "route-metric" and value.isdigit():
                usual[version] = int(value)
    return stated, usual


def _set_dns(sections, link, declared):
    """Say the search domains where they are taken, and no name servers where these are not."""
    usable = [name for name in SECTIONS.values() if sections[name]["method"] in WITH_DNS]
    if declared.dns_search is not None:
        if declared.dns_search and not usable:
            raise _no_dns(link, "dns_search", "an address")
        for name in SECTIONS.values():
            _set_list(sections[name], "dns-search", declared.dns_search if name in usable[:1] else ())
    for version, name in SECTIONS.items():
        if name not in usable:
            if declared.dns and sections[name].get("dns"):
                raise _no_dns(link, "dns " + ", ".join(_list(sections[name], "dns")), f"an address of IPv{version}")
            for key in ("dns", "dns-search"):
                _set_list(sections[name], key, ())


def _edited(version, old, link, declared):
    """Return a section but for its search domains."""
    section = dict(old or {})
    if old is None or (declared.addresses, declared.routes) != (None, None):
        _set_addresses(section, version, link)
    addressed = any(key.startswith("address") for key in section)
    section["method"] = _method(version, (old or {}).get("method"), addressed, declared)
    if old is None or declared.rules is not None:
        _set_rules(section, version, link.rules or ())
    if declared.dns is not None:
        _set_list(section, "dns", [one for one in declared.dns if _version(one) == version])
    return section


def _no_dns(link, what, needed):
    return ReconcileError(
        f"{link.kind} '{link.name}': NetworkManager keeps {what} only with {needed}, which {link.name} has not; "
        "declare it for the link that the name server is reached by"
    )


def _set_addresses(section, version, link):
    for key in [one for one in section if ADDRESS.match(one)]:
        del section[key]
    addresses = [one for one in link.addresses or () if _version(one) == version]
    routes = [one for one in link.routes or () if _version(one.to) == version]
    gateway = next((one for one in routes if addresses and one == Route(ANY[version], one.via) and one.via), None)
    section.update({f"address{number}": one for number, one in enumerate(addresses, 1)})
    if gateway:
        routes.remove(gateway)
        section["address1"] += f",{gateway.via}"
    for number, one in enumerate(routes, 1):
        words = [one.to, one.via or "", *([str(one.metric)] if one.metric is not None else [])]
        section[f"route{number}"] = ",".join(words).rstrip(",")
        section.update({f"route{number}_options": f"table={one.table}"} if one.table is not None else {})


def _method(version, old, addressed, declared):
    """Return how a section is to get addresses; what is not declared stays, as far as the addresses let it."""
    if version == 4:
        leased = old == "auto" if declared.dhcp4 is None else declared.dhcp4
        kept = old if old in ("link-local", "shared") and declared.dhcp4 is None else "disabled"
        return "auto" if leased else "manual" if addressed else kept
    way = declared.ipv6 or METHODS.get(old, "disabled")
    if way in ("auto", "dhcp"):
        return way
    if addressed:
        return "manual"
    if declared.ipv6 is None and old in ("ignore", "shared"):
        return old
    return "link-local" if way == "manual" else "disabled"


def _set_rules(section, version, rules):
    """Say rules, and leave those alone that say more than one of ours."""
    found = [(key, section.pop(key)) for key in list(section) if RULE.match(key)]
    texts = [text for _key, text in found if _rule(version, text) is None]
    texts += [" ".join(one.words()) for one in rules if one.family == version]
    section.update({f"routing-rule{number}": text for number, text in enumerate(texts, 1)})


def _rule(version, text):
    """Return the rule that a text says; None for one that says more than ours do."""
    words = text.replace(",", " ").split()
    given = dict(zip(words[::2], words[1::2]))
    if len(words) % 2 or not {"priority", "table"} <= set(given) <= WORDS:
        return None
    return policy.from_words(version, given)


def _set_list(section, key, values):
    """Say a list; each of its elements ends with a semicolon."""
    section.pop(key, None)
    section.update({key: "".join(f"{one};" for one in values)} if values else {})


def _list(section, key):
    return tuple(one.strip() for one in section.get(key, "").replace(",", ";").split(";") if one.strip())


def _version(text):
    return ipaddress.ip_interface(text).version
