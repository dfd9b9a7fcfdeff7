# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an ifcfg file says of name servers and of the ways to get addresses. Pure.

Private to the collection; not a public interface.
"""

from .._core.reconcile import ReconcileError
from .ifcfg_text import is_true

LEASED = ("dhcp", "bootp")
# What ifup-ipv6 makes of these keys: addresses of routers only with the second, DHCPv6 only with the third.
IPV6 = {
    "disabled": {"IPV6INIT": "no", "IPV6_AUTOCONF": "no", "DHCPV6C": None},
    "manual": {"IPV6INIT": "yes", "IPV6_AUTOCONF": "no", "DHCPV6C": None},
    "auto": {"IPV6INIT": "yes", "IPV6_AUTOCONF": "yes", "DHCPV6C": None},
    "dhcp": {"IPV6INIT": "yes", "IPV6_AUTOCONF": "no", "DHCPV6C": "yes"},
}
SERVERS = 9  # DNS1 and on; resolv.conf(5) heeds three


def render(link, text):
    """Say what is declared of a link; what is None stays."""
    _render_bootproto(link, text)
    for key, value in IPV6.get(link.ipv6, {}).items():
        text.set(key, value)
    if link.dns is not None:
        for number in range(1, SERVERS + 1):
            text.set(f"DNS{number}", link.dns[number - 1] if number <= len(link.dns) else None)
    if link.dns_search is not None:
        text.set("DOMAIN", " ".join(link.dns_search) or None)


def parse(text):
    """Return what a file says, as fields of a link; ``ipv6`` None where it leaves that to the kernel."""
    six = None
    if not is_no(text.get("IPV6INIT")):
        autoconf = {True: "auto", False: "manual"}
        six = "dhcp" if is_true(text.get("DHCPV6C")) else autoconf.get(_yes_or_no(text.get("IPV6_AUTOCONF")))
    servers = [text.get(f"DNS{number}") for number in range(1, SERVERS + 1)]
    return {
        "dns": tuple(sorted(filter(None, servers), key=lambda one: ":" in one)),
        "dns_search": tuple((text.get("DOMAIN") or "").lower().split()),
        "dhcp4": text.get("BOOTPROTO") in LEASED,
        "ipv6": six,
    }


def refuse_beside_lease(link):
    """Refuse IPv4 addresses of a link that is to have a lease: with BOOTPROTO=dhcp ifup-eth reads no IPADDR."""
    four = [one for one in link.addresses or () if ":" not in one]
    if four:
        raise ReconcileError(
            f"{link.kind} '{link.name}': the initscripts give it no address beside that of DHCP, so {four[0]} "
            "would be lost at the next boot; declare dhcp4: false, or leave the address out (addresses: [])"
        )


def _render_bootproto(link, text):
    leased = text.get("BOOTPROTO") in LEASED if link.dhcp4 is None else link.dhcp4
    if leased and not link.master:
        refuse_beside_lease(link)
        if text.get("BOOTPROTO") not in LEASED:
            text.set("BOOTPROTO", "dhcp")
        return
    text.set("BOOTPROTO", "none")


def _yes_or_no(value):
    return True if is_true(value) else False if is_no(value) else None


def is_no(value):
    """Tell whether the initscripts take a value for a no (is_false() of /etc/init.d/functions)."""
    return (value or "").lower() in ("no", "false", "f", "n", "0")
