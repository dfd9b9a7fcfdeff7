# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hypervisor of the lab with libvirtd and QEMU of its own, and tiny guests that really run."""

import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from lab import hypervisor, tiny_guest
from tests.integration import playbooks, telling
from tests.integration.conftest import FAILURE_IS_A_RESULT, lab

MODULE = "hostcraft.linux.libvirt_domain_state"
KEEPER = """
import libvirt, signal, sys
connection = libvirt.open({uri!r})
text = "<domain type='test'><name>{prefix}%04d</name><memory>8192</memory><os><type>hvm</type></os></domain>"
for number in range({count}):
    connection.defineXML(text % number)
open("/run/keeper", "w").close()
signal.pause()
"""


# What virsh shows of all domains: identifier, name and state of each, then the names of those that are saved.
LIST = "virsh -q -c qemu:///system list --all"
STATES = f"{LIST}; echo saved; {LIST} --name --with-managed-save"


def states_of(text):
    """Return ``{name: state}`` from what STATES has printed."""
    listed, _mark, saved = text.replace("\r", "").partition("saved\n")
    found = {line.split()[1]: line.split(None, 2)[2].strip() for line in listed.splitlines() if line.strip()}
    return {**found, **dict.fromkeys(saved.split(), "saved")}


class Hypervisor(NamedTuple):
    """The host: what Ansible does with it over SSH, and what its own tools say."""

    name: str
    inventory: str

    def play(self, tasks, variables=None, timeout=180, expect=0):
        """Run tasks there, in the way a user does, and return the output."""
        with tempfile.TemporaryDirectory() as directory:
            book = Path(directory) / "play.json"
            book.write_text(json.dumps([{"hosts": self.name, "gather_facts": False, "tasks": tasks}]))
            return self.playbook(str(book), variables, timeout, expect)

    def playbook(self, book, variables=None, timeout=180, expect=0):
        """Run a playbook, by its path or its full name."""
        status, said = playbooks.play("-i", self.inventory, "-e", json.dumps(variables or {}), book, timeout=timeout)
        assert status == expect, said
        return said

    def results(self, tasks, timeout=180):
        """Run tasks, ``{name: task}``, in one play; return what each of them returned, a failure included."""
        play = [{**task, "register": name, **FAILURE_IS_A_RESULT} for name, task in tasks.items()]
        return telling.told(self.play([*play, telling.task(tasks)], timeout=timeout))

    def module(self, name, arguments, check=False, timeout=180):
        """Run one module; return its result, warnings, diff and failure included."""
        return self.results({"result": {name: arguments, "check_mode": check}}, timeout)["result"]

    def beats(self, arguments, again, during=""):
        """Predict and apply ``arguments`` and then apply ``again``, in one play with what virsh sees in between.

        ``during`` is a shell command that is run before it is applied. Returns the results ``predicted``, ``applied``
        and ``again``, and the states ``before``, ``untouched`` (after the prediction) and ``after``.
        """
        look = {"ansible.builtin.raw": STATES}
        found = self.results(
            {
                "before": look,
                "predicted": {MODULE: arguments, "check_mode": True},
                "untouched": look,
                **({"during": {"ansible.builtin.raw": during}} if during else {}),
                "applied": {MODULE: arguments},
                "after": look,
                "again": {MODULE: again},
            }
        )
        return {**found, **{name: states_of(found[name]["stdout"]) for name in ("before", "untouched", "after")}}

    def state(self, check=False, **arguments):
        """Run ``libvirt_domain_state``."""
        return self.module(MODULE, arguments, check)

    def info(self, **arguments):
        """Run ``libvirt_domain_state_info``."""
        return self.module(f"{MODULE}_info", arguments)

    def argv(self, *command):
        """Return what logs in anew and runs a command there."""
        return ["ssh", "-F", str(Path(self.inventory).parent / "ssh_config"), self.name, *command]

    def ssh(self, *command, ok=(0,), stdin=""):
        """Run a command there and return what it printed."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        done = subprocess.run(self.argv(*command), input=stdin, timeout=90, check=False, **pipes)
        assert done.returncode in ok, f"{command}: exit status {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    def virsh(self, *command, **more):
        """Run virsh there on QEMU's domains."""
        return self.ssh("virsh", "-q", "-c", "qemu:///system", *command, **more)

    def states(self, prefix=""):
        """Return ``{name: state}`` as virsh tells it; a domain that is saved is ``saved``."""
        found = states_of(self.ssh(STATES))
        return {name: state for name, state in found.items() if name.startswith(prefix)}

    def wait_for(self, what, ready, timeout=180):
        """Wait until ``ready()``; fail after ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while not ready():
            assert time.monotonic() < deadline, f"{what}: not within {timeout} s; {self.states()}"
            time.sleep(0.2)

    def console(self, name):
        """Return what a guest has said so far."""
        path = hypervisor.disks() / f"{name}.console"
        return path.read_text(errors="replace") if path.exists() else ""

    def boots(self, name):
        """Return how often a guest has booted since QEMU began to write its console, which a start begins anew."""
        return self.console(name).count("ready")

    def define(self, name, words="", on_crash="preserve"):
        """Define a tiny guest by virsh."""
        text = tiny_guest.xml(name, words, on_crash)
        self.virsh("define", "/dev/stdin", stdin=text)
        return text

    def boot(self, *names):
        """Start guests that are defined, and wait until they have booted."""
        self.ssh("; ".join(f"virsh -q -c qemu:///system start {name}" for name in names))
        self.wait_for("boot", lambda: all(self.boots(name) for name in names))

    def remove(self, *prefixes):
        """Remove all domains whose names begin with one of the prefixes, whatever they do."""
        names = [name for name in self.states() if name.startswith(prefixes)]
        each = "; ".join(
            f"virsh -q -c qemu:///system destroy {name}; "
            f"virsh -q -c qemu:///system undefine {name} --managed-save --snapshots-metadata"
            for name in names
        )
        if names:
            self.ssh(each, ok=(0, 1))


@pytest.fixture(scope="session")
def host():
    """The hypervisor for the whole run; it is stopped at the end, also after a failure."""
    try:
        lab("hypervisor")
        tiny_guest.ensure()
        yield Hypervisor(hypervisor.NAME, lab("inventory").split()[-1])
    finally:
        lab("down", hypervisor.NAME)


@pytest.fixture
def clean(host):
    """The same host, without domains before and after the test."""
    host.remove("")
    yield host
    host.remove("")


@pytest.fixture
def bulk(host):
    """A host whose libvirtd has 1000 domains of the test driver, for as long as one connection is kept open."""
    text = KEEPER.format(uri="test+unix:///default", prefix="web-", count=1000)
    host.ssh("cat > /root/keeper.py && rm -f /run/keeper", stdin=text)
    pid = host.ssh("setsid python3 /root/keeper.py >/root/keeper.log 2>&1 </dev/null & echo $!").strip()
    host.wait_for("keeper", lambda: host.ssh("test -e /run/keeper && echo yes", ok=(0, 1)))
    yield host
    host.ssh(f"kill {pid}")
