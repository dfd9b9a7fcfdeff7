# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which steps give the routes to the links that are to have them. Pure.

Private to the collection; not a public interface.
"""

from . import iproute
from .ip_step import step


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
