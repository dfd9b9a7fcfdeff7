# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was found, in the words of the options: pure, and valid input of ``rlimit``.

Private to the collection; not a public interface.
"""

from typing import NamedTuple

from . import limits_conf
from .resources import UNSET, Limit, show


class Found(NamedTuple):
    """Processes with their uses ``{pid: {resource: use}}``, units, and the texts of pam_limits' files in order."""

    processes: tuple
    uses: dict
    units: dict
    session_texts: tuple
    nr_open: int


def processes(found, uses):
    """Return the processes that still run as dicts, the one nearest to a soft limit first."""
    rows = []
    for process in found:
        if process.pid in uses:
            use = uses[process.pid]
            share, resource = nearest(process.limits, use)
            row = {key: getattr(process, key) for key in ("pid", "name", "command", "uid", "cgroup")}
            row["limits"] = resources(process.limits)
            row["use"] = use
            row["nearest"] = {"resource": resource, "percent": round(100 * share, 1)}
            rows.append(row)
    return sorted(rows, key=lambda row: (-row["nearest"]["percent"], row["pid"]))


def nearest(limits, use):
    """Return ``(share, resource)`` of the resource that is nearest to its soft limit; the share is 0 to 1.

    A limit of 0 that is used counts as reached, one that is not as far away.
    """
    shares = [
        (used / limits[name].soft if limits[name].soft else float(used > 0), name) for name, used in sorted(use.items())
    ]
    return max(shares, key=lambda share: share[0]) if shares else (0.0, None)


def limits(found, domains):
    """Return what was found as a list of declarations.

    :param domains: the session domains to return; None for all that the files name.
    """
    sessions = {}
    for text in found.session_texts:
        for (domain, name), limit in limits_conf.limits(text).items():
            if domains is None or domain in domains:
                own = sessions.setdefault(domain, {})
                own[name] = limit.over(own.get(name, UNSET))
    entries = [
        {"sessions": [domain], "resources": resources(_openable(own, found.nr_open))}
        for domain, own in sorted(sessions.items())
        if domain[0] != "%"
    ]
    entries += [
        {"services": [unit.name], "resources": resources(unit.limits)} for _name, unit in sorted(found.units.items())
    ]
    entries += [{"processes": [{"pid": one.pid}], "resources": resources(one.limits)} for one in found.processes]
    return entries


def resources(limits):
    """Return ``{resource: Limit}`` as the option ``resources`` takes it."""
    return {
        name: {side: show(name, value) for side, value in zip(("soft", "hard"), limit) if value is not None}
        for name, limit in sorted(limits.items())
        if limit != UNSET
    }


def _openable(limits, nr_open):
    """pam_limits takes an unlimited nofile as fs.nr_open, as the kernel would refuse it."""
    if "nofile" not in limits:
        return limits
    capped = (None if side is None else min(side, nr_open) for side in limits["nofile"])
    return dict(limits, nofile=Limit(*capped))
