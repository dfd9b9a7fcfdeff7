# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of the initscripts (EL7, EL8) in /etc/sysconfig/network-scripts: read, and edited key by key. Pure.

ifcfg-NAME is a shell script that the initscripts source; what it says of other things, its comments and its order stay
as they are. Whatever is None or missing in a link leaves its keys alone. The rules are those of initscripts 9.49 and
10.00: ifup, ifup-eth, ifup-ipv6, ifup-routes and network-functions. Private to the collection.
"""

import contextlib

from .._core.reconcile import ReconcileError
from . import ifcfg_addresses, ifcfg_kinds, ifcfg_routes, ifcfg_rules, ifcfg_settings, ifcfg_words, options, rules
from .ifcfg_text import Text, is_true
from .model import Link

DIRECTORY = "/etc/sysconfig/network-scripts"
FILES = ("ifcfg-{}", "route-{}", "route6-{}", "rule-{}", "rule6-{}")


def names(link):
    """Return the names of the files that a link may have."""
    return [pattern.format(link) for pattern in FILES]


def render(link, links, have):
    """Return the files of a link, ``{file name: text}``; None for one that is not to be there.

    :param link: the :class:`Link`; what is None in it, or not among its options, stays as the files have it.
    :param links: all links as they are to be, by name; they tell what its master is.
    :param have: the texts of its files that are there, by file name.
    :raises ReconcileError: the initscripts cannot do it; names the link and what can.
    """
    ifcfg_kinds.check(link)
    with _readable(link.name):
        return _render(link, links, have)


def kept(state, texts):
    """Return a state with what the files tell of its links, beside what the kernel tells.

    :param texts: the texts of the files by name.
    """
    state = state._replace(files=texts)
    own = [name for name in state.links if f"ifcfg-{name}" in texts]
    said = {name: parse(name, {file: texts[file] for file in names(name) if file in texts}) for name in own}
    state = rules.claimed(state, {name: link.rules for name, link in said.items()})
    links = dict(state.links)
    for name, link in said.items():
        six = links[name].ipv6
        # The client of DHCPv6 is none of the kernel's business.
        six = "dhcp" if link.ipv6 == "dhcp" and six != "disabled" else six
        links[name] = links[name]._replace(dns=link.dns, dns_search=link.dns_search, dhcp4=link.dhcp4, ipv6=six)
    return state._replace(links=links)


def _render(link, links, have):
    name = f"ifcfg-{link.name}"
    text = Text(have.get(name))
    text.set("DEVICE", link.name)
    ifcfg_kinds.render(link, text, name not in have)
    if link.up is not None:
        text.set("ONBOOT", "yes" if link.up else "no")
    ifcfg_settings.render(link, text)
    _render_master(link, links, text)
    for key, value in (("MTU", link.mtu), ("MACADDR", link.mac)):
        if value is not None:
            text.set(key, str(value))
    if link.addresses is not None:
        ifcfg_addresses.render(link.addresses, text)
    files = dict(have)
    if link.routes is not None:
        files.update(ifcfg_addresses.render_routes(link, text, have))
    if link.rules is not None:
        files.update(ifcfg_rules.render(link.name, link.rules, have))
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
    kind = ifcfg_kinds.kind_of(text)
    master = text.get("BRIDGE") or (text.get("MASTER") if is_true(text.get("SLAVE")) else None) or ""
    addresses = ifcfg_addresses.parse(text)
    return Link(
        name,
        kind,
        ifcfg_kinds.options_of(kind, name, text),
        master,
        _port(text),
        int(text.get("MTU")) if text.get("MTU") else None,
        text.get("MACADDR").lower() if text.get("MACADDR") else None,
        addresses,
        ifcfg_addresses.gateways(text, addresses) + ifcfg_routes.parse(name, files),
        is_true(text.get("ONBOOT")),
        ifcfg_rules.parse(name, files),
        **ifcfg_settings.parse(text),
    )


def _port(text):
    if not text.get("BRIDGE"):
        return {}
    return ifcfg_words.read(options.PORT, ifcfg_kinds.PORT, ifcfg_words.pairs(text.get("BRIDGING_OPTS")))


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
        words = ifcfg_words.edit(text.get("BRIDGING_OPTS"), options.PORT, ifcfg_kinds.PORT, link.port)
        text.set("BRIDGING_OPTS", words or None)
