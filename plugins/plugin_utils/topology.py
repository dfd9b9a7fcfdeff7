# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Topologies as ``bond_vlan_bridge`` takes them, compared and drawn as text. Pure.

Private to the collection; not a public interface.
"""

from typing import NamedTuple

KINDS = {"bonds": "bond", "vlans": "vlan", "bridges": "bridge", "nics": "nic"}
# What tells the most of a link, in the order in which it is drawn.
OPTIONS = ("mode", "id", "protocol", "stp", "vlan_filtering", "mtu")
GATEWAYS = ("gateway", "gateway6")
SHAPES = {"nic": ('["', '"]'), "bond": ('[["', '"]]'), "vlan": ('(["', '"])'), "bridge": ('{{"', '"}}')}
ARROWS = {"": "-->", "added": "==>", "removed": "-.->", "changed": "-->"}
COLOURS = {"added": ("#d6f5d6", "#2a7d2a"), "removed": ("#f9d6d5", "#b3261e"), "changed": ("#fff3cd", "#8a6d00")}
BOXES = {"nic": "box", "bond": "box3d", "vlan": "ellipse", "bridge": "hexagon"}
# Entity codes of Mermaid; what else could end a label or be read as HTML.
ENTITIES = {"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;"}


class Drawing(NamedTuple):
    """What is drawn: ``nodes`` are ``{name: (kind, lines, change)}``, ``edges`` are ``{(from, to, label): change}``.

    A change is ``added``, ``removed``, ``changed`` or, none, empty.
    """

    nodes: dict
    edges: dict


def links(topology):
    """Return ``{name: entry}`` of a topology, each entry with its ``kind``; those that are absent are left out.

    A port or parent that has no entry of its own is a NIC.

    :raises ValueError: it is no topology; says what was found.
    """
    found = {}
    for kinds, kind in KINDS.items():
        for entry in topology.get(kinds) or ():
            name = _name(kinds, entry)
            if entry.get("state") != "absent":
                found[name] = dict({key: value for key, value in entry.items() if value is not None}, kind=kind)
    for entry in list(found.values()):
        for below in (*entry.get("ports", ()), *([entry["parent"]] if entry.get("parent") else ())):
            found.setdefault(below, {"kind": "nic"})
    return found


def declared(before, topology):
    """Return the links once a declaration is carried out on ``before``: what it does not name stays.

    An address or gateway that is declared for one link leaves the link that had it, and a port its master.
    """
    after = {name: dict(entry) for name, entry in before.items()}
    for kinds in KINDS:
        for entry in topology.get(kinds) or ():
            if entry.get("state") == "absent":
                after.pop(_name(kinds, entry), None)
    wanted = links(topology)
    for name, entry in wanted.items():
        have = after.get(name, {})
        kind = have.get("kind", "nic") if entry["kind"] == "nic" else entry["kind"]
        ports = [*have.get("ports", ()), *(one for one in entry.get("ports", ()) if one not in have.get("ports", ()))]
        after[name] = dict(have, **dict(entry, kind=kind))
        if ports:
            after[name]["ports"] = ports
    for name, entry in after.items():
        _leave(name, entry, wanted)
        entry["ports"] = [one for one in entry.get("ports", ()) if one in after]
    return after


def drawing(before, after=None):
    """Return the :class:`Drawing` of links, or of what changes from ``before`` to ``after``."""
    after = before if after is None else after
    nodes = {}
    rank = list(KINDS.values()).index
    for name in sorted({*before, *after}, key=lambda name: (rank(_kind(name, before, after)), name)):
        old, new = (_lines(one[name]) if name in one else None for one in (before, after))
        nodes[name] = (_kind(name, before, after), *_compared(old, new))
    old, new = _edges(before), _edges(after)
    edges = {one: "" if one in old and one in new else "added" if one in new else "removed" for one in (*old, *new)}
    return Drawing(nodes, dict(sorted(edges.items())))


def mermaid(drawn):
    """Return a drawing as the text of a Mermaid flowchart."""
    ids = {name: f"n{number}" for number, name in enumerate(drawn.nodes)}
    text = ["flowchart LR"]
    for name, (kind, lines, change) in drawn.nodes.items():
        begin, end = SHAPES[kind]
        label = "<br/>".join("".join(ENTITIES.get(letter, letter) for letter in line) for line in (name, *lines))
        text.append(f"    {ids[name]}{begin}{label}{end}" + (f":::{change}" if change else ""))
    for (below, above, label), change in drawn.edges.items():
        said = f"{label}, {change}" if change else label
        text.append(f"    {ids[below]} {ARROWS[change]}|{said}| {ids[above]}")
    used = {change for _kind, _lines, change in drawn.nodes.values()}
    for change, (fill, line) in COLOURS.items():
        if change in used:
            dashes = ",stroke-dasharray:4" if change == "removed" else ""
            text.append(f"    classDef {change} fill:{fill},stroke:{line},color:#000{dashes}")
    return "\n".join(text) + "\n"


def dot(drawn):
    """Return a drawing as input of dot(1)."""
    text = ["digraph topology {", "    rankdir=LR;", '    node [fontname="sans-serif"]; edge [fontname="sans-serif"];']
    for name, (kind, lines, change) in drawn.nodes.items():
        label = "\\n".join(_quoted(line) for line in (name, *lines))
        fill, line = COLOURS.get(change, ("#ffffff", "#000000"))
        style = "filled,dashed" if change == "removed" else "filled"
        text.append(
            f'    "{_quoted(name)}" [label="{label}", shape={BOXES[kind]}, style="{style}", fillcolor="{fill}", '
            f'color="{line}"];'
        )
    for (below, above, label), change in drawn.edges.items():
        style = {"added": "bold", "removed": "dashed"}.get(change, "solid")
        said = f"{label}, {change}" if change else label
        text.append(f'    "{_quoted(below)}" -> "{_quoted(above)}" [label="{said}", style={style}];')
    return "\n".join([*text, "}"]) + "\n"


def _name(kinds, entry):
    if not hasattr(entry, "get"):
        raise ValueError(f"{kinds} has an entry that is no dictionary: {entry!r}")
    name = entry.get("name")
    if name is None and kinds == "vlans" and entry.get("parent") and entry.get("id") is not None:
        name = f"{entry['parent']}.{entry['id']}"
    if not name:
        raise ValueError(f"{kinds} has an entry without a name: {dict(entry)!r}")
    return name


def _leave(name, entry, wanted):
    """Take from a link what is declared for another one."""
    others = [one for other, one in wanted.items() if other != name]
    mine = wanted.get(name, {})
    taken = {_host(address) for one in others for address in one.get("addresses", ())}
    if "addresses" not in mine and "addresses" in entry:
        entry["addresses"] = [one for one in entry["addresses"] if _host(one) not in taken]
    for key in GATEWAYS:
        if key not in mine and key in entry and any(key in one for one in others):
            del entry[key]
    ports = {port for one in others for port in one.get("ports", ())}
    if "ports" in entry:
        entry["ports"] = [one for one in entry["ports"] if one not in ports]


def _quoted(text):
    """Return a text as it stands between the quotes of dot's language."""
    return str(text).replace("\\", "\\\\").replace('"', '\\"')


def _host(address):
    return address.partition("/")[0]


def _kind(name, before, after):
    return (after[name] if name in after else before[name])["kind"]


def _lines(entry):
    """Return what is drawn of a link beside its name."""
    found = [f"{key} {_said(entry[key])}" for key in OPTIONS if entry.get(key) is not None]
    found += sorted(entry.get("addresses", ()))
    found += [f"via {entry[key]}" for key in GATEWAYS if entry.get(key)]
    for one in entry.get("routes") or ():
        found.append(f"{one['to']} via {one['via']}" if one.get("via") else one["to"])
    return [entry["kind"], *found]


def _said(value):
    return {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value


def _compared(old, new):
    """Return the lines of a link before and after with signs where they differ, and what became of it."""
    if old is None or new is None:
        return (new, "added") if old is None else (old, "removed")
    lines = [one if one in old else f"+ {one}" for one in new] + [f"- {one}" for one in old if one not in new]
    return lines, "" if old == new else "changed"


def _edges(found):
    edges = [(port, name, "port") for name, entry in found.items() for port in entry.get("ports", ())]
    edges += [(entry["parent"], name, "VLAN") for name, entry in found.items() if entry.get("parent") in found]
    return dict.fromkeys(edges)
