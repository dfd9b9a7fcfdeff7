# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""bpf(2) as far as the ladder needs it: compile C, load it, run it in the kernel."""

import ctypes
import os
import platform
import struct
import subprocess
from pathlib import Path

from tests.tools import bpf as compiler

NUMBERS = {"x86_64": 321, "aarch64": 280, "ppc64le": 361}  # of bpf(2), from each asm/unistd.h
# enum bpf_cmd, bpf_prog_type and bpf_map_type of linux/bpf.h
MAP_CREATE, MAP_UPDATE_ELEM, PROG_LOAD, PROG_TEST_RUN = 0, 2, 5, 10
XDP = 6
PROG_ARRAY = 3
HAS_FRAGS, ATTACH_XDP = 1 << 5, 37  # BPF_F_XDP_HAS_FRAGS, BPF_XDP of enum bpf_attach_type
LIVE_FRAMES = 1 << 1  # BPF_F_TEST_XDP_LIVE_FRAMES
PSEUDO_MAP_FD = 1  # source register of the instruction that loads a map
DROP, PASS = 1, 2  # enum xdp_action

_libc = ctypes.CDLL(None, use_errno=True)


def call(command: int, attributes: bytes) -> tuple[int, bytes]:
    """Return what bpf(2) returned, and the attributes as the kernel left them. Raises ``OSError``."""
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    result = _libc.syscall(NUMBERS[platform.machine()], command, buffer, len(attributes))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result, buffer.raw


def compile_c(source: Path, directory: Path, **macros: object) -> Path:
    """Compile a source for the machine in the kernel with these macros; return the object file in the directory."""
    target = directory / f"{source.name.partition('.')[0]}.o"
    headers = f"/usr/include/{platform.machine()}-linux-gnu"  # where Debian has asm/types.h
    options = [*compiler.OPTIONS, f"-I{headers}", *(f"-D{name}={value}" for name, value in macros.items())]
    subprocess.run([compiler.COMPILER, *options, "-c", source, "-o", target], timeout=60, check=True)
    return target


def instructions(path: Path, maps: dict[str, int] | None = None) -> bytes:
    """Return the XDP program of an object file, with the file descriptors of its maps put in.

    Raises ``KeyError`` when it has a map that is not among those given.
    """
    code, places, _constants = compiler.parts(path.read_bytes())
    filled = bytearray(code)
    for index, name in places:
        filled[8 * index + 1] |= PSEUDO_MAP_FD << 4
        struct.pack_into("<i", filled, 8 * index + 4, (maps or {})[name])
    return bytes(filled)


def load(code: bytes, flags: int = 0, attach_type: int = 0) -> int:
    """Load an XDP program and return its file descriptor. Raises ``OSError`` with the words of the verifier."""
    program, licence = ctypes.create_string_buffer(code, len(code)), ctypes.create_string_buffer(b"GPL")
    log = ctypes.create_string_buffer(1 << 16)
    fixed = (XDP, len(code) // 8, ctypes.addressof(program), ctypes.addressof(licence))
    for verbose in ((0, 0, 0), (1, len(log), ctypes.addressof(log))):
        try:
            return call(PROG_LOAD, struct.pack("<IIQQIIQII20xI", *fixed, *verbose, 0, flags, attach_type))[0]
        except OSError as error:
            failed = error
    raise OSError(failed.errno, f"{failed.strerror}: {log.value.decode()[-2000:]}")


def program_array(program: int) -> int:
    """Return the file descriptor of an array for tail calls, with this program as its first entry."""
    array = call(MAP_CREATE, struct.pack("<IIIII", PROG_ARRAY, 4, 4, 1, 0))[0]
    key, value = ctypes.c_uint32(0), ctypes.c_uint32(program)
    call(MAP_UPDATE_ELEM, struct.pack("<IIQQQ", array, 0, ctypes.addressof(key), ctypes.addressof(value), 0))
    return array


def run(program: int, packet: bytes, repeat: int, flags: int = 0, batch: int = 0) -> tuple[int, int]:
    """Run a program so many times on a packet; return its last verdict and the ns of one run, on average.

    With ``LIVE_FRAMES`` the frames go where the program sends them, and there is neither verdict nor time.
    """
    data = ctypes.create_string_buffer(packet, len(packet))
    fields = (program, 0, len(packet), 0, ctypes.addressof(data), 0, repeat, 0, 0, 0, 0, 0, flags, 0, batch, 0)
    _zero, left = call(PROG_TEST_RUN, struct.pack("<IIIIQQIIIIQQIIII", *fields))
    _program, verdict, _in, _out, _data_in, _data_out, _repeat, took = struct.unpack_from("<IIIIQQII", left)
    return verdict, took
