# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A namespace host of the lab with a real sshd, and Ansible that reaches it."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.integration import playbooks, telling
from tests.integration.histories import generate, git

ROOT = Path(__file__).resolve().parents[2]
FAILURE_IS_A_RESULT = {"ignore_errors": True, "ignore_unreachable": True}
LAB = (sys.executable, "-m", "lab")
# Tests may ask pure parts of the collection, as it was installed for this run.
sys.path += [path for path in os.environ.get("ANSIBLE_COLLECTIONS_PATH", "").split(":") if path]


def pytest_configure():
    """Take down what was started also when the run is stopped from outside."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


class Host(NamedTuple):
    """A host of the lab: what Ansible does with it, and what its own tools say."""

    name: str
    inventory: str

    def module(self, name, arguments, check=False, **variables):
        """Run one module over SSH; return its result, warnings, diff and failure included."""
        return self.modules((name, arguments, check), **variables)[0]

    def modules(self, *calls, **variables):
        """Run several modules, each given as (name, arguments, check), in one play; return their results."""
        tasks = {f"result_{number}": call for number, call in enumerate(calls)}
        play = {
            "hosts": self.name,
            "gather_facts": False,
            "tasks": [
                *(
                    {module: arguments, "register": name, "check_mode": check, **FAILURE_IS_A_RESULT}
                    for name, (module, arguments, check) in tasks.items()
                ),
                telling.task(tasks),
            ],
            "vars": variables,
        }
        with tempfile.TemporaryDirectory() as directory:
            book = Path(directory) / "play.json"
            book.write_text(json.dumps([play]))
            _status, said = self.ansible(str(book))
        found = telling.told(said)
        return [found[name] for name in tasks]

    def ansible(self, book, *arguments):
        """Run ansible-playbook; return its exit status and output."""
        return playbooks.play("-i", self.inventory, *arguments, book)

    def rlimit(self, check=False, **arguments):
        """Run ``rlimit``; return its result."""
        return self.module("hostcraft.linux.rlimit", arguments, check)

    def argv(self, *command, user="root", address=None):
        """Return what logs in anew, at another of its addresses if given, and runs a command there."""
        config = str(Path(self.inventory).parent / "ssh_config")
        there = ["-o", f"HostName={address}"] if address else []
        return ["ssh", "-F", config, *there, "-l", user, self.name, *command]

    def ssh(self, *command, user="root", ok=(0,), address=None):
        """Log in anew, run a command there, and return what it printed."""
        argv = self.argv(*command, user=user, address=address)
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode in ok, f"{argv}: exit status {done.returncode}: {done.stderr}"
        return done.stdout

    def write(self, path, text):
        """Put a file there."""
        subprocess.run(self.argv(f"cat > {path}"), input=text, text=True, timeout=60, check=True)

    def state(self):
        """Return all that a failed task must not have changed."""
        return self.ssh(
            "cd /etc/security && find . -type f -exec sha256sum {} + | sort; cat /proc/1/limits; "
            "ls /etc/systemd/system 2>/dev/null"
        )


def lab(*arguments):
    """Run the command of the lab and return what it printed."""
    return subprocess.run(
        [*LAB, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=600, check=True
    ).stdout


@pytest.fixture(autouse=True)
def pipelining(request, monkeypatch):
    """Modules sent through the connection that runs them, at half the price; with the mark ``as_files`` as files.

    Only the process of a module that was sent as a file has a name, and only its connection a terminal.
    """
    if not request.node.get_closest_marker("as_files"):
        monkeypatch.setenv("ANSIBLE_PIPELINING", "1")


@pytest.fixture
def no_settings_of_the_user(monkeypatch, tmp_path):
    """Git without the configuration of whoever runs the tests."""
    for name, value in (("HOME", str(tmp_path)), ("GIT_CONFIG_NOSYSTEM", "1"), ("XDG_CONFIG_HOME", str(tmp_path))):
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def ten_thousand(tmp_path_factory):
    """A bare repository with 10,000 commits, merges, tags, renames and a large binary file; nobody changes it."""
    path = generate(tmp_path_factory.mktemp("many") / "app.git", 10_000, big=1_000_000)
    git(path, "config", "uploadpack.allowFilter", "true")
    git(path, "repack", "-adbq")
    return path


@pytest.fixture(scope="session")
def host():
    """A namespace host for the whole run; it is stopped at the end, also after a failure."""
    name = "integration"
    try:
        lab("up", name)
        yield Host(name, lab("inventory").split()[-1])
    finally:
        lab("down", name)


@pytest.fixture
def clean(host):
    """The same host, with the limits of PAM put back after the test."""
    host.ssh("rm -rf /root/security && cp -a /etc/security /root/security")
    yield host
    host.ssh(
        "umount /etc/security/limits.d 2>/dev/null; rm -rf /etc/security && cp -a /root/security /etc/security; "
        "pkill -f '^sleep 77[0-9]' ; true"
    )


@pytest.fixture(scope="module")
def pair():
    """Two namespace hosts, for playbooks that go from one to the next."""
    names = ("first", "second")
    try:
        lab("up", *names)
        yield [Host(name, lab("inventory").split()[-1]) for name in names]
    finally:
        lab("down", *names)
