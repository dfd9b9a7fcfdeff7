# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What iproute2 is told: argument lists of ip(8) for one change each. Pure.

Private to the collection; not a public interface.
"""

from . import bridge_vlans, options

# Programs beside ip(8): bridge(8), sysctl(8).
OTHERS = ("bridge", "sysctl")
# Of these ip takes "on" and "off" only, of the other switches 1 and 0 only (iplink_vlan.c, iplink_bridge_slave.c).
ON_OR_OFF = ("reorder_headers", "gvrp", "mvrp", "loose_binding", "hairpin")


def command(argv):
    """Return the command of an argument list: of ip(8), unless its first word is another program."""
    return list(argv) if argv[0] in OTHERS else ["ip", *argv]


def create(link):
    """Return the commands that make a link with all its options."""
    head = ["link", "add"]
    if link.kind == "vlan":
        head += ["link", link.options["parent"]]
    head += ["name", link.name]
    given = {key: value for key, value in link.options.items() if key != "parent"}
    return [[*head, *_mac(link.mac), *_mtu(link.mtu), "type", link.kind, *words(link.kind, given)]]


def delete(name):
    """Return the commands that remove a link."""
    return [["link", "del", name]]


def words(kind, given):
    """Return options as ``ip link ... type KIND`` takes them, in the order of the table: a bond's mode comes first."""
    table = options.KINDS[kind]
    found = []
    for name, option in table.items():
        if given.get(name) not in (None, ()):
            found += [option.word, *_value(option, given[name])]
    return found


def change(kind, name, given, before, up=True):
    """Return the commands that set options of a link; those that need it are set while it is down.

    :param before: the options as they are. A map of priorities can only be changed entry by entry, 0 being none.
    :param up: whether it is up then.
    """
    table = options.KINDS[kind]
    full = {
        key: _with_zeros(value, before.get(key, ())) if table[key].type == "dict" else value
        for key, value in given.items()
    }
    down = {key: value for key, value in full.items() if table[key].restart}
    live = {key: value for key, value in full.items() if key not in down}
    found = []
    if down:
        found += [["link", "set", name, "down"], _set(kind, name, down)]
        found += [["link", "set", name, "up"]] if up else []
    if any(value != () for value in live.values()):
        found.append(_set(kind, name, live))
    return found


def _with_zeros(pairs, before):
    kept = {key for key, _to in pairs}
    return tuple(sorted((*pairs, *((key, 0) for key, _to in before if key not in kept))))


def after_down(links):
    """Return the commands that bring back what links lost that were down: IPv6 addresses, and all routes."""
    found = [
        argv for link in links for one in link.addresses if ":" in one for argv in address("replace", link.name, one)
    ]
    return found + [argv for link in links for one in link.routes for argv in route("replace", link.name, one)]


def port(name, given):
    """Return the commands that set what a port is to its bridge, but for its VLANs."""
    found = []
    for key, option in options.PORT.items():
        if key in given:
            found += [option.word, *_value(option, given[key])]
    return [["link", "set", name, "type", "bridge_slave", *found]] if found else []


def enslave(name, master, kind):
    """Return the commands that make a link a port; a bond takes only one that is down (bonding.rst)."""
    found = [["link", "set", name, "down"]] if kind == "bond" else []
    return [*found, ["link", "set", name, "master", master], ["link", "set", name, "up"]]


def is_port(name, master):
    """Return the command that prints the link where this is its master, and else nothing."""
    return ["link", "show", "dev", name, "master", master]


def release(name):
    """Return the commands that make a port a link of its own."""
    return [["link", "set", name, "nomaster"]]


def attribute(name, key, value):
    """Return the commands for mtu, mac and up."""
    if key == "up":
        return [["link", "set", name, "up" if value else "down"]]
    return [["link", "set", name, *(_mtu(value) if key == "mtu" else _mac(value))]]


def address(verb, name, one):
    """Return the commands that add, replace or delete an address; an IPv6 one is there at once, without a test."""
    nodad = ["nodad"] if ":" in one and verb != "del" else []
    return [["addr", verb, one, "dev", name, *nodad]]


def route(verb, name, one):
    """Return the commands that replace, delete, show, … a route."""
    family = ["-6"] if ":" in one.to else []
    via = ["via", one.via] if one.via else []
    metric = ["metric", str(one.metric)] if one.metric is not None else []
    table = ["table", str(one.table)] if one.table is not None else []
    return [[*family, "route", verb, one.to, *via, "dev", name, *metric, *table]]


def rule(verb, one):
    """Return the commands that add or delete a rule of policy routing."""
    return [[*(["-6"] if one.family == 6 else []), "rule", verb, *one.words()]]


def ipv6(name, mode):
    """Return the commands that make a link do IPv6 this way, one of ``model.IPV6`` (ip-sysctl.rst).

    A host that forwards heeds routers only with accept_ra 2.
    """
    if mode == "disabled":
        return [_sysctl(name, "disable_ipv6", 1)]
    heeded = {"manual": 0, "dhcp": 0, "auto": 2}[mode]
    return [_sysctl(name, "accept_ra", heeded), _sysctl(name, "disable_ipv6", 0)]


def _sysctl(name, key, value):
    """Name a setting with slashes: a VLAN's name has a dot (sysctl(8))."""
    return ["sysctl", "-q", "-w", f"net/ipv6/conf/{name}/{key}={value}"]


def rebuild(before, created, after):
    """Return the commands that bring back links as they were, from whatever state they are in.

    :param before: the links as they were, ordered so that each comes after those that it is built on.
    :param created: the names of links that were not there, or that cannot be changed back.
    :param after: the options that they may have by now, by name.
    Each is a pair of the command and whether it may fail.
    """
    links = {one.name: one for one in before}
    found = [(argv, True) for name in created for argv in delete(name)]
    for link in before:
        found += [(argv, True) for argv in create(link)] if link.kind != "nic" else []
        # At once: a VLAN is not made with an mtu above its parent's.
        found += [(argv, True) for argv in attribute(link.name, "mtu", link.mtu)] if link.mtu is not None else []
    for link in before:
        found += [(argv, True) for argv in _options_again(link, after.get(link.name) or {})]
    for link in before:
        found += _restore(link, links)
    # Not before all are up: a VLAN goes down with its parent, and loses these.
    found += [(argv, False) for argv in after_down(before)]
    return found


def last_resort(links):
    """Return the commands that give links back what a host is reached by, where others should have done so.

    They do nothing where all is as it was. The order of the links is from below. Each is a pair of the command and one
    that prints something when it is not needed, or None: a route may be there with a metric that was not asked for.
    """
    found = []
    for link in links:
        found += create(link) if link.kind != "nic" else []
        found += attribute(link.name, "up", link.up)
        found += [argv for one in link.addresses for argv in address("replace", link.name, one)]
    ways = [(link.name, one) for link in links for one in link.routes]
    return [(argv, None) for argv in found] + [
        (argv, seen)
        for name, one in ways
        for argv, seen in zip(route("append", name, one), route("show", name, one._replace(metric=None)))
    ]


def _options_again(link, after):
    """Set all options that can be set on a link with ports, one by one: a kernel may refuse one that it has."""
    table = options.KINDS[link.kind]
    found = []
    for key, value in link.options.items():
        if table[key].restart not in ("new", "empty"):
            found += change(link.kind, link.name, {key: value}, after, link.up)
    return found


def _restore(link, links):
    found = []
    if link.master:
        kind = links[link.master].kind if link.master in links else "bridge"
        found += enslave(link.name, link.master, kind) + port(link.name, link.port)
    else:
        found += release(link.name)
    for key in ("mtu", "mac") if not link.master else ("mtu",):
        value = getattr(link, key)
        found += attribute(link.name, key, value) if value is not None else []
    # What a server has given it stays.
    found += [] if link.dhcp4 else [["addr", "flush", "dev", link.name, "scope", "global"]]
    found += attribute(link.name, "up", link.up)
    found += ipv6(link.name, link.ipv6) if link.ipv6 else []
    found += [argv for one in link.addresses or () for argv in address("replace", link.name, one)]
    return [(argv, False) for argv in found] + bridge_vlans.again(link.name, link.port, link.kind == "bridge")


def _set(kind, name, given):
    return ["link", "set", name, "type", kind, *words(kind, given)]


def _value(option, value):
    if option.name in ON_OR_OFF:
        return ["on" if value else "off"]
    if option.type == "bool":
        return ["1" if value else "0"]
    if option.type == "list":
        return [",".join(value)]
    if option.type == "dict":
        return [f"{key}:{to}" for key, to in value]
    return [str(value)]


def _mac(value):
    return ["address", value] if value else []


def _mtu(value):
    return ["mtu", str(value)] if value is not None else []
