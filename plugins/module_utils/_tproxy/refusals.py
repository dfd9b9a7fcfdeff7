# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What cannot be done on this host, said before anything is changed. Pure.

Private to the collection; not a public interface.
"""

from .._core.reconcile import ReconcileError
from . import routing, ruleset_iptables
from .declare import overlap
from .verdict import DIRECT, Flow, verdict


def refuse(wanted, state):
    """Raise ``ReconcileError`` for the first capture that cannot be as it is declared."""
    _refuse_each_other(wanted.captures)
    gone = set(wanted.absent)
    declared = {(one.netns, one.name) for one in wanted.captures}
    for capture in wanted.captures:
        place = state.places[capture.netns]
        if capture.routing:
            others = {
                name: one.routing
                for name, one in place.found.items()
                if one.routing and (capture.netns, name) not in gone | declared
            }
            _refuse_foreign(capture, place, others, wanted, state)
        _refuse_lockout(capture, place, wanted.guarded)


def backend_limits(capture, backend, has_ipset):
    """Refuse what a backend cannot do."""
    if backend == "nftables":
        return
    if capture.bypass:
        raise ReconcileError(
            f"capture '{capture.key}': on_proxy_down bypass cannot be had from {backend}, whose TPROXY drops what no "
            "proxy listens for; use drop, or backend nftables"
        )
    if not has_ipset and any(ruleset_iptables.sets(capture, family) for family in capture.families):
        raise ReconcileError(
            f"capture '{capture.key}': a list of more than {ruleset_iptables.IN_RULES} networks needs ipset(8) with "
            f"{backend}, and it is not installed; install ipset, or use backend nftables"
        )


def _refuse_each_other(captures):
    routed = [one for one in captures if one.routing]
    for number, one in enumerate(routed):
        for other in routed[:number]:
            if one.netns == other.netns and (overlap(one.mark, other.mark) or one.table == other.table):
                raise ReconcileError(
                    f"captures '{other.key}' and '{one.key}': they have the same mark or table ({other.mark}, "
                    f"{other.table}; {one.mark}, {one.table}), so what one captures would go to the other's proxy; give "
                    "one of them another mark, table and priority"
                )


def _refuse_foreign(capture, place, others, wanted, state):
    own = [one.routing for name, one in place.found.items() if one.routing and name not in others]
    found = routing.foreign(capture.routing, own, others, place)
    if found:
        raise ReconcileError(
            f"capture '{capture.key}': its mark {capture.mark}, table {capture.table} and priority {capture.priority} "
            f"meet what is not its own: {'; '.join(found)}. Give the capture another mark, table or priority, or remove "
            "what is in the way",
            foreign=found,
        )


def _refuse_lockout(capture, place, guarded):
    if swallows(capture, place.connection) and not guarded:
        client, server, port = place.connection
        raise ReconcileError(
            f"capture '{capture.key}': it takes the ssh connection from {client} to {server} port {port} that this task "
            "came by. Leave its port in ssh_ports, or set confirm_timeout so that the host takes the change back by "
            "itself when it cannot be reached any more"
        )


def swallows(capture, connection):
    """Tell whether a new connection like the task's own would be captured, by whatever interface it comes."""
    if connection is None:
        return False
    client, server, port = connection
    interfaces = (capture.inbound.interfaces if capture.inbound else ()) or ("",)
    flows = [Flow("in", "tcp", client, server, port, interface, to_host=True) for interface in interfaces]
    return any(verdict(capture, flow) != DIRECT for flow in flows)
