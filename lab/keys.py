# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""SSH keys: one for the controller, one for each host."""

import subprocess
from pathlib import Path

from lab import cache, record


def controller() -> Path:
    """Return the controller's private key, made when missing; beside it is the public one, ``.pub``."""
    path = cache.root() / "keys" / "id_ed25519"
    with record.locked(path.with_suffix(".lock")):
        return make(path, "hostcraft lab")


def make(path: Path, comment: str) -> Path:
    """Make an ed25519 key pair without passphrase at ``path`` unless it is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.with_suffix(".pub").exists():
        path.unlink(missing_ok=True)
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path]
        subprocess.run(argv, stdin=subprocess.DEVNULL, timeout=30, check=True)
    return path


def public(path: Path) -> str:
    """Return the public half of a private key file: one line, type, key and comment."""
    return path.with_suffix(".pub").read_text()
