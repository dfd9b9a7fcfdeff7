# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs in Python that need not start anew: one process has imported what they import, and forks for each run.

Starting Python and importing Ansible is most of what a small run takes. What is run is run as ever, in a process of its
own that leads a session.
"""

import atexit
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile

# One connection is one run: what to run, and its standard output and error. The answers are its pid and exit status.
SERVER = """
import json, os, socket, sys

def serve(run):
    listener = socket.socket(fileno=int(sys.argv[1]))
    while True:
        connection, _address = listener.accept()
        if os.fork():
            connection.close()
            while True:
                try:
                    if not os.waitpid(-1, os.WNOHANG)[0]:
                        break
                except ChildProcessError:
                    break
            continue
        listener.close()
        data, streams, _flags, _from = socket.recv_fds(connection, 1 << 20, 2)
        while not data.endswith(b"\\n"):
            data += connection.recv(1 << 20)
        child = os.fork()
        if not child:
            connection.close()
            for number, stream in enumerate(streams, 1):
                os.dup2(stream, number)
                os.close(stream)
            order = json.loads(data)
            os.setsid()
            os.environ.clear()
            os.environ.update(order["env"])
            sys.argv[1:] = []
            run(order)
            sys.exit(0)
        connection.sendall(b"%d\\n" % child)
        status = os.waitpid(child, 0)[1]
        connection.sendall(b"%d\\n" % os.waitstatus_to_exitcode(status))
        os._exit(0)

"""
_addresses = {}


def _server(program, within, kept):
    """Return the address of the process that forks, which is started by the first run."""
    key = (program, within, kept)
    if key not in _addresses:
        directory = tempfile.TemporaryDirectory(prefix="hostcraft-")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(f"{directory.name}/runs")
        listener.listen(64)
        # The collection as it was installed for this run of the suite, without what else is on the path.
        paths = [path for path in os.environ.get("ANSIBLE_COLLECTIONS_PATH", "").split(":") if path]
        process = subprocess.Popen(
            [*within, sys.executable, "-P", "-c", SERVER + program, str(listener.fileno())],
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": ":".join(paths), **dict(kept)},
            pass_fds=[listener.fileno()],
            start_new_session=True,
        )
        listener.close()
        atexit.register(directory.cleanup)
        atexit.register(process.wait)
        atexit.register(process.kill)
        _addresses[key] = f"{directory.name}/runs"
    return _addresses[key]


class Run:
    """A program that runs, the leader of a process group of its own.

    :param program: text in Python that imports what its runs need, and ends with ``serve(run)``. ``run(order)`` is
        called in the new process, whose environment is the order's already.
    :param order: what is to be run, for JSON; ``env`` is the environment.
    :param within: a command that enters namespaces, such as nsenter(1); each has a process of its own.
    :param kept: variables, as pairs, that what is imported reads; other ones get a process of their own.
    :ivar pid: its process id.
    """

    def __init__(self, program, order, within=(), kept=()):
        self._output, self._errors = (tempfile.TemporaryFile("w+") for _two in range(2))  # noqa: SIM115 open till the end
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(_server(program, within, kept))
        streams = [self._output.fileno(), self._errors.fileno()]
        data = json.dumps(order).encode() + b"\n"
        sent = socket.send_fds(self._connection, [data], streams)
        self._connection.sendall(data[sent:])
        self._answers = self._connection.makefile()
        self.pid = int(self._answers.readline())

    def wait(self, timeout=120):
        """Wait for its end and return the exit status, negative for a signal. A run that takes longer is killed."""
        self._connection.settimeout(timeout)
        try:
            return int(self._answers.readline())
        except BaseException:  # stopped from outside, too
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            raise
        finally:
            self._answers.close()
            self._connection.close()

    def text(self):
        """Return what it has printed, and what it said on standard error."""
        for stream in (self._output, self._errors):
            stream.seek(0)
        return self._output.read(), self._errors.read()
