# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a flow, told from the declaration alone. The rules of both backends are tested against this. Pure.

Private to the collection; not a public interface.
"""

from typing import NamedTuple, Tuple

from . import networks, ports
from .model import SPARED_BY_HAIRPIN

DIRECT, DROPPED, REFUSED = "direct", "dropped", "refused"


class Flow(NamedTuple):
    """The first packet of a connection, or of an exchange of datagrams.

    :ivar way: ``in``, it comes from elsewhere, or ``out``, it is made here.
    :ivar interface: by which it comes or goes.
    :ivar to_host: whether its destination is an address of this host.
    :ivar uid, gid, mark, cgroup: those of the sender's socket, for ``out``.
    """

    way: str
    proto: str
    source: str
    destination: str
    port: int
    interface: str
    to_host: bool = False
    uid: int = 0
    gid: int = 0
    mark: int = 0
    cgroup: str = ""

    @property
    def family(self):
        """The version of IP."""
        return 6 if ":" in self.destination else 4


def verdict(capture, flow, listening: Tuple = ()):
    """Return what becomes of ``flow``: the port of the proxy, or one of the words of this file.

    :param listening: ports at which a proxy listens; at all of them when it is empty.
    """
    if flow.family not in capture.families:
        return DIRECT
    side, port = (_inbound if flow.way == "in" else _outbound)(capture, flow)
    if port is None or not listening or port in listening:
        return port or DIRECT
    # The kernel answers what is redirected to a port where nobody listens.
    if side is None or side.mode == "redirect":
        return REFUSED
    return DIRECT if capture.bypass else DROPPED


def _inbound(capture, flow):
    side = capture.inbound
    if side is None or flow.interface == "lo" or not _takes(side, flow):
        return side, None
    kept_for_host = flow.to_host and flow.proto == "tcp" and flow.port in capture.ssh_ports
    elsewhere = {"all": False, "local": not flow.to_host, "forwarded": flow.to_host}[side.destinations]
    if kept_for_host or elsewhere or networks.contain(side.exclude_sources, flow.source):
        return side, None
    return side, side.port


def _outbound(capture, flow):
    side, inbound = capture.outbound, capture.inbound
    if is_of_proxy(capture.proxy, flow):
        hairpin = inbound is not None and inbound.hairpin and _is_hairpin(capture, flow)
        return inbound, inbound.port if hairpin else None
    if capture.dns and _is_question(capture.dns, flow):
        return None, capture.dns.port
    if side is None or flow.interface == "lo" or not _takes(side, flow):
        return side, None
    return side, side.port


def _is_question(dns, flow):
    """Tell whether a flow is a question to a name server that is captured."""
    asked = networks.contain(dns.servers, flow.destination) if dns.servers else flow.interface != "lo"
    return flow.port == 53 and asked


def is_of_proxy(proxy, flow):
    """Tell whether a flow is the proxy's own."""
    return (
        flow.uid in proxy.uids
        or flow.gid in proxy.gids
        or any(flow.mark & mark.mask == mark.value for mark in proxy.marks)
        or any((flow.cgroup.strip("/") + "/").startswith(one + "/") for one in proxy.cgroups)
    )


def _is_hairpin(capture, flow):
    """Tell whether the proxy calls an address of its own host, by which the application is to be reached."""
    loopback = flow.destination in {"::1", "127.0.0.1"}
    return (
        flow.uid in capture.proxy.uids
        and flow.interface == "lo"
        and flow.proto == "tcp"
        and not loopback
        and flow.port not in SPARED_BY_HAIRPIN[bool(capture.dns)]
        and not networks.contain(capture.inbound.exclude_sources, flow.source)
    )


def _takes(side, flow):
    """Tell whether a side's protocol, ports, interfaces and networks include the flow."""
    if not ports.contain(getattr(side, flow.proto), flow.port):
        return False
    if flow.interface in side.exclude_interfaces or (side.interfaces and flow.interface not in side.interfaces):
        return False
    if networks.contain(side.exclude_networks, flow.destination):
        return False
    return not side.networks or networks.contain(side.networks, flow.destination)
