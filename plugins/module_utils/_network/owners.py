# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who keeps a link for itself: what must not be taken from Open vSwitch, Docker, libvirt and others. Pure.

Private to the collection; not a public interface.
"""

import re

from .._core.reconcile import ReconcileError

NAMES = (
    (re.compile(r"ovs-system\Z"), "Open vSwitch"),
    (re.compile(r"(docker\d+|docker_gwbridge|br-[0-9a-f]{12})\Z"), "Docker"),
    (re.compile(r"(virbr\d+(-nic)?)\Z"), "libvirt"),
    (re.compile(r"cali[0-9a-f]{11}\Z"), "Calico"),
    (re.compile(r"(cni\d+|flannel\.\d+)\Z"), "a CNI plugin"),
)
KINDS = {"openvswitch": "Open vSwitch", "tun": "the program that opened it, such as a virtual machine"}


MANAGER, SCRIPTS, NETWORKD = "NetworkManager", "the initscripts (ifcfg files)", "systemd-networkd"
BACKENDS = {MANAGER: "networkmanager", SCRIPTS: "ifcfg"}


def backend(keepers, managing, scripts):
    """Return the backend that configures links: that of who keeps them.

    :param keepers: who keeps each link of the stack that is there: one of the three, None for nobody.
    :param managing: NetworkManager runs, and new links are its own.
    :param scripts: the initscripts are installed, and new links are theirs where it does not.
    :raises ReconcileError: several keep them, or one that no backend configures; names the links.
    """
    who = sorted(set(keepers.values()) - {None})
    if NETWORKD in who:
        raise ReconcileError(
            f"{_whose(NETWORKD, keepers)}: systemd-networkd keeps it; take it out of its .network files, or set "
            "backend: runtime to change the running kernel only"
        )
    left_out = [name for name, keeper in keepers.items() if keeper is None]
    if len(who) > 1 or (who == [MANAGER] and left_out):
        said = "; ".join(f"{one} keeps {_whose(one, keepers)}" for one in who)
        nobody = f"; nobody keeps {', '.join(sorted(left_out))}" if left_out else ""
        raise ReconcileError(
            f"{said}{nobody}. A stack is kept by one: let NetworkManager keep all of it ('nmcli device set NAME "
            "managed yes', no unmanaged-devices in its configuration, no NM_CONTROLLED=no in ifcfg files), or none"
        )
    if who:
        return BACKENDS[who[0]]
    if managing:
        return "runtime" if left_out else "networkmanager"
    return "ifcfg" if scripts else "runtime"


def backend_of_most(keepers, managing, scripts):
    """Return the backend that tells most of a whole host, whose stacks may be kept by different ones.

    The parameters are those of :func:`backend`.
    """
    counted = [BACKENDS[one] for one in keepers.values() if one in BACKENDS]
    if not counted:
        return backend({}, managing, scripts)
    return max(sorted(set(counted)), key=counted.count)


def _whose(keeper, keepers):
    return ", ".join(sorted(name for name, one in keepers.items() if one == keeper))


def find(shown):
    """Return ``{name: owner}`` of what ``ip -json -details link show`` printed, as Python has it.

    libvirt names its bridges virbrN, and so may a person name a bridge of Open vSwitch; its kind tells.
    """
    found = {}
    for one in shown:
        name, kind = one.get("ifname"), one.get("linkinfo", {}).get("info_kind")
        if kind in KINDS:
            found[name] = KINDS[kind]
        else:
            found.update((name, owner) for pattern, owner in NAMES if name and pattern.match(name))
    return found
