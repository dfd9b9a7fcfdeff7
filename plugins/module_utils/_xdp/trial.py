# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Try rules in the kernel, on frames that are made up, before any real one meets them (BPF_PROG_TEST_RUN).

Nothing is attached, so check mode does the same. Private to the collection; not a public interface.
"""

from .._core.reconcile import ReconcileError
from . import bpf, loader, packets, reference

DROP, PASS = 1, 2


def tried(rules, content, wanted, sessions):
    """Load the program and try it.

    :param sessions: :class:`packets.Session` that must not be cut off.
    :returns: texts on what of the sessions would be dropped, each naming the rule.
    :raises ReconcileError: the program does not do what the rules say; it is not to be used then.
    """
    loaded = loader.load(content, [(rule.drop, 0) for rule in rules], wanted)
    try:
        for rule in rules:
            for frame in (packets.hit(rule), *packets.misses(rule)):
                if frame is not None:
                    _compare(loaded.program, rules, rule, frame)
        return tuple(dict.fromkeys(_cut(loaded.program, rules, sessions)))
    finally:
        loader.close(loaded)


def _compare(program, rules, rule, frame):
    first = reference.first_match(rules, frame)
    expected = DROP if first is not None and rules[first].drop else PASS
    found = bpf.run_on(program, frame)[0]
    if found != expected:
        raise ReconcileError(
            f"Rule '{rule.name}': tried on a frame in this kernel, the program says {found} and should say {expected} "
            f"(1 drop, 2 pass). It was not attached. Please report this with the frame: {frame.hex()}"
        )


def _cut(program, rules, sessions):
    for session in sessions:
        for what, frame in packets.of_session(session, rules):
            if bpf.run_on(program, frame)[0] != PASS:
                position = reference.first_match(rules, frame)
                tag = f", VLAN {session.vlan or session.stripped}" if session.vlan or session.stripped else ""
                tag += ", whose tag the program may not see" if session.stripped else ""
                yield (
                    f"rule '{rules[position].name}' drops {what} "
                    f"({session.client} to {session.server} port {session.server_port}{tag})"
                )
