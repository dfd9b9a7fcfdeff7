# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which steps bring domains to what is declared. Pure: nothing of the system is touched here.

Private to the collection; not a public interface.
"""

from .._core.reconcile import Plan, ReconcileError, Step
from . import definition
from .lifecycle import ABSENT, REBOOTED, RESET, RUNNING, SHUTOFF
from .model import Act, Domain
from .path import Facts, path
from .select import is_pattern, is_uuid

# How a guest is asked to stop, in the words of a step.
ASKED = {"agent": "its guest agent", "acpi": "its ACPI power button"}


def plan(wanted, state):
    """Return the :class:`Plan` that makes ``state`` what is ``wanted``.

    :raises ReconcileError: some of it cannot be; the message has a line for every domain that is the reason.
    """
    before, after, steps, warnings, refused = {}, {}, [], [], []
    for target, domain in _each(state, warnings, refused):
        try:
            todo = _domain(wanted, target, domain, state)
        except ReconcileError as error:
            refused.append(str(error))
            continue
        if todo.steps:
            before.update(todo.before)
            after.update(todo.after)
            steps.extend(todo.steps)
    if refused:
        raise ReconcileError("\n".join(refused), refused=refused)
    return Plan(before, after, tuple(steps), tuple(warnings))


def _each(state, warnings, refused):
    """Yield every domain with its target, also those that are still to be defined."""
    seen = {}
    for target, found in state.chosen:
        domains = found
        if not found:
            if target.xml is not None and target.goal != ABSENT:
                domains = (_new(target),)
            elif target.name is None or is_pattern(target.name):
                warnings.append(f"{target.label}: no domain matches")
            elif target.goal != ABSENT and target.name not in state.gone:
                refused.append(
                    f"No such domain: {target.label}. See 'virsh list --all' for the names, "
                    "or give its definition in 'xml'"
                )
        for domain in domains:
            if domain.name in seen and seen[domain.name] != target:
                refused.append(f"{domain.name} is meant by {seen[domain.name].label} and by {target.label}: leave one")
            elif domain.name not in seen:
                seen[domain.name] = target
                yield target, domain


def _new(target):
    name = target.name if target.name and not is_uuid(target.name) else definition.name_of(target.xml)
    return Domain(name, definition.uuid_of(target.xml) or "", ABSENT, agent=definition.has_agent(target.xml))


def _domain(wanted, target, domain, state):
    """Plan one domain: its definition first, then autostart, then the way to its state, then its volumes."""
    acts, old, new = [], {}, {}
    facts = Facts(domain.persistent, domain.agent, False, wanted.allow_data_loss, wanted.start_to_save)
    begin = domain.state
    act = Act(domain.name, domain.uuid, "", target.goal)
    if target.xml is not None and target.goal != ABSENT:
        facts = facts._replace(agent=domain.agent or definition.has_agent(target.xml))
        acts.extend(_define(target, domain, act, old, new))
        facts = facts._replace(persistent=True)
        begin = SHUTOFF if begin == ABSENT else begin
    way = () if target.goal in (REBOOTED, RESET) and domain.refreshed else _way(target, domain, facts)
    if target.autostart is not None and target.goal != ABSENT:
        acts.extend(_autostart(target, domain._replace(persistent=facts.persistent), act, old, new))
    acts.extend(_move(wanted, one, domain, act, facts) for one in way)
    if way or begin != domain.state:
        old["state"], new["state"] = domain.state, (way[-1].target if way else begin)
        new["state"] = RUNNING if new["state"] in (REBOOTED, RESET) else new["state"]
        if old["state"] == new["state"]:
            new["state"] += " (booted anew)"
    if target.goal == ABSENT and domain.state != ABSENT:
        acts.extend(_volumes(wanted, domain, act, state))
        _check_leftovers(wanted, domain)
    return Plan({domain.name: old}, {domain.name: new}, tuple(acts))


def _way(target, domain, facts):
    """Return the transitions to the goal; to define the domain is a step of its own (see _define)."""
    if domain.state != ABSENT or target.goal == ABSENT:
        return path(domain.name, domain.state, target.goal, facts)
    return path(domain.name, ABSENT, target.goal, facts._replace(xml=True))[1:]


def _define(target, domain, act, old, new):
    """Yield the step that makes the definition what is declared, if it is not that already."""
    definition.parse(target.xml, domain.name)
    if domain.inactive is None or not domain.persistent:
        verb, detail, text = "define", "", target.xml
        if domain.inactive is not None:
            detail = "make it persistent"
            text = definition.merged(target.xml, domain.inactive)
    else:
        found = definition.differences(target.xml, domain.inactive)
        if not found:
            return
        verb = "redefine"
        detail = ", ".join(f"{where} {_value(had)} -> {_value(want)}" for where, (had, want) in sorted(found.items()))
        text = definition.merged(target.xml, domain.inactive)
        old["definition"] = {where: had for where, (had, _want) in found.items()}
        new["definition"] = {where: want for where, (_had, want) in found.items()}
    if verb == "define":
        old["defined"], new["defined"] = False, True
    yield Step(verb, domain.name, detail, act._replace(kind="define", value=text))


def _value(value):
    return "unset" if value is None else value


def _autostart(target, domain, act, old, new):
    """Yield the step that sets whether libvirt starts the domain with the host."""
    if not domain.persistent:
        raise ReconcileError(
            f"{domain.name} is transient: only a persistent domain can start with the host. Declare its xml as well"
        )
    if domain.autostart != target.autostart:
        old["autostart"], new["autostart"] = domain.autostart, target.autostart
        detail = "on" if target.autostart else "off"
        yield Step("set autostart of", domain.name, detail, act._replace(kind="autostart", value=target.autostart))


def _move(wanted, one, domain, act, facts):
    """Return the step for one transition."""
    details = [one.detail] if one.detail else []
    if one.name in ("shutdown", "reboot"):
        details.append("by {}".format(" or ".join(ASKED[way] for way in wanted.shutdown_by) or "what its guest offers"))
        if wanted.shutdown_by == ("agent",) and not domain.agent:
            raise ReconcileError(
                f"{domain.name}: 'shutdown_by' names the guest agent only, and its definition has no channel for one"
            )
        if wanted.force_after is not None:
            force = "destroy" if one.name == "shutdown" else "reset"
            details.append(f"and {force} it if that takes more than {wanted.force_after:g} s")
    if one.loses:
        details.append(f"loses {one.loses}")
    value = _undefine_flags(wanted, domain) if one.name == "undefine" else None
    return Step(
        one.verb, domain.name, ", ".join(details), act._replace(kind="move", what=one, value=value, facts=facts)
    )


def _undefine_flags(wanted, domain):
    """Return the names of the flags without which libvirt would refuse, or do what is not wanted.

    A flag for what the domain does not have is left out: some drivers refuse all but a few.
    """
    text, left, flags = domain.inactive, wanted.leftovers, []
    if domain.snapshots:
        flags.append("VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA")
    if domain.checkpoints:
        flags.append("VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA")
    if text is not None and (definition.has(text, "os/nvram") or definition.has(text, "os/loader[@type='pflash']")):
        flags.append("VIR_DOMAIN_UNDEFINE_NVRAM" if left.nvram else "VIR_DOMAIN_UNDEFINE_KEEP_NVRAM")
    if text is not None and definition.has(text, "devices/tpm/backend[@type='emulator']"):
        flags.append("VIR_DOMAIN_UNDEFINE_TPM" if left.tpm else "VIR_DOMAIN_UNDEFINE_KEEP_TPM")
    return tuple(flags)


def _check_leftovers(wanted, domain):
    """Refuse to drop what is to be kept and cannot be kept without the domain."""
    for what in ("snapshots", "checkpoints"):
        if getattr(domain, what) and not getattr(wanted.leftovers, what):
            raise ReconcileError(
                f"{domain.name} has {what}: without the domain libvirt forgets what they are. "
                f"Set 'leftovers: {{{what}: remove}}' if that is meant; the data in its disks stays"
            )


def _volumes(wanted, domain, act, state):
    """Yield the steps that delete the disks that are named."""
    own = definition.disks(domain.inactive) if domain.inactive else {}
    for named in wanted.leftovers.volumes:
        path_ = own.get(named, named if named in own.values() else None)
        if path_ is None:
            continue
        others = sorted(set(state.used.get(path_, ())) - {domain.name})
        if others:
            raise ReconcileError(
                f"{domain.name}: its disk {path_} is used by {', '.join(others)} as well, and is not deleted. "
                "Leave it out of 'volumes'"
            )
        yield Step("delete", path_, f"the disk {named} of {domain.name}", act._replace(kind="volume", value=path_))
