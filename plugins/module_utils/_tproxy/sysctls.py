# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of the kernel by which captured traffic would get lost or pass by, and the record of those that were set.

Pure. Names are paths below /proc/sys, as sysctl(8) takes them too. Private to the collection; not a public interface.
"""

import json
from typing import NamedTuple

from .._core.reconcile import Plan, Step
from . import paths, report
from .model import Command, Write

# ip-sysctl.rst and nf_conntrack's br_netfilter: bridged frames that are seen by iptables and nft have their socket set
# before they are routed, and are dropped or passed on unproxied.
BRIDGE = {4: "net/bridge/bridge-nf-call-iptables", 6: "net/bridge/bridge-nf-call-ip6tables"}
CONF = "net/ipv4/conf/{}/{}"
KEYS = ("rp_filter", "route_localnet", "src_valid_mark")
HEAD = "# Made by hostcraft.linux.tproxy (set_sysctls). Changes made by hand are lost.\n"
WAS = "# was "


class Need(NamedTuple):
    """What a capture needs of a setting: whether it is in the way, the value that is not, and why."""

    bad: bool
    value: str
    why: str


class Kept(NamedTuple):
    """A setting that a capture had set: the value from before, and the one that it was set to."""

    before: str
    after: str


def names(links):
    """Return the names of all settings that are looked at, where the links have these names."""
    return [*BRIDGE.values(), *(CONF.format(link, key) for link in ("all", *links) for key in KEYS)]


def wrong(capture, place):
    """Return {name: (value, wanted, why)} of the settings that are in the way of a capture."""
    return {
        name: (place.sysctls[name], need.value, need.why) for name, need in needs(capture, place).items() if need.bad
    }


def needs(capture, place):
    """Return {name: :class:`Need`} of the settings that matter to a capture, where the host has them."""
    found, side = {}, capture.inbound
    if side and side.mode == "tproxy" and place.bridges:
        for family in capture.families:
            value = place.sysctls.get(BRIDGE[family])
            why = "frames that are only bridged here are handed to the proxy half way, and lost"
            found[BRIDGE[family]] = Need(value == "1", "0", why)
    if 4 in capture.families and capture.uses_tproxy:
        why = "what has the capture's mark is taken for forged, whatever rp_filter says, and dropped"
        found.update(_off("src_valid_mark", place.links, place, why))
    if 4 in capture.families and side:
        found.update(_of_side(side, place))
    return {name: need for name, need in found.items() if name in place.sysctls}


def _of_side(side, place):
    found = {}
    for link in side.interfaces:
        # The larger of both counts (ip-sysctl.rst). 2 lets in what any link leads back to, but by a link without an
        # address only 0 does (net/ipv4/fib_frontend.c); that of all links is nobody's to lower for the sake of one.
        if link in place.dead_ends:
            values = [place.sysctls.get(CONF.format(one, "rp_filter"), "0") for one in ("all", link)]
            why = f"no route leads out by {link}, so all that comes in there is dropped before the proxy gets it"
            numbered = place.dead_ends[link]
            bad = "1" in values and "2" not in values if numbered else values[0] == "0" != values[1]
            found[CONF.format(link, "rp_filter")] = Need(bad, "2" if numbered else "0", why)
    if side.destinations != "forwarded":
        links = [one for one in side.interfaces or place.links if one not in side.exclude_interfaces and one != "lo"]
        why = "who is on the link reaches what listens on 127.0.0.0/8 of this host, past the proxy"
        found.update(_off("route_localnet", links, place, why))
    return found


def _off(key, links, place, why):
    """Return what a capture needs that does not go with a setting, which is on when that of all links is."""
    every = [CONF.format(link, key) for link in ("all", *links)]
    return {name: Need(place.sysctls.get(name) == "1", "0", why) for name in every}


def plan(netns, wanted, state):
    """Return the plans that come before the captures of a namespace, which sets what is in the way, and after them.

    The later one sets back what no capture needs any more, unless somebody else has set it since.
    """
    place = state.places[netns]
    here = [one for one in wanted.captures if one.netns == netns]
    kept, now = dict(place.kept), dict(place.sysctls)
    first, last = Plan({}, {}, ()), Plan({}, {}, ())
    if wanted.set_sysctls:
        for name, (old, new, why) in sorted(_all_wrong(here, place).items()):
            kept[name], now[name] = Kept(kept[name].before if name in kept else old, new), new
            data = (_note(netns, kept), _set(netns, name, old, new))
            step = Step("set", name.replace("/", "."), f"{old} -> {new}: {why}", data)
            first = first.then(_one(netns, name, old, new, step))
    spoken_of = set(wanted.absent) | {(one.netns, one.name) for one in here}
    others = [one for name, one in place.found.items() if (netns, name) not in spoken_of]
    needed = {name for one in [*here, *report.declared(others)] for name in needs(one, place)}
    for name in sorted(set(kept) - needed):
        one, value = kept.pop(name), now.get(name)
        if value == one.after != one.before:
            data = (_set(netns, name, value, one.before), _note(netns, kept))
            why = "no capture needs it any more"
            step = Step("reset", name.replace("/", "."), f"{value} -> {one.before}: {why}", data)
        else:
            step = Step("forget", name.replace("/", "."), "somebody else has set it since", (_note(netns, kept),))
            value, one = f"{value}, noted", one._replace(before=value)
        last = last.then(_one(netns, name, value, one.before, step))
    return first, last.then(_saved(netns, kept, wanted, state))


def _all_wrong(captures, place):
    return {name: one for capture in captures for name, one in wrong(capture, place).items()}


def _one(netns, name, old, new, step):
    key = name if netns is None else f"{netns}/{name}"
    return Plan({key: old}, {key: new}, (step,))


def _set(netns, name, old, new):
    """Return the pair that sets a value."""
    return tuple(Command(tuple(paths.inside(netns, ["sysctl", "-q", "-w", f"{name}={value}"]))) for value in (new, old))


def _note(netns, kept):
    """Return the pair that notes what was set; without anything there is no such file."""
    return Write(paths.settings(netns), noted(kept)), None


def _saved(netns, kept, wanted, state):
    """Return the plan that has the settings set again at boot, by sysctl.d(5); also those of links that come later."""
    have = state.files.get(paths.SYSCTL_D)
    if netns is not None or not (have or (wanted.save and wanted.set_sysctls)):
        return Plan({}, {}, ())
    text = rendered(kept)
    if have == text:
        return Plan({}, {}, ())
    detail = "has them set again after a reboot" if text else ""
    step = Step("save" if text else "remove", paths.SYSCTL_D, detail, ((Write(paths.SYSCTL_D, text, 0o644), None),))
    return Plan({paths.SYSCTL_D: have}, {paths.SYSCTL_D: text}, (step,))


def noted(kept):
    """Return the text of the record of what was set; None: nothing was."""
    return json.dumps({name: list(one) for name, one in sorted(kept.items())}) + "\n" if kept else None


def read(text):
    """Return what :func:`noted` has noted; nothing of what cannot be read."""
    try:
        return {name: Kept(*map(str, one)) for name, one in json.loads(text or "{}").items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def rendered(kept):
    """Return the text for sysctl.d(5), with the values from before as comments."""
    lines = [f"{WAS}{name} = {one.before}\n{name} = {one.after}\n" for name, one in sorted(kept.items())]
    return HEAD + "".join(lines) if lines else None


def parsed(text):
    """Return what :func:`rendered` was given."""
    before, found = {}, {}
    for line in (text or "").splitlines():
        name, equals, value = line.partition(" = ")
        if name.startswith(WAS):
            before[name[len(WAS) :]] = value
        elif equals and name in before:
            found[name] = Kept(before[name], value)
    return found
