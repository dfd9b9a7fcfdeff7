# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What cannot be done on this host, said before anything is changed. Pure.

Private to the collection; not a public interface.
"""

from .._core.reconcile import ReconcileError
from . import overlaps, paths, report, routing, ruleset_iptables
from .declare import overlap
from .verdict import DIRECT, Flow, verdict


def refuse(wanted, state):
    """Raise ``ReconcileError`` for the first capture that cannot be as it is declared."""
    spoken_of = set(wanted.absent) | {(one.netns, one.name) for one in wanted.captures}
    for number, capture in enumerate(wanted.captures):
        place = state.places[capture.netns]
        others = {name: one for name, one in place.found.items() if (capture.netns, name) not in spoken_of}
        for other in [*wanted.captures[:number], *report.declared(others.values())]:
            if other.netns == capture.netns:
                _refuse_each_other(capture, other)
        if capture.routing:
            _refuse_foreign(capture, place, {name: one.routing for name, one in others.items() if one.routing})
            _refuse_no_loopback(capture, place)
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


def _refuse_each_other(one, other):
    both = f"captures '{other.key}' and '{one.key}'"
    if one.routing and other.routing and (overlap(one.mark, other.mark) or one.table == other.table):
        raise ReconcileError(
            f"{both}: they have the same mark or table ({other.mark}, {other.table}; {one.mark}, {one.table}), so what "
            "one captures would go to the other's proxy; give one of them another mark, table and priority"
        )
    common = overlaps.common(one, other)
    if common:
        raise ReconcileError(
            f"{both}: both take {common}, and which proxy gets it would depend on which was made first; leave it out "
            "of one of them by ports, cidrs or interfaces, or remove one"
        )


def _refuse_no_loopback(capture, place):
    if not place.loopback:
        raise ReconcileError(
            f"capture '{capture.key}': the loopback is down there, and mode tproxy routes to the proxy over it; bring "
            f"it up: {' '.join(paths.inside(capture.netns, ['ip', 'link', 'set', 'lo', 'up']))}"
        )


def _refuse_foreign(capture, place, others):
    mine = [one for name, found in place.found.items() if name not in others for one in found.every]
    own = [one.routing for one in mine if one.routing]
    found = routing.foreign(capture.routing, own, others, place)
    if found:
        raise ReconcileError(
            f"capture '{capture.key}': its mark {capture.mark}, table {capture.table} and priority {capture.priority} "
            f"meet what is not its own: {'; '.join(found)}. Give the capture another mark, table or priority, or "
            "remove what is in the way",
            foreign=found,
        )


def _refuse_lockout(capture, place, guarded):
    if swallows(capture, place.connection) and not guarded:
        client, server, port = place.connection
        raise ReconcileError(
            f"capture '{capture.key}': it takes the ssh connection from {client} to {server} port {port} that this "
            "task came by. Leave its port in ssh_ports, or set confirm_timeout so that the host takes the change back "
            "by itself when it cannot be reached any more"
        )


def swallows(capture, connection):
    """Tell whether a new connection like the task's own would be captured, by whatever interface it comes."""
    if connection is None:
        return False
    client, server, port = connection
    interfaces = (capture.inbound.interfaces if capture.inbound else ()) or ("",)
    flows = [Flow("in", "tcp", client, server, port, interface, to_host=True) for interface in interfaces]
    return any(verdict(capture, flow) != DIRECT for flow in flows)
