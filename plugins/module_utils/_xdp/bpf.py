# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The system call bpf(2), as Python's own ctypes reaches it. Structures: include/uapi/linux/bpf.h, union bpf_attr.

Every function raises ``OSError`` with the kernel's error number; who calls knows what object to name.
Private to the collection; not a public interface.
"""

import ctypes
import errno
import fcntl
import functools
import os
import platform
import struct
import sys
from typing import NamedTuple

# include/uapi/asm-generic/unistd.h and the tables of the architectures. All of them are little-endian here.
SYSCALLS = {"x86_64": 321, "amd64": 321, "aarch64": 280, "arm64": 280, "ppc64le": 361}

MAP_CREATE, MAP_LOOKUP, MAP_UPDATE, MAP_DELETE, MAP_NEXT, PROG_LOAD, OBJ_PIN, OBJ_GET = range(8)
TEST_RUN = 10
PROG_BY_ID, MAP_BY_ID, INFO = 13, 14, 15
LOOKUP_BATCH, UPDATE_BATCH, DELETE_BATCH = 24, 26, 27
LINK_CREATE, LINK_UPDATE = 28, 29
LINK_DETACH = 34
HASH, ARRAY, PERCPU_ARRAY, LRU_HASH, LPM_TRIE = 1, 2, 6, 9, 11
PROG_TYPE_XDP, ATTACH_XDP = 6, 37
NO_PREALLOC, MMAPABLE = 1, 1 << 10  # BPF_F_*
REPLACE = 1 << 2  # BPF_F_REPLACE, of a link's program only when it is the one that is named
LOG_SIZE = 1 << 16

_libc = ctypes.CDLL(None, use_errno=True)


class MapInfo(NamedTuple):
    """What the kernel says of a map."""

    kind: int
    id: int
    key_size: int
    value_size: int
    max_entries: int
    flags: int


class ProgramInfo(NamedTuple):
    """What the kernel says of a program. The tag tells instructions apart, not what is in their maps."""

    id: int
    name: str
    tag: str


@functools.lru_cache(maxsize=None)
def syscall_number():
    """Return the number of bpf(2) on this machine.

    :raises OSError: ENOSYS for a machine that this collection has no program for, big-endian ones among them.
    """
    machine = platform.machine()
    if sys.byteorder != "little" or machine not in SYSCALLS:
        raise OSError(errno.ENOSYS, f"no XDP program for {machine}, {sys.byteorder}-endian")
    return SYSCALLS[machine]


def call(command, attributes):
    """Do one bpf(2) with the bytes of its attributes; return its result and the attributes after it."""
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    number = syscall_number()
    while True:
        result = _libc.syscall(number, command, buffer, len(attributes))
        if result >= 0:
            return result, buffer.raw
        code = ctypes.get_errno()
        if code not in (errno.EINTR, errno.EAGAIN):
            raise OSError(code, os.strerror(code))


def _private(descriptor):
    """Programs that are run meanwhile inherit no descriptor (the kernel sets this itself; be sure of it)."""
    fcntl.fcntl(descriptor, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
    return descriptor


def address(buffer):
    """Return the address of a ctypes buffer, 0 for None."""
    return ctypes.addressof(buffer) if buffer is not None else 0


def create_map(kind, key_size, value_size, max_entries, flags=0, *, name=""):
    """Make a map; return its descriptor."""
    packed = struct.pack("<7I16sI", kind, key_size, value_size, max_entries, flags, 0, 0, name.encode()[:15], 0)
    return _private(call(MAP_CREATE, packed)[0])


def lookup(descriptor, key, value_size):
    """Return the value of a key, None when there is none."""
    key, value = _buffer(key), ctypes.create_string_buffer(value_size)
    try:
        call(MAP_LOOKUP, struct.pack("<I4xQQQ", descriptor, address(key), address(value), 0))
    except OSError as error:
        if error.errno == errno.ENOENT:
            return None
        raise
    return value.raw


def update(descriptor, key, value):
    """Set the value of a key."""
    key, value = _buffer(key), _buffer(value)
    call(MAP_UPDATE, struct.pack("<I4xQQQ", descriptor, address(key), address(value), 0))


def delete(descriptor, key):
    """Remove a key that may be gone already."""
    key = _buffer(key)
    try:
        call(MAP_DELETE, struct.pack("<I4xQQQ", descriptor, address(key), 0, 0))
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise


def next_key(descriptor, key, key_size):
    """Return the key after ``key`` (None: the first), None behind the last."""
    before, after = _buffer(key) if key is not None else None, ctypes.create_string_buffer(key_size)
    try:
        call(MAP_NEXT, struct.pack("<I4xQQQ", descriptor, address(before), address(after), 0))
    except OSError as error:
        if error.errno == errno.ENOENT:
            return None
        raise
    return after.raw


def update_batch(descriptor, keys, values, count):
    """Set many keys, which follow each other without a gap, as their values do (Linux 5.6)."""
    keys, values = _buffer(keys), _buffer(values)
    call(UPDATE_BATCH, struct.pack("<QQQQIIQQ", 0, 0, address(keys), address(values), count, descriptor, 0, 0))


def delete_batch(descriptor, keys, count):
    """Remove many keys (Linux 5.6)."""
    keys = _buffer(keys)
    call(DELETE_BATCH, struct.pack("<QQQQIIQQ", 0, 0, address(keys), 0, count, descriptor, 0, 0))


def lookup_batch(descriptor, key_size, value_size, chunk):
    """Yield (keys, values) in pieces of at most about ``chunk`` entries (Linux 5.6)."""
    before = None
    while True:
        after = ctypes.create_string_buffer(max(key_size, 8))
        keys, values = ctypes.create_string_buffer(chunk * key_size), ctypes.create_string_buffer(chunk * value_size)
        packed = struct.pack(
            "<QQQQIIQQ", address(before), address(after), address(keys), address(values), chunk, descriptor, 0, 0
        )
        buffer = ctypes.create_string_buffer(packed, len(packed))
        done = _libc.syscall(syscall_number(), LOOKUP_BATCH, buffer, len(packed)) < 0
        code = ctypes.get_errno() if done else 0
        if code == errno.ENOSPC:  # more of a hash have the same place than the piece holds
            chunk *= 2
            continue
        if code not in (0, errno.ENOENT):
            raise OSError(code, os.strerror(code))
        (count,) = struct.unpack_from("<I", buffer.raw, 32)
        yield keys.raw[: count * key_size], values.raw[: count * value_size]
        if done:
            return
        before = after


def load_program(instructions, name, licence):
    """Have the kernel verify and load an XDP program; return its descriptor.

    :raises OSError: its text ends with the last line of the verifier's log, if it gave any.
    """
    code, licence = _buffer(instructions), _buffer(licence.encode() + b"\0")

    def attempt(log):
        size = LOG_SIZE if log is not None else 0
        return call(
            PROG_LOAD,
            struct.pack(
                "<IIQQIIQII16sII", PROG_TYPE_XDP, len(instructions) // 8, address(code), address(licence),
                1 if log is not None else 0, size, address(log), 0, 0, name.encode()[:15], 0, ATTACH_XDP,
            ),
        )[0]  # fmt: skip

    try:
        return _private(attempt(None))
    except OSError as error:
        if error.errno == errno.EPERM:
            raise
        log = ctypes.create_string_buffer(LOG_SIZE)
        try:
            return _private(attempt(log))
        except OSError as again:
            said = log.value.decode("utf-8", "replace").strip().splitlines()
            raise OSError(again.errno, "; ".join([os.strerror(again.errno), *said[-3:]])) from error


def run_on(program, frame, repeat=1):
    """Run a program on a frame; return its verdict and the nanoseconds that one run took."""
    data = _buffer(frame)
    packed = struct.pack(
        "<IIIIQQIIIIQQIII4x", program, 0, len(frame), 0, address(data), 0, repeat, 0, 0, 0, 0, 0, 0, 0, 0
    )
    _result, after = call(TEST_RUN, packed)
    return struct.unpack_from("<I", after, 4)[0], struct.unpack_from("<I", after, 36)[0]


def pin(descriptor, path):
    """Give an object a name in bpffs, which keeps it alive."""
    name = _buffer(path.encode() + b"\0")
    call(OBJ_PIN, struct.pack("<QII", address(name), descriptor, 0))


def pinned(path):
    """Return a descriptor of the object with this name in bpffs."""
    name = _buffer(path.encode() + b"\0")
    return _private(call(OBJ_GET, struct.pack("<QII", address(name), 0, 0))[0])


def program_by_id(number):
    """Return a descriptor of a loaded program."""
    return _private(call(PROG_BY_ID, struct.pack("<III", number, 0, 0))[0])


def program_info(descriptor):
    """Return the :class:`ProgramInfo` of a program."""
    raw = _info(descriptor, 128)
    return ProgramInfo(
        struct.unpack_from("<I", raw, 4)[0], raw[64:80].partition(b"\0")[0].decode("utf-8", "replace"), raw[8:16].hex()
    )


def map_info(descriptor):
    """Return the :class:`MapInfo` of a map."""
    return MapInfo(*struct.unpack_from("<6I", _info(descriptor, 64)))


def link_info(descriptor):
    """Return the id of a link's program and the index of its interface; 0: it has been detached."""
    raw = _info(descriptor, 32)
    return struct.unpack_from("<I", raw, 8)[0], struct.unpack_from("<I", raw, 16)[0]


def _info(descriptor, size):
    buffer = ctypes.create_string_buffer(size)
    call(INFO, struct.pack("<IIQ", descriptor, size, address(buffer)))
    return buffer.raw


def create_link(program, ifindex, flags):
    """Attach a program to an interface by a link (Linux 5.9); return the link's descriptor."""
    return _private(call(LINK_CREATE, struct.pack("<IIII", program, ifindex, ATTACH_XDP, flags))[0])


def update_link(link, program, before):
    """Let a link run another program, in one step, if it runs the program ``before``."""
    call(LINK_UPDATE, struct.pack("<IIII", link, program, REPLACE, before))


def detach_link(link):
    """Detach the program of a link at once; closing a link does so some time later."""
    call(LINK_DETACH, struct.pack("<I", link))


def possible_cpus():
    """Return how many values a per-CPU map has (Documentation/ABI, sysfs-devices-system-cpu)."""
    with open("/sys/devices/system/cpu/possible") as stream:
        return max(int(part.rpartition("-")[2]) for part in stream.read().strip().split(",")) + 1


def _buffer(content):
    """Return the bytes where the kernel can read them."""
    return ctypes.create_string_buffer(bytes(content), len(content))
