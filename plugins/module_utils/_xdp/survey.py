# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``xdp_drop_info`` returns: the rules of interfaces, their counters and rates, and sampled sources.

Private to the collection; not a public interface.
"""

import ipaddress
import os
import time
from contextlib import suppress

from . import bpf, declared, host, loader, pins, rtnetlink
from .model import Live


def survey(names, interval, top, every):
    """Return what is known of each interface.

    :param names: None: all that have a program of ours.
    :param interval: seconds between two reads of the counters; 0: they are read once.
    :param top: how many of the sources that are dropped most are returned; 0: they are not sampled.
    :param every: of how many dropped packets one is sampled.
    :raises ReconcileError: bpf(2) is not to be had.
    """
    loader.features()
    if names is None:
        names = sorted(one.name for one in rtnetlink.interfaces() if os.path.isdir(pins.directory(one.name)))
    lives = {name: host.brief(name) for name in names}
    lives = {name: live for name, live in lives.items() if live and live.mode}
    first = {name: _counters(name, live) for name, live in lives.items()}
    began = time.monotonic()
    if interval:
        try:
            for name, live in lives.items() if top else ():
                _sample(name, live, (1 << 32) // every - 1 if every > 1 else (1 << 32) - 1)
            time.sleep(interval)
        finally:
            for name, live in lives.items() if top else ():
                _sample(name, live, 0)
    took = time.monotonic() - began
    running, found = host.running(lives), {}
    for name, live in lives.items():
        now = _counters(name, live) if interval else first[name]
        rows = [
            dict({"name": rule}, **_row(now[slot], first[name][slot], took if interval else 0))
            for rule, slot in live.slots.items()
        ]
        found[name] = dict(
            running[name],
            rules=declared.read(name, live.digest),
            counters=rows,
            no_rule=_row(now[loader.NO_RULE], first[name][loader.NO_RULE], took if interval else 0),
        )
        if top:
            found[name]["top_sources"] = _top(name, live, top)
    return found


def _counters(name, live):
    with pins.opened(name, live.generation, "counters") as descriptor:
        return loader.read_counters(descriptor)


def _row(now, before, seconds):
    row = {"packets": now[0], "bytes": now[1]}
    if seconds:
        row["packets_per_second"] = round((now[0] - before[0]) / seconds, 1)
        row["bytes_per_second"] = round((now[1] - before[1]) / seconds, 1)
    return row


def _sample(name, live: Live, probability):
    """Tell the running program with what probability (of 2**32) it records the source of what a rule drops."""
    if probability:
        _forget_samples(name, live)
    with pins.opened(name, live.generation, "verdicts") as descriptor:
        loader.write_verdicts(descriptor, live.verdicts, probability)


def _forget_samples(name, live):
    with pins.opened(name, live.generation, "samples") as descriptor:
        for key, _count in _samples(descriptor):
            bpf.delete(descriptor, key)


def _samples(descriptor):
    found, key = [], bpf.next_key(descriptor, None, 16)
    while key is not None and len(found) < loader.SPECS["samples"][3]:
        with suppress(TypeError):  # None: it made room for another one meanwhile
            found.append((key, int.from_bytes(bpf.lookup(descriptor, key, 8), "little")))
        key = bpf.next_key(descriptor, key, 16)
    return found


def _top(name, live, top):
    with pins.opened(name, live.generation, "samples") as descriptor:
        found = sorted(_samples(descriptor), key=lambda pair: (-pair[1], pair[0]))[:top]
    return [{"source": _shown(key), "samples": count} for key, count in found]


def _shown(key):
    address = ipaddress.IPv6Address(key)
    return str(address.ipv4_mapped or address)
