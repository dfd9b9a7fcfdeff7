# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links, addresses, routes and proxy entries, read and written through a :class:`Netlink` (rtnetlink(7)).

Numbers are those of the kernel's include/uapi/linux: rtnetlink.h, if_link.h, if_addr.h, neighbour.h, net_namespace.h,
veth.h. Private to the collection.
"""

import errno
import ipaddress
import socket
import struct

from .._core.netlink import CREATE, EXCLUSIVE, NESTED, REPLACE, attribute, attributes
from .model import LOCAL, Link, Route

NEWLINK, DELLINK, GETLINK, SETLINK = 16, 17, 18, 19
NEWADDR, DELADDR, GETADDR = 20, 21, 22
NEWROUTE, DELROUTE, GETROUTE = 24, 25, 26
NEWNEIGH, DELNEIGH, GETNEIGH = 28, 29, 30
NEWNSID, GETNSID = 88, 90
IFINFO, IFADDR, RTMSG, NDMSG = (
    struct.Struct("=BBHiII"),
    struct.Struct("=BBBBi"),
    struct.Struct("=8BI"),
    struct.Struct("=BBHiHBB"),
)
# Attributes of a link.
ADDRESS, IFNAME, MTU, PEER, MASTER, LINKINFO, IFALIAS, GROUP, NET_NS_FD, EXT_MASK, LINK_NETNSID = (
    1, 3, 4, 5, 10, 18, 20, 27, 28, 29, 37,
)  # fmt: skip
KIND, DATA, VETH_PEER = 1, 2, 1
SKIP_STATS = 8  # RTEXT_FILTER_SKIP_STATS
# The settings of a link as the kernel hands them out with it: places in arrays of 32 bit numbers (linux/ip.h,
# IPV4_DEVCONF_, less one; linux/ipv6.h, DEVCONF_). Each is a file below /proc/sys/net, too, which is far dearer.
AF_SPEC, INET_CONF, INET6_CONF, INET6_ADDR_GEN_MODE = 26, 1, 2, 8
CONF4 = {"forwarding": 0, "proxy_arp": 2, "rp_filter": 7}
CONF6 = {"forwarding": 0, "accept_ra": 3, "proxy_ndp": 22, "disable_ipv6": 26}
UP, LOOPBACK = 0x1, 0x8  # IFF_UP, IFF_LOOPBACK
NODAD = 0x02  # IFA_F_NODAD: there at once, without a test for duplicates
LOOKUP_TABLE, FIB_MATCH = 0x1000, 0x2000  # RTM_F_LOOKUP_TABLE, RTM_F_FIB_MATCH (4.13)
MAIN, STATIC, UNIVERSE, LINK_SCOPE, UNICAST = 254, 4, 0, 253, 1
PERMANENT, PROXY = 0x80, 0x08  # NUD_PERMANENT, NTF_PROXY
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
VERSIONS = {family: version for version, family in FAMILIES.items()}
# What the kernel says of something that is not there (any more).
GONE = (errno.ENODEV, errno.ESRCH, errno.EADDRNOTAVAIL, errno.ENOENT)


def links(netlink):
    """Return ``{name: Link}`` with the addresses and settings of each."""
    addresses = {}
    for _kind, data in netlink.dump(GETADDR, IFADDR.pack(0, 0, 0, 0, 0)):
        _family, length, _flags, _scope, index = IFADDR.unpack_from(data)
        found = attributes(data, IFADDR.size)
        # IFA_LOCAL where there is one: IFA_ADDRESS is the other end of a point-to-point link.
        address = _address(found.get(2) or found[1])
        addresses.setdefault(index, []).append(f"{address}/{length}")
    found = {}
    for _kind, data in netlink.dump(GETLINK, IFINFO.pack(0, 0, 0, 0, 0, 0)):
        link = _link(data, addresses)
        found[link.name] = link
    netlink.indexes = {name: link.ifindex for name, link in found.items()}
    return found


def _link(data, addresses):
    _family, _pad, _kind, index, flags, _change = IFINFO.unpack_from(data)
    found = attributes(data, IFINFO.size)
    mac = found.get(ADDRESS, b"")
    return Link(
        _text(found[IFNAME]),
        index,
        _text(attributes(found.get(LINKINFO, b"")).get(KIND, b"")),
        ":".join(f"{byte:02x}" for byte in mac),
        _number(found.get(MTU)),
        bool(flags & UP),
        _text(found.get(IFALIAS, b"")),
        _number(found.get(GROUP)),
        _number(found.get(PEER)),
        _number(found.get(LINK_NETNSID), "=i", None),
        _number(found.get(MASTER)),
        tuple(addresses.get(index, ())),
        bool(flags & LOOPBACK),
        _settings(attributes(found.get(AF_SPEC, b""))),
    )


def _settings(families):
    four = attributes(families.get(socket.AF_INET, b"")).get(INET_CONF, b"")
    six = attributes(families.get(socket.AF_INET6, b""))
    found = {}
    for version, conf, places in ((4, four, CONF4), (6, six.get(INET6_CONF, b""), CONF6)):
        for name, place in places.items():
            if len(conf) >= 4 * place + 4:
                found[f"ipv{version}/conf/{name}"] = str(struct.unpack_from("=i", conf, 4 * place)[0])
    if INET6_ADDR_GEN_MODE in six:
        found["ipv6/conf/addr_gen_mode"] = str(six[INET6_ADDR_GEN_MODE][0])
    return found


def routes(netlink, names):
    """Return the routes of all tables, of both families, but for those of the table ``local``.

    :param names: the names of links by index.
    """
    found = []
    for _kind, data in netlink.dump(GETROUTE, RTMSG.pack(0, 0, 0, 0, 0, 0, 0, 0, 0)):
        family, length, _from, _tos, table, protocol, _scope, kind, _flags = RTMSG.unpack_from(data)
        if family in VERSIONS and table != LOCAL:
            words = attributes(data, RTMSG.size)
            version = VERSIONS[family]
            one = _as_route(version, length, table, protocol=protocol, kind=kind, found=words, names=names)
            found.append(one)
    return tuple(found)


def _as_route(version, length, table, *, protocol, kind, found, names):
    to = found.get(1) or bytes(4 if version == 4 else 16)
    via = found.get(5) or (found[18][2:] if 18 in found else None)
    dev = names.get(_number(found.get(4)), "")
    if 9 in found and len(found[9]) >= 8:  # RTA_MULTIPATH: the first of several ways (struct rtnexthop)
        dev = names.get(struct.unpack_from("=i", found[9], 4)[0], "")
        via = attributes(found[9], 8).get(5)
    return Route(
        f"{_address(to)}/{length}",
        dev,
        _address(via) if via else None,
        _number(found.get(15), default=table),
        protocol,
        kind,
        _number(found.get(6)),
    )


def lookup(netlink, address, names):
    """Return the route of the host that a packet to ``address`` takes; None: there is none."""
    one = ipaddress.ip_address(address)
    flags = LOOKUP_TABLE | FIB_MATCH
    body = RTMSG.pack(FAMILIES[one.version], one.max_prefixlen, 0, 0, 0, 0, 0, 0, flags) + attribute(1, one.packed)
    try:
        answers = netlink.ask(GETROUTE, body)
    except OSError as error:
        # What a route says that refuses: unreachable, prohibit, blackhole (ip-route(8)).
        if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EACCES, errno.EINVAL, errno.EAFNOSUPPORT):
            return None
        raise
    for _kind, data in answers:
        _family, length, _from, _tos, table, protocol, _scope, kind, _flags = RTMSG.unpack_from(data)
        found = attributes(data, RTMSG.size)
        return _as_route(one.version, length, table, protocol=protocol, kind=kind, found=found, names=names)
    return None


def proxies(netlink, names):
    """Return ``{name: addresses}`` that links answer for (ip-neighbour(8), proxy)."""
    found = {}
    for _kind, data in netlink.dump(GETNEIGH, NDMSG.pack(0, 0, 0, 0, 0, PROXY, 0)):
        index = NDMSG.unpack_from(data)[3]
        address = attributes(data, NDMSG.size).get(1)
        if index in names and address:
            found.setdefault(names[index], []).append(_address(address))
    return {name: tuple(many) for name, many in found.items()}


def space_id(netlink, descriptor):
    """Return the id of another namespace as links of this one name it, -1 where none has (RTM_GETNSID)."""
    answers = netlink.ask(GETNSID, b"\0\0\0\0" + attribute(3, descriptor))
    return _number(attributes(answers[0][1], 4).get(1), "=i", -1)


def add_pair(netlink, name, mac, mtu, *, group, descriptor, inside, number=0):
    """Make a veth pair, its other end in the namespace of ``descriptor``; the mark ``group`` is there at once.

    :param number: the index of the other end; 0: the kernel chooses.
    """
    size = attribute(MTU, mtu) if mtu else b""
    other = IFINFO.pack(0, 0, 0, number, 0, 0) + attribute(IFNAME, inside) + size + attribute(NET_NS_FD, descriptor)
    data = attribute(DATA | NESTED, attribute(VETH_PEER | NESTED, other))
    info = attribute(LINKINFO | NESTED, attribute(KIND, b"veth") + data)
    body = attribute(IFNAME, name) + attribute(ADDRESS, _mac(mac)) + size + attribute(GROUP, group) + info
    netlink.ask(NEWLINK, IFINFO.pack(0, 0, 0, 0, 0, 0) + body, CREATE | EXCLUSIVE)


def set_link(netlink, name, values):
    """Set ``mac``, ``mtu``, ``alias``, ``group``, ``master`` (an index, 0 for none) and ``up`` of a link."""
    body = b""
    for key, kind in (("mac", ADDRESS), ("mtu", MTU), ("alias", IFALIAS), ("group", GROUP), ("master", MASTER)):
        if key in values:
            value = values[key]
            body += attribute(kind, _mac(value) if key == "mac" else value)
    flags = UP if values.get("up") else 0
    change = UP if "up" in values else 0
    netlink.ask(NEWLINK, IFINFO.pack(0, 0, 0, index(netlink, name), flags, change) + body)


def group(netlink, name):
    """Return the group of a link; None: there is no such link."""
    try:
        answers = netlink.ask(GETLINK, IFINFO.pack(0, 0, 0, 0, 0, 0) + attribute(IFNAME, name))
    except OSError as error:
        if error.errno in GONE:
            return None
        raise
    return _number(attributes(answers[0][1], IFINFO.size).get(GROUP))


def delete_link(netlink, name):
    """Remove a link; one that is not there is removed."""
    _unless_gone(netlink, DELLINK, IFINFO.pack(0, 0, 0, 0, 0, 0) + attribute(IFNAME, name))
    netlink.indexes.pop(name, None)


def change_address(netlink, verb, name, address):
    """Add or delete an address of a link, ``ip/prefix``."""
    one = ipaddress.ip_interface(address)
    scope = LINK_SCOPE if one.ip.is_link_local and one.version == 6 else UNIVERSE
    body = attribute(2, one.ip.packed) + attribute(1, one.ip.packed)
    length, family = one.network.prefixlen, FAMILIES[one.version]
    if verb == "del":
        _unless_gone(netlink, DELADDR, IFADDR.pack(family, length, 0, 0, index(netlink, name)) + body)
        return
    flags = NODAD if one.version == 6 else 0
    header = IFADDR.pack(family, length, flags, scope, index(netlink, name))
    netlink.ask(NEWADDR, header + body, CREATE | REPLACE)


def change_route(netlink, verb, name, to, via):
    """Add (or take over) or delete a route in the table ``main``; without ``via`` the other end is on the link."""
    one = ipaddress.ip_network(to)
    scope = LINK_SCOPE if via is None and one.version == 4 else UNIVERSE
    header = RTMSG.pack(FAMILIES[one.version], one.prefixlen, 0, 0, MAIN, STATIC, scope, UNICAST, 0)
    body = attribute(1, one.network_address.packed) if one.prefixlen else b""
    body += attribute(5, ipaddress.ip_address(via).packed) if via else b""
    body += attribute(4, index(netlink, name))
    if verb == "del":
        _unless_gone(netlink, DELROUTE, header + body)
    else:
        netlink.ask(NEWROUTE, header + body, CREATE | REPLACE)


def change_proxy(netlink, verb, name, address):
    """Have a link answer for an address, or not (any more)."""
    one = ipaddress.ip_address(address)
    body = NDMSG.pack(FAMILIES[one.version], 0, 0, index(netlink, name), PERMANENT, PROXY, 0) + attribute(1, one.packed)
    if verb == "del":
        _unless_gone(netlink, DELNEIGH, body)
    else:
        netlink.ask(NEWNEIGH, body, CREATE | REPLACE)


def index(netlink, name):
    """Return the index of a link.

    :raises OSError: there is none of that name.
    """
    if name not in netlink.indexes:
        body = IFINFO.pack(0, 0, 0, 0, 0, 0) + attribute(IFNAME, name) + attribute(EXT_MASK, SKIP_STATS)
        answers = netlink.ask(GETLINK, body)
        netlink.indexes[name] = IFINFO.unpack_from(answers[0][1])[3]
    return netlink.indexes[name]


def _unless_gone(netlink, kind, body):
    try:
        netlink.ask(kind, body)
    except OSError as error:
        if error.errno not in GONE:
            raise


def _address(packed):
    """Return an address as text; hundreds of them are read, and ipaddress takes ten times as long."""
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def _mac(text):
    return bytes(int(byte, 16) for byte in text.split(":"))


def _text(data):
    return data.rstrip(b"\0").decode("utf-8", "replace")


def _number(data, form="=I", default=0):
    return struct.unpack_from(form, data)[0] if data else default
