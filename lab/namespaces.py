# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start a recorded process in new namespaces, and run commands in the namespaces of one."""

import json
import subprocess
import sys
from pathlib import Path

from lab import record

ENTER = Path(__file__).with_name("enter.py")
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
TIMEOUT = 30.0  # seconds for one short command


def start(kind: str, name: str, namespaces: list[str], argv: list[str], host: dict | None, data: dict) -> record.Record:
    """Start ``argv`` (see enter.py for ``host``), record it, and return the record.

    Its output goes to the file data["log"]. The process does nothing before its record is on disk.
    Raises ``LabError`` when the namespaces cannot be made.
    """
    spec = {"namespaces": namespaces, "log": data["log"], "argv": argv, "host": host}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-I", "-S", ENTER], text=True, cwd="/", **pipes) as starter:
        starter.stdin.write(json.dumps(spec) + "\n")
        starter.stdin.flush()
        pid = starter.stdout.readline().strip()
        if not pid:
            raise record.LabError(f"{kind} {name}: {starter.stderr.read().strip()}; the lab must run as root")
        started = record.Record(kind, name, int(pid), record.start_time(int(pid)), data)
        record.write(started)
        starter.stdin.write("go\n")
    return started


def run(pid: int, argv: list[str], text: str = "", timeout: float = TIMEOUT) -> str:
    """Run a command of the machine in the network namespace of ``pid`` and return its output.

    ``text`` is its standard input. Raises ``LabError`` with its error output when it fails.
    """
    return _run(["nsenter", f"--net=/proc/{pid}/ns/net", "--", *argv], argv, text, timeout)


def run_inside(pid: int, argv: list[str], timeout: float = TIMEOUT) -> str:
    """Run a command of the host whose process 1 is ``pid``, as root, and return its output.

    Raises ``LabError`` with its error output when it fails or takes more than ``timeout`` seconds.
    """
    namespaces = ["--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd"]
    return _run(["nsenter", f"--target={pid}", *namespaces, "--", *argv], argv, "", timeout)


def _run(command: list[str], shown: list[str], text: str, timeout: float) -> str:
    try:
        done = subprocess.run(
            command, input=text, capture_output=True, text=True, timeout=timeout, env=ENVIRONMENT, check=False
        )
    except subprocess.TimeoutExpired:
        raise record.LabError(f"{' '.join(shown)}: no end after {timeout:.0f} s") from None
    if done.returncode:
        raise record.LabError(f"{' '.join(shown)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
