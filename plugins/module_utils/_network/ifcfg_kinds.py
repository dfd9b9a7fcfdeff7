# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an ifcfg file says of a bond, a VLAN or a bridge. Pure.

Private to the collection; not a public interface.
"""

import re

from .._core.reconcile import ReconcileError
from . import bridge_vlans, ifcfg_words, options
from .ifcfg_text import is_true

TYPES = {"bond": "Bond", "bridge": "Bridge", "nic": "Ethernet"}
# ifup-eth writes each word of BRIDGING_OPTS to a file of sysfs, of the bridge or of its port, in the kernel's units.
PORT = {"cost": "path_cost", "priority": "priority", "hairpin": "hairpin_mode"}
BRIDGE = {
    name: name
    for name in (
        "forward_delay",
        "hello_time",
        "max_age",
        "ageing_time",
        "priority",
        "vlan_default_pvid",
        "vlan_filtering",
        "multicast_snooping",
    )
}
BRIDGE["vlan_default_pvid"] = "default_pvid"  # as sysfs calls it
BOND = {name: name for name in options.BOND}  # install_bonding_driver: the files of sysfs have the names of the options
SECONDS = {"DELAY": "forward_delay", "AGEING": "ageing_time"}


def check(link):
    """Refuse what ``ifup`` cannot make: for a VLAN it calls ``ip link add ... type vlan id N`` and no more, and it does
    not call bridge(8) at all."""
    what = next((key for key in bridge_vlans.NAMES if key in link.port), None)
    if link.kind == "vlan":
        given = link.options
        what = "protocol 802.1ad" if given.get("protocol") == "802.1ad" else what
        for key in ("mvrp", "loose_binding", "ingress_qos_map"):
            what = key if given.get(key) else what
    if what:
        raise ReconcileError(
            f"{link.kind} '{link.name}': the initscripts know no {what}, so it would be lost at the next boot; "
            "leave it out, or let NetworkManager keep this link"
        )


def render(link, text, new):
    """Say what kind a link is, and its options; of a NIC that has a file its type stays as that says it."""
    if link.kind in _RENDER:
        _RENDER[link.kind](link, text)
    elif new:
        text.set("TYPE", TYPES["nic"])


def _render_bond(link, text):
    """A bond is known by BONDING_OPTS; of these, mode and miimon are set first and primary last, in any order here."""
    text.set("TYPE", TYPES["bond"])
    text.set("BONDING_MASTER", "yes")
    text.set("BONDING_OPTS", ifcfg_words.edit(text.get("BONDING_OPTS"), options.BOND, BOND, link.options))


def _render_vlan(link, text):
    """ifup takes parent and id from a name like bond0.100; otherwise from PHYSDEV and VID."""
    text.set("VLAN", "yes")
    parent, number = link.options.get("parent"), link.options.get("id")
    if parent is not None and number is not None:
        plain = link.name == f"{parent}.{number}"
        text.set("PHYSDEV", None if plain else parent)
        text.set("VID", None if plain else str(number))
    for key, option, default in (("REORDER_HDR", "reorder_headers", True), ("GVRP", "gvrp", False)):
        value = link.options.get(option)
        if value is not None and (value != default or text.get(key) is not None):
            text.set(key, "yes" if value else "no")
    pairs = link.options.get("egress_qos_map")
    if pairs is not None:
        # Unquoted behind "egress": ip(8) takes the pairs one by one.
        text.set("VLAN_EGRESS_PRIORITY_MAP", " ".join(f"{key}:{to}" for key, to in pairs) or None)


def _render_bridge(link, text):
    """DELAY and AGEING are seconds for 9.49, which gives them to brctl(8), and hundredths for 10.00, which gives them
    to ip(8). What is in BRIDGING_OPTS goes to sysfs after that, in hundredths in both, and so is what counts."""
    text.set("TYPE", TYPES["bridge"])
    if "stp" in link.options:
        text.set("STP", "yes" if link.options["stp"] else "no")
    delay = link.options.get("forward_delay")
    if delay is not None:
        text.set("DELAY", str(delay // 100) if delay % 100 == 0 else None)
    for key, option in (("AGEING", "ageing_time"), ("PRIO", "priority")):
        if option in link.options:
            text.set(key, None)
    words = ifcfg_words.edit(text.get("BRIDGING_OPTS"), options.BRIDGE, BRIDGE, link.options)
    text.set("BRIDGING_OPTS", words or None)


def kind_of(text):
    if is_true(text.get("VLAN")):
        return "vlan"
    if text.get("TYPE") == "Bridge":
        return "bridge"
    bond = text.get("TYPE") == "Bond" or is_true(text.get("BONDING_MASTER")) or text.get("BONDING_OPTS") is not None
    return "bond" if bond else "nic"


def options_of(kind, name, text):
    if kind == "vlan":
        return _parse_vlan(name, text)
    if kind == "bridge":
        return _parse_bridge(text)
    return ifcfg_words.read(options.BOND, BOND, ifcfg_words.pairs(text.get("BONDING_OPTS"))) if kind == "bond" else {}


def _parse_vlan(name, text):
    parent, number = text.get("PHYSDEV"), text.get("VID")
    if not number:
        dotted, old = re.match(r"(.+)\.(\d{1,4})\Z", name), re.match(r"vlan0*(\d{1,4})\Z", name)
        parent, number = dotted.groups() if dotted else (parent, old.group(1) if old else None)
    pairs = (one.split(":") for one in re.split(r"[\s,]+", text.get("VLAN_EGRESS_PRIORITY_MAP") or "") if ":" in one)
    return {
        "protocol": "802.1Q",
        "parent": parent,
        "id": int(number) if number else None,
        "reorder_headers": is_true(text.get("REORDER_HDR") or "yes"),
        "gvrp": is_true(text.get("GVRP")),
        "egress_qos_map": tuple(sorted((int(key), int(to)) for key, to in pairs)),
    }


def _parse_bridge(text):
    found = {option: _hundredths(text.get(key)) for key, option in SECONDS.items() if text.get(key)}
    if text.get("PRIO"):
        found["priority"] = int(text.get("PRIO"))
    if text.get("STP"):
        found["stp"] = is_true(text.get("STP"))
    return dict(found, **ifcfg_words.read(options.BRIDGE, BRIDGE, ifcfg_words.pairs(text.get("BRIDGING_OPTS"))))


def _hundredths(seconds):
    return int(float(seconds) * 100)


_RENDER = {"bond": _render_bond, "vlan": _render_vlan, "bridge": _render_bridge}
