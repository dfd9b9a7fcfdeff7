# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of the initscripts (EL7, EL8) in /etc/sysconfig/network-scripts: read, and edited key by key. Pure.

ifcfg-NAME is a shell script that the initscripts source; what it says of other things, its comments and its order stay
as they are. Whatever is None or missing in a link leaves its keys alone. The rules are those of initscripts 9.49 and
10.00: ifup, ifup-eth, ifup-ipv6, ifup-routes and network-functions. Private to the collection.
"""

import contextlib

from .._core.reconcile import ReconcileError
from . import ifcfg_addresses, ifcfg_kinds, ifcfg_routes, ifcfg_words, options
from .ifcfg_text import Text, is_true
from .model import Link

DIRECTORY = "/etc/sysconfig/network-scripts"


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


def _render(link, links, have):
    name = f"ifcfg-{link.name}"
    text = Text(have.get(name))
    text.set("DEVICE", link.name)
    ifcfg_kinds.render(link, text, name not in have)
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
        ifcfg_addresses.render(link.addresses, text)
    files = dict(have)
    if link.routes is not None:
        files.update(ifcfg_addresses.render_routes(link, text, have))
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
