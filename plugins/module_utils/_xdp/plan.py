# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to change so that interfaces drop by the declared rules. Pure.

Private to the collection; not a public interface.
"""

import functools
from typing import Any, NamedTuple

from .._core.reconcile import Plan, ReconcileError, Step
from . import report, shadow, tables
from .model import Link

SLOTS = 128
SIDES = ("source", "destination")
AUTO, GENERIC, OFFLOAD = "auto", "generic", "offload"


class Program(NamedTuple):
    """What a step puts on an interface: the rules, their tables and where each is counted.

    ``verdicts`` are (drop, slot) by position; ``fresh`` are the slots that begin at zero; ``before`` is what runs there
    (:class:`model.Live`), whose counters are kept.
    """

    rules: tuple
    digest: str
    shown: dict
    content: Any
    slots: dict
    verdicts: tuple
    fresh: tuple
    before: Any
    mode: str
    keep: bool


def planner(wanted):
    """Return ``plan(state)`` for :class:`model.Wanted`, which does what does not depend on the state only once.

    ``state`` is ``(devices, files)``: ``{name: model.Device}`` and ``{path: text}``.
    """
    digest = tables.digest(wanted.rules)
    shown = {rule.name: report.short(rule) for rule in wanted.rules}
    warnings = shadow.warnings(wanted.rules)
    content = functools.lru_cache(maxsize=4)(
        lambda source, destination: tables.compiled(wanted.rules, {"source": source, "destination": destination})
    )

    def plan(state):
        devices, files = state
        whole = Plan({}, {}, (), warnings if wanted.present else ())
        # A file that has to be there after a reboot is written last, one that must not be removed first.
        parts = [_device(wanted, devices[name], digest, shown, content) for name in wanted.interfaces]
        kept = [_file(path, text, files.get(path)) for path, text in wanted.files.items()]
        for part in parts + kept if wanted.present else kept + parts:
            whole = whole.then(part)
        return whole

    return plan


def _device(wanted, device, digest, shown, content):
    if not wanted.present:
        return _absent(device, not wanted.in_place)
    _refuse(device, wanted.mode)
    live, name = device.live, device.name
    warnings = ()
    if device.strips_tags and any(rule.vlans is not None for rule in wanted.rules):
        text = (
            f"{name} takes VLAN tags off before the program sees a frame, so that all frames look untagged. Rules with "
            f"a VLAN need: ethtool -K {name} rxvlan off"
        )
        warnings = (text,)
    if live is not None and live.mode == GENERIC and wanted.mode == AUTO:
        text = (
            f"{name}: the program runs in mode generic, at about a third of the speed, and 'mode: auto' leaves it "
            "there. Say 'mode: native' to move it, or 'mode: generic' when that is meant"
        )
        warnings += (text,)
    program = _program(wanted, live, digest, shown)
    after = {name: {"rules": shown}}
    if live is None or live.mode is None:
        before = {name: None if live is None else {"detached": live.shown}}
        return Plan(before, after, (Step("attach", name, _count(wanted.rules), _with(program, content)),), warnings)
    if wanted.mode not in (AUTO, live.mode):
        before, after[name]["mode"] = {name: {"rules": live.shown, "mode": live.mode}}, wanted.mode
        gap = f"{name}: nothing is dropped for a moment, since a program cannot change from {live.mode} in one step"
        step = Step("move", name, f"from mode {live.mode} to {wanted.mode}", _with(program, content))
        return Plan(before, after, (step,), (*warnings, gap))
    made = content(*(_known(live, side) for side in SIDES))
    drift = _drift(live, made, program) if live.digest == digest else ()
    if live.digest == digest and not drift:
        return Plan({}, {}, (), warnings)
    before = {name: dict({"rules": live.shown}, **({"changed by somebody": list(drift)} if drift else {}))}
    what = _what(live, shown, drift)
    if wanted.in_place and _only_prefixes(live, made, program):
        step = Step("update", name, what, program._replace(content=made))
    else:
        step = Step("replace", name, what, _with(program, content))
    return Plan(before, after, (step,), warnings)


def _with(program, content):
    """Return the program with tables of its own, in which no class of addresses is left from others."""
    return program._replace(content=content((), ()))


def _refuse(device, mode):
    """Refuse what is not to be touched, or where a program makes no sense."""
    if not device.exists:
        raise ReconcileError(f"There is no interface {device.name} on this host. {device.advice}")
    if mode == OFFLOAD:
        # The drivers nfp and netdevsim, ndo_bpf() with BPF_OFFLOAD_MAP_ALLOC.
        raise ReconcileError(
            f"{device.name} cannot run the program in mode offload: NICs that run XDP programs themselves hold arrays "
            "and hashes, and this one needs tries and counters of each CPU, too. Use mode: native or auto"
        )
    if device.advice:
        raise ReconcileError(device.advice)
    if device.foreign:
        raise ReconcileError(
            f"{device.name} runs an XDP program that is not of this module: {'; '.join(device.foreign)}. It was left "
            "alone. Take it off by the means of who put it there, or choose another interface",
            foreign=list(device.foreign),
        )


def _absent(device, keep):
    live = device.live
    if live is None:
        return Plan({}, {}, ())
    verb = "forget" if live.mode is None else "detach"
    return Plan({device.name: {"rules": live.shown}}, {device.name: None}, (Step(verb, device.name, "", (live, keep)),))


def _file(path, text, found):
    if text == found:
        return Plan({}, {}, ())
    if text is None:
        step = Step("remove", path)
    elif isinstance(text, Link):
        step = Step("link", path, f"to {text.target}", text.target)
    else:
        step = Step("write", path, "", text)
    return Plan({path: _size(found)}, {path: _size(text)}, (step,))


def _size(text):
    """A file of a million prefixes is nothing to be read in a diff."""
    if isinstance(text, Link):
        return f"link to {text.target}"
    return text if text is None or len(text) < 4096 else f"{len(text)} characters"


def _known(live, side):
    packed = live.arrays.get(f"{side}_classes") if live else None
    if not packed:
        return ()
    masks = [int.from_bytes(packed[start : start + 8], "little") for start in range(0, len(packed), 8)]
    while len(masks) > 1 and not masks[-1]:
        masks.pop()
    return tuple(masks)


def _program(wanted, live, digest, shown):
    """Rules that stay keep their counters, by name; the others get slots that nobody uses at the moment."""
    had = live.slots if live else {}
    free = iter([slot for slot in range(SLOTS) if slot not in had.values()])
    slots = {rule.name: had[rule.name] if rule.name in had else next(free) for rule in wanted.rules}
    fresh = tuple(slot for name, slot in slots.items() if name not in had)
    verdicts = tuple((rule.drop, slots[rule.name]) for rule in wanted.rules)
    return Program(wanted.rules, digest, shown, None, slots, verdicts, fresh, live, wanted.mode, not wanted.in_place)


def _drift(live, content, program):
    """Return the names of the maps that are not as they were made."""
    found = [name for name, array in content.arrays.items() if live.arrays.get(name) != array]
    found += [name for name, entries in content.keyed.items() if live.keyed.get(name) != entries]
    if live.verdicts != program.verdicts:
        found.append("verdicts")
    return tuple(sorted(found))


def _only_prefixes(live, content, program):
    """Tell whether the tables in use can be changed into these so that no packet meets a mixture of both.

    That is so when only sources change, or only destinations: each address has then either its old or its new mask.
    """
    if live.constants != content.constants or live.verdicts != program.verdicts:
        return False
    sides = set()
    for name in {*live.arrays, *content.arrays, *live.keyed, *content.keyed}:
        if live.arrays.get(name) == content.arrays.get(name) and live.keyed.get(name) == content.keyed.get(name):
            continue
        if name.partition("_")[0] not in SIDES or name.endswith("_ports"):
            return False
        if name in content.keyed and len({**live.keyed[name], **content.keyed[name]}) > live.room[name]:
            return False
        sides.add(name.partition("_")[0])
    return len(sides) == 1 and list(live.slots) == list(program.slots)


def _what(live, shown, drift):
    if drift:
        return f"somebody has changed {', '.join(drift)}"
    said = [f"+{name}" for name in shown if name not in live.shown]
    said += [f"-{name}" for name in live.shown if name not in shown]
    said += [f"{name} changed" for name, text in shown.items() if live.shown.get(name, text) != text]
    return ", ".join(said) or "order of the rules"


def _count(rules):
    prefixes = sum(len(side.four) + len(side.six) for rule in rules for side in (rule.source, rule.destination) if side)
    return f"{len(rules)} rules, {prefixes} prefixes"
