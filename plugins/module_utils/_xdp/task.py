# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A declaration, from its options to a plan that was tried: what the module and the program at boot have in common.

Private to the collection; not a public interface.
"""

import re

from .._core.reconcile import ReconcileError
from . import declare, host, management, pins, plan, prefixes, trial
from .model import Wanted
from .rtnetlink import GENERIC


def wanted_of(interfaces, rules, mode, present=True, in_place=True):
    """Return the :class:`model.Wanted` of options.

    :raises ReconcileError: names the rule, or file and line, and what is wrong.
    """
    if len(set(interfaces)) < len(interfaces) or not interfaces:
        raise ReconcileError(f"Name each interface once, and at least one; found: {', '.join(interfaces) or 'none'}")
    for name in interfaces:
        # Names of files are made of it. The rule is the kernel's, net/core/dev.c, dev_valid_name().
        if not re.match(r"^[^/:\s]{1,15}$", name) or name in (".", ".."):
            raise ReconcileError(f"There is no interface '{name}': a name has at most 15 characters, no blank, : or /")
    files = {}

    def read(path):
        if path not in files:
            files[path] = prefixes.read(path)
        return files[path]

    made = declare.rules(rules, read, prefixes.parsed) if present else ()
    return Wanted(tuple(interfaces), made, mode, present, in_place)


def tried_planner(wanted, features, allow_lockout):
    """Return ``plan(state)``, which tries in the kernel what it plans, and refuses what would cut off this connection.

    :raises ReconcileError: when it is called; names the rule and the connection, or what is in the way of attaching.
    """
    made = plan.planner(wanted)

    def planned(state):
        todo = made(state)
        programs = {step.target: step.data for step in todo.steps if isinstance(step.data, plan.Program)}
        if programs:
            pins.check_mounted()
        cut, seen = [], []
        for name, program in programs.items():
            host.remembered(name, program)
            sessions = management.sessions(name, _strips_tags(state[0][name], wanted.mode))
            # Interfaces that had no tables have the same ones, made once.
            if sessions or not any(program.content is one for one in seen):
                cut += [one for one in trial.tried(wanted.rules, program.content, features, sessions) if one not in cut]
                seen.append(program.content)
        if cut and not allow_lockout:
            raise ReconcileError(
                "These rules would cut off this task's own connection: {}. Nothing was changed. Put a rule with "
                "'action: pass' for the controller before it, or say 'allow_lockout: true'".format("; ".join(cut)),
                lockout=cut,
            )
        warnings = tuple(f"This will cut off the task's own connection: {one}" for one in cut)
        return todo._replace(warnings=todo.warnings + warnings)

    return planned


def _strips_tags(device, mode):
    """Tell whether a program may see frames without their VLAN tag.

    In mode generic it sees what the kernel has already made of a frame, where a tag is often kept beside it.
    """
    return device.strips_tags or GENERIC in (mode, device.live and device.live.mode)
