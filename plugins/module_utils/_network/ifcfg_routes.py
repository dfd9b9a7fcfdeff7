# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files route-NAME and route6-NAME of the initscripts, each line the words behind ``ip route add``. Pure.

ifup-routes knows an older form too, ADDRESS0=, NETMASK0=, GATEWAY0=, and takes one such line as a sign that all are; it
is read, and written anew in the other form once its routes change. Lines that say more than a route of ours does, such
as its source address, belong to someone else and stay. Private to the collection.
"""

import ipaddress
import re

from .ifcfg_text import Text
from .model import Route

OLD = re.compile(r"\s*(ADDRESS|NETMASK|GATEWAY)\d+=")
FILES = {4: "route-{}", 6: "route6-{}"}
DEFAULT = {4: "0.0.0.0/0", 6: "::/0"}


def render(name, routes, have):
    """Return the two files, ``{file name: text}``, once they say these routes; None for one that is not to be there.

    :param have: the texts of the files that are there, by file name.
    """
    found = {}
    for version, pattern in FILES.items():
        file = pattern.format(name)
        wanted = [one for one in routes if ipaddress.ip_network(one.to).version == version]
        text = have.get(file)
        if text is None or list(_routes(name, version, text)) != wanted:
            text = _edit(name, version, text or "", wanted)
        found[file] = text or None
    return found


def parse(name, files):
    """Return the routes that the two files of a link declare."""
    texts = ((version, files.get(file.format(name))) for version, file in FILES.items())
    return tuple(route for version, text in texts if text for route in _routes(name, version, text))


def _routes(name, version, text):
    if any(OLD.match(line) for line in text.splitlines()):
        return _old(Text(text))
    return tuple(route for route in (_route(name, version, line) for line in text.splitlines()) if route)


def _old(text):
    found, number = [], 0
    while text.get(f"ADDRESS{number}"):
        address, mask = text.get(f"ADDRESS{number}"), text.get(f"NETMASK{number}") or "32"
        found.append(Route(str(ipaddress.ip_network(f"{address}/{mask}", False)), text.get(f"GATEWAY{number}") or None))
        number += 1
    return tuple(found)


def _route(name, version, line):
    """Return the route of a line; None for a comment, and for what is none of ours."""
    words = line.split("#")[0].split()
    if not words or len(words) % 2 == 0:
        return None
    given = dict(zip(words[1::2], words[2::2]))
    if not set(given) <= {"via", "dev", "metric", "table"} or given.get("dev", name) != name:
        return None
    try:
        to = ipaddress.ip_network(DEFAULT[version] if words[0] == "default" else words[0], False)
        metric, table = (int(given[key]) if key in given else None for key in ("metric", "table"))
    except ValueError:
        return None
    return Route(str(to), given.get("via"), metric, table)


def _edit(name, version, text, wanted):
    lines, missing = [], list(wanted)
    for line in text.splitlines():
        route = _route(name, version, line)
        if OLD.match(line) or (route and route not in missing):
            continue
        if route:
            missing.remove(route)
        lines.append(line)
    lines += [_line(name, one) for one in missing]
    return "".join(f"{line}\n" for line in lines)


def _line(name, route):
    words = [route.to, *(["via", route.via] if route.via else []), "dev", name]
    for word, value in (("metric", route.metric), ("table", route.table)):
        words += [word, str(value)] if value is not None else []
    return " ".join(words)
