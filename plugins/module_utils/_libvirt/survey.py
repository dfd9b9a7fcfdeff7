# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the domains of a connection: all of them by a handful of calls, details only of those that are meant.

Private to the collection; not a public interface.
"""

from xml.etree import ElementTree

from . import definition
from .lifecycle import ABSENT, CRASHED, PAUSED, PMSUSPENDED, RUNNING, SAVED, SHUTOFF, STOPPING
from .model import TAGS_URI, Domain, State
from .select import select

# virDomainState of libvirt-domain.h. BLOCKED is a guest that waits for its disk (Xen), NOSTATE one that starts.
STATES = {0: RUNNING, 1: RUNNING, 2: RUNNING, 3: PAUSED, 4: STOPPING, 5: SHUTOFF, 6: CRASHED, 7: PMSUSPENDED}
PAUSED_CRASHED = 10  # virDomainPausedReason


def look(session, targets, volumes=False, agents=False):
    """Return the :class:`State`: for each target the domains it means.

    Definitions are read only where the plan needs them, since that takes a call for each domain.

    :param volumes: read which disks every domain of the host uses, too.
    :param agents: find out which domains have a channel to a guest agent.
    """
    domains, handles = every(session)
    if any(target.tags for target in targets):
        domains = tuple(one._replace(tags=tags(session, one.uuid)) for one in domains)
    chosen = []
    for target in targets:
        meant = select(target, domains)
        chosen.append((target, tuple(_detailed(session, target, one, agents) for one in meant)))
    return State(tuple(chosen), _used(session, handles) if volumes else {})


def every(session):
    """Return all domains, sorted by name, and ``{uuid: virDomain}``.

    Each list that libvirt filters itself is one call, however many domains there are.
    """
    return session.read(lambda connection: _every(session.libvirt, connection))


def _every(libvirt, connection):
    def listed(flag):
        names = "VIR_CONNECT_LIST_DOMAINS_" + flag
        try:
            return {one.UUIDString() for one in connection.listAllDomains(getattr(libvirt, names))}
        except libvirt.libvirtError as error:
            # Drivers without saved images, snapshots or checkpoints may refuse to filter by them.
            if error.get_error_code() in (libvirt.VIR_ERR_NO_SUPPORT, libvirt.VIR_ERR_INVALID_ARG):
                return set()
            raise

    handles = {one.UUIDString(): one for one in connection.listAllDomains(0)}
    running, shutoff = listed("RUNNING"), listed("SHUTOFF")
    saved, persistent, autostart = listed("MANAGEDSAVE"), listed("PERSISTENT"), listed("AUTOSTART")
    snapshots, checkpoints = listed("HAS_SNAPSHOT"), listed("HAS_CHECKPOINT")
    found = []
    for uuid, handle in handles.items():
        if uuid in running:
            state = RUNNING
        elif uuid in shutoff:
            state = SAVED if uuid in saved else SHUTOFF
        else:  # paused, asleep, crashed or on its way: the few that are asked one by one
            state = state_of(libvirt, handle)
        found.append(
            Domain(
                handle.name(),
                uuid,
                state,
                uuid in persistent,
                uuid in autostart,
                uuid in snapshots,
                uuid in checkpoints,
            )
        )
    found = [one for one in found if one.state != ABSENT]
    return tuple(sorted(found, key=lambda one: one.name)), handles


def state_of(libvirt, handle):
    """Return the state of one domain, ABSENT when there is no such domain any more."""
    try:
        number, reason = handle.state()
        state = CRASHED if (number, reason) == (3, PAUSED_CRASHED) else STATES.get(number, RUNNING)
        # That the last reason is "saved" proves nothing: the image may have been removed since.
        return SAVED if state == SHUTOFF and handle.hasManagedSaveImage() else state
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return ABSENT
        raise


def tags(session, uuid):
    """Return the tags in the metadata of a domain (see TAGS_URI)."""
    kind, flags = session.libvirt.VIR_DOMAIN_METADATA_ELEMENT, session.libvirt.VIR_DOMAIN_AFFECT_CURRENT
    try:
        text = session.read(lambda connection: connection.lookupByUUIDString(uuid).metadata(kind, TAGS_URI, flags))
    except session.libvirt.libvirtError as error:
        if error.get_error_code() in (session.libvirt.VIR_ERR_NO_DOMAIN_METADATA, session.libvirt.VIR_ERR_NO_DOMAIN):
            return ()
        raise
    root = ElementTree.fromstring(text)  # noqa: S314 libvirt's own output
    return tuple((one.text or "").strip() for one in root)


def xml(session, uuid, inactive, secure):
    """Return the XML of a domain, None when it is gone.

    :param inactive: that of the definition, else of what runs.
    :param secure: with passwords, which only a writing connection gets.
    """
    libvirt = session.libvirt
    flags = (libvirt.VIR_DOMAIN_XML_INACTIVE if inactive else 0) | (libvirt.VIR_DOMAIN_XML_SECURE if secure else 0)
    try:
        return session.read(lambda connection: connection.lookupByUUIDString(uuid).XMLDesc(flags))
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return None
        raise


def with_definitions(session, domains):
    """Return the domains with their definitions, and with what runs where something does."""
    found = []
    for one in domains:
        text = xml(session, one.uuid, inactive=True, secure=False)
        live = None if one.state in (SHUTOFF, SAVED) else xml(session, one.uuid, inactive=False, secure=False)
        if text is not None:  # it was not undefined meanwhile
            found.append(one._replace(inactive=text, live=live, agent=definition.has_agent(text)))
    return found


def _detailed(session, target, domain, agents):
    """Read the definition where the plan needs it: to compare it, to find an agent, and to undefine."""
    if not agents and target.xml is None and target.goal not in (PMSUSPENDED, ABSENT):
        return domain
    text = xml(session, domain.uuid, inactive=True, secure=True)
    return domain if text is None else domain._replace(inactive=text, agent=definition.has_agent(text))


def _used(session, handles):
    """Return ``{path: names of the domains that have it as a disk}``, for all domains of the host."""
    used = {}
    for uuid, handle in handles.items():
        text = xml(session, uuid, inactive=True, secure=False)
        for path in definition.disks(text).values() if text else ():
            used.setdefault(path, []).append(handle.name())
    return used
