# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Interfaces and their XDP programs over rtnetlink(7). Numbers: include/uapi/linux/if_link.h, netlink.h.

Private to the collection; not a public interface.
"""

import contextlib
import errno
import os
import socket
import struct
from typing import NamedTuple

RTM_GETLINK, RTM_SETLINK, RTM_GETADDR, RTM_GETROUTE, NLMSG_ERROR, NLMSG_DONE = 18, 19, 22, 26, 2, 3
REQUEST, ACK, DUMP = 1, 4, 0x300
IFA_LOCAL, IFA_ADDRESS, RTA_DST, RTA_OIF, RTA_MULTIPATH = 2, 1, 1, 4, 9
FIB_MATCH = 0x2000  # RTM_F_FIB_MATCH (Linux 4.13): the whole route, not what it is for one packet
SOL_NETLINK, CAP_ACK, EXT_ACK = 270, 10, 11
IFLA_IFNAME, IFLA_LINK, IFLA_MASTER, IFLA_LINKINFO, IFLA_XDP = 3, 5, 10, 18, 43
KIND, DATA, PORT_KIND = 1, 2, 4  # IFLA_INFO_*
VLAN_ID = 1
XDP_FD, XDP_ATTACHED, XDP_FLAGS, XDP_PROG_ID, XDP_DRV_ID, XDP_SKB_ID, XDP_HW_ID, XDP_EXPECTED = range(1, 9)
NESTED = 0x8000
NATIVE, GENERIC, OFFLOAD, SEVERAL = "native", "generic", "offload", "several"
ATTACHED = {1: NATIVE, 2: GENERIC, 3: OFFLOAD, 4: SEVERAL}
IF_NOEXIST, REPLACE = 1, 1 << 4  # XDP_FLAGS_*
MODE_FLAGS = {GENERIC: 1 << 1, NATIVE: 1 << 2}
BUFFER = 1 << 18


class Refused(OSError):
    """The kernel said no; ``reason`` is what it said of it in words (extended acknowledgement), perhaps nothing."""

    def __init__(self, code, reason):
        super().__init__(code, os.strerror(code))
        self.reason = reason


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
    return _asked(_attribute(IFLA_IFNAME, name.encode() + b"\0"))


def interface_by_index(index):
    """Return the :class:`Interface` with this index, None when there is none."""
    return _asked(b"", index)


def interfaces():
    """Return all :class:`Interface`."""
    return [_interface(body) for body in _dump(RTM_GETLINK, _link(0))]


def reached_by(version, local, remote):
    """Return the indexes of the interfaces that have the address ``local``, or that lead to ``remote``.

    Of a route with several next hops the kernel names the one that it would take; all of them lead there.
    """
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    found = set()
    for body in _dump(RTM_GETADDR, struct.pack("<BBBBI", family, 0, 0, 0, 0)):
        said = _attributes(body[8:])
        if local in (said.get(IFA_LOCAL), said.get(IFA_ADDRESS) if IFA_LOCAL not in said else None):
            found.update(struct.unpack_from("<I", body, 4))
    for flags in (0, FIB_MATCH):
        head = struct.pack("<BBBBBBBBI", family, 8 * len(remote), 0, 0, 0, 0, 0, 0, flags)
        with contextlib.suppress(Refused):  # no route back
            said = _attributes(_talk(RTM_GETROUTE, head + _attribute(RTA_DST, remote))[12:])
            found.update({_number(said.get(RTA_OIF)), *_next_hops(said.get(RTA_MULTIPATH, b""))})
    return found - {0}


def _next_hops(content):
    """Yield the index of the interface of each struct rtnexthop (include/uapi/linux/rtnetlink.h)."""
    while len(content) >= 8:
        length, _flags, _weight, index = struct.unpack_from("<HBBi", content)
        yield index
        content = content[max(8, (length + 3) & ~3) :]


def attach(index, program, mode, expected=None):
    """Attach a program to an interface without a link, or with ``program`` -1 take it off.

    :param mode: native or generic.
    :param expected: the descriptor of the program that is to be there; None: none must be.
    :raises Refused: with the kernel's reason.
    """
    flags = MODE_FLAGS[mode] | (REPLACE if expected is not None else IF_NOEXIST)
    wanted = _attribute(XDP_FD, struct.pack("<i", program)) + _attribute(XDP_FLAGS, struct.pack("<I", flags))
    if expected is not None:
        wanted += _attribute(XDP_EXPECTED, struct.pack("<i", expected))
    _talk(RTM_SETLINK, _link(index) + _attribute(IFLA_XDP | NESTED, wanted))


def _asked(attributes, index=0):
    try:
        answer = _talk(RTM_GETLINK, _link(index) + attributes)
    except Refused as error:
        if error.errno in (errno.ENODEV, errno.ERANGE, errno.EINVAL):  # ERANGE: longer than a name can be
            return None
        raise
    return _interface(answer)


def _interface(answer):
    (found,) = struct.unpack_from("<i", answer, 4)
    said = _attributes(answer[16:])
    about, xdp = _attributes(said.get(IFLA_LINKINFO, b"")), _attributes(said.get(IFLA_XDP, b""))
    kind = _word(about.get(KIND, b""))
    vlan = _attributes(about.get(DATA, b"")).get(VLAN_ID) if kind == "vlan" else None
    return Interface(
        found,
        _word(said[IFLA_IFNAME]),
        kind,
        _word(about.get(PORT_KIND, b"")),
        _number(said.get(IFLA_MASTER)),
        _number(said.get(IFLA_LINK)),
        struct.unpack("<H", vlan)[0] if vlan else 0,
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


def _opened():
    connection = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    for option in (CAP_ACK, EXT_ACK):
        with contextlib.suppress(OSError):  # before Linux 4.12: an error without words
            connection.setsockopt(SOL_NETLINK, option, 1)
    return connection


def _talk(kind, payload):
    """Send one request; return the payload of its answer."""
    with _opened() as connection:
        flags = REQUEST | (ACK if kind == RTM_SETLINK else 0)
        connection.sendto(struct.pack("<IHHII", 16 + len(payload), kind, flags, 1, 0) + payload, (0, 0))
        message = connection.recv(BUFFER)
    length, got, flags = struct.unpack_from("<IHH", message)
    body = message[16:length]
    if got != NLMSG_ERROR:
        return body
    (code,) = struct.unpack_from("<i", body)
    if not code:
        return b""
    # Behind the error stands the head of the request, then the attributes of the extended acknowledgement.
    words = _attributes(body[20:]).get(1, b"") if flags & 0x200 else b""  # NLM_F_ACK_TLVS, NLMSGERR_ATTR_MSG
    raise Refused(-code, _word(words))


def _dump(kind, payload):
    """Yield the payload of each message of a dump."""
    with _opened() as connection:
        connection.sendto(struct.pack("<IHHII", 16 + len(payload), kind, REQUEST | DUMP, 1, 0) + payload, (0, 0))
        while True:
            message = connection.recv(BUFFER)
            while len(message) >= 16:
                length, got = struct.unpack_from("<IH", message)
                if got in (NLMSG_DONE, NLMSG_ERROR):
                    return
                yield message[16:length]
                message = message[(length + 3) & ~3 :]


def _link(index):
    return struct.pack("<BxHiII", 0, 0, index, 0, 0)


def _attribute(kind, content):
    return (struct.pack("<HH", 4 + len(content), kind) + content).ljust((len(content) + 7) & ~3, b"\0")


def _attributes(content):
    found = {}
    while len(content) >= 4:
        length, kind = struct.unpack_from("<HH", content)
        if length < 4:
            break
        found[kind & 0x3FFF] = content[4:length]
        content = content[(length + 3) & ~3 :]
    return found


def _word(content):
    return content.rstrip(b"\0").decode("utf-8", "replace")


def _number(content):
    return struct.unpack("<I", content)[0] if content else 0
