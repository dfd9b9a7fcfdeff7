# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What cannot be: every check of a topology that is made before anything is touched. Pure.

Private to the collection; not a public interface.
"""

import ipaddress

from .._core.reconcile import ReconcileError
from . import bridge_vlans, options, rules

LENT = ("auto", "dhcp")  # the ways of IPv6 to be given an address


def check(wanted, state, links):
    """Refuse a declaration that cannot be met.

    :param links: all links as they would be, by name.
    :raises ReconcileError: names the link, what was found and what to do.
    """
    rules.check(wanted)
    _check_ids(wanted, links)
    _check_owners_of_absent(wanted, state)
    for name in sorted(wanted.links):
        link = links[name]
        _check_owner(link, state)
        if link.kind == "bond":
            options.check_bond(
                name, state.links[name].options if name in state.links else {}, wanted.links[name].options
            )
            if wanted.links[name].mac and not options.has_own_mac(link.options):
                raise ReconcileError(
                    f"bond '{name}': with fail_over_mac active it has the MAC of its active port, and mac is ignored; "
                    "leave one of them out"
                )
        if link.kind == "vlan":
            _check_vlan(link, links, state.links)
        have = state.links.get(name)
        if link.master and not (have and have.master == link.master):
            _check_port(link, links)
        _check_size(wanted.links[name], links, state.links)
        _check_addressing(wanted.links[name], link)
        _check_addresses_of_port(wanted.links[name], links, state)
        _check_bridge_port(wanted.links[name], link, links)
        _check_gateways(link, wanted.links[name].addresses is not None or bool(have and have.addresses))
    _check_absent(wanted, links)


def _check_owner(link, state):
    """Refuse to take a link from whom it belongs to."""
    have = state.links.get(link.name)
    owner = have and (state.owners.get(link.name) or state.owners.get(have.master))
    if owner and have.master and link.master != have.master:
        vlan = "" if link.kind == "vlan" else f"; a VLAN of it can be: declare vlans: [{{parent: {link.name}, id: N}}]"
        raise ReconcileError(
            f"{link.kind} '{link.name}': it is a port of {have.master}, which belongs to {owner}, and a link has one "
            f"master. It cannot be put into '{link.master}' as well{vlan}"
        )
    if owner and not have.master and have.kind == "bridge":
        raise ReconcileError(f"bridge '{link.name}': it belongs to {owner}; declare it there")


def _check_owners_of_absent(wanted, state):
    """Refuse to remove what belongs to someone else, is a port of what does, or has a port that does."""
    for name in wanted.absent:
        have = state.links.get(name)
        if have is None:
            continue
        where = f"{have.kind} '{name}'"
        owner = state.owners.get(name) or state.owners.get(have.master)
        if owner:
            port = "" if name in state.owners else f"is a port of {have.master}, which "
            raise ReconcileError(f"{where}: it {port}belongs to {owner}, so it is not removed here; remove it there")
        for port in sorted(one.name for one in state.links.values() if one.master == name):
            if port in state.owners:
                raise ReconcileError(
                    f"{where}: {port} is a port of it, and belongs to {state.owners[port]}, which would be cut off; "
                    f"take it out of {name} first"
                )


def _check_vlan(link, links, have):
    parent = links.get(link.options.get("parent"))
    if parent is None or "id" not in link.options:
        found = link.options.get("parent")
        raise ReconcileError(
            f"vlan '{link.name}': " + (f"its parent '{found}' is not there" if found else "give its parent and its id")
        )
    if parent.master in links and links[parent.master].kind == "bond":
        raise ReconcileError(
            f"vlan '{link.name}': its parent {parent.name} is a port of {parent.master}; declare it with parent "
            f"{parent.master}"
        )
    mtu = _mtu(parent, links, have)
    if link.mtu is not None and link.mtu > mtu:
        raise ReconcileError(
            f"vlan '{link.name}': its mtu {link.mtu} is above that of its parent {parent.name}, {mtu}; "
            f"declare mtu {link.mtu} for {parent.name} too"
        )


def _check_ids(wanted, links):
    """Refuse an id that a parent has twice; the one that is declared is named."""
    homes = {}
    for link in sorted(links.values(), key=lambda one: (one.name in wanted.links, one.name)):
        if link.kind == "vlan":
            other = homes.setdefault(tuple(link.options.get(key) for key in ("parent", "id", "protocol")), link.name)
            if other != link.name and link.name in wanted.links and link.options.get("id") is not None:
                raise ReconcileError(
                    f"vlan '{link.name}': id {link.options['id']} of {link.options.get('parent')} is '{other}' "
                    "already; the kernel knows each id once"
                )


def _mtu(link, links, have):
    """Return the mtu that a link will have: a VLAN that is made gets its parent's, what else is made 1500."""
    if link.mtu is not None:
        return link.mtu
    if link.name in have:
        return have[link.name].mtu
    parent = links.get(link.options.get("parent"))
    return _mtu(parent, links, have) if parent else 1500


def _check_port(link, links):
    master = links.get(link.master)
    if master is None or master.kind not in ("bond", "bridge"):
        raise ReconcileError(f"port '{link.name}': its master '{link.master}' is no bond or bridge of this host")
    if link.addresses:
        raise ReconcileError(
            f"'{link.name}': it is to be a port of {master.name}, and an address on a port is never reached; "
            f"declare {', '.join(link.addresses)} on {master.name}, or addresses: [] for {link.name}"
        )
    if link.dhcp4:
        raise ReconcileError(
            f"'{link.name}': it gets an address by DHCP, and is to be a port of {master.name}, where that is never "
            f"reached; declare dhcp4: true for {master.name}, or dhcp4: false for {link.name}"
        )
    if master.kind == "bond" and link.kind in ("bond", "bridge"):
        raise ReconcileError(f"port '{link.name}': a {link.kind} cannot be a port of the bond '{master.name}'")
    vlans = sorted(one.name for one in links.values() if one.kind == "vlan" and one.options["parent"] == link.name)
    if master.kind == "bond" and vlans:
        raise ReconcileError(
            f"'{link.name}': it is to be a port of {master.name}, and carries {', '.join(vlans)}; make it absent, and "
            f"declare it with parent {master.name} and another name"
        )


def _check_size(want, links, have):
    """A bond gives its ports its own mtu (bonding.rst)."""
    bond = links.get(links[want.name].master)
    if want.mtu is None or bond is None or bond.kind != "bond":
        return
    mtu = bond.mtu or (have[bond.name].mtu if bond.name in have else 1500)
    if want.mtu != mtu:
        raise ReconcileError(
            f"'{want.name}': it is a port of {bond.name} and gets its mtu, {mtu}; "
            f"declare mtu {want.mtu} for {bond.name}"
        )


def _check_addressing(want, link):
    """Refuse ways to get addresses that exclude each other."""
    six = [one for one in link.addresses if ":" in one] + [one.to for one in link.routes if ":" in one.to]
    if link.ipv6 == "disabled" and six:
        raise ReconcileError(
            f"{link.kind} '{link.name}': ipv6 is disabled, so it cannot have {', '.join(six)}; declare ipv6: manual, "
            "or leave them out"
        )
    dynamic = [said for said, yes in (("dhcp4: true", want.dhcp4), (f"ipv6: {want.ipv6}", want.ipv6 in LENT)) if yes]
    if link.master and dynamic:
        raise ReconcileError(
            f"'{link.name}': it is a port of {link.master}, and an address on a port is never reached; declare "
            f"{dynamic[0]} for {link.master}"
        )


def _check_addresses_of_port(want, links, state):
    """Refuse an address that a port is to get; one that it has already is no news, and can be declared as it is found.

    A VRF has ports as well, and theirs are reached (vrf.rst).
    """
    link, have = links[want.name], state.links.get(want.name)
    if have is None or not link.master or have.master != link.master:
        return
    takes_all = link.master in state.owners or links[link.master].kind in ("bond", "bridge")
    new = [one for one in want.addresses or () if one not in have.addresses]
    if new and takes_all:
        raise ReconcileError(
            f"'{link.name}': it is a port of {link.master}, and an address on a port is never reached; declare "
            f"{', '.join(new)} on {link.master}, or take {link.name} out of it first"
        )


def _check_bridge_port(want, link, links):
    """Refuse what only a bridge, or only one that filters VLANs, heeds."""
    bridge = link if link.kind == "bridge" else links.get(link.master)
    if want.port and (bridge is None or bridge.kind != "bridge"):
        raise ReconcileError(
            f"'{link.name}': bridge_port is given, and it is no port of a bridge; name it among the ports of one"
        )
    vlans = sorted(set(bridge_vlans.NAMES).intersection(want.port))
    if vlans and not bridge.options.get("vlan_filtering"):
        raise ReconcileError(
            f"'{link.name}': {vlans[0]} means nothing while {bridge.name} does not filter VLANs; declare "
            f"vlan_filtering: true for {bridge.name}"
        )


def _check_gateways(link, complete):
    """Refuse a next hop that none of the link's networks has; when not ``complete``, a server may give it others."""
    networks = [ipaddress.ip_interface(one).network for one in link.addresses]
    for route in link.routes:
        via = route.via and ipaddress.ip_address(route.via)
        known = complete or networks
        if via and known and not via.is_link_local and not any(via in one for one in networks):
            raise ReconcileError(
                f"{link.kind} '{link.name}': {route.via} is in none of its networks "
                f"({', '.join(map(str, networks)) or 'it has no address'}), so it cannot be reached through it"
            )


def _check_absent(wanted, links):
    for link in links.values():
        parent = link.options.get("parent") if link.kind == "vlan" else None
        if parent in wanted.absent:
            raise ReconcileError(
                f"'{parent}': it cannot be absent while '{link.name}' is a VLAN of it; make that absent too"
            )
