# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes and rules as ``ip -json route show table all`` and ``ip -json rule show`` print them; see ``rtnetlink``.

Numbers are those of the kernel's include/uapi/linux/rtnetlink.h and fib_rules.h. Private to the collection; not a
public interface.
"""

import socket
import struct

from .._core.netlink import attributes
from .rtnetlink import number, text

GETROUTE, GETRULE = 26, 34
RTMSG = struct.Struct("=BBBBBBBBI")  # family, dst and src length, tos, table, protocol, scope, type, flags
RULE = struct.Struct("=BBBBBBBBI")  # family, dst and src length, tos, table, two reserved, action, flags
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
CLONED = 0x200  # RTM_F_CLONED: of the cache, no route
UNICAST, TO_TABLE = 1, 1  # RTN_UNICAST, FR_ACT_TO_TBL
PROTOCOLS = {2: "kernel", 3: "boot", 4: "static"}  # rtnetlink(7), RTPROT_*
DST, OIF, GATEWAY, PRIORITY, TABLE, VIA = 1, 4, 5, 6, 15, 18
# FRA_*: those of rules of ours, and one that every rule has.
R_DST, R_SRC, R_IIF, R_PRIORITY, R_MARK, R_SUPPRESS, R_TABLE, R_MASK, R_PAD, R_PROTOCOL = (
    1, 2, 3, 6, 10, 14, 15, 16, 18, 21,
)  # fmt: skip
OURS = {R_DST, R_SRC, R_IIF, R_PRIORITY, R_MARK, R_TABLE, R_MASK, R_PAD, R_PROTOCOL}
NOTHING = 0xFFFFFFFF


def routed(netlink, names):
    """Return pairs of the IP version and its routes and rules.

    :param netlink: a :class:`Netlink`, ``names``: those of links by index.
    """
    return [(version, _routes(netlink, version, names) + _rules(netlink, version)) for version in sorted(FAMILIES)]


def _routes(netlink, version, names):
    found, family = [], FAMILIES[version]
    for _kind, data in netlink.dump(GETROUTE, RTMSG.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)):
        got, length, _source, _tos, table, protocol, _scope, kind, flags = RTMSG.unpack_from(data)
        said = attributes(data, RTMSG.size)
        if got != family or flags & CLONED or number(said.get(OIF)) not in names:
            continue
        one = {
            "dst": f"{socket.inet_ntop(family, said[DST])}/{length}" if length else "default",
            "dev": names[number(said[OIF])],
            "table": number(said.get(TABLE), table),
            "protocol": PROTOCOLS.get(protocol, str(protocol)),
            "type": "unicast" if kind == UNICAST else str(kind),
        }
        if PRIORITY in said:
            one["metric"] = number(said[PRIORITY])
        if GATEWAY in said:
            one["gateway"] = socket.inet_ntop(family, said[GATEWAY])
        elif VIA in said:
            other = struct.unpack_from("=H", said[VIA])[0]
            one["via"] = {"host": socket.inet_ntop(other, said[VIA][2:])}
        found.append(one)
    return found


def _rules(netlink, version):
    found, family = [], FAMILIES[version]
    for _kind, data in netlink.dump(GETRULE, RULE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)):
        got, to, source, tos, table, _one, _two, action, flags = RULE.unpack_from(data)
        if got != family:
            continue
        said = attributes(data, RULE.size)
        one = {"priority": number(said.get(R_PRIORITY), 0), "src": "all"}
        for kind, key, length in ((R_SRC, "src", source), (R_DST, "dst", to)):
            if kind in said:
                one.update({key: socket.inet_ntop(family, said[kind]), f"{key}len": length})
        if R_IIF in said:
            one["iif"] = text(said[R_IIF])
        mark, mask = number(said.get(R_MARK), 0), number(said.get(R_MASK), NOTHING)
        if mark or mask not in (0, NOTHING):
            one["fwmark"] = hex(mark)
            one.update({} if mask == NOTHING else {"fwmask": hex(mask)})
        more = {kind for kind in said if kind not in OURS}
        if more == {R_SUPPRESS} and number(said[R_SUPPRESS]) == NOTHING:
            more = set()
        if action != TO_TABLE or tos or flags & 0x2 or more:  # FIB_RULE_INVERT
            one["action"] = action  # of another form than ours
        found.append(dict(one, table=number(said.get(R_TABLE), table)))
    return found
