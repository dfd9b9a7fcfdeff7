# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The layers: plans are pure, the core knows no domain, and domains do not know each other."""

import ast
import os

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils import _core

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(_core.__file__ or _core.__path__[0] + "/x")))
# What touches the system, by domain; everything else in a domain is pure.
IO_FILES = {
    "_core": {"command.py", "connection.py", "files.py", "guard.py", "netlink.py", "watchdog.py"},
    "_boot": {"host.py", "procfs.py", "tools.py"},
    "_endpoints": {
        "duplicates.py",
        "host.py",
        "namespaces.py",
        "nftables.py",
        "program.py",
        "protect.py",
        "rtnetlink.py",
        "sysctl.py",
    },
    "_git": {
        "checkout.py",
        "clone.py",
        "fetch.py",
        "fleet.py",
        "git.py",
        "journal.py",
        "ls_refs.py",
        "remote.py",
        "signatures.py",
        "squash_apply.py",
        "squash_history.py",
        "survey.py",
        "worktree.py",
    },
    "_k8s": {"api.py", "auth.py", "drain.py", "fleet.py", "free.py", "survey.py", "task.py"},
    "_libvirt": {"drive.py", "fleet.py", "session.py", "survey.py", "task.py"},
    "_network": {
        "host.py",
        "initscripts.py",
        "networkmanager.py",
        "rtnetlink.py",
        "rtnetlink_routes.py",
        "sysfs.py",
    },
    "_tproxy": {"backends.py", "host.py", "proxies.py"},
    "_xdp": {
        "attachment.py",
        "boot.py",
        "bpf.py",
        "declared.py",
        "host.py",
        "in_place.py",
        "loader.py",
        "management.py",
        "pins.py",
        "prefixes.py",
        "rtnetlink.py",
        "standalone.py",
        "survey.py",
        "task.py",
        "trial.py",
    },
    "_rlimit": {"accounts.py", "bounds.py", "host.py", "pam.py", "procfs.py", "survey.py", "systemd.py", "usage.py"},
}
PURE = {
    "array",
    "bisect",
    "base64",
    "collections",
    "contextlib",
    "datetime",
    "fnmatch",
    "functools",
    "hashlib",
    "ipaddress",
    "itertools",
    "json",
    "re",
    "typing",
    "uuid",
    "xml.etree",
}


def sources():
    for domain in sorted(IO_FILES):
        for name in sorted(os.listdir(os.path.join(ROOT, domain))):
            if name.endswith(".py"):
                yield domain, name


def imports(domain, name):
    """Yield (level, module, names) of every import in a file."""
    with open(os.path.join(ROOT, domain, name)) as stream:
        for node in ast.walk(ast.parse(stream.read())):
            if isinstance(node, ast.Import):
                for one in node.names:
                    yield 0, one.name, ()
            elif isinstance(node, ast.ImportFrom):
                yield node.level, node.module or "", tuple(one.name for one in node.names)


def test_every_domain_is_listed():
    found = {name for name in os.listdir(ROOT) if os.path.isdir(os.path.join(ROOT, name)) and name != "__pycache__"}
    assert found == set(IO_FILES)


@pytest.mark.parametrize(("domain", "name"), list(sources()))
def test_layers(domain, name):
    io_modules = {one[:-3] for one in IO_FILES[domain]}
    for level, module, names in imports(domain, name):
        if level == 2:
            assert module.split(".")[0] == "_core", "a domain may import _core only"
        assert level < 3
        if name not in IO_FILES[domain]:
            if level == 0:
                assert module in PURE, f"{domain}/{name} is pure and may not import {module}"
            touched = {module.split(".")[-1]} | set(names if not module or module == "_core" else ())
            banned = io_modules if level == 1 else {name[:-3] for name in IO_FILES["_core"]}
            assert level == 0 or not touched & banned, f"{domain}/{name} is pure and may not use {touched}"
