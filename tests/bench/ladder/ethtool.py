# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one setting of ethtool(8) that the ladder needs; the program itself need not be installed."""

import ctypes
import fcntl
import socket
import struct

SIOCETHTOOL = 0x8946  # linux/sockios.h
ETHTOOL_SGRO = 0x2C  # linux/ethtool.h


def set_gro(device: str, on: bool) -> None:
    """Switch generic receive offload of a device. Raises ``OSError``."""
    value = ctypes.create_string_buffer(struct.pack("=II", ETHTOOL_SGRO, int(on)))
    request = struct.pack("16sP", device.encode(), ctypes.addressof(value))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCETHTOOL, request.ljust(40, b"\0"))
