# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The SSH connection that a task runs over, and how its frames reach an interface.

Private to the collection; not a public interface.
"""

from socket import AF_INET, AF_INET6, inet_pton

from .._core.connection import ssh_connection
from . import rtnetlink
from .model import UNTAGGED
from .packets import Session

# Devices whose IFLA_LINK is what they stand on; a veth's is its peer.
STANDS_ON = ("vlan", "macvlan", "ipvlan", "macvtap", "ipvtap")


def sessions(name, strips_tags=False):
    """Return the :class:`packets.Session` of this task as the interface ``name`` would receive it.

    Empty when the task runs over no SSH, or its packets do not come through this interface.

    :param strips_tags: a program there may see frames without the VLAN tag that they had; both ways are returned then.
    """
    found = ssh_connection()
    if found is None:
        return ()
    client, client_port, server, server_port = found
    version = 6 if ":" in client else 4
    source, destination = _packed(client), _packed(server)
    if version == 6 and source[:12] == bytes(10) + b"\xff\xff":  # RFC 4291: a mapped IPv4 address
        version, source, destination = 4, source[12:], destination[12:]
    session = Session(
        client, client_port, server, server_port, version,
        int.from_bytes(source, "big"), int.from_bytes(destination, "big"),
    )  # fmt: skip
    known = {one.ifindex: one for one in rtnetlink.interfaces()}
    tags = {
        tag
        for index in rtnetlink.reached_by(version, destination, source)
        for reached, tag in _below(known, index, 0)
        if known[reached].name == name
    }
    stripped = sorted(tags - {UNTAGGED}) if strips_tags else ()
    return tuple(session._replace(vlan=tag) for tag in sorted(tags)) + tuple(
        session._replace(stripped=tag) for tag in stripped
    )


def _below(known, index, tag):
    """Yield the interfaces that frames for this one come through, itself first, and the VLAN tag they have there."""
    one = known.get(index)
    if one is None:
        return
    yield index, tag
    if one.kind in STANDS_ON and one.lower in known:
        yield from _below(known, one.lower, one.vlan or tag)
    for port in known.values():
        if port.master == index and index != port.ifindex:
            yield from _below(known, port.ifindex, tag)


def _packed(text):
    return inet_pton(AF_INET6 if ":" in text else AF_INET, text)
