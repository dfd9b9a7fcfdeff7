# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What brings the rules back after a reboot: the files, and the one program that a host runs without Ansible.

The program is these very module_utils in an executable zip file (zipapp), so that there is no second implementation.
Private to the collection; not a public interface.
"""

import io
import json
import os
import re
import sys
import zipfile

from .._core import command, connection, files, guard, netlink, reconcile
from . import (
    addresses,
    attachment,
    bpf,
    declare,
    declared,
    devices,
    host,
    in_place,
    loader,
    management,
    model,
    packets,
    pins,
    plan,
    prefixes,
    program,
    reference,
    report,
    rtnetlink,
    shadow,
    standalone,
    tables,
    task,
    trial,
)
from .attachment import AUTO
from .model import Link

LOADER = "/usr/local/lib/hostcraft/xdp_drop"
# While a guard holds the change. It is not the loader itself, which the change may have replaced.
GUARDS_LOADER = "/var/lib/hostcraft/xdp_drop/loader"
CONFIGURATION = "/etc/hostcraft/xdp_drop"
UNITS = "/etc/systemd/system"
PACKED = {
    "_core": (command, connection, files, netlink, reconcile),
    "_xdp": (
        addresses, attachment, bpf, declare, declared, devices, host, in_place, loader, management, model, packets,
        pins, plan, prefixes, program, reference, report, rtnetlink, shadow, standalone, tables, task, trial,
    ),
}  # fmt: skip
MAIN = """import sys
from hostcraft._xdp.standalone import main
sys.exit(main(sys.argv))
"""
# systemd.special(7), network-pre.target: before anything that brings an interface up. A device that the network's own
# configuration makes (a bond) is not there so early; its unit is started by the device.
# A NIC whose driver udev loads may come after the unit would start: ordering alone does not wait for it, BindsTo does,
# and when it was in vain the device starts the unit as soon as it appears.
# Where systemd mounts bpffs itself (mount-setup.c) there is no unit of it, and nothing that requires one is started.
UNIT = """# Made by hostcraft.linux.xdp_drop
[Unit]
Description=Drop packets on {name} (XDP)
DefaultDependencies=no
After=local-fs.target sys-fs-bpf.mount {device}
Wants=sys-fs-bpf.mount
BindsTo={device}
{order}RequiresMountsFor={loader} {configuration}
ConditionPathExists={configuration}

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={python} {loader} apply {configuration}
"""
# For how long the network's configuration waits for a NIC that is missing; systemd's own limit is 90 s. It belongs to
# the device: a limit of the unit would leave the job of the device, and who has one does not start what it wants.
PATIENCE = """# Made by hostcraft.linux.xdp_drop
[Unit]
JobRunningTimeoutSec=30s
"""


def wanted_files(wanted, rules, kept):
    """Return ``{path: text or Link}`` of what brings the rules of these interfaces back at boot; None: to be removed.

    :param wanted: :class:`model.Wanted`.
    :param rules: options of the rules with all prefixes in them.
    :param kept: whether there are to be such files; None: only of interfaces that have them. Mode auto leaves the mode
        in them as it is then, as it leaves that of a program that runs.
    """
    found, others = {}, _configured() - set(wanted.interfaces)
    for name in wanted.interfaces:
        if kept is None and name not in _configured() and wanted.present:
            continue
        there = wanted.present and kept is not False
        others |= {name} if there else set()
        configuration, unit = f"{CONFIGURATION}/{name}.json", f"{UNITS}/{unit_name(name)}"
        mode = _mode(configuration) if kept is None and wanted.mode == AUTO else wanted.mode
        content = {"interface": name, "mode": mode, "rules": rules}
        found[configuration] = json.dumps(content, sort_keys=True) + "\n" if there else None
        early = os.path.exists(f"/sys/class/net/{name}/device")  # it belongs to a bus, not to the network's programs
        device = f"sys-subsystem-net-devices-{escaped(name)}.device"
        text = UNIT.format(
            name=name,
            device=device,
            python=sys.executable,
            loader=LOADER,
            configuration=configuration,
            order="Before=network-pre.target\nWants=network-pre.target\n" if early else "",
        )
        found[unit] = text if there else None
        found[f"{UNITS}/{device}.d/hostcraft-xdp-drop.conf"] = PATIENCE if there and early else None
        for target, wants_it in (("sysinit.target", early), (device, True)):
            found[f"{UNITS}/{target}.wants/{unit_name(name)}"] = Link(unit) if there and wants_it else None
    if found:
        found[LOADER] = packed().decode("utf-8", "surrogateescape") if others else None
    return found


def _mode(configuration):
    """Return the mode in a file of this module."""
    return json.loads(files.read(configuration) or "{}").get("mode", AUTO)


def wants(wanted, kept):
    """Tell whether :func:`wanted_files` will need the options of the rules, which takes time for many prefixes."""
    return wanted.present and (kept or (kept is None and bool(_configured().intersection(wanted.interfaces))))


def _configured():
    """Return the interfaces whose rules come back at boot."""
    if not os.path.isdir(CONFIGURATION):
        return set()
    return {name[: -len(".json")] for name in os.listdir(CONFIGURATION) if name.endswith(".json")}


def reload_systemd(steps):
    """Tell systemd when units were changed, so that ``systemctl status`` knows them before the next boot."""
    if guard.has_systemd() and any(f" {UNITS}/" in step for step in steps):
        command.run(["systemctl", "daemon-reload"])


def unit_name(name):
    """Return the name of the unit of an interface."""
    return f"hostcraft-xdp-drop-{escaped(name)}.service"


def escaped(name):
    """Return a name as systemd writes it in the name of a unit (systemd.unit(5), string escaping)."""
    return re.sub(r"[^A-Za-z0-9:_.]", lambda found: f"\\x{ord(found.group()):02x}", name)


def packed():
    """Return the program: an executable zip file of the module_utils that it consists of."""
    buffer = io.BytesIO()
    buffer.write(f"#!{sys.executable}\n".encode())
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in _sources():
            # The same content whenever it is packed, so that an unchanged program is seen to be unchanged.
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), text)
    return buffer.getvalue()


def _sources():
    yield "__main__.py", MAIN
    yield "hostcraft/__init__.py", ""
    for package, modules in sorted(PACKED.items()):
        yield f"hostcraft/{package}/__init__.py", ""
        for module in modules:
            name = module.__name__.rpartition(".")[2]
            yield f"hostcraft/{package}/{name}.py", module.__loader__.get_source(module.__name__)


def undo(state, todo):
    """Return the actions with which a guard puts back ``state`` (:mod:`_core.guard`)."""
    devices_found, _files = state
    actions = []
    for step in reversed(todo.steps):
        if step.target.startswith("/"):
            actions.append(guard.file(files.take(step.target)))
            continue
        live = devices_found[step.target].live
        if live is None or live.mode is None:
            actions.append(guard.run([sys.executable, GUARDS_LOADER, "remove", step.target]))
        else:
            actions.append(
                guard.run([sys.executable, GUARDS_LOADER, "restore", step.target, live.generation, live.mode])
            )
    return _with_loader(actions)


def settle(_state, todo):
    """Return the actions that let go of programs that only the undo would have needed."""
    names = [step.target for step in todo.steps if not step.target.startswith("/")]
    return _with_loader([guard.run([sys.executable, GUARDS_LOADER, "collect", name]) for name in names])


def _with_loader(actions):
    """Let the program be there for the actions, and no longer."""
    missing = os.path.dirname(GUARDS_LOADER)
    return [
        guard.file(files.Snapshot(GUARDS_LOADER, packed(), mode=0o700)),
        *actions,
        guard.file(files.Snapshot(GUARDS_LOADER, None, missing=missing)),
    ]
