# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``bond_vlan_bridge`` in a virtual machine, whose kernel has bonds and VLANs and which NetworkManager configures.

The same topology is made by one task, by ``community.general.nmcli`` with a task for each profile, and by ``nmcli``
typed by hand; and 200 VLANs that are there already are compared with a module that does nothing. Wall seconds above
those of an empty play, in turns, the best of each. Run by ``make bench``.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.tools import collection, scenarios

COUNT = 200
ROUNDS = 3
REPEAT = 3  # tasks of which the time of one is taken
BIN = Path(sys.executable).parent
WIRE = collection.ROOT / "extensions/molecule/bond_vlan_bridge/files/wire"
ADDRESS = "10.10.100.2/24"

OURS = {
    "hostcraft.linux.bond_vlan_bridge": {
        "backend": "networkmanager",
        "bonds": [{"name": "bond0", "mode": "802.3ad", "miimon": 100, "ports": ["eth11", "eth12"]}],
        "vlans": [{"parent": "bond0", "id": 100}, {"parent": "bond0", "id": 200, "addresses": ["10.10.200.2/24"]}],
        "bridges": [{"name": "br0", "ports": ["bond0.100"], "stp": False, "addresses": [ADDRESS]}],
    }
}
PROFILES = (
    {"type": "bridge", "ifname": "br0", "stp": False, "ip4": [ADDRESS], "method6": "disabled"},
    {"type": "bond", "ifname": "bond0", "mode": "802.3ad", "miimon": 100, "method4": "disabled", "method6": "disabled"},
    {"type": "bond-slave", "ifname": "eth11", "master": "bond0"},
    {"type": "bond-slave", "ifname": "eth12", "master": "bond0"},
    {"type": "vlan", "ifname": "bond0.100", "vlanid": 100, "vlandev": "bond0", "master": "br0", "slave_type": "bridge"},
    {"type": "vlan", "ifname": "bond0.200", "vlanid": 200, "vlandev": "bond0", "ip4": ["10.10.200.2/24"]},
)
PEER = [
    {"community.general.nmcli": {"state": "present", "conn_name": one["ifname"], "autoconnect": True, **one}}
    for one in PROFILES
]
BY_HAND = """set -e
nmcli connection add type bridge ifname br0 con-name br0 bridge.stp no ip4 10.10.100.2/24 ipv6.method disabled
nmcli connection add type bond ifname bond0 con-name bond0 bond.options mode=802.3ad,miimon=100 \
    ipv4.method disabled ipv6.method disabled
nmcli connection add type ethernet ifname eth11 con-name eth11 master bond0
nmcli connection add type ethernet ifname eth12 con-name eth12 master bond0
nmcli connection add type vlan ifname bond0.100 con-name bond0.100 dev bond0 id 100 master br0 slave-type bridge
nmcli connection add type vlan ifname bond0.200 con-name bond0.200 dev bond0 id 200 ip4 10.10.200.2/24
nmcli connection up br0; nmcli connection up eth11; nmcli connection up eth12
nmcli connection up bond0.100; nmcli connection up bond0.200
"""
# What all three must have made.
REACHED = """for turn in $(seq 100); do
    [ "$(ls /sys/class/net/br0/brif 2>/dev/null)" = bond0.100 ] &&
    [ "$(cat /sys/class/net/bond0/bonding/slaves 2>/dev/null | wc -w)" = 2 ] &&
    ip -4 address show dev br0 | grep -q 10.10.100.2 && exit 0
    sleep 0.1
done
ip -brief address; exit 1
"""
CLEAR = """for one in br0 bond0 bond0.100 bond0.200 eth11 eth12; do nmcli connection delete "$one" 2>/dev/null; done
for one in br0 bond0.100 bond0.200 bond0; do ip link delete "$one" 2>/dev/null; done; true
"""


def on_host(script: str) -> float:
    """Run a script in the machine; return the wall seconds that it took."""
    began = time.monotonic()
    argv = [sys.executable, "-m", "lab", "ssh", scenarios.MACHINE, "sh -s"]
    done = subprocess.run(
        argv, input=script, cwd=collection.ROOT, capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode:
        sys.exit(f"on the machine: {done.stdout}{done.stderr}")
    return time.monotonic() - began


def play(inventory: str, tasks: list[dict]) -> float:
    """Run tasks on the machine; return the wall seconds of the whole run."""
    with tempfile.TemporaryDirectory() as directory:
        book = Path(directory) / "play.json"
        book.write_text(json.dumps([{"hosts": scenarios.MACHINE, "gather_facts": False, "tasks": tasks}]))
        argv = [str(BIN / "ansible-playbook"), "-i", inventory, str(book)]
        began = time.monotonic()
        done = subprocess.run(
            argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900, check=False
        )
        took = time.monotonic() - began
    if done.returncode:
        sys.exit(f"{' '.join(argv)} failed:\n{done.stdout[-3000:]}")
    return took


def best(ways: dict, before: str = "true", after: str = "true") -> dict[str, float]:
    """Return the wall seconds of each way, in turns; ``before`` and ``after`` are run on the machine around each."""
    found: dict[str, list[float]] = {}
    for _number in range(ROUNDS):
        for name, way in ways.items():
            on_host(before)
            found.setdefault(name, []).append(way())
            on_host(after)
    return {name: min(took) for name, took in found.items()}


def row(what: str, ours: float, peer: float, target: str = "") -> None:
    print(f"{what:72} {ours:8.2f} {peer:8.2f} s {peer / ours:7.2f}x  {target}", flush=True)


def vlans() -> list[dict]:
    return [{"parent": "eth1", "id": number} for number in range(1, COUNT + 1)]


def main() -> None:
    """Print the table."""
    os.environ["HOSTCRAFT_LAB"] = "bench"
    try:
        inventory = scenarios.start()
        on_host(WIRE.read_text())
        ways = {
            "empty": lambda: play(inventory, []),
            "ours": lambda: play(inventory, [OURS]),
            "peer": lambda: play(inventory, PEER),
            "hand": lambda: on_host(BY_HAND),
        }
        took = best({"empty": ways.pop("empty")}) | best(ways, CLEAR, REACHED)
        on_host(CLEAR)
        print(f"{'what':72} {'ours':>8} {'peer':>8}   {'ratio':>7}")
        ours = took["ours"] - took["empty"]
        what = f"the topology made: one task / {len(PEER)} tasks of nmcli"
        row(what, ours, took["peer"] - took["empty"], "target >= 3x")
        row("the topology made: one task / nmcli typed into one ssh session", ours, took["hand"])
        declared = {"hostcraft.linux.bond_vlan_bridge": {"backend": "runtime", "vlans": vlans()}}
        play(inventory, [declared])
        took = best(
            {
                "empty": lambda: play(inventory, []),
                "ours": lambda: play(inventory, [declared] * REPEAT),
                "ping": lambda: play(inventory, [{"ansible.builtin.ping": {}}] * REPEAT),
            }
        )
        ours, ping = ((took[name] - took["empty"]) / REPEAT for name in ("ours", "ping"))
        row(f"{COUNT} VLANs, unchanged: one task / one ping", ours, ping)
    finally:
        scenarios.lab("down")


if __name__ == "__main__":
    main()
