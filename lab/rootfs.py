# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Root file systems of Debian 12 made by mmdebstrap(1), cached by a hash of what goes into them."""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from lab import cache, packages, progress, record

SUITE = packages.SUITES[0]
OPTIONS = (
    "--mode=root",
    "--variant=minbase",
    '--aptopt=Acquire::Languages "none"',
    '--aptopt=Acquire::Retries "3"',
    '--aptopt=APT::Install-Recommends "false"',
    "--dpkgopt=force-unsafe-io",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/info/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--dpkgopt=path-exclude=/usr/share/zoneinfo/*",
)
HOST_PACKAGES = (
    "python3",
    "openssh-server",
    "git",
    "iproute2",
    "procps",
    "libpam-modules",
    "nftables",
    "sudo",
    "iputils-ping",
)
# --remove-destination: a package may have put an absolute symbolic link where a file of ours belongs
# (systemd-sysv does, /sbin/init). Written through, it would change that file of the machine.
COPY = ("cp", "--recursive", "--remove-destination", "--no-preserve=ownership")
OPS = 1000  # user and group id of the unprivileged user "ops"
SSHD = """# The lab's own: one host key, key login only, no name look-ups.
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM yes
UseDNS no
MaxStartups 200
"""
SERVICES = (("/usr/sbin/sshd", "-D", "-e"),)


class Recipe(NamedTuple):
    """What a root file system is made of; equal recipes give the same cached directory."""

    kind: str
    packages: tuple[str, ...] = HOST_PACKAGES
    files: tuple[tuple[str, int, str], ...] = ()  # path (no symlink in it), mode, text
    early: tuple[tuple[str, int, str], ...] = ()  # the same, but in place before any package is configured
    hooks: tuple[str, ...] = ()  # shell text run after all packages, $1 is the root (mmdebstrap(1), --customize-hook)


def host() -> Recipe:
    """Return the recipe of a namespace host."""
    return managed("host", (), SERVICES)


def managed(kind: str, more_packages: tuple[str, ...], services: tuple[tuple[str, ...], ...]) -> Recipe:
    """Return the recipe of a host with our init, an sshd, and a user ``ops`` who may do everything by sudo."""
    files = (
        ("/etc/ssh/sshd_config.d/lab.conf", 0o644, SSHD),
        ("/etc/sudoers.d/lab", 0o440, "ops ALL=(ALL:ALL) NOPASSWD: ALL\n"),
        ("/etc/lab/services.json", 0o644, json.dumps(services)),
        ("/usr/sbin/init", 0o755, "#!/usr/bin/python3 -IS\n" + Path(__file__).with_name("init.py").read_text()),
    )
    return Recipe(kind, HOST_PACKAGES + more_packages, files)


def key(recipe: Recipe) -> str:
    """Return the hash that names the result of a recipe."""
    text = json.dumps([SUITE, OPTIONS, OPS, Path(__file__).read_text(), recipe])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def path(recipe: Recipe) -> Path:
    """Return where the result of a recipe is, or will be."""
    return cache.root() / "images" / f"root-{recipe.kind}-{key(recipe)}"


def ensure(recipe: Recipe) -> Path:
    """Return the root file system's directory, made when missing.

    It is built beside its place and renamed, so what is in place is whole; what a killed build left is
    removed first. Raises ``StepFailed`` with mmdebstrap's last words.
    """
    target = path(recipe)
    if target.is_dir():
        return target
    with record.locked(target.with_suffix(".lock"), progress.say):
        if target.is_dir():
            return target
        building = target.with_suffix(".building")
        remove(building)
        building.mkdir(parents=True)
        build(recipe, building)
        (building / "root").rename(target)
        remove(building)
    return target


def build(recipe: Recipe, building: Path) -> None:
    """Make the root file system in building/root."""
    copy = {}
    for hook, files in (("extract", recipe.early), ("customize", recipe.files)):
        stage(building / hook, files)
        copy[hook] = f'--{hook}-hook={" ".join(COPY)} {building / hook}/. "$1"'
    (building / "sources.list").write_text(packages.sources())
    argv = [
        "mmdebstrap",
        *OPTIONS,
        f"--include={','.join(recipe.packages)}",
        f'--customize-hook=useradd --root "$1" --create-home --shell /bin/bash --uid {OPS} ops',
        copy["extract"],
        copy["customize"],
        *(f"--customize-hook={hook}" for hook in recipe.hooks),
        SUITE,
        building / "root",
        building / "sources.list",
    ]
    environment = {"PATH": packages.PATH, "TMPDIR": str(building), "LC_ALL": "C.UTF-8"}
    log = cache.root() / "logs" / f"mmdebstrap-{recipe.kind}.log"
    progress.run(f"Make the root file system of a {recipe.kind} (once, cached)", argv, log, env=environment)
    verify(recipe, building / "root")


def stage(directory: Path, files: tuple[tuple[str, int, str], ...]) -> None:
    """Write the files of a recipe below ``directory``."""
    directory.mkdir()
    for name, mode, text in files:
        copy = directory / name.lstrip("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(text)
        copy.chmod(mode)


def verify(recipe: Recipe, root: Path) -> None:
    """Raise ``LabError`` unless every file of the recipe is in the root file system itself."""
    for name, _mode, text in recipe.early + recipe.files:
        inside = root / name.lstrip("/")
        if inside.resolve() != inside or inside.read_text() != text:
            raise record.LabError(f"root file system of a {recipe.kind}: {name} is not what its recipe says")


def remove(directory: Path) -> None:
    """Remove a directory tree, unless something is mounted below it (then raise ``LabError``)."""
    if not directory.exists():
        return
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    below = [point for point in mounts if Path(point).is_relative_to(directory)]
    for point in reversed(below):  # what a killed mmdebstrap left: its own /proc, /sys, /dev
        subprocess.run(["umount", "--lazy", point], timeout=30, check=True)
    shutil.rmtree(directory)
