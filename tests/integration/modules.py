# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run modules of the installed collection on this machine, each as a process of its own, without a play around them.

Starting Python and importing Ansible is most of what such a run takes. So one process has imported both, and forks
for each run; modules and their own imports are as on a host.
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
import json, os, runpy, socket, sys
from ansible.module_utils import basic

listener, modules = socket.socket(fileno=int(sys.argv[1])), "ansible_collections.hostcraft.linux.plugins.modules."
sys.argv[1:] = []

def run(order):
    os.setsid()
    os.environ.clear()
    os.environ.update(order["env"])
    basic._ANSIBLE_ARGS, basic._ANSIBLE_PROFILE = json.dumps(order["arguments"]).encode(), "legacy"
    runpy.run_module(modules + order["name"], run_name="__main__")

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
        run(json.loads(data))
        sys.exit(0)
    connection.sendall(b"%d\\n" % child)
    status = os.waitpid(child, 0)[1]
    connection.sendall(b"%d\\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)
"""
_addresses = {}


def _server(within):
    """Return the address of the process that forks, which is started by the first run.

    :param within: a command in front of it that enters namespaces, such as nsenter(1); each has a process of its own.
    """
    if within not in _addresses:
        directory = tempfile.TemporaryDirectory(prefix="hostcraft-")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(f"{directory.name}/runs")
        listener.listen(64)
        # The collection as it was installed for this run of the suite, without what else is on the path.
        paths = [path for path in os.environ.get("ANSIBLE_COLLECTIONS_PATH", "").split(":") if path]
        process = subprocess.Popen(
            [*within, sys.executable, "-c", SERVER, str(listener.fileno())],
            stdin=subprocess.DEVNULL,
            env=dict(os.environ, PYTHONPATH=":".join(paths)),
            pass_fds=[listener.fileno()],
            start_new_session=True,
        )
        listener.close()
        atexit.register(directory.cleanup)
        atexit.register(process.wait)
        atexit.register(process.kill)
        _addresses[within] = f"{directory.name}/runs"
    return _addresses[within]


class Run:
    """A module that runs, the leader of a process group of its own.

    :ivar pid: its process id.
    """

    def __init__(self, order, within=()):
        self._output, self._errors = (tempfile.TemporaryFile("w+") for _two in range(2))  # noqa: SIM115 open till the end
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(_server(within))
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
        except TimeoutError:
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


def start(chosen, check=False, diff=True, env=None, within=(), **options):
    """Start a module, in the namespaces that the command ``within`` enters; return its :class:`Run`."""
    arguments = dict(options, _ansible_check_mode=check, _ansible_diff=diff)
    environment = dict(os.environ, **env or {})
    return Run({"name": chosen, "env": environment, "arguments": {"ANSIBLE_MODULE_ARGS": arguments}}, within)


def result(run, timeout=120):
    """Wait for a module and return its result; ``failed`` is always there."""
    status = run.wait(timeout)
    out, err = run.text()
    assert out.strip(), f"exit status {status}: {err}"
    found = dict({"failed": False}, **json.loads(out.strip().splitlines()[-1]))
    # The newest ansible-core wraps what a module warns of.
    texts = [one if isinstance(one, str) else one["event"]["msg"] for one in found.get("warnings", ())]
    return dict(found, warnings=texts)


def module(chosen, check=False, env=None, within=(), **options):
    """Run a module to its end and return its result."""
    return result(start(chosen, check, env=env, within=within, **options))
