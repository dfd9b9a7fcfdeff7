# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The declaration as it is kept for the next boot, beside the program that carries it out. Pure.

Private to the collection; not a public interface.
"""

import base64
import hashlib
import json

from .._core.reconcile import Plan, ReconcileError, Step
from . import arguments

NAME, PROGRAM = "definition.json", "apply"
# At boot nobody is there to be asked: an endpoint whose namespace does not exist is left out.
AT_BOOT = {"missing_namespace": "remove"}
OPTIONS = ("forwarding", "probe")


def paths(save):
    """Return the paths of the definition and of the program."""
    return f"{save.directory}/{NAME}", f"{save.directory}/{PROGRAM}"


def params(text):
    """Return the options of ``proxy_arp`` that a definition stands for.

    :raises ReconcileError: it is not one.
    """
    try:
        kept = json.loads(text)
        filled = {name: one.get("default") for name, one in arguments.ARGUMENTS["argument_spec"].items()}
        filled.update({key: kept[key] for key in OPTIONS}, **AT_BOOT)
        for key, options in (("endpoints", arguments.ENDPOINT), ("proxies", arguments.PROXY)):
            defaults = {name: one.get("default") for name, one in options.items()}
            filled[key] = [dict(defaults, **entry) for entry in kept[key]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReconcileError(f"the saved definition cannot be read: {error!r}; save it again") from error
    return filled


def plan(save, state):
    """Return the plan that keeps what is declared, with what was kept before and is not named.

    :param save: a :class:`Save`, or None: nothing is kept, or changed of what is.
    """
    if save is None:
        return Plan({}, {}, ())
    path, program = paths(save)
    old = state.files.get(path)
    text = _merged(old, save)
    wanted = {path: (_packed(text), 0o644), program: (save.program if text else None, 0o755)}
    before = {one: state.files.get(one) for one in wanted}
    changed = [one for one in (program, path) if wanted[one][0] != before[one]]
    steps = tuple(
        Step(
            "write" if wanted[one][0] else "remove",
            one,
            "",
            ((["file", one, *wanted[one]], [["file", one, before[one], wanted[one][1]]]),),
        )
        for one in changed
    )
    sides = (
        {one: _shown(one, side, path) for one in changed} for side in (before, {k: v[0] for k, v in wanted.items()})
    )
    return Plan(*sides, steps)


def _shown(path, side, definition):
    """Return what a diff shows of a file: the text of the definition, and only that there is a program."""
    content = side[path]
    if content is None or path != definition:
        return content and f"program, {len(content)} bytes in base64, {hash_of(content)}"
    return base64.b64decode(content).decode("utf-8", "replace")


def hash_of(content):
    """Return a few characters that tell one content from another."""
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def _merged(old, save):
    """Return the text of the new definition; None: nothing is left to keep."""
    before = params(base64.b64decode(old).decode("utf-8", "replace")) if old and not save.purge else {}
    kept = {}
    for key, name in (("endpoints", "name"), ("proxies", "interface")):
        entries = {one[name]: _short(one) for one in before.get(key) or ()}
        for entry in save.params[key] or ():
            if key == "proxies":
                _merge_proxy(entries, entry)
            elif entry["state"] == "absent":
                entries.pop(entry[name], None)
            else:
                entries[entry[name]] = _short(entry)
        kept[key] = [entries[one] for one in sorted(entries)]
    if not kept["endpoints"] and not kept["proxies"]:
        return None
    kept.update({key: save.params[key] for key in OPTIONS})
    # What is kept of an earlier task may need it; that this one found it on, or has no need of it, is not to say off.
    if before.get("forwarding") == "set":
        kept["forwarding"] = "set"
    return json.dumps(kept, indent=2, sort_keys=True) + "\n"


def _merge_proxy(entries, entry):
    have = entries.get(entry["interface"], {}).get("addresses", [])
    if entry["state"] == "present":
        addresses = [*have, *(one for one in entry["addresses"] if one not in have)]
    else:
        addresses = [one for one in have if one not in entry["addresses"]]
    entries.pop(entry["interface"], None)
    if addresses:
        entries[entry["interface"]] = {"interface": entry["interface"], "addresses": addresses}


def _short(entry):
    return {key: value for key, value in entry.items() if value is not None and key != "state"}


def _packed(text):
    return None if text is None else base64.b64encode(text.encode()).decode()
