# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of a host's maintenance, and the report of a run, as data and as a page. Pure functions."""

from datetime import datetime, timedelta, timezone
from html import escape

TIME = "%Y-%m-%dT%H:%M:%SZ"
# How a host stands, in the order in which a reader wants to see them.
RESULTS = ("failed", "unfinished", "waiting", "skipped", "done", "not needed")
WORDS = {
    "failed": "failed; it is as the failed step has left it, and the next run goes on there",
    "unfinished": "begun, and not heard of since; the next run goes on there",
    "waiting": "not begun",
    "skipped": "not begun, for the reason given",
    "done": "all steps were taken",
    "not needed": "nothing was to be done",
}
MARKS = 4  # times below a timeline


def note(journal, now, step=None, result=None, detail=None):
    """Return a journal to which it is added that the step which ran has ended, and that another one begins.

    :param now: the time, as in ``TIME``.
    :param step: the step that begins; None: none does.
    :param result: of the whole maintenance when nothing begins; ``failed`` is that of the step as well.
    :param detail: lines about the step that has ended.
    """
    events = list(journal.get("events", ()))
    done = list(journal.get("done", ()))
    if events and events[-1]["result"] == "running":
        ended = "failed" if result == "failed" else "done"
        events[-1] = dict(events[-1], ended=now, result=ended, detail=list(detail or ()))
        if ended == "done" and events[-1]["step"] not in done:
            done.append(events[-1]["step"])
    if step:
        events.append({"step": step, "began": now, "ended": None, "result": "running", "detail": []})
    found = dict(journal, events=events, done=done, result=result or "unfinished", step=step or journal.get("step"))
    found.setdefault("began", now)
    return found


def resume(journal, now):
    """Return the journal of an earlier run, to be gone on with; a step that was never ended was interrupted."""
    events = [
        dict(one, ended=one["ended"] or now, result="interrupted" if one["result"] == "running" else one["result"])
        for one in journal.get("events", ())
    ]
    return dict(journal, events=events, result="unfinished", resumed=[*journal.get("resumed", ()), now])


def report(journals, run, now):
    """Return the report of a run: how many hosts stand how, and the journal of each.

    :param journals: by host; None or an empty one for a host that the run has not come to.
    """
    hosts = {}
    for name, journal in journals.items():
        known = dict(journal or {"result": "waiting"})
        known.setdefault("events", [])
        known.setdefault("reason", "")
        hosts[name] = known
    counts = {word: sum(one["result"] == word for one in hosts.values()) for word in RESULTS}
    return {"run": run, "written": now, "counts": counts, "hosts": hosts}


def page(found):
    """Return a report as one HTML page that needs nothing else: no script, no file, no network."""
    names = sorted(found["hosts"], key=lambda name: (RESULTS.index(found["hosts"][name]["result"]), name))
    counts = ", ".join(f"{number} {word}" for word, number in found["counts"].items() if number)
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Maintenance {escape(found['run'])}</title>",
        f"<style>{STYLE}</style></head><body>",
        f"<h1>Maintenance of {len(names)} host{'' if len(names) == 1 else 's'}</h1>",
        f"<p>Run {escape(found['run'])}, written {escape(found['written'])}: {escape(counts)}.</p>",
        _timeline(found, names),
        *(_host(name, found["hosts"][name]) for name in names),
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def _timeline(found, names):
    """Return one line for each host, its steps drawn to the scale of the whole run."""
    events = [one for name in names for one in found["hosts"][name]["events"]]
    if not events:
        return ""
    first = min(_time(one["began"]) for one in events)
    last = max([_time(found["written"]), *(_time(one["ended"]) for one in events if one["ended"])])
    whole = max((last - first).total_seconds(), 1.0)

    def percent(moment):
        return 100 * (moment - first).total_seconds() / whole

    rows = []
    for name in names:
        bars = []
        for one in found["hosts"][name]["events"]:
            began, ended = _time(one["began"]), _time(one["ended"] or found["written"])
            left, width = percent(began), max(percent(ended) - percent(began), 0.3)
            title = escape(f"{one['step']}: {one['result']}, {_lasted(ended - began)}", quote=True)
            place = f"left:{left:.2f}%;width:{width:.2f}%"
            kind, label = escape(one["result"]), escape(one["step"])
            bars.append(f'<span class="bar {kind}" style="{place}" title="{title}">{label}</span>')
        rows.append(
            f'<div class="row"><span class="name">{escape(name)}</span><div class="line">{"".join(bars)}</div></div>'
        )
    marks = [first + (last - first) * number / MARKS for number in range(MARKS + 1)]
    shown = "".join(f"<span>{one.strftime('%H:%M:%S')}</span>" for one in marks)
    scale = f'<div class="row"><span class="name">UTC</span><div class="marks">{shown}</div></div>'
    return f'<div class="timeline">{"".join(rows)}{scale}</div>'


def _host(name, journal):
    """Return the part of the page about a host."""
    said = f": {journal['reason']}" if journal["reason"] else ""
    result = journal["result"]
    parts = [
        f'<section class="host {escape(result.replace(" ", "-"))}"><h2>{escape(name)}</h2>',
        f"<p><b>{escape(result)}</b> ({escape(WORDS[result])}){escape(said)}</p>",
    ]
    if journal["events"]:
        parts.append("<table><tr><th>step<th>began<th>took<th>result<th>what was done</tr>")
        for one in journal["events"]:
            took = _lasted(_time(one["ended"]) - _time(one["began"])) if one["ended"] else ""
            detail = "<br>".join(escape(str(line)) for line in one["detail"])
            cells = (escape(one["step"]), escape(one["began"]), took, escape(one["result"]), detail)
            parts.append("<tr>" + "".join(f"<td>{cell}" for cell in cells) + "</tr>")
        parts.append("</table>")
    return "\n".join([*parts, "</section>"])


def _time(text):
    return datetime.strptime(text, TIME).replace(tzinfo=timezone.utc)  # noqa: UP017 a controller with ansible-core 2.16 may have Python 3.10


def _lasted(span):
    return str(timedelta(seconds=int(span.total_seconds())))


STYLE = """
:root{color-scheme:light dark;--line:#8884;--done:#2e7d32;--failed:#c62828;--running:#1565c0;--interrupted:#ef6c00}
body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}
.row{display:flex;align-items:center;margin:.2rem 0}.name{width:14rem;overflow:hidden;text-overflow:ellipsis}
.line{position:relative;flex:1;height:1.2rem;background:var(--line)}
.bar{position:absolute;top:0;bottom:0;box-shadow:inset -1px 0 #fff8;overflow:hidden;color:#fff;font-size:.75rem;
line-height:1.2rem;text-indent:.2rem;white-space:nowrap}
.bar.done{background:var(--done)}.bar.failed{background:var(--failed)}.bar.running{background:var(--running)}
.bar.interrupted{background:var(--interrupted)}
.marks{flex:1;display:flex;justify-content:space-between;font-size:.8rem}
table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid var(--line);padding:.2rem .6rem;text-align:left;
vertical-align:top}section.failed h2{color:var(--failed)}
"""
