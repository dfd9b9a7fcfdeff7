# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which limits systemd units start with: their drop-ins, and the reload that makes systemd read them.

Private to the collection; not a public interface.
"""

from .._core.reconcile import Plan, Step
from . import drop_in
from .plan_file import change, is_owned, plan_file
from .resources import RESOURCES, UNSET, check_order
from .unit_names import section_of


def plan(wanted, state):
    """Plan the drop-ins of all units named, with a warning for each one elsewhere that would win over it."""
    whole, reload_for = Plan({}, {}, ()), []
    for names in _units(wanted, state):
        loaded = state.units[names[0]]
        path = wanted.drop_in_path(loaded.name)
        part, exists = _unit(wanted, names, state.files.get(path), loaded)
        whole = whole.then(part._replace(warnings=tuple(_rivals(wanted, names, state))))
        if part.steps or loaded.stale or (path in loaded.drop_ins) != exists:
            reload_for.append(names[0])
    if reload_for:
        step = Step("reload", "systemd", "daemon-reload for {}".format(", ".join(reload_for)))
        whole = whole.then(Plan({"systemd": "to be reloaded"}, {"systemd": "reloaded"}, (step,)))
    return whole


def _units(wanted, state):
    """Return the names that each unit is declared by: it has one drop-in, also where an alias is named beside it."""
    found = {}
    for name in wanted.services:
        found.setdefault(state.units[name].name, []).append(name)
    return list(found.values())


def _unit(wanted, names, text, loaded):
    """Plan one drop-in; return the plan and whether the file is there afterwards."""
    path, section = wanted.drop_in_path(loaded.name), section_of(loaded.name)
    have = drop_in.limits(text or "", section)
    new = _new(wanted, names, have, loaded)
    if is_owned(path, text, wanted.purge):
        whole = {} if wanted.purge else dict(have)
        whole.update(new)
        after = drop_in.render(section, {name: limit for name, limit in whole.items() if limit})
    else:
        whole = dict(have, **new)
        after = drop_in.edit(text, section, new)
    changes = change(have, whole, lambda name: name, lambda name: name)
    return plan_file(path, text, after, changes, prune=True), after is not None


def _new(wanted, names, have, loaded):
    """Return the limit that each resource of the unit is to have, both sides set, None where it is to go."""
    new = {}
    for one in wanted.declarations:
        for name in (one.limits or RESOURCES) if set(names).intersection(one.services) else ():
            below = new.get(name) or have.get(name) or loaded.limits.get(name, UNSET)
            new[name] = one.limits[name].over(below) if wanted.present else None
    for name, limit in sorted(new.items()):
        if limit:
            where = f"service '{names[0]}', {name}"
            check_order(where, name, limit, "declare the hard limit too, the unit has this one")
    return new


def _rivals(wanted, names, state):
    """Yield a warning for each assignment elsewhere that systemd applies after ours."""
    loaded = state.units[names[0]]
    path, section = wanted.drop_in_path(loaded.name), section_of(loaded.name)
    new = _new(wanted, names, drop_in.limits(state.files.get(path) or "", section), loaded)
    for other in loaded.drop_ins:
        if other.rpartition("/")[2] > wanted.drop_in:
            for setting in drop_in.parse(state.files.get(other) or ""):
                ours = new.get(setting.name)
                if setting.section == section and ours and setting.limit != ours:
                    yield (
                        f"{other}:{setting.line + 1}: '{setting}' wins over {drop_in.text_of(ours)} in {path}: "
                        "systemd applies drop-ins in the order of their names"
                    )
