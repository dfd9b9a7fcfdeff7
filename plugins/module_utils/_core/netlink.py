# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A socket to the kernel's routing tables (rtnetlink(7)), without a process for each question.

Hundreds of namespaces are read and changed in one task; a run of ip(8) for each would cost more than all of the rest.
Numbers are those of the kernel's include/uapi/linux/netlink.h. Private to the collection.
"""

import os
import socket
import struct
from contextlib import suppress

HEADER = struct.Struct("=IHHII")
ATTRIBUTE = struct.Struct("=HH")
ERROR, DONE = 2, 3  # NLMSG_ERROR, NLMSG_DONE
REQUEST, ACK, DUMP, INTERRUPTED = 0x1, 0x4, 0x300, 0x10
REPLACE, EXCLUSIVE, CREATE = 0x100, 0x200, 0x400
CAPPED, ACK_TLVS = 0x100, 0x200  # flags of an answer: NLM_F_CAPPED, NLM_F_ACK_TLVS
SOL_NETLINK, CAP_ACK, EXT_ACK = 270, 10, 11
NESTED = 0x8000
TIMEOUT = 30.0  # seconds without an answer
BUFFER = 1 << 20


class Refused(OSError):
    """The kernel said no; ``reason`` is what it said of it in words (extended acknowledgement), perhaps nothing."""

    def __init__(self, code, reason=""):
        said = os.strerror(code)
        super().__init__(code, f"{said} ({reason})" if reason else said)
        self.reason = reason


class Netlink:
    """A socket in the network namespace that the process is in when it is made; it stays there.

    :ivar indexes: a place for what its user wants to remember: the index of a link by name.
    """

    def __init__(self):
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        self.socket.bind((0, 0))
        self.socket.settimeout(TIMEOUT)
        for option in (CAP_ACK, EXT_ACK):
            with suppress(OSError):  # before Linux 4.12: the kernel gives no reasons
                self.socket.setsockopt(SOL_NETLINK, option, 1)
        self.number = 0
        self.indexes = {}

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.close()

    def close(self):
        self.socket.close()

    def ask(self, kind, body, flags=0):
        """Send one request; return the answers to it but for the acknowledgement.

        :raises Refused: with the kernel's reason.
        """
        return self._answers(kind, body, REQUEST | ACK | flags)[0]

    def dump(self, kind, body):
        """Return all entries of a table; read again when it changed meanwhile."""
        for _attempt in range(20):
            found, whole = self._answers(kind, body, REQUEST | DUMP)
            if whole:
                break
        return found

    def _answers(self, kind, body, flags):
        self.number += 1
        self.socket.send(HEADER.pack(HEADER.size + len(body), kind, flags, self.number, 0) + body)
        found, whole = [], True
        while True:
            data = self.socket.recv(BUFFER)
            offset = 0
            while offset < len(data):
                length, kind, said, number, _port = HEADER.unpack_from(data, offset)
                payload = data[offset + HEADER.size : offset + length]
                offset += (length + 3) & ~3
                if number != self.number:
                    continue
                whole = whole and not said & INTERRUPTED
                if kind == DONE:
                    return found, whole
                if kind == ERROR:
                    _check(payload, said)
                    return found, whole
                found.append((kind, payload))


def attribute(kind, payload):
    """Return one attribute, padded."""
    if not isinstance(payload, bytes):
        payload = struct.pack("=I", payload) if isinstance(payload, int) else payload.encode() + b"\0"
    return ATTRIBUTE.pack(ATTRIBUTE.size + len(payload), kind) + payload + b"\0" * (-len(payload) % 4)


def attributes(data, offset=0):
    """Return ``{kind: payload}`` of the attributes that follow in ``data``."""
    found, end = {}, len(data)
    while offset + 4 <= end:
        length, kind = ATTRIBUTE.unpack_from(data, offset)
        if length < 4:
            break
        found[kind & 0x3FFF] = data[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


def _check(payload, flags):
    """Raise what an answer says, unless it is an acknowledgement (struct nlmsgerr)."""
    code = -struct.unpack_from("=i", payload)[0]
    if not code:
        return
    reason = ""
    if flags & ACK_TLVS:
        inner = struct.unpack_from("=I", payload, 4)[0]
        skip = 4 + (HEADER.size if flags & CAPPED else (inner + 3) & ~3)
        reason = attributes(payload, skip).get(1, b"").rstrip(b"\0").decode("utf-8", "replace")
    raise Refused(code, reason)
