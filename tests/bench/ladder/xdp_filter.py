# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The peer: the program of Debian's xdp-filter with IPv4 sources to drop, in the harness of ``random_sources``.

``python3 -m tests.bench.ladder.xdp_filter`` prints a table of its own.

The object file is Debian's own, loaded by Debian's libbpf. It holds at most ``LIMIT`` addresses, a constant of its
source; more are measured with that one number raised before the kernel sees it, which no option of xdp-filter does.
"""

import ctypes
import os
import platform
import struct
from pathlib import Path

from tests.bench.ladder import bpf, random_sources

LIMIT = 10_000  # entries of the map filter_ipv4
# xdp-filter's variant that looks at IP addresses only, and the one that it loads unless told otherwise.
VARIANTS = {"ip": "xdpfilt_alw_ip.o", "all": "xdpfilt_alw_all.o"}
MATCH_SOURCE = 1 << 0  # MAP_FLAG_SRC of xdp-filter's common_kern_user.h


class Program:
    """xdp-filter, loaded with a list of sources; ``descriptor`` is good until ``close()``.

    ``addresses`` are numbers. ``ValueError`` when they are more than xdp-filter holds and ``raised`` is not set.
    """

    def __init__(self, addresses: list[int], variant: str = "ip", raised: bool = False) -> None:
        self._bpf = _library()
        path = Path("/usr/lib", f"{platform.machine()}-linux-gnu", "bpf", VARIANTS[variant])
        self._object = self._bpf.bpf_object__open_file(str(path).encode(), None)
        if not self._object:
            raise OSError(ctypes.get_errno(), f"libbpf cannot read {path} (package libxdp1)")
        try:
            self._load(addresses, raised)
        except BaseException:
            self.close()
            raise

    def _load(self, addresses: list[int], raised: bool) -> None:
        sources = self._bpf.bpf_object__find_map_by_name(self._object, b"filter_ipv4")
        holds = self._bpf.bpf_map__max_entries(sources)
        if len(addresses) > holds:
            if not raised:
                raise ValueError(f"xdp-filter holds {holds} addresses, not {len(addresses)}")
            self._bpf.bpf_map__set_max_entries(sources, len(addresses))
        each = None
        while each := self._bpf.bpf_object__next_map(self._object, each):
            # Else libbpf would pin them, and take over those of an xdp-filter that is at work here.
            self._bpf.bpf_map__set_pin_path(each, None)
        program = self._bpf.bpf_object__next_program(self._object, None)
        self._bpf.bpf_program__set_type(program, bpf.XDP)
        if self._bpf.bpf_object__load(self._object):
            raise OSError(ctypes.get_errno(), "the kernel does not take xdp-filter's program")
        self.descriptor = self._bpf.bpf_program__fd(program)
        self._fill(self._bpf.bpf_map__fd(sources), addresses)

    def _fill(self, descriptor: int, addresses: list[int]) -> None:
        # The map is a hash with a value of 8 bytes for each possible CPU.
        value = struct.pack("=Q", MATCH_SOURCE) * self._bpf.libbpf_num_possible_cpus()
        keys = struct.pack(f"!{len(addresses)}I", *addresses)
        count = ctypes.c_uint32(len(addresses))
        if self._bpf.bpf_map_update_batch(descriptor, keys, value * len(addresses), ctypes.byref(count), None):
            raise OSError(ctypes.get_errno(), f"only {count.value} of {len(addresses)} addresses were taken")

    def close(self) -> None:
        """Give the program and its maps back."""
        self._bpf.bpf_object__close(self._object)


def _library() -> ctypes.CDLL:
    library = ctypes.CDLL("libbpf.so.1", use_errno=True)
    pointer, text = ctypes.c_void_p, ctypes.c_char_p
    for name, result, arguments in (
        ("bpf_object__open_file", pointer, (text, pointer)),
        ("bpf_object__find_map_by_name", pointer, (pointer, text)),
        ("bpf_object__next_map", pointer, (pointer, pointer)),
        ("bpf_object__next_program", pointer, (pointer, pointer)),
        ("bpf_object__load", ctypes.c_int, (pointer,)),
        ("bpf_object__close", None, (pointer,)),
        ("bpf_program__set_type", ctypes.c_int, (pointer, ctypes.c_int)),
        ("bpf_program__fd", ctypes.c_int, (pointer,)),
        ("bpf_map__max_entries", ctypes.c_uint32, (pointer,)),
        ("bpf_map__set_max_entries", ctypes.c_int, (pointer, ctypes.c_uint32)),
        ("bpf_map__set_pin_path", ctypes.c_int, (pointer, text)),
        ("bpf_map__fd", ctypes.c_int, (pointer,)),
        ("bpf_map_update_batch", ctypes.c_int, (ctypes.c_int, text, text, pointer, pointer)),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    library.libbpf_set_print(None)  # what goes wrong is said by the exceptions
    return library


def cost(count: int, variant: str = "ip", factor: int = 1) -> random_sources.Cost:
    """Measure xdp-filter with random sources among ``count`` (a power of two) addresses, all of them to be dropped."""
    sources = random_sources.Sources(count, length=32, first=10 << 24, factor=factor)
    program = Program(sources.addresses(), variant, raised=count > LIMIT)
    try:
        return random_sources.cost(program.descriptor, sources)
    finally:
        program.close()


def main() -> None:
    """Print a table: xdp-filter, and the limit."""
    bare = random_sources.bare()
    print(f"{'ns per packet, random sources among':<38} {'limit':>6} {'ip':>6} {'all':>6}")
    for count in (1, 1 << 10, 1 << 13, 1 << 16):
        limit = random_sources.cost(bare, random_sources.Sources(count, 32, 10 << 24)).least
        found = (cost(count, variant).least for variant in VARIANTS)
        note = " (bound raised)" if count > LIMIT else ""
        print(f"{str(count) + note:<38}", *(f"{one:6.0f}" for one in (limit, *found)))
    os.close(bare)


if __name__ == "__main__":
    main()
