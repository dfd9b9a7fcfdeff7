# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who keeps the links: the backend follows them, not the distribution, and a stack has one keeper."""

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import ReconcileError
from ansible_collections.hostcraft.linux.plugins.module_utils._network import initscripts, owners
from ansible_collections.hostcraft.linux.plugins.module_utils._network.owners import MANAGER, NETWORKD, SCRIPTS


@pytest.mark.parametrize(
    ("keepers", "managing", "scripts", "backend"),
    [
        ({"eth0": MANAGER, "bond0": MANAGER}, True, False, "networkmanager"),
        ({"eth0": SCRIPTS, "bond0": SCRIPTS}, True, True, "ifcfg"),
        ({"eth0": SCRIPTS, "veth0": None}, True, True, "ifcfg"),
        ({"eth0": SCRIPTS}, False, True, "ifcfg"),
        ({}, True, True, "networkmanager"),
        ({}, True, False, "networkmanager"),
        ({}, False, True, "ifcfg"),
        ({"eth0": None}, False, True, "ifcfg"),
        ({"eth0": None}, True, False, "runtime"),
        ({"eth0": None}, False, False, "runtime"),
        ({}, False, False, "runtime"),
    ],
)
def test_the_backend_is_that_of_the_keeper(keepers, managing, scripts, backend):
    assert owners.backend(keepers, managing, scripts) == backend


@pytest.mark.parametrize(
    ("keepers", "managing", "scripts", "backend"),
    [
        ({"eth0": SCRIPTS, "eth1": SCRIPTS, "veth0": MANAGER}, True, True, "ifcfg"),
        ({"eth0": MANAGER, "eth1": MANAGER, "eth2": SCRIPTS, "eth3": NETWORKD}, True, True, "networkmanager"),
        ({"eth0": MANAGER, "veth0": None}, True, False, "networkmanager"),
        ({"eth0": None}, True, True, "networkmanager"),
        ({"eth0": NETWORKD}, False, False, "runtime"),
        ({}, False, True, "ifcfg"),
    ],
)
def test_a_whole_host_is_told_as_who_keeps_most_of_it_does(keepers, managing, scripts, backend):
    assert owners.backend_of_most(keepers, managing, scripts) == backend


@pytest.mark.parametrize(
    ("keepers", "said"),
    [
        ({"eth0": MANAGER, "eth1": SCRIPTS}, r"NetworkManager keeps eth0; the initscripts \(ifcfg files\) keeps eth1"),
        ({"eth0": MANAGER, "eth2": None, "eth1": None}, r"NetworkManager keeps eth0; nobody keeps eth1, eth2"),
        ({"eth0": MANAGER, "eth1": NETWORKD}, r"eth1: systemd-networkd keeps it"),
    ],
)
def test_a_stack_with_two_keepers_is_refused_with_both_named(keepers, said):
    with pytest.raises(ReconcileError, match=said):
        owners.backend(keepers, True, True)


@pytest.mark.parametrize(
    ("link", "owner"),
    [
        ({"ifname": "docker0", "linkinfo": {"info_kind": "bridge"}}, "Docker"),
        ({"ifname": "br-0123456789ab", "linkinfo": {"info_kind": "bridge"}}, "Docker"),
        ({"ifname": "virbr0", "linkinfo": {"info_kind": "bridge"}}, "libvirt"),
        ({"ifname": "virbr0", "linkinfo": {"info_kind": "openvswitch"}}, "Open vSwitch"),
        ({"ifname": "vnet3", "linkinfo": {"info_kind": "tun"}}, owners.KINDS["tun"]),
        ({"ifname": "br-lan", "linkinfo": {"info_kind": "bridge"}}, None),
    ],
)
def test_whose_a_link_is(link, owner):
    assert owners.find([link]).get(link["ifname"]) == owner


def test_which_files_the_initscripts_heed_and_which_they_leave_to_networkmanager():
    found = {"ifcfg-eth0": "NM_CONTROLLED=no\n", "ifcfg-eth1": "DEVICE=eth1\n", "ifcfg-eth2": "NM_CONTROLLED='yes'\n"}
    assert initscripts.kept(["eth0", "eth1", "eth2", "eth3"], found, alone=False) == ["eth0"]
    assert initscripts.kept(["eth0", "eth1", "eth2", "eth3"], found, alone=True) == ["eth0", "eth1", "eth2"]


def test_a_file_of_another_name_is_refused():
    found = {"ifcfg-uplink": "DEVICE=eth0\n", "ifcfg-eth1": "DEVICE=eth1\n"}
    initscripts.refuse_misnamed(["eth1", "eth2"], found)
    with pytest.raises(ReconcileError, match="'eth0': .*ifcfg-uplink configures it"):
        initscripts.refuse_misnamed(["eth0"], found)
