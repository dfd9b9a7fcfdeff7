# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run every benchmark of tests/bench and show its table: ``python3 -m tests.tools.bench [NAME...] [--OPTION...]``.

Options are for the benchmarks named.
"""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from lab import cache, progress
from tests.tools import collection, packages, venvs

PEERS = "ansible==12.3.0"  # brings the collections that are measured against; Galaxy is not needed for it
COLLECTIONS = tuple(f"ansible_collections/community/{name}/" for name in ("general", "libvirt"))


def peers() -> Path:
    """Return a directory for ANSIBLE_COLLECTIONS_PATH with the collections that are measured against."""
    path = cache.root() / "peers"
    if not all((path / one).is_dir() for one in COLLECTIONS):
        shutil.rmtree(path, ignore_errors=True)
        venv = venvs.ensure("main")
        argv = [venv / "bin/pip", "download", "--no-deps", "--dest", path, PEERS]
        progress.run("Fetch the peers", argv, cache.root() / "log/peers.log", env=venvs.environment(venv))
        with zipfile.ZipFile(next(path.glob("*.whl"))) as wheel:
            wanted = [one for one in wheel.namelist() if one.startswith(COLLECTIONS)]
            wheel.extractall(path / "half", wanted)
        (path / "half/ansible_collections").rename(path / "ansible_collections")
    return path


def main() -> int:
    """Run all benchmarks, or those named; return the exit status of the first that fails, else 0."""
    names = [one for one in sys.argv[1:] if not one.startswith("-")]
    options = [one for one in sys.argv[1:] if one.startswith("-")]
    packages.install(bench=True)
    collection.install()
    venv = venvs.ensure("main")
    for bench in sorted((collection.ROOT / "tests/bench").glob("bench_*.py")):
        if names and bench.stem.partition("_")[2] not in names:
            continue
        print(f"\n{bench.name}", flush=True)
        environment = venvs.environment(venv)
        environment["ANSIBLE_COLLECTIONS_PATH"] += f":{peers()}"
        status = subprocess.run(
            [venv / "bin/python", "-m", f"tests.bench.{bench.stem}", *options],
            cwd=collection.ROOT, env=environment, check=False,
        ).returncode  # fmt: skip
        if status:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
