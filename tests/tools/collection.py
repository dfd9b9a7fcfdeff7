# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as its users get it: ``python3 -m tests.tools.collection`` builds and installs it in the cache."""

import shutil
import subprocess
from pathlib import Path

from lab import cache, progress
from tests.tools import venvs

ROOT = Path(__file__).resolve().parents[2]


def copy(name: str) -> Path:
    """Copy the files of the working tree that git would track to a tree of their own; return its directory.

    ansible-test and antsibull-docs work only in ``ansible_collections/NAMESPACE/NAME``.
    """
    path = cache.root() / "trees" / name / "ansible_collections" / "hostcraft" / "linux"
    shutil.rmtree(path, ignore_errors=True)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=60, check=True,
    )  # fmt: skip
    for file in filter(None, listed.stdout.split("\0")):
        if (ROOT / file).is_file():
            (path / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, path / file)
    return path


def build() -> Path:
    """Build the collection; return the tarball."""
    venv = venvs.ensure("main")
    tree, output = copy("build"), cache.root() / "built"
    shutil.rmtree(output, ignore_errors=True)
    argv = [venv / "bin/ansible-galaxy", "collection", "build", "--output-path", output, tree]
    progress.run("Build the collection", argv, cache.root() / "log/build.log", env=venvs.environment(venv))
    return next(output.glob("*.tar.gz"))


def install() -> Path:
    """Build the collection and install it in the cache; return the directory for ANSIBLE_COLLECTIONS_PATH."""
    tarball, venv, path = build(), venvs.ensure("main"), cache.root() / "collections"
    argv = [venv / "bin/ansible-galaxy", "collection", "install", "--offline", "--force", "-p", path, tarball]
    progress.run("Install the collection", argv, cache.root() / "log/install.log", env=venvs.environment(venv))
    return path


if __name__ == "__main__":
    install()
