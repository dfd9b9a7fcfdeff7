# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Profiles of NetworkManager in its keyfile format (nm-settings-keyfile(5)): read, and edited key by key. Pure.

What a profile says of other things, and its comments, stay as they are. Private to the collection.
"""

import uuid

from . import bridge_vlans, keyfile_ip, options

TYPES = {"bond": "bond", "vlan": "vlan", "bridge": "bridge", "nic": "ethernet"}
# nm-settings-nmcli(5): the flags of a VLAN are one number, NM_VLAN_FLAG_*.
FLAGS = {"reorder_headers": 1, "gvrp": 2, "loose_binding": 4, "mvrp": 8}
MAPS = {"ingress_qos_map": "ingress-priority-map", "egress_qos_map": "egress-priority-map"}
BRIDGE = {
    "stp": "stp",
    "forward_delay": "forward-delay",
    "hello_time": "hello-time",
    "max_age": "max-age",
    "ageing_time": "ageing-time",
    "priority": "priority",
    "vlan_default_pvid": "vlan-default-pvid",
    "vlan_filtering": "vlan-filtering",
    "multicast_snooping": "multicast-snooping",
}
PORT = {"cost": "path-cost", "priority": "priority", "hairpin": "hairpin-mode"}
HEADER = "# Keys that hostcraft.linux.bond_vlan_bridge manages; others stay as they are.\n"


def edit(text, link, declared, master_kind, uuids=None):
    """Return the text of a link's profile once it says what is declared.

    :param text: the profile as it is, None for none.
    :param link: the link as it is to be; a new profile says all of it. Where its master is None, whatever the profile
        says of one stays.
    :param declared: what of it is declared; of a profile that is there only this is changed.
    :param master_kind: the kind of its master, None for none.
    :param uuids: those of other links' profiles by link; a profile may name its master and its parent by them.
    """
    new = text is None
    sections = parse(text or "")
    if new:
        sections["connection"] = {
            "id": link.name,
            "uuid": identity(link.name),
            "type": TYPES[link.kind],
            "interface-name": link.name,
        }
    wanted = link._replace(options=options.meant(link)) if new else declared
    connection = sections.get("connection", {})
    was_port = link.master is not None and ("master" in connection or "controller" in connection)
    if link.master is not None:
        _set_master(sections, link, wanted.port, master_kind, (uuids or {}).get(link.master))
    if new and link.kind in ("bond", "bridge"):
        sections["connection"]["autoconnect-slaves"] = "1"
    _set_options(sections, wanted, uuids or {})
    _set_hardware(sections, wanted)
    if link.master:
        for section in ("ipv4", "ipv6"):  # a port has none
            sections.pop(section, None)
    else:
        keyfile_ip.edit(sections, link, declared, new or was_port)
    return render(sections, text)


def identity(name):
    """Return the UUID of a new profile; it follows from the link's name."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"hostcraft.linux/{name}"))


def parse(text):
    """Return ``{section: {key: value}}`` in the order of the file."""
    sections, section = {}, {}
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            section = sections.setdefault(line[1:-1], {})
        elif "=" in line and not line.startswith("#"):
            key, _equals, value = line.partition("=")
            section[key.strip()] = value.strip()
    return sections


def render(sections, text=None):
    """Return the text of a profile, with the comments at the head of the text that was there."""
    head = HEADER
    if text is not None:
        lines = text.splitlines(True)
        head = "".join(line for line in lines[: _first_section(lines)] if line.startswith("#"))
    parts = []
    for name, keys in sections.items():
        parts.append("".join([f"[{name}]\n", *(f"{key}={value}\n" for key, value in keys.items())]))
    return head + "\n".join(parts)


def _first_section(lines):
    return next((number for number, line in enumerate(lines) if line.startswith("[")), len(lines))


def _set_master(sections, link, port, kind, uuid):
    connection = sections.setdefault("connection", {})
    said = connection.get("controller") or connection.get("master")
    # The same master in another word would be a change, and none that NetworkManager makes in place.
    if not said or not link.master or said not in (link.master, uuid):
        for key in ("master", "slave-type", "controller", "port-type"):
            connection.pop(key, None)
        connection.update({"master": link.master, "slave-type": kind} if link.master else {})
    if link.master and kind == "bridge":
        _put(sections, "bridge-port", {PORT[key]: _text(value) for key, value in port.items() if key in PORT})
        _set_vlans(sections.setdefault("bridge-port", {}), port)
    else:
        sections.pop("bridge-port", None)


def _set_options(sections, link, uuids):
    given = link.options
    if link.kind == "bond":
        _put(sections, "bond", {key: _bond_text(value) for key, value in given.items()})
        _drop_of_other_modes(sections.get("bond", {}))
    if link.kind == "bridge":
        table = options.BRIDGE
        _put(sections, "bridge", {BRIDGE[key]: _text(value, table[key].scale) for key, value in given.items()})
        _set_vlans(sections.setdefault("bridge", {}), link.port)
    if link.kind == "vlan":
        _set_vlan(sections, given, uuids)


def _drop_of_other_modes(bond):
    """Take out what the bond's mode does not have: NetworkManager loads no profile with such an option."""
    for key in [one for one in bond if one in options.BOND]:
        modes = options.BOND[key].modes
        if modes and bond.get("mode") in options.MODES and bond["mode"] not in modes:
            del bond[key]


def _set_vlans(section, port):
    """Say the VLANs of a port, or of a bridge itself; what is not given stays."""
    if not bridge_vlans.given_any(port):
        return
    words = bridge_vlans.written(bridge_vlans.whole(port, bridge_vlans.parsed(section.get("vlans", ""))))
    section.pop("vlans", None)
    section.update({"vlans": words} if words else {})


def _set_vlan(sections, given, uuids):
    vlan = sections.setdefault("vlan", {})
    flags = int(vlan.get("flags", "1"))
    for key, bit in FLAGS.items():
        if key in given:
            flags = flags | bit if given[key] else flags & ~bit
    values = {"flags": str(flags)} if set(FLAGS).intersection(given) else {}
    values.update({key: str(given[key]) for key in ("id", "parent") if key in given})
    if "parent" in vlan and vlan["parent"] == uuids.get(given.get("parent")):
        del values["parent"]
    if given.get("protocol", "802.1Q") != "802.1Q":
        values["protocol"] = given["protocol"]
    elif "protocol" in given:
        vlan.pop("protocol", None)
    for key, name in MAPS.items():
        if key in given:
            vlan.pop(name, None)
            values.update({name: ",".join(f"{one}:{to}" for one, to in given[key])} if given[key] else {})
    vlan.update(values)


def _set_hardware(sections, link):
    values = {"mtu": str(link.mtu)} if link.mtu is not None else {}
    if link.mac is not None:
        values["cloned-mac-address"] = link.mac.upper()
    _put(sections, "ethernet", values)


def _put(sections, name, values):
    if values:
        sections.setdefault(name, {}).update(values)


def _bond_text(value):
    return str(int(value)) if isinstance(value, bool) else _text(value)


def _text(value, scale=1):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value // scale) if scale != 1 else str(value)
