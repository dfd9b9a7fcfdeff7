# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell the person in front of the terminal what is done, since when, and what is waited for."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

HEARTBEAT = 15.0  # seconds of silence after which a running step says that it is still there
TAIL = 40  # lines of a failed command's output that are shown
# Lines that name a failure: of pytest's summary, of Ansible's tasks, and of most other tools.
TELLING = ("FAILED ", "ERROR", "E   ", "fatal:", "error:", "CRITICAL")

_began = time.monotonic()
_lock = threading.Lock()


class StepFailed(Exception):
    """A step did not succeed; its output has already been shown.

    :param telling: the lines of the output that name what failed.
    """

    def __init__(self, message: str, telling: tuple[str, ...] = ()):
        super().__init__(message)
        self.telling = telling


def say(text: str) -> None:
    """Print one line, stamped with the time since the start of the program."""
    elapsed = time.monotonic() - _began
    with _lock:
        print(f"[{int(elapsed // 60):2d}:{elapsed % 60:04.1f}] {text}", flush=True)


@contextlib.contextmanager
def step(title: str):
    """Announce ``title``, run the body, and say how long it took.

    Yields a function that sets what the step is waiting for; a step that is silent for
    ``HEARTBEAT`` seconds repeats it.
    """
    waiting = [""]
    done = threading.Event()
    start = time.monotonic()

    def beat():
        while not done.wait(HEARTBEAT):
            reason = f": {waiting[0]}" if waiting[0] else ""
            say(f"  ... {title} ({time.monotonic() - start:.0f} s){reason}")

    def set_waiting(reason: str) -> None:
        waiting[0] = reason

    say(f"{title} ...")
    threading.Thread(target=beat, daemon=True).start()
    try:
        yield set_waiting
    except BaseException:
        say(f"{title}: FAILED after {time.monotonic() - start:.1f} s")
        raise
    finally:
        done.set()
    say(f"{title}: done in {time.monotonic() - start:.1f} s")


def run(title: str, argv, log: Path, **popen) -> None:
    """Run a command as a step, its output kept in the file ``log``.

    The command has a session of its own, so that what it has started is stopped with it. It is as nice as the thread
    that runs it.
    Raises ``StepFailed`` on a non-zero exit status, after showing the last ``TAIL`` lines.
    ``popen`` is handed to ``subprocess.Popen`` (env, cwd, ...).
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with step(title) as waiting, open(log, "wb") as out:
        process = subprocess.Popen(
            [str(a) for a in argv],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **popen,
        )
        be_nice(process.pid, os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        try:
            while True:
                try:
                    status = process.wait(timeout=HEARTBEAT / 3)
                    break
                except subprocess.TimeoutExpired:
                    waiting(last_line(log))
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait()
        if status:
            lines = log.read_text(errors="replace").splitlines()
            with _lock:
                print("\n".join(f"    | {line}" for line in lines[-TAIL:]), file=sys.stdout, flush=True)
            telling = tuple(line for line in lines if line.lstrip().startswith(TELLING))
            raise StepFailed(f"{title}: exit status {status}; the whole output is in {log}", telling or tuple(lines))


def be_nice(pid: int, value: int) -> None:
    """Make the session that a process leads nice: that of a process counts within its session (sched(7), autogroup)."""
    if value:
        with contextlib.suppress(OSError):  # it has ended, or the kernel makes no groups and "nice" counts everywhere
            Path(f"/proc/{pid}/autogroup").write_text(str(value))


def last_line(log: Path) -> str:
    """Return the last non-empty line of a file, at most 100 characters of it."""
    with open(log, "rb") as stream:
        stream.seek(0, 2)
        stream.seek(max(0, stream.tell() - 4096))
        lines = [line for line in stream.read().decode(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip()[:100] if lines else ""
