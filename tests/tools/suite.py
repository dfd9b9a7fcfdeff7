# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test suite: ``python3 -m tests.tools.suite [STEP...]``; without names, all that CI runs.

Two lanes run at once, one for each core of a small machine. The last line counts the steps.
"""

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from lab import cache, progress
from tests.tools import ansible_test, collection, packages, scenarios, venvs

ROOT = collection.ROOT
MODULES = ("plugins/modules", "plugins/module_utils")


def tool(title: str, *argv, cwd: Path = ROOT, **variables) -> None:
    """Run a program of the main environment as a step. Raises ``StepFailed``."""
    venv = venvs.ensure("main")
    environment = venvs.environment(venv) | {key: str(value) for key, value in variables.items()}
    log = cache.root() / f"log/{title.replace(' ', '-')}.log"
    progress.run(title, [venv / "bin" / argv[0], *argv[1:]], log, cwd=cwd, env=environment)


def ruff() -> None:
    """Lint, and check the format."""
    tool("ruff check", "ruff", "check", ".")
    tool("ruff format", "ruff", "format", "--check", ".")


def unit() -> None:
    """Run the unit tests on the controller's Python."""
    tool("unit tests", "python", "-m", "pytest", "-q", "tests/unit")


def vermin() -> None:
    """Check that what runs on managed hosts is valid for Python 3.6."""
    tool("vermin", "vermin", "--no-tips", "-t=3.6-", "--violations", *MODULES)


def changelog() -> None:
    """Check the changelog fragments."""
    tool("antsibull-changelog lint", "antsibull-changelog", "lint")


def lint() -> None:
    """Run ansible-lint with the profile production."""
    tool("ansible-lint", "ansible-lint", "--profile", "production", "--offline")


def docs() -> None:
    """Check the documentation of plugins and roles, with all references in it."""
    tree = collection.copy("docs")
    tool(
        "antsibull-docs lint", "antsibull-docs", "lint-collection-docs",
        "--plugin-docs", "--validate-collection-refs=all", ".",
        cwd=tree, ANSIBLE_COLLECTIONS_PATH=tree.parents[2],
    )  # fmt: skip


def importer() -> None:
    """Check the built collection as Galaxy does when it is uploaded."""
    tarball, venv = collection.build(), venvs.ensure("importer")
    settings = cache.root() / "importer.cfg"
    settings.write_text("[galaxy-importer]\nCHECK_REQUIRED_TAGS=True\nRUN_FLAKE8=False\nRUN_ANSIBLE_TEST=False\n")
    environment = venvs.environment(venv) | {"GALAXY_IMPORTER_CONFIG": str(settings)}
    argv = [venv / "bin/python", "-m", "galaxy_importer.main", tarball]
    log = cache.root() / "log/galaxy-importer.log"
    # Its working files go where it runs.
    work = cache.root() / "importer"
    work.mkdir(exist_ok=True)
    progress.run("galaxy-importer", argv, log, cwd=work, env=environment)


def lab() -> None:
    """Run the tests of the lab itself."""
    tool("lab tests", "python", "-m", "pytest", "-q", "tests/lab")


def integration() -> None:
    """Run the tests that meet a real sshd on namespace hosts."""
    tool("integration tests", "python", "-m", "pytest", "-q", "tests/integration")


def demo() -> None:
    """Tell the story once, with its assertions."""
    log = cache.root() / "log/demo.log"
    progress.run("demo", [sys.executable, "-m", "tests.tools.demo"], log, cwd=ROOT)


LANES = (
    {
        "ruff": ruff,
        "unit": unit,
        "vermin": vermin,
        "changelog": changelog,
        "docs": docs,
        "lint": lint,
        "sanity": ansible_test.sanity,
        "importer": importer,
        "units-2.16": lambda: ansible_test.units("core216"),
        "units-2.19": lambda: ansible_test.units("core219"),
        "units-2.21": lambda: ansible_test.units("core221"),
    },
    {
        "lab": lab,
        "integration": integration,
        "demo": demo,
        "molecule": scenarios.suite,
    },
)


def run(names: list[str]) -> dict[str, tuple[str, float]]:
    """Run the steps named and return ``{step: (result, seconds)}``; a failure does not stop the others."""
    results: dict[str, tuple[str, float]] = {}
    lanes = [threading.Thread(target=_lane, args=(lane, names, results)) for lane in LANES]
    for lane in lanes:
        lane.start()
    for lane in lanes:
        lane.join()
    return results


def _lane(steps, names, results) -> None:
    for name in [one for one in steps if one in names]:
        began, result = time.monotonic(), "passed"
        try:
            steps[name]()
        except ansible_test.Skipped as reason:
            result = "skipped"
            progress.say(f"{name} SKIPPED: {reason}")
        except Exception as error:  # noqa: BLE001 whatever it is, the other steps still run and this one has failed
            result = "failed"
            progress.say(f"{name} FAILED: {error}")
        results[name] = (result, time.monotonic() - began)


def _stop_children(_number, _frame) -> None:
    for task in Path("/proc/self/task").iterdir():
        for child in (task / "children").read_text().split():
            os.kill(int(child), signal.SIGTERM)


def main() -> int:
    """Run the suite; return the exit status."""
    known = [name for lane in LANES for name in lane]
    parser = argparse.ArgumentParser(prog="python3 -m tests.tools.suite", description=__doc__)
    parser.add_argument("steps", nargs="*", metavar="STEP", help=f"one of {', '.join(known)}")
    names = parser.parse_args().steps or known
    unknown = sorted(set(names) - set(known))
    if unknown:
        parser.error(f"no such step: {', '.join(unknown)}")
    # The suite's own lab, so that hosts which someone works with are left alone.
    os.environ["HOSTCRAFT_LAB"] = "test"
    signal.signal(signal.SIGTERM, _stop_children)
    try:
        packages.install()
        collection.install()
        results = run(names)
    finally:
        subprocess.run([sys.executable, "-m", "lab", "down"], cwd=ROOT, timeout=300, check=True)
    print()
    for name in names:
        result, seconds = results[name]
        print(f"{name:14} {result:8} {seconds:7.1f} s")
    count = {kind: sum(result == kind for result, _s in results.values()) for kind in ("passed", "failed", "skipped")}
    more = f", {count['skipped']} skipped" if count["skipped"] else ""
    print(f"\n{count['passed']} passed, {count['failed']} failed{more}")
    return 1 if count["failed"] or not count["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
