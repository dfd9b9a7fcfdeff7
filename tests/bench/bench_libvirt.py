# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``libvirt_domain_state`` costs: 1000 domains of libvirt's test driver, and 20 real guests, all in one run.

Run by ``make bench``, on the hypervisor of a lab of its own. The test driver costs next to nothing itself, so that what
is measured is the module, Ansible and libvirt's protocol. Wall seconds; the machine's other load makes them dearer.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lab import domains, hypervisor, record, tiny_guest

os.environ["HOSTCRAFT_LAB"] = "bench"
# Kept connections are named after the host, and another lab may have a host of the same name.
os.environ["ANSIBLE_SSH_CONTROL_PATH_DIR"] = str(record.lab() / "ssh")

DOMAINS, SAMPLE, GUESTS = 1000, 20, 20
URI = "test+unix:///default"
ROOT = Path(__file__).resolve().parents[2]
KEEPER = f"""
import libvirt, signal
connection = libvirt.open("{URI}")
text = "<domain type='test'><name>web-%04d</name><memory>8192</memory><os><type>hvm</type></os></domain>"
for number in range({DOMAINS}):
    connection.defineXML(text % number)
open("/run/keeper", "w").close()
signal.pause()
"""
# The task without Ansible around it: from its options to the end of its last look.
IN_MODULE = f"""
import sys, time
sys.path[:0] = ["{domains.INSIDE}", "{domains.INSIDE}/lab"]
from drive import Caller, task
began = time.perf_counter()
result = task.run(Caller({{"name": ["web-*"], "state": sys.argv[1], "uri": "{URI}"}}))
print(time.perf_counter() - began, len(result["steps"]))
"""


def lab(*arguments: str) -> str:
    """Run the command of the lab and return what it printed."""
    argv = [sys.executable, "-m", "lab", *arguments]
    return subprocess.run(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=600, check=True).stdout


def ssh(command: str, data: bytes = b"") -> str:
    """Run a command on the hypervisor and return its output."""
    config = hypervisor.disks().parent / "ssh_config"
    argv = ["ssh", "-F", str(config), hypervisor.NAME, command]
    return subprocess.run(argv, input=data, stdout=subprocess.PIPE, timeout=300, check=True).stdout.decode()


def play(tasks: list[dict], inventory: str) -> float:
    """Run tasks on the hypervisor and return the wall seconds."""
    with tempfile.TemporaryDirectory() as directory:
        book = Path(directory) / "play.json"
        book.write_text(json.dumps([{"hosts": hypervisor.NAME, "gather_facts": False, "tasks": tasks}]))
        began = time.perf_counter()
        argv = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", inventory, str(book)]
        done = subprocess.run(
            argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900, check=False
        )
        if done.returncode:
            sys.exit(done.stdout[-3000:])
        return time.perf_counter() - began


def in_module(state: str, expected: int) -> float:
    """Return the seconds inside the module; end the benchmark when it did something else than it should."""
    took, steps = ssh(f"python3 /root/in_module.py {state}").split()
    if int(steps) != expected:
        sys.exit(f"{steps} steps, not {expected}")
    return float(took)


def ours(state: str, **more) -> list[dict]:
    return [{"hostcraft.linux.libvirt_domain_state": {"name": "web-*", "state": state, "uri": URI, **more}}]


def row(what: str, mine: float, other: float, target: str = "") -> None:
    print(f"{what:62} {mine:9.3f} {other:9.3f} s {other / mine:8.1f}x  {target}", flush=True)


def bulk(inventory: str) -> None:
    """1000 domains of the test driver."""
    ssh("cat > /root/in_module.py", IN_MODULE.encode())
    ssh("cat > /root/keeper.py; rm -f /run/keeper", KEEPER.encode())
    ssh("setsid python3 /root/keeper.py >/dev/null 2>&1 </dev/null & while ! test -e /run/keeper; do sleep 0.1; done")
    row(
        f"{DOMAINS} domains shutoff -> running, in the module / 3 s", in_module("running", DOMAINS), 3.0, "target < 3 s"
    )
    row(f"{DOMAINS} domains, nothing to do, in the module / 1 s", in_module("running", 0), 1.0, "target < 1 s")
    in_module("shutoff", DOMAINS)
    empty = play([{"ansible.builtin.ping": {}}], inventory)
    task = play([*ours("running")], inventory)
    in_module("shutoff", DOMAINS)
    peer = {"community.libvirt.virt": {"name": "{{ item }}", "state": "running", "uri": URI}}
    loop = {**peer, "loop": [f"web-{number:04d}" for number in range(SAMPLE)]}
    sample = play([loop], inventory)
    print(f"a play with ping: {empty:.2f} s, with {SAMPLE} iterations of community.libvirt.virt: {sample:.2f} s")
    whole = empty + (sample - empty) / SAMPLE * DOMAINS
    row(f"{DOMAINS} domains started: one task / virt in a loop, from {SAMPLE}", task, whole, "target >= 100x")


def guests(inventory: str) -> None:
    """Real guests that are shut down, at the same time and one after another."""
    for number in range(GUESTS):
        (hypervisor.disks() / "guest.xml").write_text(tiny_guest.xml(f"web-{number:04d}"))
        ssh(f"virsh -q -c qemu:///system define {hypervisor.IMAGES}/guest.xml")
    took = {}
    for parallelism in (1, GUESTS):
        for path in hypervisor.disks().glob("*.console"):
            path.unlink()
        play(ours("running", uri="qemu:///system", parallelism=GUESTS), inventory)
        deadline = time.monotonic() + 300
        while sum("ready" in one.read_text() for one in hypervisor.disks().glob("web-*.console")) < GUESTS:
            if time.monotonic() > deadline:
                sys.exit("the guests did not boot")
            time.sleep(0.5)
        took[parallelism] = play(ours("shutoff", uri="qemu:///system", parallelism=parallelism), inventory)
    row(f"{GUESTS} real guests shut down: at the same time / one by one", took[GUESTS], took[1])


def main() -> None:
    """Print the table; the hypervisor is stopped afterwards, whatever happens."""
    try:
        lab("hypervisor")
        tiny_guest.ensure()
        inventory = lab("inventory").split()[-1]
        print(f"{'what':62} {'ours':>9} {'peer':>9}   {'ratio':>8}")
        bulk(inventory)
        guests(inventory)
    finally:
        lab("down")


if __name__ == "__main__":
    main()
