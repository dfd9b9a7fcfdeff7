# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/xdp_ladder.md and its picture: written from what was measured, and read again."""

import re

from tests.bench.ladder import chart, rungs
from tests.bench.ladder.rounds import Row
from tests.bench.ladder.stage import ROOT

PAGE, PICTURE = ROOT / "docs/xdp_ladder.md", ROOT / "docs/xdp_ladder.svg"
BASE, OURS = "raw", "ours"
HEAD = (
    "| rung | ns, least | ns, median | Mpps per core | against raw PREROUTING | ns alone |\n|---|--:|--:|--:|--:|--:|"
)


def table(rows: list[Row], base: Row) -> str:
    """Return the table of what was measured."""
    return "\n".join([HEAD, *(_line(row, base) for row in rows)])


def rows(text: str) -> list[Row]:
    """Return the rows of a page."""
    found = re.findall(r"^\| ([^|]+) \| (\d+) \| (\d+) \| [\d.]+ \| [\d.]+x \| (\d+|-) \|$", text, re.MULTILINE)
    return [Row(one[0], int(one[1]), int(one[2]), None if one[3] == "-" else int(one[3])) for one in found]


def conditions(text: str) -> str:
    """Return the line of a page that says on what and when was measured."""
    return _part(text, "measured on")


def picture(measured: list[Row], where: str) -> str:
    """Return the chart of these rows."""
    titles = {rung.title: rung.name for rung in rungs.every()}
    base = next(row for row in measured if titles[row.title] == BASE)
    kinds = {BASE: "base", OURS: "ours"}
    bars = [
        chart.Bar(
            row.title,
            row.mpps,
            f"{row.mpps:.2f}",
            f"{row.least:.0f} ns, {base.least / row.least:.2f}x",
            kinds.get(titles[row.title], "bar"),
        )
        for row in measured
    ]
    axis = "million packets per second and core"
    note = "Behind each bar: CPU time of one packet, and how many times as fast that is as iptables in raw PREROUTING."
    return chart.svg("How many packets one core can drop", where, bars, axis, (note,))


def written(text: str, measured: list[Row], where: str) -> str:
    """Return a page with these figures, and the commands of the rungs as they are."""
    rounded = [Row(one.title, round(one.least), round(one.median), one.alone and round(one.alone)) for one in measured]
    base = next(row for row in rounded if row.title == next(one.title for one in rungs.every() if one.name == BASE))
    return with_commands(_with(_with(text, "measured on", where), "table", table(rounded, base)))


def write(measured: list[Row], where: str) -> None:
    """Write page and picture; the picture has the rounded figures of the page, so that it can be made from it again."""
    text = written(PAGE.read_text(), measured, where)
    PAGE.write_text(text)
    PICTURE.write_text(picture(rows(text), where))


def with_commands(text: str) -> str:
    """Return a page with the commands of the rungs as they are."""
    return _with(text, "commands", "\n" + "\n".join(_shown(rung) for rung in rungs.every()))


def _line(row: Row, base: Row) -> str:
    alone = "-" if row.alone is None else f"{row.alone}"
    figures = f"{row.least} | {row.median} | {row.mpps:.2f} | {base.least / row.least:.2f}x | {alone}"
    return f"| {row.title} | {figures} |"


def _shown(rung: rungs.Rung) -> str:
    parts = [f"### {rung.title}\n", f"{rung.about}\n"]
    commands = "\n".join(rung.commands)
    if commands and rung.text:
        commands = f"{commands} <<END\n{rung.text}END"
    if commands or rung.text:
        parts.append(f"```\n{commands or rung.text.rstrip()}\n```\n")
    return "\n".join(parts)


def _marks(name: str) -> str:
    return rf"(<!-- {name}: generated -->\n)(.*?)(\n?<!-- end -->)"


def _part(text: str, name: str) -> str:
    return re.search(_marks(name), text, re.DOTALL)[2]


def _with(text: str, name: str, part: str) -> str:
    return re.sub(_marks(name), lambda match: match[1] + part + "\n<!-- end -->", text, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(with_commands(PAGE.read_text()))
