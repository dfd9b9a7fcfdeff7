# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as its users get it: ``python3 -m tests.tools.collection`` builds and installs it in the cache."""

import hashlib
import shutil
import subprocess
from pathlib import Path

from lab import cache, progress, record
from tests.tools import venvs

ROOT = Path(__file__).resolve().parents[2]


def files() -> list[str]:
    """Return the files of the working tree that git tracks or would track, sorted."""
    # The owner of a checkout need not be who runs the tests (git-config(1), safe.directory).
    argv = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=60, check=True).stdout
    return sorted({file for file in listed.split("\0") if file and (ROOT / file).is_file()})


def copy(name: str) -> Path:
    """Copy these files to a tree of their own; return its directory.

    ansible-test and antsibull-docs work only in ``ansible_collections/NAMESPACE/NAME``.
    What ansible-test keeps in tests/output (its environments) stays.
    """
    path = cache.root() / "trees" / name / "ansible_collections" / "hostcraft" / "linux"
    output, kept = path / "tests/output", path.with_name("output")
    if output.is_dir():
        shutil.rmtree(kept, ignore_errors=True)
        output.rename(kept)
    shutil.rmtree(path, ignore_errors=True)
    for file in files():
        (path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / file, path / file)
    if kept.is_dir():
        kept.rename(output)
    return path


def build() -> Path:
    """Build the collection, unless that is done already; return the tarball."""
    built = cache.root() / "built"
    with record.locked(cache.root() / "build.lock", progress.say):
        output = built / _key()
        if not output.is_dir():
            venv, making = venvs.ensure("core219"), built / "making"
            shutil.rmtree(built, ignore_errors=True)
            argv = [venv / "bin/ansible-galaxy", "collection", "build", "--output-path", making, copy("build")]
            progress.run("Build the collection", argv, cache.root() / "log/build.log", env=venvs.environment(venv))
            making.rename(output)
        return next(output.glob("*.tar.gz"))


def install() -> Path:
    """Build the collection and install it in the cache; return the directory for ANSIBLE_COLLECTIONS_PATH.

    Nothing is done when it is there already: other steps may be running from it.
    """
    tarball, path = build(), cache.root() / "collections"
    with record.locked(cache.root() / "install.lock", progress.say):
        installed = path / "installed"
        if not installed.exists() or installed.read_text() != str(tarball):
            venv = venvs.ensure("core219")
            shutil.rmtree(path, ignore_errors=True)
            argv = [venv / "bin/ansible-galaxy", "collection", "install", "--offline", "-p", path, tarball]
            progress.run("Install the collection", argv, cache.root() / "log/install.log", env=venvs.environment(venv))
            installed.write_text(str(tarball))
    return path


def _key() -> str:
    digest = hashlib.sha256()
    for file in files():
        digest.update(f"{file}\0{(ROOT / file).stat().st_mode:o}\0".encode() + (ROOT / file).read_bytes())
    return digest.hexdigest()[:12]


if __name__ == "__main__":
    install()
