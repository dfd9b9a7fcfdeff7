# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links and addresses as ``ip -json -details address show`` prints them, for an ip(8) that prints no JSON.

That is the one of CentOS 7, iproute2 4.11. Only what ``ip_json`` reads is there. Numbers are those of the kernel's
include/uapi/linux: rtnetlink.h, if_link.h, if_addr.h, if_bridge.h. Private to the collection; not a public interface.
"""

import socket
import struct

from .._core.netlink import attribute, attributes
from . import sysfs

GETLINK, GETADDR = 18, 22
IFINFO = struct.Struct("=BxHiII")  # family, type, index, flags, change
IFADDR = struct.Struct("=BBBBi")  # family, prefix length, flags, scope, index
FLAGS = {0x1: "UP", 0x8: "LOOPBACK"}  # netdevice(7), IFF_*
ADDRESS, NAME, MTU, LINK, MASTER, LINKINFO, AF_SPEC, EXT_MASK, LINK_NETNS, PERMANENT_MAC = (
    1, 3, 4, 5, 10, 18, 26, 29, 37, 54,
)  # fmt: skip
INFO_KIND, INFO_DATA, INFO_SLAVE_KIND = 1, 2, 4
VLAN_ID, VLAN_FLAGS, VLAN_EGRESS, VLAN_INGRESS, VLAN_PROTOCOL = 1, 2, 3, 4, 5
VLAN_BITS = {0x1: "REORDER_HDR", 0x2: "GVRP", 0x4: "LOOSE_BINDING", 0x8: "MVRP"}  # if_vlan.h, VLAN_FLAG_*
PROTOCOLS = {0x8100: "802.1Q", 0x88A8: "802.1ad"}
IFA_ADDRESS, IFA_LOCAL, IFA_FLAGS = 1, 2, 8
SECONDARY, PERMANENT, MANAGES_TEMPORARY = 0x1, 0x80, 0x100  # IFA_F_*; the first is IFA_F_TEMPORARY of IPv6
SCOPES = {0: "global", 200: "site", 253: "link", 254: "host"}
FAMILIES = {socket.AF_INET: "inet", socket.AF_INET6: "inet6"}
VLANS_OF_BRIDGES = 0x2  # RTEXT_FILTER_BRVLAN
BRIDGE_VLAN_INFO, PVID, RANGE_BEGIN, RANGE_END = 2, 0x2, 0x8, 0x10


def shown(netlink):
    """Return the links of this network namespace, each a dict, with their addresses.

    :param netlink: a :class:`Netlink`.
    """
    found = {}
    for _kind, data in netlink.dump(GETLINK, IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0)):
        _family, _type, index, flags, _change = IFINFO.unpack_from(data)
        found[index] = (attributes(data, IFINFO.size), flags)
    names = {index: text(said[NAME]) for index, (said, _flags) in found.items()}
    links = {index: _link(names[index], said, flags, names) for index, (said, flags) in found.items()}
    for _kind, data in netlink.dump(GETADDR, IFADDR.pack(socket.AF_UNSPEC, 0, 0, 0, 0)):
        family, length, flags, scope, index = IFADDR.unpack_from(data)
        if index in links and family in FAMILIES:
            said = attributes(data, IFADDR.size)
            links[index]["addr_info"].append(_address(family, length, number(said.get(IFA_FLAGS), flags), scope, said))
    return list(links.values())


def vlans(netlink):
    """Return the VLANs of bridges and their ports as ``bridge -json vlan show`` prints them."""
    found = []
    body = IFINFO.pack(socket.AF_BRIDGE, 0, 0, 0, 0) + attribute(EXT_MASK, VLANS_OF_BRIDGES)
    for _kind, data in netlink.dump(GETLINK, body):
        said = attributes(data, IFINFO.size)
        members = list(_members(said.get(AF_SPEC, b"")))
        if members:
            found.append({"ifname": text(said[NAME]), "vlans": members})
    return found


def text(payload):
    """Return a word of the kernel."""
    return payload.rstrip(b"\0").decode("utf-8", "surrogateescape")


def number(payload, otherwise=None):
    """Return a number of 32 bits."""
    return otherwise if payload is None else struct.unpack_from("=I", payload)[0]


def _link(name, said, flags, names):
    info = attributes(said.get(LINKINFO, b""))
    kind, port = text(info.get(INFO_KIND, b"")), text(info.get(INFO_SLAVE_KIND, b""))
    master = names.get(number(said.get(MASTER)), "")
    about = {"info_kind": kind} if kind else {}
    if kind == "vlan":
        about["info_data"] = _vlan(attributes(info.get(INFO_DATA, b"")))
    elif kind in sysfs.OPTIONS:
        about["info_data"] = sysfs.options(name, kind)
    if port or master:
        port = port or sysfs.port_kind(name)
        about.update(info_slave_kind=port, info_slave_data=sysfs.port(name, port, master))
    found = {
        "ifname": name,
        "flags": [word for bit, word in FLAGS.items() if flags & bit],
        "mtu": number(said.get(MTU)),
        "linkinfo": about,
        "addr_info": [],
    }
    if said.get(ADDRESS):
        found["address"] = _mac(said[ADDRESS])
    if said.get(PERMANENT_MAC, said.get(ADDRESS)) != said.get(ADDRESS):
        found["permaddr"] = _mac(said[PERMANENT_MAC])
    if master:
        found["master"] = master
    lower = number(said.get(LINK))
    if lower and LINK_NETNS not in said and lower in names:
        found["link"] = names[lower]
    elif lower:
        found["link_index"] = lower
    return found


def _mac(payload):
    return ":".join(f"{byte:02x}" for byte in bytearray(payload))


def _vlan(said):
    flags = number(said.get(VLAN_FLAGS), 0)
    found = {
        "id": struct.unpack("=H", said[VLAN_ID])[0],
        "flags": [word for bit, word in VLAN_BITS.items() if flags & bit],
        "protocol": PROTOCOLS.get(struct.unpack(">H", said[VLAN_PROTOCOL])[0]) if VLAN_PROTOCOL in said else "802.1Q",
    }
    for key, kind in (("ingress_qos", VLAN_INGRESS), ("egress_qos", VLAN_EGRESS)):
        # A list in which all have the same number, so that a dict of them has the last one alone.
        pairs = [struct.unpack("=II", one) for one in _each(said.get(kind, b""))]
        found[key] = [{"from": first, "to": last} for first, last in pairs]
    return found


def _address(family, length, flags, scope, said):
    name = FAMILIES[family]
    found = {
        "family": name,
        "local": socket.inet_ntop(family, said.get(IFA_LOCAL, said.get(IFA_ADDRESS))),
        "prefixlen": length,
        "scope": SCOPES.get(scope, str(scope)),
    }
    marks = {
        "dynamic": not flags & PERMANENT,
        "temporary": name == "inet6" and flags & SECONDARY,
        "mngtmpaddr": name == "inet6" and flags & MANAGES_TEMPORARY,
    }
    return dict(found, **{key: True for key, value in marks.items() if value})


def _members(data):
    first = None
    for one in _each(data, BRIDGE_VLAN_INFO):
        flags, vid = struct.unpack("=HH", one)
        if flags & RANGE_BEGIN:
            first = vid
            continue
        begin = first if flags & RANGE_END else vid
        yield {"vlan": begin, "vlanEnd": vid, "flags": ["PVID"] if flags & PVID else []}


def _each(data, wanted=None):
    """Yield the payloads of all attributes, or of those with one number."""
    offset = 0
    while offset + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, offset)
        if length < 4:
            return
        if wanted in (None, kind & 0x3FFF):
            yield data[offset + 4 : offset + length]
        offset += (length + 3) & ~3
