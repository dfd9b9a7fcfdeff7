# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``xdp_drop_info`` returns: the rules of interfaces, their counters and rates, and sampled sources.

Private to the collection; not a public interface.
"""

import contextlib
import fcntl
import ipaddress
import os
import time
from contextlib import suppress
from typing import Any, NamedTuple

from .._core.reconcile import ReconcileError
from . import bpf, declared, host, loader, pins, rtnetlink
from .model import Live

ATTEMPTS = 5  # to read what another task replaces at the moment


class Held(NamedTuple):
    """What an interface runs, held by descriptors: it can be read to the end, whatever replaces it meanwhile.

    :ivar running: mode, id and tag of the program.
    """

    live: Live
    running: dict
    rules: Any
    counters: int
    verdicts: int
    samples: int


def survey(names, interval, top, every):
    """Return what is known of each interface.

    :param names: None: all that have a program of ours.
    :param interval: seconds between two reads of the counters; 0: they are read once.
    :param top: how many of the sources that are dropped most are returned; 0: they are not sampled.
    :param every: of how many dropped packets one is sampled.
    :raises ReconcileError: bpf(2) is not to be had, or another survey samples the same interface.
    """
    loader.features()
    if names is None:
        names = sorted(one.name for one in rtnetlink.interfaces() if os.path.isdir(pins.directory(one.name)))
    with contextlib.ExitStack() as until:
        held = {name: _held(name, until) for name in names}
        held = {name: one for name, one in held.items() if one}
        for name, one in held.items():
            _settle_sampling(name, one, until if top else None)
        return _read(held, interval, top, (1 << 32) // every - 1 if every > 1 else (1 << 32) - 1)


def _held(name, until):
    """Return the :class:`Held` of an interface, None when it runs nothing of ours.

    :param until: an ``ExitStack``, which closes the descriptors.
    """
    for _attempt in range(ATTEMPTS):
        with suppress(FileNotFoundError):
            live = host.brief(name)
            if not live or not live.mode:
                return None
            running, rules = host.running([name]).get(name), declared.read(name, live.digest)
            parts = [pins.needed(name, live.generation, part) for part in ("counters", "verdicts", "samples")]
            return Held(live, running or {}, rules, *[until.enter_context(part) for part in parts])
    raise ReconcileError(f"The rules of {name} are replaced by another task again and again. Ask anew when it is done")


def _settle_sampling(name, held, until):
    """End the sampling of a survey that was killed; who samples holds a lock, which goes with it.

    :param until: an ``ExitStack`` that is to hold the lock; None: it is not kept.
    :raises ReconcileError: the lock is wanted, and another survey holds it.
    """
    with contextlib.ExitStack() as here:
        try:
            directory = os.open(pins.directory(name), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:  # taken off meanwhile
            return
        (until or here).callback(os.close, directory)
        try:
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if until:
                raise ReconcileError(
                    f"The sources that {name} drops are being sampled by another task. Ask for top_sources again when "
                    "its interval is over"
                ) from None
            return
        if loader.sampled(held.verdicts, len(held.live.verdicts)):
            loader.write_verdicts(held.verdicts, held.live.verdicts)


def _read(held, interval, top, probability):
    """Return what there is to say of each interface, after the interval.

    :param probability: of 2**32, with which a program records the source of what a rule drops, if ``top`` is not 0.
    """
    first = {name: loader.read_counters(one.counters) for name, one in held.items()}
    began = time.monotonic()
    if interval:
        try:
            for one in held.values() if top else ():
                _forget_samples(one.samples)
                loader.write_verdicts(one.verdicts, one.live.verdicts, probability)
            time.sleep(interval)
        finally:
            for one in held.values() if top else ():
                loader.write_verdicts(one.verdicts, one.live.verdicts)
    took, found = time.monotonic() - began if interval else 0, {}
    for name, one in held.items():
        now = loader.read_counters(one.counters) if interval else first[name]
        rows = [
            dict({"name": rule}, **_row(now[slot], first[name][slot], took)) for rule, slot in one.live.slots.items()
        ]
        nothing = _row(now[loader.NO_RULE], first[name][loader.NO_RULE], took)
        found[name] = dict(one.running, rules=one.rules, counters=rows, no_rule=nothing)
        if top:
            found[name]["top_sources"] = _top(one.samples, top)
    return found


def _row(now, before, seconds):
    row = {"packets": now[0], "bytes": now[1]}
    if seconds:
        row["packets_per_second"] = round((now[0] - before[0]) / seconds, 1)
        row["bytes_per_second"] = round((now[1] - before[1]) / seconds, 1)
    return row


def _forget_samples(descriptor):
    for key, _count in _samples(descriptor):
        bpf.delete(descriptor, key)


def _samples(descriptor):
    found, key = [], bpf.next_key(descriptor, None, 16)
    while key is not None and len(found) < loader.SPECS["samples"][3]:
        with suppress(TypeError):  # None: it made room for another one meanwhile
            found.append((key, int.from_bytes(bpf.lookup(descriptor, key, 8), "little")))
        key = bpf.next_key(descriptor, key, 16)
    return found


def _top(descriptor, top):
    found = sorted(_samples(descriptor), key=lambda pair: (-pair[1], pair[0]))[:top]
    return [{"source": _shown(key), "samples": count} for key, count in found]


def _shown(key):
    address = ipaddress.IPv6Address(key)
    return str(address.ipv4_mapped or address)
