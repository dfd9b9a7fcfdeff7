# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all scenes of the demo have in common: hosts, plays, and sentences that are checked."""

import json
import subprocess

from lab import progress
from tests.tools import collection, venvs
from tests.tools.scenarios import lab

HOSTS = ("alpha", "beta", "gamma")


def play(inventory: str, declaration: str, *options: str, book: str) -> tuple[int, str]:
    """Run a playbook with a declaration of tests/demo; return its exit status and output, which is shown."""
    venv = venvs.ensure("core219")
    argv = [str(venv / "bin/ansible-playbook"), "-i", inventory, "-e", f"@tests/demo/{declaration}", *options, book]
    print(f"\n$ ansible-playbook -i INVENTORY -e @tests/demo/{declaration} {' '.join([*options, book])}", flush=True)
    done = subprocess.run(
        argv, cwd=collection.ROOT, env=venvs.environment(venv), timeout=300, check=False,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    print(done.stdout, flush=True)
    return done.returncode, done.stdout


def recap(output: str) -> dict[str, dict[str, int]]:
    """Return ``{host: {word: count}}`` of the recap at the end of a play."""
    rows = [line.split(":", 1) for line in output.partition("PLAY RECAP")[2].splitlines() if "ok=" in line]
    return {host.strip(): {w: int(n) for w, n in (pair.split("=") for pair in row.split())} for host, row in rows}


def expect(condition: bool, what: str) -> None:
    """End the demo when something is not as the story says."""
    if not condition:
        raise progress.StepFailed(f"the demo is wrong: {what}")
    progress.say(f"as it should be: {what}")


def addresses(name: str) -> dict[str, str]:
    """Return the variables of a host that the declarations of its links need."""
    found = {one["family"]: one for one in json.loads(lab("ssh", name, "ip -j addr show eth0"))[0]["addr_info"]
             if one["scope"] == "global"}  # fmt: skip
    return {family: f"{one['local']}/{one['prefixlen']}" for family, one in found.items()}


def links(name: str) -> dict[str, dict]:
    """Return what ip(8) on the host says: each link's master, addresses and default routes."""
    shown, *routes = lab("ssh", name, "ip -j addr; ip route show default; ip -6 route show default").splitlines()
    return {
        one["ifname"]: {
            "master": one.get("master"),
            "up": "UP" in one["flags"],
            "addresses": sorted(info["local"] for info in one["addr_info"] if info["scope"] == "global"),
            "routes": sorted(" ".join(line.split()) for line in routes if f" dev {one['ifname']} " in f"{line} "),
        }
        for one in json.loads(shown)
    }


def guard(name: str) -> dict:
    """Return what the guard of the last change on a host says."""
    return json.loads(
        lab("ssh", name, "cd /var/lib/hostcraft/guard && exec ./$(ls -t | grep -v lock | head -1)/guard status")
    )


def shown(output: str, *verbs: str) -> list[str]:
    """Return the steps that a play showed and that begin with one of these verbs, host by host."""
    begins = tuple(f'"{verb} ' for verb in verbs)
    return [json.loads(line.strip().rstrip(",")) for line in output.splitlines() if line.strip().startswith(begins)]
