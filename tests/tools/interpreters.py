# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the Python interpreters of the machine."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

PROBE = "import sys; print('%d.%d' % sys.version_info[:2]); print(getattr(sys, '_base_executable', sys.executable))"


def find(*versions: str) -> Path | None:
    """Return a working interpreter of one of ``versions`` ("3.11"), the first that exists; None without any.

    A name on PATH proves nothing: a shim of pyenv is there for versions that it then refuses to run.
    So each candidate is run, and the path that it reports itself is returned.
    """
    for version in versions:
        for candidate in _candidates(version):
            real = _probe(candidate, version)
            if real:
                return real
    return None


def _candidates(version: str):
    if version == "%d.%d" % sys.version_info[:2]:
        yield Path(sys.executable)
    for directory in os.get_exec_path():
        yield Path(directory, f"python{version}")
    for root in _pyenv_roots():
        yield from sorted(root.glob(f"versions/{version}.*/bin/python{version}"), reverse=True)


def _pyenv_roots() -> list[Path]:
    roots = [Path(os.environ["PYENV_ROOT"])] if os.environ.get("PYENV_ROOT") else []
    command = shutil.which("pyenv")
    if command:
        roots.append(Path(command).resolve().parents[1])
    return roots


def _probe(candidate: Path, version: str) -> Path | None:
    if not os.access(candidate, os.X_OK):
        return None
    try:
        done = subprocess.run([candidate, "-c", PROBE], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    found, path = done.stdout.splitlines()
    return Path(path) if found == version and Path(path).exists() else None
