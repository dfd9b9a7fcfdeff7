# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``tproxy_info`` returns of the network namespaces that were looked at. Pure.

Private to the collection; not a public interface.
"""

from . import report, routing, warn


def survey(places, read):
    """Return the module's result.

    :param places: {namespace or None: :class:`Place`}.
    :param read: ``read(entry) -> Capture`` of a recorded declaration.
    """
    captures, status, unknown = [], [], []
    for netns, place in places.items():
        for name, found in sorted(place.found.items()):
            entry = report.recorded(found.record).get("declaration")
            missing = routing.missing(found.routing, place) if found.routing else []
            one = {
                "name": name,
                "backend": found.backend,
                "intact": found.intact and not missing,
                "missing": [routing.shown(*which, found.routing) for which in missing],
                "warnings": list(warn.of(read(entry), place, False)) if entry else [],
            }
            if netns is not None:
                one["netns"] = netns
            if entry:
                captures.append(entry)
                status.append(one)
            else:
                unknown.append(one)
    return {"captures": captures, "status": status + unknown, "backends": list(places[None].backends)}
