# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which steps give the routes and rules to the links that are to have them. Pure.

Private to the collection; not a public interface.
"""

from . import iproute
from .ip_step import step
from .rules import coming_in_by


def routes(touched, job):
    """Give the links their routes, and take away the old ones whose place no new one took."""
    there = {one.place: (link.name, one) for link in job.have.values() for one in link.routes}
    new = {one.place: (name, one) for name in touched for one in job.links[name].routes}
    steps = []
    for place, (name, one) in new.items():
        old = there.get(place)
        if old != (name, one):
            do = iproute.route("replace", name, one)
            back = iproute.route("replace", *old) if old else iproute.route("del", name, one)
            steps.append(step(*_replacing(name, one, old), do, back))
    for place, (name, one) in there.items():
        if place not in new and name in touched and one not in job.links[name].routes:
            do, back = iproute.route("del", name, one), iproute.route("replace", name, one)
            steps.append(step("remove", name, f"route {one}", do, back))
    return steps


def rules(touched, gone, job):
    """Add the rules that the host lacks, and take away those that no link is to have any more.

    :param gone: the links that are removed; their rules go with them.
    """
    kept = {one for link in job.links.values() for one in link.rules or ()}
    steps = [
        step("add", name, str(one), iproute.rule("add", one), iproute.rule("del", one))
        for name in touched
        for one in job.links[name].rules or ()
        if one not in job.rules
    ]
    return steps + [
        step("remove", name, str(one), iproute.rule("del", one), iproute.rule("add", one))
        for name in (*touched, *gone)
        for one in (job.have[name].rules or () if name in job.have else coming_in_by(name, job.rules))
        if one not in kept
    ]


def _replacing(name, route, old):
    """Return verb, target and detail of a step that gives a link a route, which there was by ``old`` until then."""
    if old is None:
        return "add", name, f"route {route}"
    if old[0] == name:
        return "set", name, f"route {old[1]} -> {route}"
    return (
        "move",
        name,
        f"route {old[1]} from {old[0]}" if old[1] == route else f"route {old[1]} from {old[0]} -> {route}",
    )
