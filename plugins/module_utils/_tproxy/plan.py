# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which steps make the captures of a host what is declared. Pure.

The data of a step are pairs of what is done and what undoes it. Routing comes before the rules that send packets there,
and goes after them: otherwise marked packets would leave by the main table, past the proxy.
Private to the collection; not a public interface.
"""

from .._core.reconcile import Plan, ReconcileError, Step
from . import chains, paths, refusals, report, routing, ruleset_iptables, ruleset_nft, saved, sysctls, warn
from .model import Capture, Command, Record, Write


def plan(wanted, state):
    """Return the :class:`Plan` that makes ``state`` what is ``wanted``.

    :raises ReconcileError: the declaration cannot be met here; nothing has been changed.
    """
    whole = Plan({}, {}, ())
    refusals.refuse(wanted, state)
    for netns, name in wanted.absent:
        whole = whole.then(_absent(netns, name, wanted, state))
    settings = [sysctls.plan(netns, wanted, state) for netns in wanted.places]
    for first, _last in settings:
        whole = whole.then(first)
    for capture in wanted.captures:
        whole = whole.then(_present(capture, wanted, state))
    for _first, last in settings:
        whole = whole.then(last)
    return whole._replace(warnings=warn.warnings(wanted, state))


def backend_of(capture, place, asked):
    """Return which of the namespace's backends a capture gets.

    :raises ReconcileError: the one that is asked for does not work there.
    """
    usable = list(place.backends)
    if asked == "auto":
        found = place.found.get(capture.name)
        usable = [one for one in usable if found and found.backend == one] or usable
    elif asked == "iptables":
        usable = [one for one in usable if one.startswith("iptables")]
    else:
        usable = [one for one in usable if one == asked]
    if not usable:
        raise ReconcileError(
            f"capture '{capture.key}': backend {asked} does not work here; what does: "
            f"{', '.join(place.backends) or 'none'}. nftables needs nft 0.9.3 and Linux 5.2 or newer with "
            "CONFIG_NFT_TPROXY, CONFIG_NFT_SOCKET and CONFIG_NFT_FIB_INET"
        )
    return usable[0]


def label_of(capture, backend, place):
    """Return the label that a capture's rules have."""
    return chains.label(capture, _flavour(backend, place))


def _flavour(backend, place):
    if backend == "nftables":
        return ruleset_nft.flavour(place.wildcard)
    return ruleset_iptables.flavour(backend)


def _present(capture, wanted, state):
    place, steps = state.places[capture.netns], []
    backend = backend_of(capture, place, wanted.backend)
    refusals.backend_limits(capture, backend, place.has_ipset)
    found = place.found.get(capture.name)
    found = found and found.by(backend)
    want = capture.routing
    if want:
        steps += [_route("add", capture.netns, capture.name, one, want) for one in routing.missing(want, place)]
    steps += _rules(capture, backend, place, found)
    every = found.every if found else ()
    others = [one for one in every if one.backend and one.backend != backend]
    steps += [_release(capture.netns, capture.name, place, one) for one in others]
    for old in _ways(every):
        steps += _unroute(capture, old, place, want) if old != want else []
    if wanted.save:
        steps += _save(capture, backend, place, wanted, state)
    if not steps:
        return Plan({}, {}, ())
    return Plan({capture.key: _shown(found, place)}, {capture.key: _shown_after(capture)}, tuple(steps))


def _rules(capture, backend, place, found):
    """Return the step that gives a capture its rules, or its record, or none."""
    path, text = paths.record(capture.netns, capture.name), report.record(capture, backend)
    note = (Write(path, text), None)
    digest = chains.read_label(label_of(capture, backend, place))[0]
    detail = report.summary(capture)
    if found is None or found.backend != backend:
        verb = "capture"
    elif found.digest != digest:
        verb = "replace"
    elif not found.intact:
        verb, detail = "repair", f"its rules were changed by somebody else; {detail}"
    elif found.record != text:
        return [Step("record", capture.key, "what was declared", (note,))]
    else:
        return []
    old = found if found and found.backend == backend else None
    programs = place.backends[backend]
    seen = Record(paths.listing(capture.netns, capture.name), backend, programs, capture.netns, capture.name)
    return [Step(verb, capture.key, detail, (*_load(capture, backend, place, old), note, (seen, None)))]


def _load(capture, backend, place, old):
    """Return the pairs of commands that replace the rules of a capture, and that put the old ones back."""
    if backend == "nftables":
        text = ruleset_nft.render(capture, place.wildcard)
        return [_nft(capture.netns, text, ruleset_nft.restore(capture.name, old.rules[0] if old else ""))]
    pairs = []
    for family, program in zip((4, 6), place.backends[backend]):
        before = old.rules[family] if old else ()
        if family in capture.families:
            after, now = ruleset_iptables.render(capture, family, backend, before), ruleset_iptables.outline(capture)
        else:
            after, now = ruleset_iptables.delete(before), set()
        back = ruleset_iptables.restore(before, now)
        for name, many in sorted(ruleset_iptables.sets(capture, family).items()):
            made = ruleset_iptables.render_sets({name: many}, family)
            gone = _command(capture.netns, ["ipset", "destroy", name], may_fail=True)
            pairs.append((_ipset(capture.netns, made), None if old and name in old.sets else gone))
        # All are read before one is loaded, so that a rule which one program does not know changes nothing.
        pairs += [(_restore(capture.netns, program, text, test=True), None) for text in after.values()]
        pairs += [_swap(capture.netns, program, after.get(table, ""), back.get(table, "")) for table in after]
    pairs.sort(key=lambda pair: "--test" not in pair[0].argv and "ipset" not in pair[0].argv)
    return pairs + _old_sets(capture, old)


def _old_sets(capture, old):
    """Return the pairs that remove the sets of old rules that the new ones do not use."""
    kept = (
        {name for family in capture.families for name in ruleset_iptables.sets(capture, family)} if capture else set()
    )
    netns = capture.netns
    return [
        (_command(netns, ["ipset", "destroy", name], may_fail=True), _ipset(netns, text))
        for name, text in sorted((old.sets if old else {}).items())
        if name not in kept
    ]


def _release(netns, name, place, found):
    """Return the step that removes the rules of a capture from a backend."""
    if found.backend == "nftables":
        pairs = [_nft(netns, ruleset_nft.delete(name), ruleset_nft.restore(name, found.rules[0]))]
    else:
        pairs = []
        for family, program in zip((4, 6), place.backends[found.backend]):
            back = ruleset_iptables.restore(found.rules[family], set())
            for table, text in ruleset_iptables.delete(found.rules[family]).items():
                pairs.append(_swap(netns, program, text, back[table]))
        for one, text in sorted(found.sets.items()):
            pairs.append((_command(netns, ["ipset", "destroy", one], may_fail=True), _ipset(netns, text)))
    return Step("release", _key(netns, name), f"its rules in {found.backend}", tuple(pairs))


def _absent(netns, name, wanted, state):
    place = state.places[netns]
    found, steps = place.found.get(name), []
    key = _key(netns, name)
    every = found.every if found else ()
    steps += [_release(netns, name, place, one) for one in every if one.backend]
    last = len(steps) - 1
    for old in _ways(every):
        steps += [_route("del", netns, name, one, old) for one in routing.left(old, place)]
    path = paths.saved(wanted.save, name) if wanted.save else None
    if path and state.files.get(path) is not None:
        steps.append(Step("remove", path, "", ((Write(path, None), None),)))
    if found:
        gone = [(Write(one(netns, name), None), None) for one in (paths.record, paths.listing)]
        if last >= 0:
            steps[last] = steps[last]._replace(data=(*steps[last].data, *gone))
        else:
            steps.append(Step("forget", key, "its record", tuple(gone)))
    if not steps:
        return Plan({}, {}, ())
    return Plan({key: _shown(found, place)}, {key: None}, tuple(steps))


def _ways(every):
    """Return the routings of what backends have of a capture, each once."""
    return list(dict.fromkeys(one.routing for one in every if one.routing))


def _unroute(capture, old, place, want):
    """Return the steps that remove the routing of an earlier declaration, but for what is still needed."""
    kept = [] if want is None else [routing.command("del", family, kind, want) for family, kind in _every(want)]
    return [
        _route("del", capture.netns, capture.name, one, old)
        for one in routing.left(old, place)
        if routing.command("del", *one, old) not in kept
    ]


def _every(want):
    return [(family, kind) for family in want.families for kind in ("rule", "route")]


def _route(verb, netns, name, one, want):
    family, kind = one
    there = {"add": "del", "del": "add"}[verb]
    pair = (
        _command(netns, routing.command(verb, family, kind, want)),
        _command(netns, routing.command(there, family, kind, want), may_fail=True),
    )
    word = "add" if verb == "add" else "delete"
    return Step(word, f"{kind} of {_key(netns, name)}", routing.shown(family, kind, want), (pair,))


def _key(netns, name):
    return Capture(name, netns).key


def _save(capture, backend, place, wanted, state):
    path = paths.saved(wanted.save, capture.name)
    text = saved.script(capture, backend, place)
    if state.files.get(path) == text:
        return []
    return [Step("save", path, "loads the capture after a reboot", ((Write(path, text), None),))]


def _shown(found, place):
    """Describe a capture that is there, as far as it is known."""
    if found is None:
        return None
    known = report.recorded(found.record).get("declaration") or {"label": found.digest}
    rules = "as loaded" if found.intact else "changed by somebody else" if found.backend else "gone"
    there = (
        [] if not found.routing else [routing.shown(*one, found.routing) for one in routing.left(found.routing, place)]
    )
    return dict(known, rules=rules, routing=there)


def _shown_after(capture):
    there = [] if not capture.routing else [routing.shown(*one, capture.routing) for one in _every(capture.routing)]
    return dict(report.declaration(capture), rules="as loaded", routing=sorted(there))


def _command(netns, argv, stdin=None, may_fail=False):
    return Command(tuple(paths.inside(netns, argv)), stdin, may_fail)


def _nft(netns, text, back):
    argv = ["nft", "-f", "-"]
    return _command(netns, argv, text), _command(netns, argv, back)


def _ipset(netns, text):
    return _command(netns, ["ipset", "-exist", "restore"], text)


def _restore(netns, program, text, test=False, may_fail=False):
    argv = [f"{program}-restore", "--noflush", "-w", "5", *(["--test"] if test else [])]
    return _command(netns, argv, text, may_fail)


def _swap(netns, program, text, back):
    """Return the pair for one table. What undoes it may find it done: a table is all or nothing."""
    return _restore(netns, program, text), _restore(netns, program, back, may_fail=True) if back else None
