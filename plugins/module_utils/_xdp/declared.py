# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules that an interface was given, kept until the next boot, to be read by who asks what runs there.

Maps hold what the rules mean; the way back from them to the rules as they were written does not exist.
Private to the collection; not a public interface.
"""

import array
import base64
import json
import os

from .._core import files
from . import pins, prefixes, report
from .model import Prefixes

ROOT = "/run/hostcraft/xdp_drop"


def write(interface, digest, rules):
    """Keep the rules of an interface; return what was kept before (:class:`files.Snapshot`)."""
    content = {"digest": digest, "rules": [report.options(rule, _packed) for rule in rules]}
    return files.write(_path(interface), json.dumps(content), mode=0o600)


def read(interface, digest):
    """Return the options of the rules with this digest, None when they are not known."""
    text = files.read(_path(interface))
    content = json.loads(text) if text else {}
    if content.get("digest") != digest:
        return None
    for rule in content["rules"]:
        for side in ("source", "destination"):
            if side in rule:
                rule[side] = prefixes.shown(_unpacked(rule[side]))
    return content["rules"]


def forget(interface):
    """Remove what is kept."""
    if os.path.exists(_path(interface)):
        files.remove(_path(interface))


def _path(interface):
    return f"{ROOT}/{os.path.basename(pins.directory(interface))}.json"


def _packed(found):
    return {"four": base64.b64encode(array.array("Q", found.four).tobytes()).decode(), "six": list(found.six)}


def _unpacked(kept):
    return Prefixes(tuple(array.array("Q", base64.b64decode(kept["four"]))), tuple(kept["six"]))
