# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a command of the host: argument list, locale C, a time limit, and an error that says why.

Private to the collection; not a public interface.
"""

import os
import signal
import subprocess
import threading
from contextlib import suppress

from .reconcile import ReconcileError

# Accounts reached without a login shell often lack these; the tools of this collection live there.
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def run(argv, timeout=30.0, ok=(0,), stdin=None, *, env=None, cwd=None, log=None, talk=None):
    """Run ``argv`` and return what it printed on standard output.

    Bytes that are not UTF-8 survive in both directions (surrogateescape, PEP 383), as do line ends.

    :param argv: list of strings, the first the program's name or path.
    :param timeout: seconds after which the command and what it started are killed.
    :param ok: exit statuses that count as success.
    :param stdin: text for standard input; None means empty.
    :param env: variables to set for the command; the value None takes one away.
    :param cwd: the directory in which it runs.
    :param log: list that gets what the command says on standard error, as one more text.
    :param talk: ``talk(write, read)`` for a command that waits for an answer before it is told more. It gets the two
        ends as binary streams, may meet their end at any time, and what it returns is returned here.
    :raises ReconcileError: the program is missing, ran too long, or failed. The message has the
        command and the last lines of its standard error; the details have ``cmd``, ``rc``, ``stdout``, ``stderr``.
    """
    path = os.environ.get("PATH", "")
    environment = dict(os.environ, LC_ALL="C", LANGUAGE="C", PATH=f"{path}:{SYSTEM_PATH}")
    environment.update(env or {})
    shown = " ".join(argv)
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={name: value for name, value in environment.items() if value is not None},
            cwd=cwd,
            start_new_session=True,
        )
    except OSError as error:
        where = f" in {cwd}" if cwd else ""
        raise ReconcileError(f"Cannot run '{argv[0]}'{where}: {error.strerror}", cmd=list(argv)) from error
    try:
        if talk:
            out, err = _conversation(process, talk, timeout)
        else:
            out, err = process.communicate((stdin or "").encode("utf-8", "surrogateescape"), timeout=timeout)
    except subprocess.TimeoutExpired as error:
        if not talk:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        raise ReconcileError(f"'{shown}' did not end within {timeout:g} s and was killed", cmd=list(argv)) from error
    out, err = (text.decode("utf-8", "surrogateescape") if isinstance(text, bytes) else text for text in (out, err))
    if log is not None:
        log.append(err)
    if process.returncode not in ok:
        reason = "; ".join(err.strip().splitlines()[-3:]) or "no message on standard error"
        raise ReconcileError(
            f"'{shown}' failed with exit status {process.returncode}: {reason}",
            cmd=list(argv),
            rc=process.returncode,
            stdout=out,
            stderr=err,
        )
    return out


def prints(argv):
    """Tell whether a command prints something on standard output; one that fails, or cannot be run, does not."""
    try:
        return bool(run(argv).strip())
    except ReconcileError:
        return False


def _conversation(process, talk, timeout):
    """Return what ``talk`` returns, and what the command says on standard error; it has ended then.

    :raises subprocess.TimeoutExpired: it did not end in time, and was killed.
    """
    late, errors = [], []

    def stop():
        late.append(True)
        with suppress(ProcessLookupError):  # it has ended at this very moment
            os.killpg(process.pid, signal.SIGKILL)

    hears = threading.Thread(target=lambda: errors.append(process.stderr.read()), daemon=True)
    timer = threading.Timer(timeout, stop)
    hears.start()
    timer.start()
    found = None
    try:
        with suppress(BrokenPipeError):  # it has ended; its exit status and its errors say why
            found = talk(process.stdin, process.stdout)
            process.stdin.close()
        process.stdout.read()
        process.wait()
    except BaseException:
        stop()
        raise
    finally:
        timer.cancel()
    hears.join()
    if late:
        raise subprocess.TimeoutExpired(process.args, timeout)
    return found, errors[0]


def detach(argv):
    """Start a program that outlives this one: in a session of its own, without its files, standing in ``/``.

    :raises ReconcileError: it cannot be run.
    """
    nothing = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    try:
        subprocess.Popen(argv, cwd="/", start_new_session=True, **nothing)
    except OSError as error:
        raise ReconcileError(f"Cannot run '{argv[0]}': {error.strerror}", cmd=list(argv)) from error
