# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draw the life cycle of libvirt domains from its table: ``python3 -m tests.tools.lifecycle_diagram``.

Writes docs/libvirt_lifecycle.svg, and the diagram and tables of docs/libvirt_domain_state.md. A unit test compares
them with the table.
"""

import importlib
import re
import sys
import types
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/libvirt_domain_state.md"
PICTURE = ROOT / "docs/libvirt_lifecycle.svg"
PACKAGE = "ansible_collections.hostcraft.linux.plugins.module_utils._libvirt"
# Where each state is drawn, its middle in pixels.
PLACES = {
    "absent": (110, 330), "shutoff": (370, 330), "saved": (370, 90), "running": (700, 330), "paused": (700, 90),
    "pmsuspended": (1000, 330), "crashed": (560, 540), "shutting down": (250, 540), "rebooted": (1000, 540),
    "reset": (1000, 120),
}  # fmt: skip
WIDTH, HEIGHT = 1130, 610
STROKES = {"safe": ("#333", ""), "losing": ("#b00020", ' stroke-dasharray="6 4"')}
LONG = 500
HALF_WIDTH, HALF_HEIGHT = 68, 24


def table():
    """Return the modules ``lifecycle`` and ``path``, from the checkout."""
    for name in PACKAGE.split("."):
        full = PACKAGE[: PACKAGE.index(name) + len(name)]
        if full not in sys.modules:
            module = types.ModuleType(full)
            inside = full.partition("hostcraft.linux")[2].lstrip(".")
            module.__path__ = [str(ROOT / inside.replace(".", "/"))] if "hostcraft.linux" in full else []
            sys.modules[full] = module
    return importlib.import_module(f"{PACKAGE}.lifecycle"), importlib.import_module(f"{PACKAGE}.path")


def mermaid(life) -> str:
    """Return the diagram for Mermaid."""
    lines = ["stateDiagram-v2"]
    for one in life.TRANSITIONS:
        for source in one.sources:
            ends = [state.replace(" ", "_") for state in (source, one.target)]
            lines.append(f"    {ends[0]} --> {ends[1]}: {one.name}{' (loses memory)' if one.loses else ''}")
    return "\n".join(lines)


def svg(life) -> str:
    """Return the diagram as a picture; what loses memory is dashed and red."""
    arrows = [(one, source) for one in life.TRANSITIONS for source in one.sources]
    drawn: dict[frozenset, int] = {}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">',
        "<!-- Made from the table by python3 -m tests.tools.lifecycle_diagram -->",
        "<defs>"
        + "".join(
            f'<marker id="{name}" markerWidth="9" markerHeight="9" refX="8" refY="4" orient="auto">'
            f'<path d="M0,0 L9,4 L0,8 z" fill="{colour}"/></marker>'
            for name, (colour, _dash) in STROKES.items()
        )
        + "</defs>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    for one, source in arrows:
        pair = frozenset((source, one.target))
        number = drawn.get(pair, 0)
        drawn[pair] = number + 1
        parts.extend(_arrow(one, PLACES[source], PLACES[one.target], number))
    for state, (x, y) in PLACES.items():
        fill = "#e6f0ff" if state in life.STATES else "#f2f2f2"
        parts.append(
            f'<rect x="{x - HALF_WIDTH}" y="{y - HALF_HEIGHT}" width="{2 * HALF_WIDTH}" height="{2 * HALF_HEIGHT}" '
            f'rx="12" fill="{fill}" stroke="#333"/><text x="{x}" y="{y + 5}" text-anchor="middle">{state}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])


def _arrow(one, begin, end, number):
    """Yield the elements of one transition; several between two states bend apart."""
    (x1, y1), (x2, y2) = begin, end
    length = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5
    nx, ny = -(y2 - y1) / length, (x2 - x1) / length
    bend = 18 + 34 * (number // 2 if begin < end else number)
    if length > LONG:
        bend = -85  # around what stands in between
    cx, cy = (x1 + x2) / 2 + nx * bend * 2, (y1 + y2) / 2 + ny * bend * 2
    (bx, by), (ex, ey) = _edge(begin, (cx, cy)), _edge(end, (cx, cy))
    kind = "losing" if one.loses else "safe"
    colour, dash = STROKES[kind]
    # Nearer to the beginning than to the end, where others cross it.
    at = 0.5 if begin[1] == end[1] else 0.6 if one.target == "reset" else 0.36
    tx, ty = ((1 - at) ** 2 * b + 2 * at * (1 - at) * c + at**2 * e for b, c, e in ((bx, cx, ex), (by, cy, ey)))
    yield (
        f'<path d="M{bx:.0f},{by:.0f} Q{cx:.0f},{cy:.0f} {ex:.0f},{ey:.0f}" fill="none" stroke="{colour}"{dash} '
        f'marker-end="url(#{kind})"/>'
    )
    text = f'<text x="{tx:.0f}" y="{ty + 4:.0f}" text-anchor="middle" font-size="13"'
    yield f'{text} fill="white" stroke="white" stroke-width="5">{one.name}</text>'
    yield f'{text} fill="{colour}">{one.name}</text>'


def _edge(middle, towards):
    """Return where the line from the middle of a box leaves the box."""
    dx, dy = towards[0] - middle[0], towards[1] - middle[1]
    scale = min(HALF_WIDTH / abs(dx) if dx else 9e9, HALF_HEIGHT / abs(dy) if dy else 9e9)
    return middle[0] + dx * scale, middle[1] + dy * scale


def transitions(life) -> str:
    """Return the table of transitions for the page."""
    rows = ["| transition | from | to | libvirt's call | needs | loses |", "|---|---|---|---|---|---|"]
    for one in life.TRANSITIONS:
        flags = ", ".join(f"`{flag}`" for flag in one.flags)
        call = f"`{one.call}`" + (f" with {flags}" if flags else "") if one.call else "none, it is waited for"
        needs, loses = ", ".join(one.needs) or "nothing", one.loses or "nothing"
        rows.append(f"| {one.name} | {', '.join(one.sources)} | {one.target} | {call} | {needs} | {loses} |")
    return "\n".join(rows)


def ways(life, path) -> str:
    """Return the table of ways from each state to each goal of a persistent domain with a guest agent."""
    from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import ReconcileError

    goals = [goal for goal in life.GOALS if goal != life.DEFINED]
    rows = [f"| from \\ to | {' | '.join(goals)} |", "|---" * (len(goals) + 1) + "|"]
    for source in life.STATES:
        cells = []
        for goal in goals:
            facts = path.Facts(agent=True, xml=True)
            try:
                cells.append(", ".join(one.name for one in path.path("x", source, goal, facts)) or "nothing")
            except ReconcileError as error:
                cells.append("needs `start_to_save`" if "start_to_save" in str(error) else "needs `allow_data_loss`")
        rows.append(f"| **{source}** | {' | '.join(cells)} |")
    return "\n".join(rows)


def page(text: str, life, path) -> str:
    """Return the page with its generated parts made anew."""
    made = {
        "diagram": f"```mermaid\n{mermaid(life)}\n```",
        "transitions": transitions(life),
        "ways": ways(life, path),
    }
    for name, part in made.items():
        marks = rf"(<!-- {name}: generated -->\n).*?(\n<!-- end -->)"
        text = re.sub(marks, lambda match, part=part: match[1] + part + match[2], text, flags=re.DOTALL)
    return text


def main() -> None:
    """Write the page and the picture."""
    life, path = table()
    PICTURE.write_text(svg(life))
    PAGE.write_text(page(PAGE.read_text(), life, path))


if __name__ == "__main__":
    main()
