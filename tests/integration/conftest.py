# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A namespace host of the lab with a real sshd, and Ansible that reaches it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAB = (sys.executable, "-m", "lab")


class Host(NamedTuple):
    """A host of the lab: what Ansible does with it, and what its own tools say."""

    name: str
    inventory: str

    def module(self, name, arguments, *options):
        """Run one module over SSH; return its result."""
        ansible = shutil.which("ansible", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        # Below -vvv the callback leaves the diff out.
        argv = [
            ansible,
            self.name,
            "-i",
            self.inventory,
            "-m",
            name,
            "-a",
            json.dumps(arguments),
            "-o",
            "-vvv",
            *options,
        ]
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120, check=False)
        lines = [line for line in done.stdout.splitlines() if line.startswith(f"{self.name} | ")]
        assert lines, f"{argv} gave no result: {done.stdout}{done.stderr}"
        head, _arrow, text = lines[0].partition("=> ")
        # The callback moves these from the result to the screen.
        said = {"failed": "FAILED" in head, "warnings": " ".join(done.stderr.split())}
        return {**json.loads(text), **said}

    def rlimit(self, *options, **arguments):
        """Run ``rlimit``; return its result."""
        return self.module("hostcraft.linux.rlimit", arguments, *options)

    def ssh(self, *command, user="root", ok=(0,)):
        """Log in anew, run a command there, and return what it printed."""
        argv = ["ssh", "-F", str(Path(self.inventory).parent / "ssh_config"), "-l", user, self.name, *command]
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
        argv = ["ssh", "-F", str(Path(self.inventory).parent / "ssh_config"), self.name, f"cat > {path}"]
        subprocess.run(argv, input=text, text=True, timeout=60, check=True)

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
