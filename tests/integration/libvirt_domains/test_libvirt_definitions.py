# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Definitions on a real libvirtd: unchanged ones, changed ones, what is kept, and what is removed with a domain."""

from lab import tiny_guest

RICH = """<domain type='qemu'><name>d-rich</name>
<metadata><tags xmlns='https://hostcraft.io/xml/tags/1'><tag>red</tag></tags></metadata>
<memory unit='MiB'>256</memory><vcpu>2</vcpu>
<os><type machine='q35'>hvm</type></os><features><acpi/><apic/></features>
<on_crash>preserve</on_crash>
<devices>
<disk type='file' device='disk'><driver name='qemu' type='raw'/>
<source file='/var/lib/libvirt/images/d-rich.raw'/><target dev='vda' bus='virtio'/></disk>
<interface type='bridge'><source bridge='lab0'/><model type='virtio'/></interface>
<interface type='user'><model type='virtio'/></interface>
<graphics type='vnc' port='-1' passwd='first'/><rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
<serial type='pty'/><watchdog model='i6300esb'/></devices></domain>"""


def test_four_beats_of_a_definition(clean):
    predicted = clean.state(check=True, xml=RICH, state="defined", autostart=True)
    assert clean.states() == {}
    applied = clean.state(xml=RICH, state="defined", autostart=True)
    assert predicted["steps"] == applied["steps"] == ["define d-rich", "set autostart of d-rich: on"]
    assert predicted["diff"] == applied["diff"]
    for check in (True, False):
        again = clean.state(check=check, xml=RICH, state="defined", autostart=True)
        assert (again["changed"], again["steps"]) == (False, [])
    assert "Autostart:      enable" in clean.virsh("dominfo", "d-rich")
    found = clean.info(name="d-*", definitions=True)["domains"][0]
    assert (found["tags"], found["agent"]) == (["red"], True)
    assert clean.state(tags=["red"], state="absent", check=True)["steps"] == ["undefine d-rich"]
    assert clean.state(tags=["blue"], state="absent")["warnings"] == ["tag blue: no domain matches"]


def test_a_changed_definition_keeps_identity_and_says_what_it_changes(clean):
    clean.state(xml=RICH)
    before = clean.virsh("dumpxml", "d-rich")
    changed = RICH.replace(">256<", ">512<").replace("lab0", "lab1").replace("'first'", "'second'")
    predicted = clean.state(check=True, xml=changed)
    assert clean.virsh("dumpxml", "d-rich") == before
    applied = clean.state(xml=changed)
    assert predicted["steps"] == applied["steps"]
    assert "source@bridge lab0 -> lab1" in applied["steps"][0]
    assert "second" not in str(applied["steps"]) + str(applied["diff"])
    assert clean.state(xml=changed)["changed"] is False
    after = clean.virsh("dumpxml", "--security-info", "d-rich")
    assert "passwd='second'" in after

    def kept(text):
        marks = ("<uuid", "<mac ", "<address type='pci'")
        return sorted(line for line in text.splitlines() if any(mark in line for mark in marks))

    assert kept(after) == kept(before)
    foreign = after.replace("</devices>", "<sound model='ich9'/></devices>")
    clean.virsh("define", "/dev/stdin", stdin=foreign)
    assert "devices/sound" in clean.state(check=True, xml=changed)["steps"][0]


def test_what_runs_otherwise_is_told(clean):
    text = clean.define("d-run")
    clean.virsh("start", "d-run")
    assert clean.state(xml=text)["restart_required"] == {}
    bigger = text.replace(f">{tiny_guest.MEMORY}<", ">160<")
    for check in (True, False):
        assert clean.state(check=check, xml=bigger)["restart_required"] == {"d-run": ["memory"]}
    assert clean.info(name="d-run", definitions=True)["domains"][0]["restart_required"] == ["memory"]


def test_a_transient_domain(clean):
    text = tiny_guest.xml("d-gone")
    clean.virsh("create", "/dev/stdin", stdin=text)
    for state, message in (("saved", "transient"), ("shutoff", "transient")):
        assert message in clean.state(name="d-gone", state=state)["msg"]
    assert "transient" in clean.state(name="d-gone", autostart=True)["msg"]
    result = clean.state(xml=text, state="running", autostart=True)
    assert result["steps"] == ["define d-gone: make it persistent", "set autostart of d-gone: on"]
    assert "Persistent:     yes" in clean.virsh("dominfo", "d-gone")


def test_what_belongs_to_a_removed_domain(clean):
    """A disk is deleted when it is named, snapshots are forgotten when that is said."""
    clean.ssh(
        "cd /var/lib/libvirt/images; for n in a b; do qemu-img create -q -f qcow2 d-$n.qcow2 1M; done; "
        "virsh -q -c qemu:///system pool-create-as images dir --target /var/lib/libvirt/images"
    )
    disks = "".join(
        f"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>"
        f"<source file='/var/lib/libvirt/images/d-{name}.qcow2'/><target dev='vd{name}' bus='virtio'/></disk>"
        for name in "ab"
    )
    clean.state(xml=tiny_guest.xml("d-old").replace("<panic", disks + "<panic"))
    clean.virsh("snapshot-create-as", "d-old", "first")
    refused = clean.state(name="d-old", state="absent")
    assert "d-old has snapshots" in refused["msg"]
    leftovers = {"snapshots": "remove", "volumes": ["vda"]}
    arguments = {"name": "d-old", "state": "absent", "leftovers": leftovers}
    predicted = clean.state(check=True, **arguments)
    applied = clean.state(**arguments)
    assert predicted["steps"] == applied["steps"]
    assert applied["steps"] == [
        "undefine d-old",
        "delete /var/lib/libvirt/images/d-a.qcow2: the disk vda of d-old",
    ]
    assert clean.ssh("ls /var/lib/libvirt/images/ | grep '^d-.*qcow2'").split() == ["d-b.qcow2"]
    assert clean.state(**arguments)["changed"] is False
    clean.ssh("virsh -q -c qemu:///system pool-destroy images; rm /var/lib/libvirt/images/d-b.qcow2")


def test_checkpoints_of_a_removed_domain_are_forgotten_when_that_is_said(clean):
    path = "/var/lib/libvirt/images/d-marked.qcow2"
    clean.ssh(f"qemu-img create -q -f qcow2 {path} 1M")
    disk = (
        f"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{path}'/>"
        "<target dev='vda' bus='virtio'/></disk>"
    )
    clean.state(xml=tiny_guest.xml("d-marked").replace("<panic", disk + "<panic"), state="running")
    clean.virsh("checkpoint-create-as", "d-marked", "first")
    clean.virsh("destroy", "d-marked")
    refused = clean.state(name="d-marked", state="absent")
    assert "d-marked has checkpoints" in refused["msg"]
    assert "first" in clean.virsh("checkpoint-list", "d-marked")
    applied = clean.state(name="d-marked", state="absent", leftovers={"checkpoints": "remove"})
    assert applied["steps"] == ["undefine d-marked"]
    assert clean.state(name="d-marked", state="absent")["changed"] is False
    clean.ssh(f"rm {path}")


def test_evacuation_and_return(clean):
    """Everything is off during the maintenance, and does afterwards what it did before."""
    awake = ("e-run", "e-pause", "e-save", "e-sleep", "e-crash")
    for name in (*awake, "e-off"):
        clean.define(name, {"e-sleep": "agent", "e-crash": "panic"}.get(name, ""))
    clean.boot(*awake)
    clean.virsh("suspend", "e-pause")
    clean.virsh("managedsave", "e-save")
    clean.virsh("shutdown", "e-crash")
    clean.wait_for("crash", lambda: clean.states("e-crash") == {"e-crash": "crashed"})
    clean.virsh("autostart", "e-off")
    clean.virsh("autostart", "e-sleep")

    def asleep():  # its agent may need a moment
        clean.virsh("dompmsuspend", "e-sleep", "mem", ok=(0, 1))
        return clean.states("e-sleep") == {"e-sleep": "pmsuspended"}

    clean.wait_for("sleep", asleep)
    before = clean.states("e-")
    book = "hostcraft.linux.evacuate_host"
    clean.playbook(book, {"target": clean.name})
    away = {**dict.fromkeys(awake, "saved"), "e-crash": "shut off", "e-off": "shut off"}
    assert clean.states("e-") == away
    clean.playbook(book, {"target": clean.name})  # a second one forgets nothing
    clean.playbook(book, {"target": clean.name, "restore": True})
    assert clean.states("e-") == {**before, "e-crash": "shut off"}  # what has crashed cannot crash again
    assert "Autostart:      enable" in clean.virsh("dominfo", "e-off")
    assert clean.ssh("ls /var/lib/hostcraft") == ""
    declared = [{"name": "e-*", "state": "shutoff"}]
    clean.playbook("hostcraft.linux.set_domains", {"target": clean.name, "domain_lifecycle_domains": declared})
    assert set(clean.states("e-").values()) == {"shut off"}


def test_the_variables_of_a_firmware_are_kept_or_removed(clean):
    """Undefined without a word about them, libvirt would refuse."""
    code, variables = "/var/lib/libvirt/images/n.code", "/var/lib/libvirt/images/n.vars"
    firmware = f"<loader readonly='yes' type='pflash'>{code}</loader><nvram>{variables}</nvram>"
    text = tiny_guest.xml("n-uefi").replace("</type>", f"</type>{firmware}")
    for left, is_kept in (("keep", True), ("remove", False)):
        clean.ssh(f"touch {code} {variables}")
        steps = clean.state(xml=text)["steps"]
        steps += clean.state(name="n-uefi", state="absent", leftovers={"nvram": left})["steps"]
        assert steps == ["define n-uefi", "undefine n-uefi"]
        assert bool(clean.ssh(f"ls {variables}", ok=(0, 2))) is is_kept
        assert clean.states() == {}


def test_another_host_by_its_uri(clean):
    """The connection goes over ssh; the other host is this very one."""
    clean.define("d-far")
    clean.ssh(
        "test -e .ssh/id_ed25519 || ssh-keygen -q -t ed25519 -N '' -f .ssh/id_ed25519; "
        "cat .ssh/id_ed25519.pub >> .ssh/authorized_keys"
    )
    uri = "qemu+ssh://root@127.0.0.1/system?no_verify=1"
    result = clean.state(name="d-far", state="running", uri=uri)
    assert result["domains"]["d-far"]["path"] == ["start"]
    assert clean.states() == {"d-far": "running"}
    found = clean.info(name="d-far", uri=uri)["declarations"]
    assert found == [{"name": "d-far", "state": "running", "autostart": False}]
