# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of pam_limits(8), and the users and groups that they may name.

Private to the collection; not a public interface.
"""

import glob
import grp
import pwd

from .._core.reconcile import ReconcileError
from .limits_conf import DIRECTORY, MAIN_FILE, order

LIBRARIES = ("/lib*/security/pam_limits.so", "/lib/*/security/pam_limits.so", "/usr/lib*/security/pam_limits.so")


def session_files():
    """Return the files that pam_limits reads, in its order."""
    return tuple(sorted([MAIN_FILE, *glob.glob(DIRECTORY + "/*.conf")], key=order))


def unknown_resources():
    """Return the resources that the installed pam_limits passes over: older ones lack rttime (measured: 1.5.2)."""
    libraries = [path for pattern in LIBRARIES for path in glob.glob(pattern)]
    for path in libraries:
        with open(path, "rb") as stream:
            if b"rttime" in stream.read():
                return ()
    return ("rttime",) if libraries else ()


def check_exists(domain):
    """Refuse a session domain that names a user or group the host does not know.

    :raises ReconcileError: names it; a line for it would be obeyed by no login.
    """
    name = domain.lstrip("@")
    if domain == "*" or ":" in domain:
        return
    kind, find = ("group", grp.getgrnam) if domain.startswith("@") else ("user", pwd.getpwnam)
    try:
        find(name)
    except KeyError:
        raise ReconcileError(f"session '{domain}': no {kind} '{name}' on this host; create it first") from None


def uid_of(user):
    """Return the uid of a user given by name or number.

    :raises ReconcileError: no such user.
    """
    if user.isdigit():
        return int(user)
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        raise ReconcileError(f"processes: no user '{user}' on this host (getent passwd {user})") from None
