# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install the Debian packages that the tests and the demo need: ``python3 -m tests.tools.packages``."""

import importlib.util
import shutil
import sys

from lab import packages, progress, record

Failed = (progress.StepFailed, record.LabError)
# What only the benchmarks need, see bench/ladder: what packets are dropped with, and the peer.
BENCH = {"clang-14": "clang-14", "nft": "nftables", "iptables-nft": "iptables", "xdp-filter": "xdp-tools"}


def missing(bench: bool = False) -> list[str]:
    """Return the packages that the toolchain lacks; what the lab needs is the lab's to say."""
    programs = {
        "git": "git",
        "git-lfs": "git-lfs",
        # gpg and openssl make the keys and certificates of the tests of git_shallow and git_squash.
        "gpg": "gnupg",
        "openssl": "openssl",
        "patchelf": "patchelf",  # for git of other Debian releases, see gits.py
        "ping": "iputils-ping",
        # tproxy in network namespaces of the machine.
        "/usr/sbin/nft": "nftables",
        "/usr/sbin/iptables-legacy-restore": "iptables",
        "/usr/sbin/ipset": "ipset",
        "systemd-analyze": "systemd",  # looks at units; it need not run
        "dot": "graphviz",  # draws for the filter topology
        "clang-14": "clang-14",  # compiles the XDP program, see bpf.py
    }
    if bench:
        programs |= BENCH
    wanted = [package for program, package in programs.items() if not shutil.which(program)]
    # Debian splits ensurepip off its python3; every other build of Python has it.
    if importlib.util.find_spec("ensurepip") is None:
        wanted.append("python%d.%d-venv" % sys.version_info[:2])
    return wanted


def install(bench: bool = False) -> None:
    """Install what is missing. Raises ``StepFailed`` or ``LabError`` when that fails."""
    wanted = missing(bench)
    if wanted:
        packages.apt(["update"], "Read the package lists")
        packages.apt(["install", "--yes", "--no-install-recommends", *wanted], f"Install {', '.join(wanted)}")
    packages.install()


if __name__ == "__main__":
    try:
        install()
    except Failed as error:
        sys.exit(str(error))
