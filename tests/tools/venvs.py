# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual environments of the toolchain: ``python3 -m tests.tools.venvs NAME...``.

Each has a list of wanted packages (requirements/NAME.in) and the exact versions that were tested
(requirements/NAME.txt, rewritten by ``--pin``). They are kept apart because their contents pin each other.
"""

import argparse
import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from lab import cache, progress, record
from tests.tools import interpreters

# The Pythons that each can run on, best first: those that its ansible-core supports as a controller.
PYTHONS = {
    "main": ("3.11", "3.12", "3.13"),
    "core216": ("3.11", "3.12", "3.10"),
    "core219": ("3.11", "3.12", "3.13"),
    "core221": ("3.12", "3.13", "3.14"),
    "importer": ("3.11", "3.12", "3.13"),
}
REQUIREMENTS = Path(__file__).parent / "requirements"
COMPLETE = "complete"  # written last, so that a half-made environment is never taken for a whole one


class NoInterpreter(Exception):
    """None of the Pythons that an environment could run on is on this machine."""


def ensure(name: str) -> Path:
    """Return the directory of the environment ``name``, made when missing.

    Raises ``NoInterpreter``, or ``StepFailed`` when pip fails.
    """
    pins = REQUIREMENTS / f"{name}.txt"
    python = _python(name)
    key = hashlib.sha256(pins.read_bytes() + os.fsencode(python)).hexdigest()[:12]
    path = cache.root() / "venvs" / f"{name}-{key}"
    with _locked(path):
        if not (path / COMPLETE).exists():
            _make(path, python, ["-r", pins])
            (path / COMPLETE).touch()
    return path


def environment(venv: Path, lab: str | None = None) -> dict[str, str]:
    """Return the environment in which the programs of ``venv`` run, without settings of the user's own Ansible.

    :param lab: the lab instance whose hosts they reach; None: the one of ``$HOSTCRAFT_LAB``.
    """
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("ANSIBLE_", "MOLECULE_", "PYTHON")) and key != "VIRTUAL_ENV"
    }
    nothing = cache.root() / "ansible.cfg"
    nothing.touch()
    (cache.root() / "ansible").mkdir(exist_ok=True)
    return (
        kept
        | ({"HOSTCRAFT_LAB": lab} if lab else {})
        | {
            "PATH": os.pathsep.join([str(venv / "bin"), *os.get_exec_path()]),
            "PYTEST_DEBUG_TEMPROOT": str(cache.root() / "ansible"),
            "ANSIBLE_CONFIG": str(nothing),
            "ANSIBLE_HOME": str(cache.root() / "ansible"),
            # The sockets are named after the host, and each lab may have a host of the same name.
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(record.lab(lab) / "ssh"),
            "ANSIBLE_COLLECTIONS_PATH": str(cache.root() / "collections"),
            "PIP_CACHE_DIR": str(cache.root() / "pip"),
            "LC_ALL": "C.UTF-8",
        }
    )


def pin(name: str) -> None:
    """Resolve requirements/NAME.in afresh and write what came out to requirements/NAME.txt."""
    path = cache.root() / "venvs" / f"{name}-pin"
    _make(path, _python(name), ["-r", REQUIREMENTS / f"{name}.in"])
    frozen = subprocess.run([path / "bin/pip", "freeze"], capture_output=True, text=True, check=True, timeout=120)
    header = "".join(f"{line}\n" for line in Path(__file__).read_text().splitlines()[:2])
    made_by = f"# Made by: python3 -m tests.tools.venvs --pin {name}\n"
    (REQUIREMENTS / f"{name}.txt").write_text(header + made_by + frozen.stdout)
    shutil.rmtree(path)


def _python(name: str) -> Path:
    python = interpreters.find(*PYTHONS[name])
    if python is None:
        raise NoInterpreter(f"{name} needs Python {' or '.join(PYTHONS[name])}, and this machine has none of them")
    return python


def _make(path: Path, python: Path, packages: list) -> None:
    shutil.rmtree(path, ignore_errors=True)
    log = cache.root() / "log" / f"venv-{path.name}.log"
    progress.run(f"Make the environment {path.name}", [python, "-m", "venv", path], log)
    # Python compiles what is imported when it is; most of what is installed never is, and that is a third of the time.
    install = [path / "bin/python", "-m", "pip", "install", "--no-compile", "--progress-bar", "off", *packages]
    progress.run(f"Install its packages ({path.name})", install, log, env=environment(path))


@contextlib.contextmanager
def _locked(path: Path):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path.with_name(path.name + ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> None:
    """Make the environments named on the command line, or pin them."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.tools.venvs", description=__doc__)
    parser.add_argument("--pin", action="store_true", help="resolve the versions afresh")
    parser.add_argument("names", nargs="+", choices=sorted(PYTHONS), metavar="NAME")
    options = parser.parse_args()
    for name in options.names:
        try:
            pin(name) if options.pin else ensure(name)
        except NoInterpreter as error:
            sys.exit(str(error))


if __name__ == "__main__":
    main()
