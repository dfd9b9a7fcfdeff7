# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host can grant at most: the task's own power, and the ceilings of kernel and logins.

Private to the collection; not a public interface.
"""

CAP_SYS_RESOURCE = 24  # include/uapi/linux/capability.h


def may_raise():
    """Tell whether the task has CAP_SYS_RESOURCE, without which hard limits can only be lowered."""
    with open("/proc/self/status") as stream:
        effective = [line.split()[1] for line in stream if line.startswith("CapEff:")]
    return bool(int(effective[0], 16) >> CAP_SYS_RESOURCE & 1)


def ceiling():
    """Return the highest hard limits among the task's ancestors: no login gets more without the capability."""
    from . import procfs

    found = [procfs.limits(pid) for pid in procfs.ancestors()]
    return {name: max(one[name].hard for one in found) for name in found[0]}


def nr_open():
    """Return fs.nr_open, the highest limit of open files that the kernel accepts."""
    with open("/proc/sys/fs/nr_open") as stream:
        return int(stream.read())
