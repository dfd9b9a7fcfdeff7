# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs of a Kubernetes control plane: etcd from Debian, the rest built from Debian's source package.

Debian has no package of kube-apiserver, only the source of one. It is built outside the work tree and kept under a key
of what it is made of; nothing is installed on the machine but what unpacks and builds (make, rsync, dpkg-dev).
"""

import contextlib
import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

from lab import cache, packages, progress, record

PROGRAMS = ("kube-apiserver", "kube-controller-manager")
GO = "golang-1.19"
# The vendored 1.0.1 reads map internals that Go has changed since 1.18: the server builds, starts, and crashes on the
# first custom resource. Debian's package of the same library is the repaired one.
REFLECT = "golang-github-modern-go-reflect2-dev"
VENDORED = "vendor/github.com/modern-go/reflect2"
ETCD = "etcd-server"
TOOLS = {"make": "make", "rsync": "rsync", "dpkg-source": "dpkg-dev"}
SOURCE = "kubernetes"
# apt with this machine's keys and mirrors, and with lists and sources of its own.
APT = """Dir::Etc::SourceList "{place}/apt/sources"; Dir::Etc::SourceParts "-"; Dir::State::Lists "{place}/apt/lists";
Dir::Cache "{place}/apt/cache"; Acquire::Languages "none"; APT::Sandbox::User "root"; Acquire::Retries "3";
"""
# Without it the server would tell a version that clients cannot parse.
VERSION = """KUBE_GIT_VERSION='v{version}' KUBE_GIT_MAJOR='{major}' KUBE_GIT_MINOR='{minor}'
KUBE_GIT_COMMIT='debian' KUBE_GIT_TREE_STATE='archive'
"""
BUILT = "built.json"  # written last: what it was made of
RECIPE = 1  # to be counted up with every change of this file that changes what is built


class Unavailable(record.LabError):
    """The programs are not there and cannot be made here."""


def ensure() -> Path:
    """Return the directory with the programs, which are built when they are missing: some 7 minutes of CPU time.

    Raises ``Unavailable`` when they cannot be had.
    """
    place = cache.root() / "kubernetes"
    with record.locked(place / "lock", progress.say):
        found = built()
        if found is not None:
            return found
        try:
            return _make(place)
        except (progress.StepFailed, subprocess.SubprocessError, OSError) as error:
            raise Unavailable(f"no Kubernetes control plane could be built: {error}") from error


def built() -> Path | None:
    """Return the directory with the programs, None when they were not built yet by this recipe."""
    current = cache.root() / "kubernetes/current"
    with contextlib.suppress(FileNotFoundError):
        if json.loads((current / BUILT).read_text())["recipe"] == RECIPE:
            return current.resolve()
    return None


def _make(place: Path) -> Path:
    _tools()
    for name in ("apt/lists/partial", "apt/cache/archives/partial"):
        (place / name).mkdir(parents=True, exist_ok=True)
    (place / "apt/conf").write_text(APT.format(place=place))
    binary = packages.sources()
    (place / "apt/sources").write_text(binary + re.sub("^deb ", "deb-src ", binary, flags=re.MULTILINE))
    _apt(place, "update")
    source = _field(place, ["apt-cache", "showsrc", "--only-source", SOURCE], "Version")
    versions = {name: _version(place, name) for name in (f"{GO}-go", REFLECT, ETCD)}
    inputs = {SOURCE: source, **versions, "recipe": RECIPE}
    key = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:12]
    target = place / key
    if not (target / BUILT).exists():
        shutil.rmtree(target, ignore_errors=True)
        work = place / "work"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        _fetch(place, work, source)
        target.mkdir()
        shutil.copy2(work / "root/usr/bin/etcd", target)
        _build(work, source)
        for name in PROGRAMS:
            shutil.copy2(next((work / "go").rglob(f"_output/**/bin/{name}")), target)
        (target / BUILT).write_text(json.dumps(inputs, indent=1) + "\n")
        # The Go cache is read-only.
        subprocess.run(["rm", "-rf", work], check=True, timeout=300)
    link = place / "new"
    link.unlink(missing_ok=True)
    link.symlink_to(key)
    link.rename(place / "current")
    return target


def _tools() -> None:
    wanted = [package for program, package in TOOLS.items() if not shutil.which(program, path=packages.PATH)]
    if wanted:
        packages.apt(["update"], "Read the package lists")
        packages.apt(["install", "--yes", "--no-install-recommends", *wanted], f"Install {', '.join(wanted)}")


def _environment(place: Path) -> dict[str, str]:
    return {"PATH": packages.PATH, "APT_CONFIG": str(place / "apt/conf"), "LC_ALL": "C.UTF-8"}


def _apt(place: Path, *arguments: str, cwd: Path | None = None) -> None:
    log, title = cache.root() / "log/kubernetes-apt.log", f"Kubernetes: apt-get {arguments[0]}"
    progress.run(title, ["apt-get", *arguments], log, env=_environment(place), cwd=cwd)


def _version(place: Path, package: str) -> str:
    return _field(place, ["apt-cache", "show", "--no-all-versions", package], "Version")


def _field(place: Path, argv: list[str], field: str) -> str:
    done = subprocess.run(argv, env=_environment(place), capture_output=True, text=True, timeout=60, check=True)
    found = re.findall(rf"^{field}: (.+)$", done.stdout, re.MULTILINE)
    if not found:
        raise Unavailable(f"{' '.join(argv)} tells no {field}: the machine's mirror lacks it")
    return found[-1]


def _fetch(place: Path, work: Path, source: str) -> None:
    """Fetch the source and unpack the packages that it is built with; none of them is installed."""
    _apt(place, "source", "--only-source", f"{SOURCE}={source}", cwd=work)
    wanted = [f"{GO}-go", f"{GO}-src", REFLECT, ETCD]
    _apt(place, "download", *wanted, cwd=work)
    for package in work.glob("*.deb"):
        subprocess.run(["dpkg-deb", "--extract", package, work / "root"], check=True, timeout=120)
    tree = work / "go/src/k8s.io/kubernetes"
    tree.parent.mkdir(parents=True)
    next(one for one in work.glob(f"{SOURCE}-*") if one.is_dir()).rename(tree)
    for old in (*(tree / VENDORED).glob("*.go"), *(tree / VENDORED).glob("*.s")):
        old.unlink()
    repaired = work / "root/usr/share/gocode/src/github.com/modern-go/reflect2"
    for new in (*repaired.glob("*.go"), *repaired.glob("*.s")):
        shutil.copy2(new, tree / VENDORED)


def _build(work: Path, source: str) -> None:
    # Debian's "1.20.5+really1.20.2-1.1" is 1.20.2.
    version = re.search(r"(\d+)\.(\d+)\.\d+(?=-)", source)
    if version is None:
        raise Unavailable(f"{source} is no version of Kubernetes that this recipe knows")
    text = VERSION.format(version=version[0], major=version[1], minor=version[2])
    (work / "version").write_text(text)
    environment = {
        "PATH": f"{work}/root/usr/lib/go-1.19/bin:{packages.PATH}",
        "HOME": str(work),
        "GOROOT": f"{work}/root/usr/lib/go-1.19",
        "GOPATH": f"{work}/go",
        "GO111MODULE": "off",
        "GOFLAGS": "",
        "KUBE_GIT_VERSION_FILE": f"{work}/version",
        "LC_ALL": "C.UTF-8",
    }
    tree, programs = work / "go/src/k8s.io/kubernetes", [f"cmd/{name}" for name in PROGRAMS]
    # The target "all" would make every generated file anew; the source has all but these.
    for name, title, argv in (
        ("openapi", "Generate the OpenAPI definitions of Kubernetes", ["make", "gen_openapi"]),
        ("build", "Build kube-apiserver", ["bash", "hack/make-rules/build.sh", *programs]),
    ):
        log = cache.root() / f"log/kubernetes-{name}.log"
        progress.run(title, ["nice", "-n", "15", *argv], log, env=environment, cwd=tree)
