# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who keeps a link for itself: what must not be taken from Open vSwitch, Docker, libvirt and others. Pure.

Private to the collection; not a public interface.
"""

import re

NAMES = (
    (re.compile(r"ovs-system\Z"), "Open vSwitch"),
    (re.compile(r"(docker\d+|docker_gwbridge|br-[0-9a-f]{12})\Z"), "Docker"),
    (re.compile(r"(virbr\d+(-nic)?)\Z"), "libvirt"),
    (re.compile(r"cali[0-9a-f]{11}\Z"), "Calico"),
    (re.compile(r"(cni\d+|flannel\.\d+)\Z"), "a CNI plugin"),
)
KINDS = {"openvswitch": "Open vSwitch", "tun": "the program that opened it, such as a virtual machine"}


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
