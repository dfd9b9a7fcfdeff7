# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables into maps, and the program around them into the kernel.

Private to the collection; not a public interface.
"""

import array
import base64
import contextlib
import errno
import mmap
import os
import resource
import struct
from typing import Dict, NamedTuple

from .._core.reconcile import ReconcileError
from . import attachment, bpf, program, tables

NAME = "xdp_drop"  # of the program, as bpftool and ip -d link show it
LICENCE = "GPL-3.0-or-later"
NO_RULE = 128  # the counter of frames that no rule matched
SLOTS = NO_RULE + 1
CHUNK = 1 << 16  # entries in one bpf(2)
META_SIZE = 1 << 16
PAGE = 1 << 12  # bytes of an array that are compared at once
# Kind, bytes of a key and of a value, entries; entries 0: as many as there are, and room to grow.
SPECS = {
    "meta": (bpf.ARRAY, 4, META_SIZE, 1),
    "verdicts": (bpf.ARRAY, 4, 16, 64),
    "counters": (bpf.PERCPU_ARRAY, 4, 16, SLOTS),
    "samples": (bpf.LRU_HASH, 16, 8, 4096),
    "scratch": (bpf.PERCPU_ARRAY, 4, 16, 1),
    "protocols": (bpf.ARRAY, 4, 8, 256),
    "source_ports": (bpf.ARRAY, 4, 8, 65536),
    "destination_ports": (bpf.ARRAY, 4, 8, 65536),
    "icmp_types": (bpf.ARRAY, 4, 8, 512),
    "tcp_flags": (bpf.ARRAY, 4, 8, 256),
    "vlans": (bpf.ARRAY, 4, 8, 4096),
}
for _side in ("source", "destination"):
    SPECS[f"{_side}_blocks"] = (bpf.ARRAY, 4, 8, 1 << 21)
    SPECS[f"{_side}_classes"] = (bpf.ARRAY, 4, 8, 256)
    SPECS[f"{_side}_hosts"] = (bpf.HASH, 4, 8, 0)
    SPECS[f"{_side}_prefixes"] = (bpf.LPM_TRIE, 8, 8, 0)
    SPECS[f"{_side}_six"] = (bpf.LPM_TRIE, 20, 8, 0)
ALWAYS = ("meta", "verdicts", "counters", "samples", "scratch")
# include/linux/errno.h: what the kernel means by "not supported" inside, and bpf(2) lets out.
ENOTSUPP = 524


class Features(NamedTuple):
    """What of this kernel's bpf(2) is used. Where one is missing the same is done by slower means."""

    link: bool = True  # Linux 5.9
    batch: bool = True  # Linux 5.13 for tries; 5.6 for hashes and arrays
    mmap: bool = True  # Linux 5.5


FALLBACKS = {
    "link": "BPF links (Linux 5.9): attached over rtnetlink, replaced only when the expected program is there",
    "batch": "batches of entries of BPF tries (Linux 5.13): maps are read and written entry by entry",
    "mmap": "BPF arrays mapped into memory (Linux 5.5): they are written as entries",
}


class Loaded(NamedTuple):
    """A program that the kernel has verified, and its maps: descriptors, to be closed by :func:`close`."""

    program: int
    maps: Dict[str, int]


def features():
    """Return the :class:`Features` of this kernel, found by trying them on maps that nobody sees.

    :raises ReconcileError: there is no bpf(2) to be had: no program for this machine, no capability, no such call. Or
        the kernel would take off any program when it is told which one.
    """
    with contextlib.suppress(ValueError, OSError):  # counts before Linux 5.11; may be limited for good in a container
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    try:
        # Of the kinds that are used, tries were given batches last.
        probe = bpf.create_map(bpf.LPM_TRIE, 8, 8, 2, bpf.NO_PREALLOC)
    except OSError as error:
        raise ReconcileError(explained(error, "make a BPF map")) from error
    try:
        batch = _works(lambda: bpf.update_batch(probe, bytes(8), bytes(8), 1))
    finally:
        os.close(probe)
    link = _works(lambda: bpf.create_link(0xFFFFFFFF, 0, 0), unknown=(errno.EINVAL,))
    if not link:
        attachment.check_expected()
    return Features(
        link=link,
        batch=batch,
        mmap=_works(lambda: os.close(bpf.create_map(bpf.ARRAY, 4, 8, 1, bpf.MMAPABLE))),
    )


def _works(attempt, unknown=(errno.EINVAL, errno.ENOTSUP, ENOTSUPP)):
    try:
        attempt()
    except OSError as error:
        return error.errno not in unknown
    return True


def fallbacks(found):
    """Return a text on each of the :class:`Features` that this kernel lacks: what it is, and what is done instead."""
    return [text for name, text in FALLBACKS.items() if not getattr(found, name)]


def explained(error, what):
    """Return what to tell the user of an ``OSError`` of bpf(2)."""
    capabilities = (
        "it needs the capabilities CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN (CAP_SYS_ADMIN before Linux 5.8), in the "
        "initial user namespace: run the task with 'become: true'"
    )
    hints = {
        errno.EPERM: capabilities,
        errno.EACCES: capabilities,  # the verifier lets a program compute with pointers only with CAP_PERFMON
        errno.ENOSYS: "xdp_drop has programs for x86-64, aarch64 and ppc64le (all little-endian), for kernels with "
        "CONFIG_BPF_SYSCALL",
        errno.ENOMEM: "the kernel has not enough memory for the tables",
    }
    hint = hints.get(error.errno)
    return f"Cannot {what}: {error.strerror or error}" + (f"; {hint}" if hint else "")


def load(content, verdicts, wanted, *, counters=None, meta=b""):
    """Load the program of some rules; return it as :class:`Loaded`.

    :param content: :class:`tables.Tables`.
    :param verdicts: (drop, slot of the counters) of each rule.
    :param wanted: :class:`Features` to make use of.
    :param counters: a descriptor of counters to go on with; it is duplicated.
    :param meta: what is to be remembered with the program.
    :raises ReconcileError: the kernel does not take it; its reason and the verifier's last lines.
    """
    names = [name for name in SPECS if name in ALWAYS or name in content.arrays or name in content.keyed]
    maps: Dict[str, int] = {}
    doing = "load the XDP program"
    try:
        for name in names:
            doing = f"make and fill the BPF map {name}"
            if name == "counters" and counters is not None:
                maps[name] = os.dup(counters)
                continue
            mapped = wanted.mmap and SPECS[name][0] == bpf.ARRAY
            maps[name] = _made(name, len(content.keyed.get(name, ())), mapped)
            if name in content.arrays:
                write_array(maps[name], content.arrays[name], wanted, mapped)
            elif name in content.keyed:
                write_entries(maps[name], name, content.keyed[name], wanted)
        doing = "load the XDP program"
        write_verdicts(maps["verdicts"], verdicts)
        bpf.update(maps["meta"], bytes(4), meta.ljust(META_SIZE, b"\0"))
        return Loaded(bpf.load_program(instructions(content.constants, maps), NAME, LICENCE), maps)
    except OSError as error:
        for descriptor in maps.values():
            os.close(descriptor)
        raise ReconcileError(explained(error, doing)) from error


def close(loaded):
    """Close the descriptors; what is attached or pinned stays."""
    for descriptor in (loaded.program, *loaded.maps.values()):
        os.close(descriptor)


def instructions(constants, maps):
    """Return the program's instructions with these constants and the descriptors of these maps."""
    code = bytearray(base64.b64decode("".join(program.INSTRUCTIONS.split())))
    for index, number in program.CONSTANTS:
        value = constants[number]
        struct.pack_into("<I", code, 8 * index + 4, value & 0xFFFFFFFF)
        struct.pack_into("<I", code, 8 * index + 12, value >> 32)
    for index, name in program.MAPS:
        # The verifier wants a map even where it sees that the instruction is never reached.
        descriptor = maps.get(name, maps["verdicts"])
        code[8 * index + 1] = (code[8 * index + 1] & 0x0F) | 0x10  # BPF_PSEUDO_MAP_FD
        struct.pack_into("<I", code, 8 * index + 4, descriptor)
        struct.pack_into("<I", code, 8 * index + 12, 0)
    return bytes(code)


def _made(name, entries, mapped):
    kind, key_size, value_size, size = SPECS[name]
    flags = {bpf.LPM_TRIE: bpf.NO_PREALLOC}.get(kind, bpf.MMAPABLE if mapped else 0)
    return bpf.create_map(kind, key_size, value_size, size or room(entries), flags, name=name)


def room(entries):
    """Return how many entries a map is made for that has to hold so many now."""
    return max(1024, entries + entries // 2)


def write_verdicts(descriptor, verdicts, sample=0):
    """Say for each rule whether it drops, where it is counted, and with what probability (of 2**32) it is sampled."""
    for position, (drop, slot) in enumerate(verdicts):
        key = struct.pack("<I", tables.verdict_key(position))
        bpf.update(descriptor, key, struct.pack("<IIII", drop, slot, sample, 0))


def sampled(descriptor, count):
    """Tell whether any of the first ``count`` rules is sampled."""
    values = (bpf.lookup(descriptor, struct.pack("<I", tables.verdict_key(number)), 16) for number in range(count))
    return any(struct.unpack_from("<I", value, 8)[0] for value in values)


def write_array(descriptor, content, wanted, mapped, before=None):
    """Make an array what ``content`` says.

    :param mapped: it can be mapped into memory.
    :param before: what it has; None: nothing but zeros.
    """
    if mapped and wanted.mmap:
        with mmap.mmap(descriptor, len(content)) as memory:
            memory[:] = content
        return
    words = memoryview(content).cast("Q")
    changed = list(_changed(content, before if before is not None else bytes(len(content))))
    _write(
        descriptor,
        [
            (array.array("I", part).tobytes(), array.array("Q", [words[index] for index in part]).tobytes(), len(part))
            for part in _pieces(changed)
        ],
        wanted,
    )


def _changed(content, before):
    """Yield the indexes of the words of eight bytes that differ, found page by page."""
    new, old = memoryview(content), memoryview(before)
    for start in range(0, len(content), PAGE):
        if new[start : start + PAGE] != old[start : start + PAGE]:
            pair = zip(new[start : start + PAGE].cast("Q"), old[start : start + PAGE].cast("Q"))
            yield from (start // 8 + number for number, (word, had) in enumerate(pair) if word != had)


def write_entries(descriptor, name, entries, wanted):
    """Add these entries to a hash or trie, or change them, in this order."""
    keys = list(entries)
    _write(
        descriptor,
        (
            (packed_keys(name, part), array.array("Q", [entries[key] for key in part]).tobytes(), len(part))
            for part in _pieces(keys)
        ),
        wanted,
    )


def remove_entries(descriptor, name, keys, wanted):
    """Remove keys of a hash or trie, in this order."""
    for part in _pieces(keys):
        packed = packed_keys(name, part)
        if wanted.batch:
            bpf.delete_batch(descriptor, packed, len(part))
            continue
        size = len(packed) // len(part)
        for start in range(0, len(packed), size):
            bpf.delete(descriptor, packed[start : start + size])


def read_array(descriptor, size, wanted, mapped):
    """Return the bytes of an array of masks."""
    if mapped and wanted.mmap:
        with mmap.mmap(descriptor, size, prot=mmap.PROT_READ) as memory:
            return memory[:]
    return b"".join(values for _keys, values in _read(descriptor, 4, 8, wanted))


def read_entries(descriptor, name, wanted):
    """Return the entries of a hash or trie."""
    _kind, key_size, value_size, _size = SPECS[name]
    found: Dict[int, int] = {}
    for keys, values in _read(descriptor, key_size, value_size, wanted):
        found.update(zip(unpacked_keys(name, keys), array.array("Q", values)))
    return found


def read_counters(descriptor):
    """Return the (packets, bytes) of all slots, of all CPUs together."""
    cpus = bpf.possible_cpus()
    found = []
    for slot in range(SLOTS):
        value = bpf.lookup(descriptor, struct.pack("<I", slot), 16 * cpus) or bytes(16 * cpus)
        numbers = array.array("Q", value)
        found.append((sum(numbers[0::2]), sum(numbers[1::2])))
    return found


def reset_counters(descriptor, slots):
    """Let these slots begin at zero."""
    for slot in slots:
        bpf.update(descriptor, struct.pack("<I", slot), bytes(16 * bpf.possible_cpus()))


def packed_keys(name, keys):
    """Return keys as the kernel has them: addresses in network order, a trie's behind their length."""
    if name.endswith("_hosts"):
        packed = array.array("I", keys)
        packed.byteswap()
        return packed.tobytes()
    if name.endswith("_prefixes"):
        networks, packed = array.array("I", [key >> 6 for key in keys]), array.array("I", bytes(8 * len(keys)))
        networks.byteswap()
        packed[0::2], packed[1::2] = array.array("I", [key & 63 for key in keys]), networks
        return packed.tobytes()
    return b"".join((key & 255).to_bytes(4, "little") + (key >> 8).to_bytes(16, "big") for key in keys)


def unpacked_keys(name, packed):
    """Return what :func:`packed_keys` made."""
    if name.endswith("_six"):
        return [
            int.from_bytes(packed[start + 4 : start + 20], "big") << 8 | packed[start]
            for start in range(0, len(packed), 20)
        ]
    words = array.array("I", packed)
    if name.endswith("_hosts"):
        words.byteswap()
        return list(words)
    networks = words[1::2]
    networks.byteswap()
    return [network << 6 | length for network, length in zip(networks, words[0::2])]


def _pieces(keys):
    return (keys[start : start + CHUNK] for start in range(0, len(keys), CHUNK))


def _write(descriptor, pieces, wanted):
    """Write (keys, values, count) to a map."""
    for keys, values, count in pieces:
        if wanted.batch:
            bpf.update_batch(descriptor, keys, values, count)
            continue
        size = len(keys) // count
        for number in range(count):
            bpf.update(descriptor, keys[size * number : size * (number + 1)], values[8 * number : 8 * number + 8])


def _read(descriptor, key_size, value_size, wanted):
    """Yield the (keys, values) of a map in pieces."""
    if wanted.batch:
        yield from bpf.lookup_batch(descriptor, key_size, value_size, CHUNK)
        return
    key = bpf.next_key(descriptor, None, key_size)
    while key is not None:
        value = bpf.lookup(descriptor, key, value_size)
        if value is not None:
            yield key, value
        key = bpf.next_key(descriptor, key, key_size)
