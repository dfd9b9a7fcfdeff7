# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans of many domains: selection, order, refusals, and the theorem that a plan carried out leaves none."""

from zlib import crc32

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import ReconcileError
from ansible_collections.hostcraft.linux.plugins.module_utils._libvirt import lifecycle as life
from ansible_collections.hostcraft.linux.plugins.module_utils._libvirt.model import (
    Domain,
    Leftovers,
    State,
    Target,
    Wanted,
)
from ansible_collections.hostcraft.linux.plugins.module_utils._libvirt.plan import plan
from ansible_collections.hostcraft.linux.plugins.module_utils._libvirt.select import select
from hypothesis import given
from hypothesis import strategies as st

XML = "<domain type='test'><name>{0}</name><memory unit='MiB'>{1}</memory><os><type>hvm</type></os></domain>"
UUID = "01234567-89ab-cdef-0123-456789abcdef"
UEFI = (
    "<domain><name>{0}</name><os><nvram>/var/x.fd</nvram></os><devices>"
    "<disk><source file='/d/a.qcow2'/><target dev='vda'/></disk>"
    "<tpm><backend type='emulator'/></tpm></devices></domain>"
)


def domain(name, state="running", **more):
    return Domain(name, UUID[:-4] + f"{crc32(name.encode()) % 65536:04x}", state, **more)


def want(target, **more):
    return Wanted((target,), **more)


def state(target, *domains, **more):
    return State(((target, tuple(domains)),), **more)


def steps(target, *domains, **more):
    return [str(step) for step in plan(want(target, **more), state(target, *domains)).steps]


def after(wanted, have):
    """Return the state once the plan was carried out: what reading the host again would give."""
    domains = {}
    for _target, found in have.chosen:
        for one in found:
            domains[one.name] = one
    for step in plan(wanted, have).steps:
        one = domains.get(step.target) or Domain(step.target, "", "absent", persistent=False)
        act = step.data
        if act.kind == "define":
            one = one._replace(
                inactive=act.value, persistent=True, state="shutoff" if one.state == "absent" else one.state
            )
        elif act.kind == "autostart":
            one = one._replace(autostart=act.value)
        elif act.kind == "move":
            target = act.what.target
            fresh = act.goal in ("rebooted", "reset") and act.what.name in ("start", "reboot", "reset")
            gone = target == "absent" or (target == "shutoff" and not one.persistent)
            target = "running" if target in ("rebooted", "reset") else "absent" if gone else target
            one = one._replace(state=target, refreshed=one.refreshed or fresh)
        domains[one.name] = one
    kept = [one for one in domains.values() if one.state != "absent"]
    gone = tuple(one.name for one in domains.values() if one.state == "absent")
    return State(tuple((target, select(target, kept)) for target in wanted.targets), have.used, gone)


def test_definition_then_autostart_then_the_state():
    target = Target("db", goal="running", xml=XML.format("db", 64), autostart=True)
    assert steps(target) == ["define db", "set autostart of db: on", "start db"]
    assert steps(target, domain("db", "paused", inactive=XML.format("db", 64))) == [
        "set autostart of db: on",
        "resume db",
    ]
    assert steps(target, domain("db", inactive=XML.format("db", 32), autostart=True)) == [
        "redefine db: memory 32 unit=MiB -> 64 unit=MiB"
    ]


def test_a_transient_domain_becomes_persistent_by_its_xml():
    target = Target("db", goal="shutoff", xml=XML.format("db", 64))
    running = domain("db", persistent=False, inactive=XML.format("db", 64))
    assert steps(target, running) == ["define db: make it persistent", "shut down db: by what its guest offers"]
    with pytest.raises(ReconcileError, match="db is transient"):
        plan(want(Target("db", goal="shutoff")), state(Target("db", goal="shutoff"), running))


def test_how_a_guest_is_asked_is_shown():
    target = Target("db", goal="shutoff")
    shown = steps(target, domain("db", "paused"), shutdown_by=("acpi", "agent"), force_after=30.0)
    assert shown == [
        "resume db",
        "shut down db: by its ACPI power button or its guest agent, and destroy it if that takes more than 30 s",
    ]
    with pytest.raises(ReconcileError, match="no channel"):
        plan(want(target, shutdown_by=("agent",)), state(target, domain("db")))


def test_all_refusals_are_told_at_once_and_nothing_is_planned():
    target = Target("*", goal="saved")
    with pytest.raises(ReconcileError) as error:
        plan(want(target), state(target, domain("a", "shutoff"), domain("b"), domain("c", persistent=False)))
    assert [line.split()[0] for line in error.value.details["refused"]] == ["a", "c"]


def test_a_name_that_is_not_there():
    target = Target("nobody", goal="running")
    with pytest.raises(ReconcileError, match="No such domain: nobody"):
        plan(want(target), state(target))
    assert steps(Target("nobody", goal="absent")) == []
    pattern = Target("web-*", goal="running")
    assert plan(want(pattern), state(pattern)).warnings == ("web-*: no domain matches",)


def test_a_domain_that_is_still_to_be_defined_is_called_absent():
    target = Target("db", goal="saved", xml=XML.format("db", 64))
    with pytest.raises(ReconcileError, match="db is absent: there is no memory to save"):
        plan(want(target), state(target))
    assert steps(target, start_to_save=True) == ["define db", "start db", "save db: memory to disk"]


def test_two_declarations_of_one_domain():
    one, two = Target("db", goal="running"), Target("d*", goal="paused")
    both = State(((one, (domain("db"),)), (two, (domain("db"),))))
    with pytest.raises(ReconcileError, match="db is meant by db and by d\\*"):
        plan(Wanted((one, two)), both)
    again = State(((one, (domain("db", "paused"),)), (one, (domain("db", "paused"),))))
    assert len(plan(Wanted((one, one)), again).steps) == 1


def test_what_belongs_to_a_domain_that_is_undefined():
    target = Target("db", goal="absent")
    found = domain("db", "shutoff", inactive=UEFI.format("db"), snapshots=True)
    with pytest.raises(ReconcileError, match="db has snapshots"):
        plan(want(target), state(target, found))
    todo = plan(want(target, leftovers=Leftovers(snapshots=True, nvram=True)), state(target, found))
    assert todo.steps[0].data.value == (
        "VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA",
        "VIR_DOMAIN_UNDEFINE_NVRAM",
        "VIR_DOMAIN_UNDEFINE_KEEP_TPM",
    )


def test_checkpoints_and_the_state_of_a_tpm_go_when_that_is_said():
    target = Target("db", goal="absent")
    found = domain("db", "shutoff", inactive=UEFI.format("db"), checkpoints=True)
    with pytest.raises(ReconcileError, match="db has checkpoints.*checkpoints: remove"):
        plan(want(target, leftovers=Leftovers(snapshots=True)), state(target, found))
    todo = plan(want(target, leftovers=Leftovers(checkpoints=True, tpm=True)), state(target, found))
    assert todo.steps[0].data.value == (
        "VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA",
        "VIR_DOMAIN_UNDEFINE_KEEP_NVRAM",
        "VIR_DOMAIN_UNDEFINE_TPM",
    )


def test_volumes_are_deleted_last_and_only_when_nobody_else_has_them():
    target = Target("db", goal="absent")
    found = domain("db", inactive=UEFI.format("db"))
    leftovers = Leftovers(volumes=("vda", "vdb"))
    assert steps(target, found, leftovers=leftovers)[1:] == [
        "undefine db",
        "delete /d/a.qcow2: the disk vda of db",
    ]
    with pytest.raises(ReconcileError, match="used by clone as well"):
        plan(want(target, leftovers=leftovers), state(target, found, used={"/d/a.qcow2": ["clone", "db"]}))


@pytest.mark.parametrize(
    ("name", "tags", "expected"),
    [
        ("web-*", (), ["web-1", "web-2"]),
        ("*", (), ["odd[1]", "web-1", "web-2"]),
        ("web-1", (), ["web-1"]),
        ("odd[1]", (), ["odd[1]"]),
        ("nope", (), []),
        (domain("web-2").uuid.upper(), (), ["web-2"]),
        (domain("web-2").uuid.replace("-", ""), (), ["web-2"]),
        (None, ("a",), ["web-1", "web-2"]),
        (None, ("a", "b"), ["web-2"]),
    ],
)
def test_selection(name, tags, expected):
    domains = (domain("odd[1]"), domain("web-1", tags=("a",)), domain("web-2", tags=("a", "b")))
    assert [one.name for one in select(Target(name, tags), domains)] == expected


DOMAINS = st.builds(
    domain,
    st.sampled_from(["a", "b", "c"]),
    st.sampled_from([one for one in life.STATES if one != "absent"]),
    persistent=st.booleans(),
    autostart=st.booleans(),
    agent=st.booleans(),
)


@given(
    st.lists(DOMAINS, max_size=3, unique_by=lambda one: one.name),
    st.sampled_from(life.GOALS),
    st.sampled_from([None, True, False]),
    st.booleans(),
    st.booleans(),
)
def test_a_plan_carried_out_leaves_no_steps(domains, goal, autostart, lossy, start):
    wanted = want(Target("*", goal=goal, autostart=autostart), allow_data_loss=lossy, start_to_save=start)
    alive = ("running", "paused", "pmsuspended", "crashed", "shutting down")
    have = state(
        wanted.targets[0], *[one._replace(persistent=one.persistent or one.state not in alive) for one in domains]
    )
    try:
        todo = plan(wanted, have)
    except ReconcileError:
        return
    left = plan(wanted, after(wanted, have))
    assert not left.steps
    assert (todo.before == todo.after) == (not todo.steps)
