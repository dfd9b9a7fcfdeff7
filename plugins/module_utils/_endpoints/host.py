# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The endpoints of this host, as the kernel has them: observed as one state, changed operation by operation.

Private to the collection; not a public interface.
"""

import base64
import errno
import os
from contextlib import ExitStack

from .._core import files
from .._core.netlink import Netlink
from .._core.reconcile import ReconcileError
from . import definition, duplicates, namespaces, nftables, rtnetlink, sysctl
from .model import GROUP, SPACES, Space, State, path_of

HOST = ("ipv4/conf/all/rp_filter", "ipv6/conf/all/forwarding")
DELAYS = ("ipv4/neigh/{}/proxy_delay", "ipv6/neigh/{}/proxy_delay")
COINCIDENCE = 1000  # what the index of a link in a namespace is moved by


def observe(wanted=None):
    """Return the :class:`State` of the host as far as ``wanted`` needs it; None: of all endpoints that it has.

    :raises ReconcileError: it may not be read.
    """
    try:
        netlink = Netlink()
        try:
            return _observe(netlink, wanted)
        finally:
            netlink.close()
    except OSError as error:
        raise _told("Cannot read the network of this host", error) from error


def _observe(netlink, wanted):
    links = rtnetlink.links(netlink)
    names = {link.ifindex: name for name, link in links.items()}
    ours = [link for link in links.values() if link.is_ours and not link.loopback]
    everything = wanted is None or wanted.purge
    stale = []
    named = set() if wanted is None else {one.name for one in wanted.endpoints} | set(wanted.absent)
    looked_at = [link for link in ours if everything or not link.endpoint or link.endpoint[0] in named]
    places = {path_of(link.endpoint[1]) for link in looked_at if link.endpoint}
    addresses = []
    if wanted:
        places.update(path_of(place) for place, _link in wanted.absent.values())
        for one in wanted.endpoints:
            places.add(one.path)
            addresses += [*one.addresses, *([one.gateway] if one.family(4) else [])]
        addresses += [address for one in wanted.proxies for address in one.addresses]
    if everything and os.path.isdir(SPACES):
        places.update(map(path_of, os.listdir(SPACES)))
    spaces = {path: _space(netlink, path, stale) for path in sorted(places)}
    settings = sysctl.read([*HOST, *(path.format(link.name) for link in looked_at for path in DELAYS)])
    for link in links.values():
        settings.update(_by_path(link))
    routes = {}
    for route in rtnetlink.routes(netlink, names):
        routes.setdefault(route.dev, []).append(route)
    state = State(
        links,
        routes,
        spaces,
        tuple(stale),
        settings,
        rtnetlink.proxies(netlink, names),
        {one: rtnetlink.lookup(netlink, one, names) for one in dict.fromkeys(addresses)},
        own=tuple(path for path in spaces if namespaces.is_own(path)),
        files={path: _content(path) for path in definition.paths(wanted.save)} if wanted and wanted.save else {},
        controller=os.environ.get("SSH_CLIENT", "").partition(" ")[0],
    )
    if wanted is None:
        return state
    needed = ours or wanted.absent or wanted.purge or wanted.endpoints
    return state._replace(
        answers=duplicates.find(wanted, state),
        sources=nftables.listed() if needed else "",
    )


def _by_path(link):
    """Return the settings of a link by their whole paths below net."""
    for path, value in link.settings.items():
        where, key = path.rsplit("/", 1)
        yield f"{where}/{link.name}/{key}", value


def _content(path):
    """Return a file in base64, None: there is none."""
    content = files.take(path).content
    return None if content is None else base64.b64encode(content).decode()


def _space(netlink, path, stale):
    """Return what is in the namespace at ``path``; None: there is none. A file without one is added to ``stale``."""
    try:
        with ExitStack() as entered:
            with namespaces.inside(path) as descriptor:
                inner = Netlink()
                entered.callback(inner.close)
                number = os.dup(descriptor)
                entered.callback(os.close, number)
            links = rtnetlink.links(inner)
            routes = rtnetlink.routes(inner, {link.ifindex: name for name, link in links.items()})
            return Space(rtnetlink.space_id(netlink, number), links, routes)
    except OSError as error:
        if error.errno == errno.EINVAL:
            stale.append(path)
        elif error.errno not in (errno.ENOENT, errno.ESRCH, errno.ENOTDIR):
            raise
        return None


class Kernel:
    """Carries out operations; keeps its sockets as long as it lives.

    That is one on the host, and one in the namespace that it was in last: an endpoint's operations follow each other.
    """

    def __init__(self):
        self.sockets = {}

    def close(self):
        """Close what is open."""
        for netlink, descriptor in self.sockets.values():
            netlink.close()
            if descriptor is not None:
                os.close(descriptor)
        self.sockets = {}

    def apply(self, step):
        """Carry out a step; return what undoes it. One that fails half way is undone.

        :raises ReconcileError: an operation failed, or the undo did.
        """
        done = []

        def undo():
            errors = self.restore([one for back in reversed(done) for one in back])
            if errors:
                raise ReconcileError("; ".join(errors))

        for operation, back in step.data:
            try:
                self.run(operation)
            except (OSError, ReconcileError) as error:
                undo()
                if isinstance(error, ReconcileError):
                    raise
                raise _told(f"Cannot {_shown(operation)}", error) from error
            done.append(back)
        return undo

    def restore(self, operations):
        """Carry out all operations, whatever fails; return what did."""
        errors = []
        for operation in operations:
            try:
                self.run(operation)
            except OSError as error:
                # The watchdog may come when nothing was removed yet.
                if not (operation[0] in ("veth", "netns") and error.errno == errno.EEXIST):
                    errors.append(f"cannot {_shown(operation)}: {error.strerror}")
            except ReconcileError as error:
                errors.append(str(error))
        return errors

    def run(self, operation):
        """Carry out one operation (operations.py).

        :raises OSError: the kernel's reason.
        """
        kind, *rest = operation
        getattr(self, f"_{kind}")(*rest)

    def _netns(self, verb, path, mark=None):
        if verb == "add":
            namespaces.add(path, mark)
            return
        self._forget(path)
        namespaces.remove(path)

    def _veth(self, name, mac, mtu, path, inside):
        host, other = self._in(None), self._in(path)
        how = {"group": GROUP, "descriptor": self.sockets[path][1], "inside": inside}
        rtnetlink.add_pair(host, name, mac, mtu, **how)
        host.indexes, other.indexes = {}, {}
        number = rtnetlink.index(host, name)
        if number == rtnetlink.index(other, inside):
            # By equal indexes the kernel takes it for no virtual link, and lets up to a second pass before it sees
            # that the other end is up (net/core/link_watch.c, linkwatch_urgent_event).
            rtnetlink.delete_link(host, name)
            rtnetlink.add_pair(host, name, mac, mtu, number=number + COINCIDENCE, **how)
            host.indexes, other.indexes = {}, {}

    def _link(self, verb, where, name, values=None):
        netlink = self._in(where)
        if verb == "set":
            master = (values or {}).get("master")
            if master is not None:
                values = dict(values, master=rtnetlink.index(netlink, master) if master != "none" else 0)
            rtnetlink.set_link(netlink, name, values)
            return
        # Somebody else may have taken the name.
        group = rtnetlink.group(netlink, name)
        if group == GROUP:
            rtnetlink.delete_link(netlink, name)
        elif group is not None:
            raise OSError(errno.EBUSY, f"{name} is not of this module, by its group")

    def _address(self, verb, where, name, address):
        rtnetlink.change_address(self._in(where), verb, name, address)

    def _route(self, verb, where, name, to, via):
        rtnetlink.change_route(self._in(where), verb, name, to, via)

    def _proxy(self, verb, name, address):
        rtnetlink.change_proxy(self._in(None), verb, name, address)

    def _sysctl(self, where, path, value):
        if where is None:
            sysctl.write(path, value)
        else:
            with namespaces.inside(where):
                sysctl.write(path, value)

    def _nft(self, text):
        nftables.load(text)

    def _file(self, path, content, mode):
        if content is None:
            if os.path.lexists(path):
                files.remove(path, prune=True)
        else:
            files.write_bytes(path, base64.b64decode(content), mode)

    def _in(self, where):
        """Return the socket in a namespace, by its path; None is the host."""
        if where not in self.sockets:
            for path in [path for path in self.sockets if path is not None]:
                if where is not None:
                    self._forget(path)
            if where is None:
                self.sockets[None] = (Netlink(), None)
            else:
                with namespaces.inside(where) as descriptor:
                    self.sockets[where] = (Netlink(), os.dup(descriptor))
        return self.sockets[where][0]

    def _forget(self, path):
        if path in self.sockets:
            netlink, descriptor = self.sockets.pop(path)
            netlink.close()
            os.close(descriptor)


def _shown(operation):
    if operation[0] == "file":
        return f"write {operation[1]}"
    if operation[0] == "nft":
        return "load rules of nftables"
    return " ".join(str(word) for word in operation if word is not None)


def _told(what, error):
    hint = ". Run the task with 'become: true'" if error.errno in (errno.EACCES, errno.EPERM) else ""
    return ReconcileError(f"{what}: {error.strerror}{hint}")
