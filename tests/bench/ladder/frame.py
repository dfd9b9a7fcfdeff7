# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The packet of all rungs: UDP to port 1234 of 198.18.0.12, from the range for benchmarks (RFC 2544), 60 bytes."""

import socket
import struct

DESTINATION, PORT = "198.18.0.12", 1234
SENDER, RECEIVER = "02:00:00:00:00:01", "02:00:00:00:00:02"


def udp() -> bytes:
    """Return the Ethernet frame; source address, source port and checksum are put in by the programs in the kernel."""
    ethernet = bytes.fromhex((RECEIVER + SENDER).replace(":", "")) + struct.pack("!H", 0x0800)
    ends = bytes(4) + socket.inet_aton(DESTINATION)
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 46, 0, 0, 64, socket.IPPROTO_UDP, 0) + ends
    return (ethernet + ip + struct.pack("!HHHH", 4321, PORT, 26, 0)).ljust(60, b"\0")
