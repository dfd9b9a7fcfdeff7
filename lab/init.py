# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process 1 of a namespace host: start its services, reap what is orphaned, end all on SIGTERM.

It is copied into the root file systems as /sbin/init and runs with their own Python.
/etc/lab/services.json holds a list of argument lists, started in that order and not restarted.
"""

import json
import os
import signal
import time

GRACE = 1.0  # seconds between SIGTERM and SIGKILL for what runs on this host
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/"}


def reap() -> bool:
    """Collect every ended child; return whether any child is left."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def main() -> None:
    """Run until SIGTERM; the kernel then kills what is left in the PID namespace (pid_namespaces(7))."""
    signals = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    with open("/etc/lab/services.json") as stream:
        services = json.load(stream)
    for argv in services:
        os.posix_spawn(argv[0], argv, ENVIRONMENT, setsigmask=(), setsid=True)
    while signal.sigwait(signals) == signal.SIGCHLD:
        reap()
    os.kill(-1, signal.SIGTERM)
    deadline = time.monotonic() + GRACE
    while reap() and time.monotonic() < deadline:
        signal.sigtimedwait({signal.SIGCHLD}, 0.05)


if __name__ == "__main__":
    main()
