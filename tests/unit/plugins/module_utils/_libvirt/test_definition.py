# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declared definitions against what libvirt made of them."""

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import ReconcileError
from ansible_collections.hostcraft.linux.plugins.module_utils._libvirt import definition

DECLARED = """<domain type='kvm'><name>db</name><memory unit='GiB'>1</memory>
<os><type machine='q35'>hvm</type></os><features><acpi/></features><devices>
<disk type='file' device='disk'><source file='/d/a'/><target dev='vda' bus='virtio'/></disk>
<interface type='bridge'><source bridge='br0'/><model type='virtio'/></interface>
<graphics type='vnc' port='-1' passwd='first'/></devices></domain>"""
# The same as libvirt 9.0 with QEMU 7.2 writes it.
EXISTING = """<domain type='kvm'><name>db</name><uuid>01234567-89ab-cdef-0123-456789abcdef</uuid>
<metadata><t:tags xmlns:t='https://hostcraft.io/xml/tags/1'><t:tag>red</t:tag></t:tags></metadata>
<memory unit='KiB'>1048576</memory><currentMemory unit='KiB'>1048576</currentMemory>
<vcpu placement='static'>1</vcpu><os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type><boot dev='hd'/></os>
<features><acpi/></features><cpu mode='custom' match='exact' check='none'><model>qemu64</model></cpu>
<clock offset='utc'/><on_poweroff>destroy</on_poweroff><on_reboot>restart</on_reboot><on_crash>destroy</on_crash>
<devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/d/a'/><target dev='vda' bus='virtio'/>
<address type='pci' domain='0x0000' bus='0x03' slot='0x00' function='0x0'/></disk>
<controller type='usb' index='0' model='qemu-xhci'/><controller type='pci' index='0' model='pcie-root'/>
<interface type='bridge'><mac address='52:54:00:aa:bb:cc'/><source bridge='br0'/><model type='virtio'/>
<address type='pci' domain='0x0000' bus='0x01' slot='0x00' function='0x0'/></interface>
<input type='mouse' bus='ps2'/><input type='keyboard' bus='ps2'/>
<graphics type='vnc' port='-1' autoport='yes' passwd='first'><listen type='address'/></graphics>
<audio id='1' type='none'/><video><model type='vga'/></video><watchdog model='itco' action='reset'/>
<memballoon model='virtio'/></devices></domain>"""


def changed(old, new, text=DECLARED):
    assert old in text
    return text.replace(old, new)


def test_what_libvirt_adds_is_no_difference():
    assert definition.differences(DECLARED, EXISTING) == {}
    assert definition.differences(EXISTING, EXISTING) == {}


@pytest.mark.parametrize(
    ("old", "new", "where", "values"),
    [
        ("'GiB'>1<", "'GiB'>2<", "memory", ("1048576 unit=KiB", "2 unit=GiB")),
        ("'/d/a'", "'/d/b'", "devices/disk[vda]/source@file", ("/d/a", "/d/b")),
        ("br0", "br1", "devices/interface/source@bridge", ("br0", "br1")),
        ("<acpi/>", "<acpi/><apic/>", "features/apic", (None, "present")),
        ("type='kvm'", "type='qemu'", "@type", ("kvm", "qemu")),
        ("machine='q35'", "machine='pc'", "os/type@machine", ("pc-q35-7.2", "pc")),
        ("</devices>", "<rng model='virtio'/></devices>", "devices/rng", (None, "model=virtio")),
        ("</memory>", "</memory><vcpu>2</vcpu>", "vcpu", ("1", "2")),
        ("</os>", "</os><on_crash>preserve</on_crash>", "on_crash", ("destroy", "preserve")),
        ("vda", "vdb", "devices/disk[vda]", ("device=disk type=file", None)),
        ("'first'", "'second'", "devices/graphics@passwd", ("(hidden)", "(hidden, another one)")),
    ],
)
def test_what_is_declared_otherwise(old, new, where, values):
    assert definition.differences(changed(old, new), EXISTING)[where] == values


@pytest.mark.parametrize(
    "extra",
    [
        "<devices><hostdev mode='subsystem' type='usb'/>",
        "<devices><interface type='user'><mac address='52:54:00:00:00:01'/></interface>",
        "<devices><serial type='pty'/><serial type='pty'/>",
        "<vcpu>1</vcpu><iothreads>2</iothreads><devices>",
    ],
)
def test_what_is_there_and_not_declared(extra):
    assert definition.differences(DECLARED, changed("<devices>", extra, EXISTING))


def test_a_default_that_was_changed_is_a_difference():
    existing = changed("<on_crash>destroy", "<on_crash>preserve", EXISTING)
    assert definition.differences(DECLARED, existing) == {"on_crash": ("preserve", None)}


def test_identity_is_kept_when_redefining():
    text = definition.merged(changed("br0", "br1"), EXISTING)
    root = definition.parse(text)
    assert root.findtext("uuid") == "01234567-89ab-cdef-0123-456789abcdef"
    card = root.find("devices/interface")
    assert (card.find("mac").get("address"), card.find("source").get("bridge")) == ("52:54:00:aa:bb:cc", "br1")
    assert card.find("address").get("bus") == "0x01"
    assert definition.tags(text, "https://hostcraft.io/xml/tags/1") == ("red",)
    own = definition.merged(
        changed("<interface type='bridge'>", "<interface type='bridge'><mac address='52:54:00:00:00:09'/>"), EXISTING
    )
    assert definition.parse(own).find("devices/interface/mac").get("address") == "52:54:00:00:00:09"


def test_addresses_are_kept_with_the_controllers_that_they_are_on():
    """Without its controller, a bus would get another kind, and libvirt refuse the address."""
    root = definition.parse(definition.merged(DECLARED, EXISTING))
    kinds = [(one.get("type"), one.get("model")) for one in root.findall("devices/controller")]
    assert kinds == [("usb", "qemu-xhci"), ("pci", "pcie-root")]
    declared = changed("<devices>", "<devices><controller type='usb' index='0' model='none'/>")
    root = definition.parse(definition.merged(declared, EXISTING))
    assert [one.get("model") for one in root.findall("devices/controller")] == ["none", "pcie-root"]


def test_cards_are_told_apart_by_their_network():
    """A card that is put before another one must not take over its address."""
    two = changed("<interface type='bridge'>", "<interface type='user'/><interface type='bridge'>")
    text = definition.merged(two, EXISTING)
    macs = {one.get("type"): one.find("mac") for one in definition.parse(text).findall("devices/interface")}
    assert macs["user"] is None or macs["user"].get("address") != "52:54:00:aa:bb:cc"
    assert macs["bridge"].get("address") == "52:54:00:aa:bb:cc"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<domain><name>db</domain>", "not well-formed"),
        ("<network><name>db</name></network>", "this is a <network>"),
        ("<domain/>", "a <domain> with a <name> is needed"),
        ("<domain><name>web</name></domain>", "defines the domain web, not db"),
    ],
)
def test_what_is_no_definition(text, message):
    with pytest.raises(ReconcileError, match=message):
        definition.parse(text, "db")


def test_restart_is_required_for_what_runs_otherwise():
    live = EXISTING.replace("<domain type='kvm'>", "<domain type='kvm' id='7'>").replace(
        "<model>qemu64", "<model>Haswell"
    )
    assert definition.restart_required(DECLARED, live) == []
    assert definition.restart_required(EXISTING, live.replace("check='none'", "check='full'")) == []
    assert definition.restart_required(changed("br0", "br1"), live) == ["devices/interface/source@bridge"]
