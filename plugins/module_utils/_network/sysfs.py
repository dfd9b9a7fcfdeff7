# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of bonds, bridges and ports as sysfs has them, under the names of ``ip -json -details``.

Older kernels tell them here and not by rtnetlink. Private to the collection; not a public interface.
"""

import os
import re

from .._core import files
from .options import BOND, BRIDGE, PORT

ROOT = "/sys/class/net"
PLACES = {"bond": "bonding", "bridge": "bridge"}
OPTIONS = {"bond": BOND, "bridge": BRIDGE}
# Where sysfs has another name (net/bridge/br_sysfs_br.c, br_sysfs_if.c).
NAMES = {
    "stp": "stp_state", "vlan_default_pvid": "default_pvid", "cost": "path_cost", "hairpin": "hairpin_mode",
}  # fmt: skip


def options(name, kind):
    """Return the options of a bond or a bridge, ``{key of ip: value}``; what its kernel has not is not there."""
    directory = f"{ROOT}/{name}/{PLACES[kind]}"
    found = _read(directory, OPTIONS[kind])
    if kind == "bridge":
        found.setdefault("vlan_filtering", 0)  # a kernel that cannot has no such file
        found["topology_change"] = (files.read(f"{directory}/topology_change") or "0").strip() != "0"
    return found


def port_kind(name):
    """Return what a port is a port of: ``bridge``, ``bond`` or, neither, nothing."""
    kinds = {"brport": "bridge", "bonding_slave": "bond"}
    return next((kind for place, kind in kinds.items() if os.path.isdir(f"{ROOT}/{name}/{place}")), "")


def port(name, kind, master):
    """Return the options of a port of a bridge, and of a bond the MAC that it has without it."""
    if kind == "bridge":
        return _read(f"{ROOT}/{name}/brport", PORT)
    if kind != "bond":
        return {}
    # Not bonding_slave/perm_hwaddr, which is of Linux 3.14.
    told = files.read(f"/proc/net/bonding/{master}") or ""
    mac = re.search(rf"^Slave Interface: {re.escape(name)}$.*?^Permanent HW addr: (\S+)$", told, re.M | re.S)
    return {"perm_hwaddr": mac.group(1)} if mac else {}


def _read(directory, table):
    found = {}
    for name, option in table.items():
        value = files.read(f"{directory}/{NAMES.get(name, name)}")
        if value is None:
            continue
        words = value.split()
        if option.type == "list" and words:
            found[option.shown] = words
        elif words:  # a choice is shown with its number: "802.3ad 4"
            found[option.shown] = words[0] if option.type == "str" else int(words[0])
    return found
