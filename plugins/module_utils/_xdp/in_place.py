# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change the prefixes in tables that a running program looks up, so that each address has its old or its new mask.

The order is what makes that true: what is more specific is added before what it is part of is changed, and what is
less specific is removed first. A /24 is pointed at its longer prefixes when they are there, and they go when it is no
longer. Private to the collection; not a public interface.
"""

from . import bpf, loader, pins

KEY_BITS = {"hosts": None, "prefixes": 63, "six": 255}


def change(interface, generation, before, after, wanted):
    """Make the address maps of a generation what they are in ``after`` (:class:`tables.Tables`).

    :param before: what is in them, by its ``arrays`` and ``keyed``.
    :param wanted: :class:`loader.Features`.
    """
    keyed = [name for name in after.keyed if before.keyed.get(name) != after.keyed[name]]
    arrays = [name for name in after.arrays if before.arrays.get(name) != after.arrays[name]]
    for name in keyed:
        old, new = before.keyed[name], after.keyed[name]
        added = {key: mask for key, mask in new.items() if old.get(key) != mask}
        with pins.opened(interface, generation, name) as descriptor:
            ordered = sorted(added, key=lambda key: -_length(name, key))
            loader.write_entries(descriptor, name, {key: added[key] for key in ordered}, wanted)
    # A class is known before a block has it.
    for name in sorted(arrays, key=lambda one: one.endswith("_blocks")):
        with pins.opened(interface, generation, name) as descriptor:
            mapped = bool(bpf.map_info(descriptor).flags & bpf.MMAPABLE)
            loader.write_array(descriptor, after.arrays[name], wanted, mapped, before.arrays[name])
    for name in reversed(keyed):
        gone = [key for key in before.keyed[name] if key not in after.keyed[name]]
        with pins.opened(interface, generation, name) as descriptor:
            loader.remove_entries(descriptor, name, sorted(gone, key=lambda key: _length(name, key)), wanted)


def _length(name, key):
    bits = KEY_BITS[name.rpartition("_")[2]]
    return 32 if bits is None else key & bits
