# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Debian packages that the lab needs on the machine, and the machine's Debian mirror."""

import shutil
import subprocess
from pathlib import Path

from lab import progress, record

NEEDED = {  # a command (or file) that proves it, and the package that brings it
    "mmdebstrap": "mmdebstrap",
    "nc.openbsd": "netcat-openbsd",
    "ssh": "openssh-client",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "mkfs.ext4": "e2fsprogs",
    "/usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring",
}
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
SUITES = ("bookworm", "bookworm-updates", "bookworm-security")
FORMAT = "$(CREATED_BY)|$(ORIGIN)|$(CODENAME)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def missing() -> list[str]:
    """Return the names of the packages that the machine lacks, sorted."""
    return sorted({package for probe, package in NEEDED.items() if not _present(probe)})


def install() -> list[str]:
    """Install what is missing, and return its package names.

    Raises ``StepFailed`` when apt fails, ``LabError`` when the machine has no apt.
    """
    wanted = missing()
    if not wanted:
        return []
    if not shutil.which("apt-get", path=PATH):
        raise record.LabError(f"no apt-get here: install {', '.join(wanted)} by the means of this distribution")
    apt(["update"], "Read the package lists")
    apt(["install", "--yes", "--no-install-recommends", *wanted], f"Install {', '.join(wanted)}")
    return wanted


def sources() -> str:
    """Return an apt sources list of Debian 12 from the mirrors that the machine's own apt uses.

    Only what calls itself Debian in its signed Release file is taken (apt-get(8), indextargets), so
    third-party sources are left out. Raises ``LabError`` when there is no Debian 12 among them.
    """
    lines = _debian_targets()
    if not lines:
        apt(["update"], "Read the package lists")
        lines = _debian_targets()
    if not any(f" {SUITES[0]} main" in line for line in lines):
        raise record.LabError("the machine's apt sources have no Debian bookworm main: add one to /etc/apt")
    return "\n".join(lines) + "\n"


def apt(arguments: list[str], title: str) -> None:
    """Run apt-get without questions as a step."""
    environment = {"PATH": PATH, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    progress.run(title, ["apt-get", "-o", "Acquire::Retries=3", *arguments], record.lab() / "apt.log", env=environment)


def _debian_targets() -> list[str]:
    done = subprocess.run(
        ["apt-get", "indextargets", "--format", FORMAT], capture_output=True, text=True, timeout=60, check=True
    )
    targets = (line.split("|") for line in done.stdout.splitlines())
    wanted = (
        f"deb [signed-by={KEYRING}] {uri} {release} {component}"
        for made_by, origin, codename, uri, release, component in targets
        if made_by == "Packages" and origin == "Debian" and codename in SUITES and component == "main"
    )
    return list(dict.fromkeys(wanted))


def _present(probe: str) -> bool:
    return Path(probe).exists() if probe.startswith("/") else shutil.which(probe, path=PATH) is not None
