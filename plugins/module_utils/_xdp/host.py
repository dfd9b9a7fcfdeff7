# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Interfaces and their programs as ``xdp_drop`` sees them: observed as one state, changed step by step.

Private to the collection; not a public interface.
"""

import array
import contextlib
import fcntl
import json
import os
import socket
import struct

from .._core import files
from .._core.reconcile import ReconcileError
from . import attachment, bpf, declared, devices, in_place, loader, pins, rtnetlink, tables
from .model import MOST_RULES, Device, Link, Live

SIOCETHTOOL, GFLAGS, RXVLAN = 0x8946, 0x25, 1 << 8  # include/uapi/linux/ethtool.h


def observe(names, mode, wanted, paths=()):
    """Return ``({name: Device}, {path: text})``.

    :param mode: in which the program is wanted; it decides which devices are the right ones.
    :param wanted: :class:`loader.Features`.
    """
    known = {one.ifindex: one for one in rtnetlink.interfaces()}
    by_name = {one.name: one for one in known.values()}
    found = {name: _device(name, by_name.get(name), known, mode, wanted) for name in names}
    return found, {path: Link(os.readlink(path)) if os.path.islink(path) else files.read(path) for path in paths}


def _device(name, interface, known, mode, wanted):
    live, own = _live(name, interface, wanted)
    if interface is None:
        there = ", ".join(sorted(one.name for one in known.values()))
        return Device(name, exists=False, advice=f"It has: {there}", live=live)
    return Device(
        name,
        foreign=tuple(attachment.foreign(interface, own)),
        advice=devices.refuses(interface, known, mode),
        strips_tags=_strips_tags(name),
        live=live,
    )


def _live(name, interface, wanted):
    """Return the :class:`model.Live` of an interface, and the ids of the programs that are ours."""
    mode, generation, own = _which(name, interface)
    return (_read(name, generation, mode, wanted) if generation else None), own


def brief(name):
    """Return the :class:`model.Live` of an interface without the contents of its tables.

    :raises FileNotFoundError: another task has replaced it meanwhile.
    """
    mode, generation, _own = _which(name, rtnetlink.interface(name))
    if not generation:
        return None
    meta = read_meta(name, generation)
    verdicts = _verdicts(name, generation, len(meta["slots"]))
    return Live(generation, mode, meta["digest"], meta["shown"], meta["slots"], verdicts)


def _which(name, interface):
    """Return mode and name of the generation that runs, or of the newest one, and the ids of our programs."""
    own = _own(name)
    if not own:
        return None, None, ()
    running = [(mode, number) for mode, number in (interface.programs if interface else {}).items() if number in own]
    mode, generation = (running[0][0], own[running[0][1]]) if running else (None, list(own.values())[-1])
    return mode, generation, tuple(own)


def _own(name):
    """Return ``{id: generation}`` of our programs, newest last."""
    found = {}
    for generation in pins.generations(name):
        with pins.opened(name, generation, "prog") as descriptor:
            if descriptor is not None:
                found[bpf.program_info(descriptor).id] = generation
    return found


def _read(name, generation, mode, wanted):
    arrays, keyed, room = {}, {}, {}
    for part in pins.names(name, generation):
        if part not in loader.SPECS or part in loader.ALWAYS:
            continue
        with pins.opened(name, generation, part) as descriptor:
            info = bpf.map_info(descriptor)
            if info.kind == bpf.ARRAY:
                mapped = bool(info.flags & bpf.MMAPABLE)
                arrays[part] = loader.read_array(descriptor, 8 * info.max_entries, wanted, mapped)
            else:
                keyed[part], room[part] = loader.read_entries(descriptor, part, wanted), info.max_entries
    meta = read_meta(name, generation)
    return Live(
        generation,
        mode,
        meta["digest"],
        meta["shown"],
        meta["slots"],
        _verdicts(name, generation, len(meta["slots"])),
        {int(number): value for number, value in meta["constants"].items()},
        arrays,
        keyed,
        room,
    )


def read_meta(name, generation):
    """Return what is remembered with a generation."""
    with pins.needed(name, generation, "meta") as descriptor:
        return json.loads(bpf.lookup(descriptor, bytes(4), loader.META_SIZE).rstrip(b"\0").decode())


def _verdicts(name, generation, count):
    with pins.needed(name, generation, "verdicts") as descriptor:
        found = []
        for position in range(min(count, MOST_RULES)):
            value = bpf.lookup(descriptor, struct.pack("<I", tables.verdict_key(position)), 16)
            drop, slot = struct.unpack_from("<II", value)
            found.append((bool(drop), slot))
        return tuple(found)


def _strips_tags(name):
    """Tell whether the NIC takes VLAN tags off in hardware (ethtool -k, rx-vlan-offload)."""
    value = array.array("I", [GFLAGS, 0])
    request = struct.pack("<16sQ16x", name.encode(), value.buffer_info()[0])
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
            fcntl.ioctl(asked, SIOCETHTOOL, request)
    except OSError:
        return False
    return bool(value[1] & RXVLAN)


def apply(step, wanted, told):
    """Carry out one step and return what undoes it.

    :param wanted: :class:`loader.Features`.
    :param told: list that gets the reason when a program runs in mode generic because the driver refuses native.
    """
    if step.verb == "link":
        files.link(step.target, step.data)
        return lambda: os.unlink(step.target)
    if step.verb in ("write", "remove"):
        before = files.write(step.target, step.data) if step.verb == "write" else files.remove(step.target, prune=True)
        return lambda: files.restore(before)
    try:
        return STEPS[step.verb](step.target, step.data, wanted, told)
    except OSError as error:
        raise ReconcileError(f"{step.target}: {loader.explained(error, step.verb + ' the XDP program')}") from error


def _attach(name, program, wanted, told):
    interface = _interface(name)
    before = program.before
    generation, loaded = _loaded(interface, program, wanted)
    try:
        link, mode, reason = attachment.attach(interface, loaded.program, program.mode, wanted)
        if reason:
            told.append(
                f"{name}: the driver refuses XDP ({reason}), so the program runs in mode generic, at about a third of "
                "the speed. Say 'mode: generic' when that is meant"
            )
        if link is not None:
            pins.write_link(name, link)
            os.close(link)
    except BaseException:
        pins.forget(name, generation)
        raise
    finally:
        loader.close(loaded)
    kept = declared.write(name, program.digest, program.rules)

    def undo():
        files.restore(kept)
        _take_off(name, generation, mode)
        pins.forget(name, generation)
        pins.forget_others(name, (before.generation,) if before else ())

    return undo


def _replace(name, program, wanted, _told):
    interface, before = _interface(name), program.before
    generation, loaded = _loaded(interface, program, wanted)
    try:
        _swap(name, interface, loaded.program, before.generation, before.mode)
    except BaseException:
        pins.forget(name, generation)
        raise
    finally:
        loader.close(loaded)
    kept = declared.write(name, program.digest, program.rules)

    def undo():
        files.restore(kept)
        restore(name, before.generation, before.mode)
        pins.forget(name, generation)

    return undo


def _swap(name, interface, program, before, mode):
    with pins.opened(name, "link") as link, pins.opened(name, before, "prog") as running:
        attachment.replace(interface, link, program, running, mode)


def restore(name, generation, mode):
    """Let an interface run a generation that is still pinned, whatever of ours it runs now.

    :raises ReconcileError: the kernel's reason.
    """
    interface = _interface(name)
    kept = generation if generation in pins.generations(name) else pins.KEPT + generation
    if kept not in pins.generations(name):
        os.rename(f"{pins.directory(name)}/{kept}", f"{pins.directory(name)}/{generation}")
    running = _own(name)
    now = [(how, running[number]) for how, number in interface.programs.items() if number in running]
    with pins.opened(name, generation, "prog") as program:
        if now and now[0][0] == mode:
            _swap(name, interface, program, now[0][1], mode)
            return
        if now:
            _take_off(name, now[0][1], now[0][0])
        link, _mode, _reason = attachment.attach(interface, program, mode, loader.features())
        if link is not None:
            pins.write_link(name, link)
            os.close(link)


def _update(name, program, wanted, _told):
    before = program.before

    def go(old, new, digest, shown):
        in_place.change(name, before.generation, old, new, wanted)
        _write_meta(name, before.generation, dict(read_meta(name, before.generation), digest=digest, shown=shown))

    go(before, program.content, program.digest, program.shown)
    kept = declared.write(name, program.digest, program.rules)

    def undo():
        files.restore(kept)
        go(program.content, before, before.digest, before.shown)

    return undo


def _move(name, program, wanted, told):
    before = program.before
    _take_off(name, before.generation, before.mode)
    try:
        undo_it = _attach(name, program, wanted, told)
    except ReconcileError:
        restore(name, before.generation, before.mode)
        raise

    def undo():
        undo_it()
        restore(name, before.generation, before.mode)

    return undo


def _detach(name, data, _wanted, _told):
    live, keep = data
    _take_off(name, live.generation, live.mode)
    generation = pins.keep(name, live.generation)
    declared.forget(name)
    if not keep:
        pins.forget_others(name, (generation,))
    return lambda: restore(name, live.generation, live.mode)


def _forget(name, _data, _wanted, _told):
    pins.forget_link(name)
    pins.forget_others(name)
    declared.forget(name)


STEPS = {
    "attach": _attach,
    "replace": _replace,
    "update": _update,
    "move": _move,
    "detach": _detach,
    "forget": _forget,
}


def running(names):
    """Return what the task says of each interface: mode, id and tag of its program; None for a tag that is not told."""
    found = {}
    for name in names:
        interface = rtnetlink.interface(name)
        own = _own(name)
        for mode, number in (interface.programs if interface else {}).items():
            found[name] = {"mode": mode, "program_id": number, "tag": _tag(name, number, own.get(number))}
    return found


def _tag(name, number, generation):
    """Return the tag of a program; to ask for one that is not pinned takes CAP_SYS_ADMIN."""
    with contextlib.suppress(OSError):
        if generation is None:
            return attachment.described(number).tag
        with pins.needed(name, generation, "prog") as descriptor:
            return bpf.program_info(descriptor).tag
    return None


def collect(names):
    """Let go of what only an undo would have needed, and of the rests of tasks that were killed."""
    for name in names:
        _mode, generation, _own = _which(name, rtnetlink.interface(name))
        pins.forget_others(name, (generation,) if generation else ())


def remove(name):
    """Take whatever program of ours off an interface and forget it; also where the interface is gone."""
    interface = rtnetlink.interface(name)
    mode, generation, _own = _which(name, interface)
    if mode:
        _take_off(name, generation, mode)
    _forget(name, None, None, None)


def _take_off(name, generation, mode):
    interface = _interface(name)
    with pins.opened(name, "link") as link, pins.opened(name, generation, "prog") as program:
        attachment.detach(interface, link, program, mode)
    pins.forget_link(name)


def _interface(name):
    found = rtnetlink.interface(name)
    if found is None:
        raise ReconcileError(f"The interface {name} has gone meanwhile")
    return found


def _loaded(interface, program, wanted):
    """Load and pin a generation; return its name and descriptors."""
    before = program.before
    packed = remembered(interface.name, program)
    generation = pins.following(interface.name)
    with pins.opened(interface.name, before.generation if before else "none", "counters") as counters:
        if counters is not None and program.fresh:
            loader.reset_counters(counters, program.fresh)
        loaded = loader.load(program.content, program.verdicts, wanted, counters=counters, meta=packed)
    try:
        pins.write(interface.name, generation, loaded)
    except BaseException:
        pins.forget(interface.name, generation)
        loader.close(loaded)
        raise
    return generation, loaded


def remembered(name, program):
    """Return the bytes that are kept with the program of an interface.

    :param program: :class:`plan.Program`.
    :raises ReconcileError: there are too many.
    """
    return _packed_meta(
        {
            "interface": name,
            "digest": program.digest,
            "shown": program.shown,
            "slots": program.slots,
            "constants": program.content.constants,
        }
    )


def _packed_meta(meta):
    packed = json.dumps(meta).encode()
    if len(packed) > loader.META_SIZE:
        raise ReconcileError(
            f"The rules without their prefixes are too long to be remembered: {len(packed)} bytes, at most "
            f"{loader.META_SIZE}. Write lists of ports as ranges, or put rules together"
        )
    return packed


def _write_meta(name, generation, meta):
    with pins.opened(name, generation, "meta") as descriptor:
        bpf.update(descriptor, bytes(4), _packed_meta(meta).ljust(loader.META_SIZE, b"\0"))
