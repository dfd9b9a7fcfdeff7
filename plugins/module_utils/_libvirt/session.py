# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection to libvirt: opened, watched, opened again when its daemon was restarted, and explained when it fails.

Private to the collection; not a public interface.
"""

import contextlib
import grp
import os
import re
import sys
import threading
import time

from .._core.reconcile import ReconcileError

PAUSE = 0.25  # seconds between attempts to connect again
# A remote host that goes away without a word is noticed after so many unanswered questions, so many seconds apart.
KEEPALIVE = (5, 6)
PACKAGES = (
    "python3-libvirt on Debian, Ubuntu, Fedora, RHEL and openSUSE, libvirt-python on Arch, "
    "py3-libvirt on Alpine, dev-python/libvirt-python on Gentoo"
)


def binding():
    """Return the module libvirt.

    :raises ReconcileError: it is missing; the message names the package of each distribution.
    """
    try:
        import libvirt  # type: ignore[import-not-found]
    except ImportError as error:
        raise ReconcileError(
            f"Python's binding of libvirt is missing for {sys.executable} on this host ({error}). "
            f"Install the package {PACKAGES}; or let ansible_python_interpreter name a Python that has it"
        ) from error
    return libvirt


class Session:
    """A connection that many threads share, and what its events say.

    ``patience`` seconds are spent on connecting again. Use it as a context manager.
    """

    def __init__(self, uri, read_only=False, patience=30.0):
        self.libvirt = binding()
        self.uri = uri
        self.patience = patience
        self._read_only = read_only
        self._reopening = threading.Lock()
        self._listeners = {}
        self._loop = None
        self._stopped = False
        self._given_up = ""
        # Errors are raised as exceptions; by default they are written to standard error as well.
        self.libvirt.registerErrorHandler(lambda _context, _error: None, None)
        self.libvirt.virEventRegisterDefaultImpl()
        try:
            self._connection = self._open()
        except self.libvirt.libvirtError as error:
            raise ReconcileError(self._explain(error), uri=uri) from error

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self._stopped = True
        if self._loop is not None:
            # An event wakes the loop so that it sees that it is to stop.
            self.libvirt.virEventAddTimeout(0, lambda *_arguments: None, None)
            self._loop.join(2.0)
        with contextlib.suppress(self.libvirt.libvirtError):  # its daemon may be gone, and the connection with it
            self._connection.close()

    def listen(self):
        """Take in events from now on; they wake whoever waits for a domain (see :meth:`listener`)."""
        if self._loop is None:
            self._loop = threading.Thread(target=self._run_loop)
            self._loop.daemon = True
            self._loop.start()
            self._subscribe()

    def listener(self, uuid):
        """Return the :class:`Listener` of a domain."""
        return self._listeners.setdefault(uuid, Listener())

    def read(self, function):
        """Return ``function(connection)``, after connecting again when the daemon went away meanwhile.

        :raises ReconcileError: it did not come back in time.
        """
        while True:
            connection = self._connection
            try:
                return function(connection)
            except self.libvirt.libvirtError:
                if not self.lost(connection):
                    raise
                self.reopen(connection)

    def refusal(self, error):
        """Return why libvirt refused a call, and what to do about a connection that may only read."""
        said = error.get_error_message() or str(error)
        if error.get_error_code() == self.libvirt.VIR_ERR_OPERATION_DENIED:
            said += ". The connection is read-only: use a URI and an account that may change domains"
        return said

    @contextlib.contextmanager
    def reading(self):
        """Turn an error of libvirt in the body into a :class:`ReconcileError`."""
        try:
            yield
        except self.libvirt.libvirtError as error:
            raise ReconcileError(f"Cannot read the domains of {self.uri}: {self.refusal(error)}") from error

    def lost(self, connection=None):
        """Tell whether a connection (that of now, if none is named) has broken."""
        connection = connection or self._connection
        if connection is not self._connection:
            return True
        try:
            return connection.isAlive() == 0
        except self.libvirt.libvirtError:
            return True

    def reopen(self, broken):
        """Connect again, unless another thread has done so already."""
        with self._reopening:
            if self._given_up:
                raise ReconcileError(self._given_up)
            if self._connection is not broken:
                return
            deadline = time.monotonic() + self.patience
            while True:
                try:
                    self._connection = self._open()
                    break
                except self.libvirt.libvirtError as error:
                    if time.monotonic() > deadline:
                        self._given_up = (
                            f"The connection to {self.uri} broke, and no new one could be made within "
                            f"{self.patience:g} s. {self._explain(error)}"
                        )
                        raise ReconcileError(self._given_up) from error
                time.sleep(PAUSE)
            if self._loop is not None:
                self._subscribe()

    @property
    def connection(self):
        """The connection of now, for calls that must not be repeated blindly."""
        return self._connection

    def _open(self):
        return self.libvirt.openReadOnly(self.uri) if self._read_only else self.libvirt.open(self.uri)

    def _run_loop(self):
        while not self._stopped:
            self.libvirt.virEventRunDefaultImpl()

    def _subscribe(self):
        """Ask for events. A driver without them is polled (see drive.py)."""
        with contextlib.suppress(self.libvirt.libvirtError):
            for kind in (self.libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self.libvirt.VIR_DOMAIN_EVENT_ID_REBOOT):
                self._connection.domainEventRegisterAny(None, kind, self._take_in, kind)
        with contextlib.suppress(self.libvirt.libvirtError):  # a driver in this very process has nothing to ask
            self._connection.setKeepAlive(*KEEPALIVE)

    def _take_in(self, _connection, domain, *details):
        """Note one event; its kind was given as the last argument at registration."""
        listener = self._listeners.get(domain.UUIDString())
        if listener is not None:
            listener.reboots += details[-1] == self.libvirt.VIR_DOMAIN_EVENT_ID_REBOOT
            listener.rung.set()

    def _explain(self, error):
        """Say which daemon was not reached, by which socket, and who may use it."""
        reason = error.get_error_message() or str(error)
        hints = []
        # The daemon asks polkit about an account that its socket alone does not admit, over the system bus.
        if any(said in reason for said in ("ermission denied", "authentication", "polkit", "system bus")):
            hints.append(
                "This account may not use it: run the task with 'become: true', or put the account into the group "
                f"that owns the socket ({_owner(reason)})"
            )
        elif "No such file" in reason or "Connection refused" in reason:
            hints.append(
                "Nothing listens there: start libvirtd ('systemctl start libvirtd', or virtqemud.socket where libvirt "
                "is split up), and install libvirt-daemon-system or libvirt-daemon if it is missing"
            )
        elif "no connection driver" in reason:
            hints.append("This libvirt does not know that kind of URI: install its driver, or correct 'uri'")
        return ". ".join([f"Cannot connect to libvirt at {self.uri}: {reason}", *hints])


def _owner(reason):
    """Return the group of the socket that an error of libvirt names."""
    named = re.search("'(/[^']+)'", reason)
    try:
        return grp.getgrgid(os.stat(named.group(1)).st_gid).gr_name
    except (AttributeError, OSError, KeyError):  # no path in it, out of reach, or a group without a name
        return "libvirt on most distributions"


class Listener:
    """What events said of one domain: ``rung`` is set by each, ``reboots`` counts reboots."""

    def __init__(self):
        self.rung = threading.Event()
        self.reboots = 0

    def wait(self, seconds):
        """Return after the next event, or after ``seconds``."""
        self.rung.wait(seconds)
        self.rung.clear()
