# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Interfaces and their XDP programs over rtnetlink(7). Numbers: include/uapi/linux/if_link.h, netlink.h.

Private to the collection; not a public interface.
"""

import contextlib
import errno
import socket
import struct
from typing import NamedTuple

from .._core.netlink import NESTED, Netlink, Refused, attribute, attributes

GETLINK, SETLINK, GETADDR, GETROUTE = 18, 19, 22, 26
IFINFO, IFADDR, RTMSG = struct.Struct("=BxHiII"), struct.Struct("=BBBBI"), struct.Struct("=8BI")
IFA_LOCAL, IFA_ADDRESS, RTA_DST, RTA_OIF, RTA_MULTIPATH = 2, 1, 1, 4, 9
FIB_MATCH = 0x2000  # RTM_F_FIB_MATCH (Linux 4.13): the whole route, not what it is for one packet
IFLA_IFNAME, IFLA_LINK, IFLA_MASTER, IFLA_LINKINFO, IFLA_XDP = 3, 5, 10, 18, 43
KIND, DATA, PORT_KIND = 1, 2, 4  # IFLA_INFO_*
VLAN_ID = 1
XDP_FD, XDP_ATTACHED, XDP_FLAGS, XDP_PROG_ID, XDP_DRV_ID, XDP_SKB_ID, XDP_HW_ID, XDP_EXPECTED = range(1, 9)
NATIVE, GENERIC, OFFLOAD, SEVERAL = "native", "generic", "offload", "several"
ATTACHED = {1: NATIVE, 2: GENERIC, 3: OFFLOAD, 4: SEVERAL}
IF_NOEXIST, REPLACE = 1, 1 << 4  # XDP_FLAGS_*
MODE_FLAGS = {GENERIC: 1 << 1, NATIVE: 1 << 2}


class Interface(NamedTuple):
    """A network interface. ``ifindex``, ``master`` and ``lower`` are indexes, 0 for none; ``programs`` ids by mode."""

    ifindex: int
    name: str
    kind: str = ""
    port_kind: str = ""
    master: int = 0
    lower: int = 0
    vlan: int = 0
    programs: dict = {}


def interface(name):
    """Return the :class:`Interface` with this name, None when there is none."""
    try:
        with Netlink() as netlink:
            ((_kind, answer),) = netlink.ask(GETLINK, IFINFO.pack(0, 0, 0, 0, 0) + attribute(IFLA_IFNAME, name))
    except Refused as error:
        if error.errno in (errno.ENODEV, errno.ERANGE, errno.EINVAL):  # ERANGE: longer than a name can be
            return None
        raise
    return _interface(answer)


def interfaces():
    """Return all :class:`Interface`."""
    with Netlink() as netlink:
        return [_interface(body) for _kind, body in netlink.dump(GETLINK, IFINFO.pack(0, 0, 0, 0, 0))]


def reached_by(version, local, remote):
    """Return the indexes of the interfaces that have the address ``local``, or that lead to ``remote``.

    Of a route with several next hops the kernel names the one that it would take; all of them lead there.
    """
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    found = set()
    with Netlink() as netlink:
        for _kind, body in netlink.dump(GETADDR, IFADDR.pack(family, 0, 0, 0, 0)):
            said = attributes(body, IFADDR.size)
            if local in (said.get(IFA_LOCAL), said.get(IFA_ADDRESS) if IFA_LOCAL not in said else None):
                found.add(IFADDR.unpack_from(body)[4])
        for flags in (0, FIB_MATCH):
            head = RTMSG.pack(family, 8 * len(remote), 0, 0, 0, 0, 0, 0, flags)
            with contextlib.suppress(Refused):  # no route back
                ((_kind, body),) = netlink.ask(GETROUTE, head + attribute(RTA_DST, remote))
                said = attributes(body, RTMSG.size)
                found.update({_number(said.get(RTA_OIF)), *_next_hops(said.get(RTA_MULTIPATH, b""))})
    return found - {0}


def _next_hops(content):
    """Yield the index of the interface of each struct rtnexthop (include/uapi/linux/rtnetlink.h)."""
    while len(content) >= 8:
        length, _flags, _weight, index = struct.unpack_from("=HBBi", content)
        yield index
        content = content[max(8, (length + 3) & ~3) :]


def attach(index, program, mode, expected=None):
    """Attach a program to an interface without a link, or with ``program`` -1 take it off.

    :param mode: native or generic.
    :param expected: the descriptor of the program that is to be there; None: none must be.
    :raises Refused: with the kernel's reason.
    """
    flags = MODE_FLAGS[mode] | (REPLACE if expected is not None else IF_NOEXIST)
    wanted = attribute(XDP_FD, struct.pack("=i", program)) + attribute(XDP_FLAGS, flags)
    if expected is not None:
        wanted += attribute(XDP_EXPECTED, struct.pack("=i", expected))
    with Netlink() as netlink:
        netlink.ask(SETLINK, IFINFO.pack(0, 0, index, 0, 0) + attribute(IFLA_XDP | NESTED, wanted))


def _interface(answer):
    said = attributes(answer, IFINFO.size)
    about, xdp = attributes(said.get(IFLA_LINKINFO, b"")), attributes(said.get(IFLA_XDP, b""))
    kind = _word(about.get(KIND, b""))
    vlan = attributes(about.get(DATA, b"")).get(VLAN_ID) if kind == "vlan" else None
    return Interface(
        IFINFO.unpack_from(answer)[2],
        _word(said[IFLA_IFNAME]),
        kind,
        _word(about.get(PORT_KIND, b"")),
        _number(said.get(IFLA_MASTER)),
        _number(said.get(IFLA_LINK)),
        struct.unpack("=H", vlan)[0] if vlan else 0,
        _programs(xdp),
    )


def _programs(xdp):
    """Return ``{mode: program id}``."""
    mode = ATTACHED.get(xdp.get(XDP_ATTACHED, b"\0")[0])
    if mode is None:
        return {}
    if mode == SEVERAL:
        ids = {NATIVE: XDP_DRV_ID, GENERIC: XDP_SKB_ID, OFFLOAD: XDP_HW_ID}
        return {mode: _number(xdp[number]) for mode, number in ids.items() if number in xdp}
    return {mode: _number(xdp.get(XDP_PROG_ID))}


def _word(content):
    return content.rstrip(b"\0").decode("utf-8", "replace")


def _number(content):
    return struct.unpack("=I", content)[0] if content else 0
