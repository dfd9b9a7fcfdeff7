# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draw horizontal bars with their figures, as SVG."""

from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

WIDTH = 960
MARGIN, LEFT, RIGHT = 32, 288, 212  # around everything; left of the bars, for their names; right of them, for figures
TOP, ROW, BAR, BOTTOM = 104, 40, 24, 96
TICKS = 4  # lines across the bars, at most twice as many
STEPS = (1, 2, 2.5, 5)
COLOURS = {"bar": "#9db7d5", "base": "#5b7ea6", "ours": "#e8590c"}
STYLE = """
  text { font-family: "Helvetica Neue", Helvetica, Arial, "Liberation Sans", sans-serif; fill: #1f2933; }
  .title { font-size: 22px; font-weight: bold; }
  .under { font-size: 14px; fill: #52606d; }
  .name { font-size: 15px; text-anchor: end; }
  .figure { font-size: 15px; font-weight: bold; paint-order: stroke; stroke: #ffffff; stroke-width: 5px; }
  .more { font-size: 13px; fill: #52606d; font-weight: normal; }
  .tick { font-size: 12px; fill: #7b8794; text-anchor: middle; }
  .strong { font-weight: bold; }
"""


class Bar(NamedTuple):
    """One bar: its name, its length in units of the axis, what is written behind it, and its kind in ``COLOURS``."""

    name: str
    value: float
    figure: str
    more: str = ""
    kind: str = "bar"


def svg(title: str, under: str, bars: list[Bar], axis: str, notes: tuple[str, ...] = ()) -> str:
    """Return the picture: a title, a line under it, the bars from top to bottom, the axis' name, notes at the foot."""
    bottom = TOP + ROW * len(bars)
    height = bottom + BOTTOM + 18 * max(0, len(notes) - 1)
    step, last = _axis(max(rung.value for rung in bars))
    scale = (WIDTH - LEFT - RIGHT) / last
    size = f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label={quoteattr(title)}>',
        f"<style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#ffffff"/>',
        f'<text class="title" x="{MARGIN}" y="46">{escape(title)}</text>',
        f'<text class="under" x="{MARGIN}" y="70">{escape(under)}</text>',
    ]
    for number in range(round(last / step) + 1):
        x, colour = LEFT + number * step * scale, "#e4e7eb" if number else "#9aa5b1"
        parts.append(
            f'<line x1="{x:.1f}" y1="{TOP - 8}" x2="{x:.1f}" y2="{bottom}" stroke="{colour}"/>'
            f'<text class="tick" x="{x:.1f}" y="{bottom + 18}">{number * step:g}</text>'
        )
    parts.append(f'<text class="tick" x="{LEFT + last * scale / 2:.1f}" y="{bottom + 36}">{escape(axis)}</text>')
    for number, rung in enumerate(bars):
        parts.extend(_row(rung, TOP + ROW * number, scale))
    for number, note in enumerate(notes):
        parts.append(f'<text class="under" x="{MARGIN}" y="{bottom + 72 + 18 * number}">{escape(note)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _axis(most: float) -> tuple[float, float]:
    """Return the distance of the lines, a round number, and where the last one is: at the longest bar or behind it."""
    power = 10.0
    while power > most / TICKS:
        power /= 10
    while power * 10 <= most / TICKS:
        power *= 10
    step = max(one * power for one in STEPS if one * power <= most / TICKS)
    last = step
    while last < most:
        last += step
    return step, last


def _row(rung: Bar, y: float, scale: float) -> list[str]:
    middle = y + BAR / 2 + 5
    width = max(rung.value * scale, 1.5)
    strong = " strong" if rung.kind == "ours" else ""
    more = f'<tspan class="more" dx="8">{escape(rung.more)}</tspan>' if rung.more else ""
    return [
        f'<text class="name{strong}" x="{LEFT - 12}" y="{middle:.1f}">{escape(rung.name)}</text>',
        f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2" fill="{COLOURS[rung.kind]}"/>',
        f'<text class="figure" x="{LEFT + width + 8:.1f}" y="{middle:.1f}">{escape(rung.figure)}{more}</text>',
    ]
