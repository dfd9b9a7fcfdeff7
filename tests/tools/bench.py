# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run every benchmark of tests/bench and show its table: ``python3 -m tests.tools.bench``."""

import subprocess
import sys

from tests.tools import collection, packages, venvs


def main() -> int:
    """Run the benchmarks; return the exit status of the first that fails, else 0."""
    packages.install()
    collection.install()
    venv = venvs.ensure("main")
    for bench in sorted((collection.ROOT / "tests/bench").glob("bench_*.py")):
        print(f"\n{bench.name}", flush=True)
        status = subprocess.run([venv / "bin/python", bench], env=venvs.environment(venv), check=False).returncode
        if status:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
