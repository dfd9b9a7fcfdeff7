# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Molecule scenarios, on one virtual machine: ``python3 -m tests.tools.scenarios [SCENARIO...]``; none: all."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from lab import cache, progress
from tests.tools import collection, packages, venvs

MACHINE = "vm1"
KEPT = "/var/cache/lab/compiled"  # as in lab/compiled.py
WHERE = collection.ROOT / "extensions/molecule"
# In these the machine must answer in time, or it takes back a change: no other guests may run beside them.
IN_TIME = {"bond_vlan_bridge"}
# Run by name, and by "make demo-vm": it waits for timers that fire by the minute, and boots the machine once more.
BY_NAME = {"node_maintenance"}


def names() -> list[str]:
    """Return the names of all scenarios."""
    return sorted(one.parent.name for one in WHERE.glob("*/molecule.yml"))


def run(name: str, inventory: str, log: Path | None = None) -> None:
    """Run one scenario on the machines of an inventory; show it, or keep its output in ``log``.

    Raises ``StepFailed`` when it fails.
    """
    venv = venvs.ensure("main")
    with tempfile.TemporaryDirectory(prefix="molecule-", dir=cache.root()) as state:
        # In a directory from an earlier run Molecule would find that "prepare" was done, and pass over it.
        environment = venvs.environment(venv) | {
            "MOLECULE_EPHEMERAL_DIRECTORY": state,
            "HOSTCRAFT_INVENTORY": inventory,
            # An emulated machine takes longest over what ssh does; the tests on namespace hosts go without.
            "ANSIBLE_PIPELINING": "1",
            # What a command says is read without carriage returns, its errors apart.
            "ANSIBLE_SSH_USETTY": "False",
        }
        _molecule(venv, name, environment, log)


def _molecule(venv: Path, name: str, environment: dict[str, str], log: Path | None) -> None:
    # Molecule reads the shared config.yml only when it runs at the root of the collection.
    argv = [venv / "bin/molecule", "test", "--scenario-name", name]
    if log:
        plain = environment | {"NO_COLOR": "1", "COLUMNS": "120"}
        progress.run(f"molecule {name}", argv, log, cwd=collection.ROOT, env=plain)
    elif subprocess.run(argv, cwd=collection.ROOT, env=environment, check=False).returncode:
        raise progress.StepFailed(f"molecule {name} failed")


def start() -> str:
    """Start the machine, which is booted and saved first when there is no saved state; return the inventory's path."""
    for command in ("prepare", "up"):
        subprocess.run([sys.executable, "-m", "lab", "vm", command, MACHINE], cwd=collection.ROOT, check=True)
    return lab("inventory").split()[-1]


def keep_compiled() -> None:
    """Let the machine keep what Ansible's modules compile to; a scenario may have taken it back to its saved state."""
    lab("ssh", MACHINE, f"mkdir -p {KEPT}")


def lab(*arguments: str) -> str:
    """Run the command of the lab and return what it printed."""
    argv = [sys.executable, "-m", "lab", *arguments]
    return subprocess.run(argv, cwd=collection.ROOT, stdout=subprocess.PIPE, text=True, timeout=600, check=True).stdout


def drills() -> None:
    """Run the scenarios in which the machine must answer in time, as a step of the test suite."""
    _suite(IN_TIME)


def others() -> None:
    """Run all other scenarios, as a step of the test suite."""
    _suite(set(names()) - IN_TIME - BY_NAME)


def _suite(wanted: set[str]) -> None:
    if not wanted <= set(names()) or not wanted:
        raise progress.StepFailed(f"no scenario in {WHERE}, or not all of {', '.join(sorted(wanted))}")
    collection.install()
    inventory, failed = start(), []
    telling: tuple[str, ...] = ()
    for name in sorted(wanted):
        keep_compiled()
        try:
            run(name, inventory, cache.root() / f"log/molecule-{name}.log")
        except progress.StepFailed as error:
            failed.append(str(error))
            telling += error.telling
    if failed:
        raise progress.StepFailed("; ".join(failed), telling)


def main() -> int:
    """Run the scenarios named on the command line where they can be seen; return the exit status."""
    os.environ["HOSTCRAFT_LAB"] = "demo"
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        packages.install()
        collection.install()
        inventory = start()
        for name in sys.argv[1:] or names():
            keep_compiled()
            run(name, inventory)
    except (progress.StepFailed, subprocess.SubprocessError) as error:
        progress.say(f"FAILED: {error}")
        return 1
    except KeyboardInterrupt:
        progress.say("STOPPED: interrupted")
        return 130
    finally:
        lab("down")
    return 0


if __name__ == "__main__":
    sys.exit(main())
