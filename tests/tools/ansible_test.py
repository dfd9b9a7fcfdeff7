# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run ansible-test without containers: its Pythons are those of the machine."""

import ast
import configparser
import io
import os
import subprocess
from pathlib import Path

from lab import cache, progress, record
from tests.tools import collection, interpreters, venvs

# The names under which ansible-test looks for a get-pip.py that it has fetched before, by core and Python.
GET_PIP = ("20_3_4", "21_3_1", "23_1_2", "24_2", "25_2")
# core219 on the controller's own Python is the step "unit".
UNITS = {"core216": "3.6", "core221": "3.12"}


class Skipped(Exception):
    """Something cannot be tested on this machine; the message says what and why."""


def sanity() -> None:
    """Run all sanity tests of ansible-core 2.19 on Python 3.11."""
    _run("core219", "3.11", ["sanity", "--python", "3.11"])


def units(core: str) -> None:
    """Run the unit tests on the oldest or newest Python that a core supports for modules. Raises ``Skipped``."""
    version = UNITS[core]
    _run(core, version, ["units", "--venv", "--python", version])


def _run(core: str, version: str, argv: list[str]) -> None:
    python = interpreters.find(version)
    if python is None:
        raise Skipped(f"no Python {version} on this machine, which {core} is tested with")
    try:
        venv = venvs.ensure(core)
    except venvs.NoInterpreter as error:
        raise Skipped(str(error)) from error
    title = f"{argv[0]}-{core}-{version}"
    tree = collection.copy(title)
    environment = venvs.environment(venv)
    own = interpreters.find(*venvs.PYTHONS[core])
    paths = [str(venv / "bin"), *(str(one.parent) for one in (python, own) if one), environment["PATH"]]
    environment |= {"HOME": str(_home(venv)), "PATH": os.pathsep.join(paths)}
    del environment["ANSIBLE_COLLECTIONS_PATH"]
    command = [venv / "bin/ansible-test", *argv, "--color", "no"]
    progress.run(f"ansible-test {title}", command, cache.root() / f"log/{title}.log", cwd=tree, env=environment)


def _home(venv: Path) -> Path:
    """Return a home of ansible-test's own, with the stand-in where it keeps what it has fetched."""
    home = cache.root() / "ansible-test"
    (home / "written-by-tests").mkdir(parents=True, exist_ok=True)  # tests/unit/conftest.py
    with record.locked(home.with_suffix(".lock")):
        for name in GET_PIP:
            _put(home / f".ansible/test/cache/get_pip_{name}.py", Path(__file__).with_name("get_pip.py").read_text())
        _put(home / ".config/pip/pip.conf", _pip_settings(venv))
    return home


def _put(path: Path, text: str) -> None:
    """Write a file that another ansible-test may be reading: it is either the old or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


def _pip_settings(venv: Path) -> str:
    """Return the settings of the user's pip as the text of a pip.conf.

    In its new home, and with the few variables that ansible-test hands on, pip would find neither the
    user's own files nor PIP_INDEX_URL and the like.
    """
    argv = [venv / "bin/python", "-m", "pip", "config", "list"]
    listed = subprocess.run(
        argv, env=venvs.environment(venv), stdout=subprocess.PIPE, text=True, timeout=60, check=True
    )
    settings = configparser.RawConfigParser()
    settings["global"] = {}
    # What the environment says (":env:") outweighs the files.
    for line in sorted(listed.stdout.splitlines(), key=lambda one: one.startswith(":env:")):
        name, value = line.split("=", 1)
        section, option = name.split(".", 1)
        section = "global" if section == ":env:" else section
        if not settings.has_section(section):
            settings.add_section(section)
        settings[section][option] = ast.literal_eval(value)
    stream = io.StringIO()
    settings.write(stream)
    return stream.getvalue()
