# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which limits new login sessions get: the file of pam_limits(8).

Private to the collection; not a public interface.
"""

from .._core.reconcile import Plan, ReconcileError
from . import limits_conf
from .plan_file import change, is_owned, plan_file
from .precedence import why_it_wins
from .resources import RESOURCES, UNSET, check_order, show, show_limit


def plan(wanted, state):
    """Plan the file that holds the limits of sessions, with a warning for each line that would win over it."""
    path = wanted.limits_file
    text = state.files.get(path)
    have = limits_conf.limits(text or "")
    new = _new(wanted, have)
    if not new:
        return Plan({}, {}, ())
    for key, limit in sorted(new.items()):
        if limit:
            _check(key, limit, state)
    if is_owned(path, text, wanted.purge):
        whole = {} if wanted.purge else dict(have)
        whole.update(new)
        others = [entry for entry in limits_conf.parse(text or "") if entry.item not in RESOURCES]
        after = limits_conf.render({key: limit for key, limit in whole.items() if limit}, others)
    else:
        whole = dict(have)
        whole.update(new)
        after = limits_conf.edit(text, new)
    changes = change(have, whole, " ".join, lambda key: key[1])
    warnings = tuple(_rivals(path, {key: limit for key, limit in new.items() if limit}, state))
    return plan_file(path, text, after, changes, prune=False)._replace(warnings=warnings)


def _new(wanted, have):
    """Return the limit that each (domain, resource) is to have, None where it is to go."""
    new = {}
    for one in wanted.declarations:
        for domain in one.sessions:
            for name in one.limits or RESOURCES:
                below = new.get((domain, name)) or have.get((domain, name), UNSET)
                new[domain, name] = one.limits[name].over(below) if wanted.present else None
    return new


def _check(key, limit, state):
    """Refuse a line that no login could have: pam_limits would deny it, or pass over the limit."""
    domain, name = key
    if name in state.unknown_to_pam:
        raise ReconcileError(
            f"session '{domain}': the pam_limits of this host does not know {name} and would pass over the line "
            "without a word (Linux-PAM of Debian 12 and EL 8 and 9). Leave it out of sessions; services and processes "
            "can have it"
        )
    check_order(f"session '{domain}', {name}", name, limit, "declare the hard limit too, the file has this one")
    ceiling = state.ceiling.get(name)
    if not state.privileged and None not in (limit.hard, ceiling) and limit.hard > ceiling:
        raise ReconcileError(
            f"session '{domain}': no login here can get a hard limit of {show(name, limit.hard)} for {name}, only up "
            f"to {show(name, ceiling)}, as the host lacks CAP_SYS_RESOURCE (a container?). pam_limits would shut these "
            f"users out, or leave them without the limit (Debian). Declare at most {show(name, ceiling)}"
        )


def _rivals(path, new, state):
    """Yield a warning for each line elsewhere that pam_limits obeys instead of ours."""
    if not limits_conf.is_read(path):
        yield f"{path}: pam_limits reads only {limits_conf.MAIN_FILE} and {limits_conf.DIRECTORY}/*.conf, not this file"
    for other in state.session_files:
        later = limits_conf.order(other) > limits_conf.order(path)
        for entry in limits_conf.parse(state.files.get(other) or "") if other != path else ():
            for domain, limits in _beaten(entry, new):
                why = why_it_wins(entry, domain, later, state.meant)
                if why:
                    yield f"{other}:{entry.line + 1}: '{entry}' wins over '{limits}' in {path}: {why}"


def _beaten(entry, new):
    """Yield the domains, each with a line for it, for which ``entry`` sets something else."""
    if entry.frees:
        for domain in sorted({domain for domain, _name in new}):
            yield domain, ", ".join(_line(key, new[key]) for key in sorted(new) if key[0] == domain)
        return
    for (domain, name), limit in sorted(new.items()):
        if name == entry.item and entry.contradicts(limit):
            yield domain, _line((domain, name), limit)


def _line(key, limit):
    return f"{key[0]} {key[1]} {show_limit(key[1], limit)}"
