# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command of the lab: ``python3 -m lab --help``."""

import argparse
import os
import subprocess
import sys

from lab import control_plane, hypervisor, inventory, kubernetes, namespace_host, packages, progress, record, switch, vm


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options) or 0
    except (record.LabError, progress.StepFailed, subprocess.SubprocessError, OSError) as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted; what was started is recorded, 'down' removes it", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m lab", description="Test hosts for hostcraft.linux. Needs root.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("up", help="start namespace hosts")
    command.add_argument("names", nargs="*", metavar="NAME")
    command.add_argument("--count", type=int, default=0, metavar="N", help="start host1 to hostN")
    command.set_defaults(run=_up)
    command = commands.add_parser("down", help="stop hosts (no names: all, and the switch)")
    command.add_argument("names", nargs="*", metavar="NAME")
    command.set_defaults(run=_down)
    commands.add_parser("list", help="show what was started").set_defaults(run=_list)
    command = commands.add_parser("ssh", help="log in, or run a command")
    command.add_argument("name", metavar="NAME")
    command.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND")
    command.set_defaults(run=_ssh)
    commands.add_parser("inventory", help="write the Ansible inventory and print its path").set_defaults(run=_inventory)
    commands.add_parser("packages", help="install what the machine lacks").set_defaults(run=_packages)
    machines = commands.add_parser("vm", help="virtual machines").add_subparsers(required=True, metavar="COMMAND")
    for name, run, text in (
        ("prepare", _vm_prepare, "boot a machine once and keep its state for later starts"),
        ("up", _vm_up, "start a machine, from its saved state when there is one"),
        ("down", _vm_down, "stop a machine and remove its disk"),
    ):
        command = machines.add_parser(name, help=text)
        command.add_argument("name", metavar="NAME")
        command.set_defaults(run=run)
        if name == "up":
            command.add_argument("--boot", action="store_true", help="boot, saved state or not")
    clusters = commands.add_parser("cluster", help="a Kubernetes control plane")
    clusters = clusters.add_subparsers(required=True, metavar="COMMAND")
    for name, run, text in (
        ("build", _cluster_build, "build its programs, unless that is done: some minutes"),
        ("up", _cluster_up, "start it, and print where its kubeconfig is"),
        ("down", _cluster_down, "stop it and remove what it has stored"),
    ):
        clusters.add_parser(name, help=text).set_defaults(run=run)
    commands.add_parser("hypervisor", help="start the host of the virtual machines").set_defaults(run=_hypervisor)
    return parser


def _vm_prepare(options) -> int | None:
    packages.install()
    vm.prepare(options.name)


def _vm_up(options) -> int | None:
    packages.install()
    vm.up(options.name, options.boot)
    progress.say(f"{options.name} is up: python3 -m lab ssh {options.name}")


def _vm_down(options) -> int | None:
    progress.say(f"{options.name} {'stopped' if vm.down(options.name) else 'was not running'}")


def _cluster_build(options) -> int | None:
    print(kubernetes.ensure())


def _cluster_up(options) -> int | None:
    started = control_plane.up()
    progress.say(f"the control plane is up at {started.data['address']}")
    print(f"export KUBECONFIG={started.data['kubeconfig']}")


def _cluster_down(options) -> int | None:
    progress.say(f"the control plane {'stopped' if control_plane.down() else 'was not running'}")


def _hypervisor(options) -> int | None:
    packages.install()
    progress.say(f"{hypervisor.NAME} is up at {hypervisor.up().data['address']}")


def _up(options) -> int | None:
    names = options.names + [f"host{number}" for number in range(1, options.count + 1)]
    if not names:
        raise record.LabError("up: name at least one host, or give --count N")
    packages.install()
    for name in names:
        started = namespace_host.up(name)
        progress.say(f"{name} is up at {started.data['address']}")


def _down(options) -> int | None:
    known = {started.name: started for started in sorted(record.every(), key=lambda one: one.kind != "vm")}
    for name in options.names or known:
        if name not in known:
            progress.say(f"{name} is not up")
        elif known[name].kind == "vm":
            _down_vm(name, with_hypervisor=hypervisor.NAME in (options.names or known))
        elif known[name].kind == control_plane.KIND:
            control_plane.down()
            progress.say(f"{name} stopped")
        elif name != switch.NAME:
            was = "stopped" if namespace_host.down(name) else "was not running; its leftovers are removed"
            progress.say(f"{name} {was}")
    if not options.names:
        with record.locked(record.lab() / "lock", progress.say):
            switch.down()


def _down_vm(name: str, with_hypervisor: bool) -> None:
    try:
        progress.say(f"{name} {'stopped' if vm.down(name) else 'was not running'}")
    except record.LabError as error:  # libvirtd may be gone
        if not with_hypervisor:
            raise
        progress.say(f"{name}: {error}; it is stopped with its hypervisor")
        record.forget(name)


def _list(options) -> int | None:
    for known in record.every():
        running = vm.is_running(known.name) if known.kind == "vm" else record.alive(known)
        state = "up" if running else "dead"
        print(f"{known.name:20} {known.kind:10} {state:5} {known.data.get('address', '-'):15} pid {known.pid}")


def _ssh(options) -> int | None:
    known = record.read(options.name)
    if known is None or not inventory.reachable(known):
        raise record.LabError(f"{options.name} is not up: start it with 'python3 -m lab up {options.name}'")
    sys.stdout.flush()
    os.execvp("ssh", ["ssh", "-F", str(inventory.ssh_config()), options.name, *options.command])


def _inventory(options) -> int | None:
    print(inventory.write())


def _packages(options) -> int | None:
    installed = packages.install()
    print(f"installed: {' '.join(installed)}" if installed else "nothing is missing")


if __name__ == "__main__":
    sys.exit(main())
