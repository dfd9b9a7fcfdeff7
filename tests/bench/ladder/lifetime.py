# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing of the ladder outlives who started it, however that one ended."""

import ctypes
import os
import signal

PR_SET_PDEATHSIG = 1  # linux/prctl.h, see prctl(2)
_libc = ctypes.CDLL(None, use_errno=True)


def end_with_parent() -> None:
    """Have the kernel kill this process when its parent ends. Ends it at once when that has happened already."""
    parent = os.getppid()
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent or parent == 1:
        os._exit(1)
