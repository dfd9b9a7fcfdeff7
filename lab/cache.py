# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where everything that is made, and can be made again, is kept."""

import os
from pathlib import Path


def root() -> Path:
    """Return the cache directory, made when missing.

    It is ``$HOSTCRAFT_CACHE``, else ``hostcraft`` below ``$XDG_CACHE_HOME``, else
    ``~/.cache/hostcraft`` (XDG Base Directory Specification).
    """
    chosen = os.environ.get("HOSTCRAFT_CACHE")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    path = Path(chosen) if chosen else base / "hostcraft"
    path.mkdir(parents=True, exist_ok=True)
    return path.resolve()
