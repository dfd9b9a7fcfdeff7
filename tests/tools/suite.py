# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test suite: ``python3 -m tests.tools.suite [STEP...]``; without names, all that CI runs.

Three steps run at once, which is what two cores are busy with. The last line counts the steps.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path

from lab import cache, kubernetes, progress
from tests.tools import ansible_test, collection, packages, scenarios, venvs

ROOT = collection.ROOT
DOMAINS = "tests/integration/libvirt_domains"
CLUSTERS = "tests/integration/clusters"
# The suite's own labs, so that hosts which someone works with are left alone. What stops libvirtd and all its guests
# has one to itself, and so has Kubernetes.
LAB, LAB_OF_DOMAINS, LAB_OF_CLUSTERS = "test", "test-domains", "test-clusters"
MODULES = ("plugins/modules", "plugins/module_utils")
LIMIT = 85 * 60.0  # seconds after which something hangs
TELLING = 5  # lines of each failed step that are repeated at the end, where they are seen first
WIDTH = 300  # characters of such a line
GRACE = 60.0  # seconds that a program has to clean up after SIGTERM


def tool(title: str, *argv, cwd: Path = ROOT, lab_name: str | None = None, **variables) -> None:
    """Run a program of the main environment as a step, for the hosts of another lab if named.

    Raises ``StepFailed``.
    """
    venv = venvs.ensure("main")
    environment = venvs.environment(venv, lab_name) | {key: str(value) for key, value in variables.items()}
    log = cache.root() / f"log/{title.replace(' ', '-')}.log"
    progress.run(title, [venv / "bin" / argv[0], *argv[1:]], log, cwd=cwd, env=environment)


def ruff() -> None:
    """Lint, and check the format."""
    tool("ruff check", "ruff", "check", ".")
    tool("ruff format", "ruff", "format", "--check", ".")


def unit() -> None:
    """Run the unit tests on the controller's Python, with the ansible-core that runs the collection."""
    tool("unit tests", "python", "-m", "pytest", "-q", "tests/unit", "tests/bench")


def vermin() -> None:
    """Check that what runs on managed hosts is valid for Python 3.6."""
    tool("vermin", "vermin", "--no-tips", "-t=3.6-", "--violations", *MODULES)


def bpf() -> None:
    """Compile the XDP program and compare it with the instructions that are committed."""
    tool("compare the XDP program", "python", "-m", "tests.tools.bpf", "--check")


def mypy() -> None:
    """Check the types of what the modules are made of."""
    tree = collection.copy("mypy")
    package = "ansible_collections.hostcraft.linux.plugins.module_utils"
    kept = cache.root() / "mypy"
    tool(
        "mypy", "mypy", "--explicit-package-bases", "--namespace-packages", "--cache-dir", kept, "-p", package,
        cwd=tree.parents[2],
    )  # fmt: skip


def changelog() -> None:
    """Check the changelog fragments."""
    tool("antsibull-changelog lint", "antsibull-changelog", "lint")


def lint() -> None:
    """Run ansible-lint with the profile production; it looks for modules and roles where they are installed."""
    collection.install()
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
    """Run the tests of the lab itself, among them that a scenario refuses to run on no machine."""
    collection.install()
    tool("lab tests", "python", "-m", "pytest", "-q", "tests/lab")


def integration() -> None:
    """Run the tests that meet a real sshd on namespace hosts."""
    collection.install()
    argv = ["python", "-m", "pytest", "-q", "--durations=20", "tests/integration"]
    tool("integration tests", *argv, *(f"--ignore={one}" for one in (DOMAINS, CLUSTERS)))


def domains() -> None:
    """Run the tests that meet a real libvirtd with many small guests, on a hypervisor of their own."""
    collection.install()
    argv = ["python", "-m", "pytest", "-q", "--durations=20", DOMAINS]
    tool("tests of domains", *argv, lab_name=LAB_OF_DOMAINS)


def clusters() -> None:
    """Run the tests that meet a real Kubernetes API server, those that maintain its nodes among them."""
    collection.install()
    try:
        kubernetes.ensure()
    except kubernetes.Unavailable as error:  # every test would be skipped, and the step look as if it had passed
        raise ansible_test.Skipped(f"NOT TESTED AGAINST A REAL API SERVER: {error}") from error
    argv = ["python", "-m", "pytest", "-q", "--durations=20", CLUSTERS]
    tool("tests of clusters", *argv, lab_name=LAB_OF_CLUSTERS)


def demo() -> None:
    """Tell the story once, with its assertions."""
    log = cache.root() / "log/demo.log"
    progress.run("demo", [sys.executable, "-m", "tests.tools.demo"], log, cwd=ROOT)


# Each in the order in which its steps start, what fails fastest first. The virtual machine is in the first lane, the
# hosts of the tests are in the second: more at once of what has deadlines makes tests fail. The third is nice, and
# fills what these leave of the processors while they wait.
LANES = (
    {
        "lab": lab,
        "drills": scenarios.drills,
        "molecule": scenarios.others,
        "domains": domains,
    },
    {
        "ruff": ruff,
        "vermin": vermin,
        "mypy": mypy,
        "bpf": bpf,
        "changelog": changelog,
        "unit": unit,  # while the lab's own tests have the machine's hosts to themselves
        "integration": integration,
        "clusters": clusters,  # last: the API server is built beside everything before it
    },
    {
        "sanity": ansible_test.sanity,
        "importer": importer,
        "units-2.16": lambda: ansible_test.units("core216"),
        "units-2.21": lambda: ansible_test.units("core221"),
        "docs": docs,
        "lint": lint,
        "demo": demo,
    },
)
NICE = (0, 0, 19)  # of the lanes
# Who has nothing left to do helps in another lane, but for whoever would be the third to start hosts.
ORDERS = ((0, 1, 2), (1, 0, 2), (2,))
STEPS = {name: step for lane in LANES for name, step in lane.items()}
ON_HOSTS = {"lab", "demo", "drills", "molecule", "domains", "integration", "clusters"}
# What must not run at the same time: the lab's own tests look for traces on the whole machine, and many small guests
# would take from the virtual machine the time in which it must answer.
ALONE = (
    (threading.Lock(), {"lab", "integration"}),
    (threading.Lock(), {"lab", "domains"}),
    (threading.Lock(), {"lab", "clusters"}),
    (threading.Lock(), {"lab", "demo"}),
    (threading.Lock(), {"drills", "domains"}),
    (threading.Lock(), {"drills", "molecule"}),  # one machine for both
)


class Results(dict):
    """``{step: (result, seconds)}``, filled by the workers; and what the failed ones said last."""

    def __init__(self):
        super().__init__()
        self.said: dict[str, list[str]] = {}

    def count(self, kind: str) -> int:
        """Return how many steps ended as ``kind``."""
        return sum(result == kind for result, _seconds in self.values())


def run(names: list[str], results: Results) -> None:
    """Run the steps named; a failure does not stop the others.

    Raises ``KeyboardInterrupt`` (Ctrl-C, SIGTERM) or ``TimeoutError``; the steps that ran are then stopped.
    """
    lanes = [deque(name for name in lane if name in names) for lane in LANES]
    workers = [threading.Thread(target=_work, args=(order, lanes, results)) for order in ORDERS]
    deadline = time.monotonic() + LIMIT
    try:
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(max(0.0, deadline - time.monotonic()))
        if any(worker.is_alive() for worker in workers):
            raise TimeoutError(f"not done after {LIMIT / 60:.0f} minutes")
    finally:
        for lane in lanes:
            lane.clear()
        _stop(workers)


def _work(order: tuple[int, ...], lanes: list[deque], results: Results) -> None:
    for number in order:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE[number])
        while True:
            try:
                name = lanes[number].popleft()
            except IndexError:
                break
            with contextlib.ExitStack() as alone:
                for lock, names in ALONE:
                    if name in names:
                        alone.enter_context(lock)
                results[name] = _result(name, results)


def _result(name: str, results: Results) -> tuple[str, float]:
    began, result = time.monotonic(), "passed"
    try:
        STEPS[name]()
    except ansible_test.Skipped as reason:
        result = "skipped"
        progress.say(f"{name} SKIPPED: {reason}")
    except Exception as error:  # noqa: BLE001 whatever it is, the other steps still run and this one has failed
        result = "failed"
        telling = getattr(error, "telling", ())
        results.said[name] = [str(error), *(line[:WIDTH] for line in telling[-TELLING:])]
        progress.say(f"{name} FAILED: {error}")
    return result, time.monotonic() - began


def _stop(workers: list[threading.Thread]) -> None:
    """Stop what the workers still run, and wait for them."""
    told: set[int] = set()
    patience = time.monotonic() + GRACE
    while any(worker.is_alive() for worker in workers):
        late = time.monotonic() > patience
        for child in _children() if late else _children() - told:
            _signal(child, signal.SIGKILL if late else signal.SIGTERM)
            told.add(child)
        time.sleep(0.2)
    for child in told:  # what did not end with the program that had started it
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)


def _children() -> set[int]:
    children: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):  # a thread that ended meanwhile
            children.update(int(child) for child in (task / "children").read_text().split())
    return children


def _signal(child: int, number: signal.Signals) -> None:
    """Signal a child, and the rest of its process group when it leads one."""
    with contextlib.suppress(ProcessLookupError):
        (os.killpg if os.getpgid(child) == child else os.kill)(child, number)


def _report(names: list[str], results: Results) -> None:
    print()
    for name in (one for one in STEPS if one in names):
        result, seconds = results.get(name, ("not run", 0.0))
        print(f"{name:14} {result:8} {seconds:7.1f} s")
    for name, lines in results.said.items():
        print(f"\n{name}:", *lines, sep="\n    ")
    more = f", {results.count('skipped')} skipped" if results.count("skipped") else ""
    print(f"\n{results.count('passed')} passed, {results.count('failed')} failed{more}", flush=True)


@contextlib.contextmanager
def _building(names: list[str]):
    """Build the API server in the background of the other steps; its own step waits for it."""
    if "clusters" not in names or kubernetes.built() is not None:
        yield
        return
    log = cache.root() / "log/cluster-build.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    argv = [sys.executable, "-m", "lab", "cluster", "build"]
    with open(log, "wb") as out:
        builder = subprocess.Popen(argv, cwd=ROOT, stdout=out, stderr=out, start_new_session=True)
    progress.be_nice(builder.pid, 15)
    try:
        yield
    finally:
        if builder.poll() is None:
            builder.send_signal(signal.SIGINT)  # it stops the compiler, which has a process group of its own
            builder.wait(GRACE)


def main() -> int:
    """Run the suite; return the exit status."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.tools.suite", description=__doc__)
    parser.add_argument("steps", nargs="*", metavar="STEP", help=f"one of {', '.join(STEPS)}")
    names = parser.parse_args().steps or list(STEPS)
    unknown = sorted(set(names) - set(STEPS))
    if unknown:
        parser.error(f"no such step: {', '.join(unknown)}")
    os.environ["HOSTCRAFT_LAB"] = LAB
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    results = Results()
    try:
        packages.install()
        with _building(names):
            run(names, results)
    except (KeyboardInterrupt, TimeoutError, *packages.Failed) as error:
        progress.say(f"STOPPED: {str(error) or 'interrupted'}")
    finally:
        for lab_name in (LAB, LAB_OF_DOMAINS, LAB_OF_CLUSTERS) if set(names).intersection(ON_HOSTS) else ():
            environment = os.environ | {"HOSTCRAFT_LAB": lab_name}
            subprocess.run([sys.executable, "-m", "lab", "down"], cwd=ROOT, env=environment, timeout=300, check=True)
    _report(names, results)
    return 0 if results.count("failed") == 0 and len(results) == len(names) > results.count("skipped") else 1


if __name__ == "__main__":
    sys.exit(main())
