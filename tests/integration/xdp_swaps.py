# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python3 -m tests.integration.xdp_swaps N``: change the rules of v0 many times while packets arrive that all drop.

Prints what was sent, dropped and let through, as one JSON object. Run in the namespaces of ``netns.Box``.
"""

import ctypes
import importlib
import json
import os
import signal
import socket
import sys
import time
from random import Random

importlib.import_module("tests.unit.conftest")  # makes the collection importable

from ansible_collections.hostcraft.linux.plugins.module_utils._xdp import (  # noqa: E402 isort: skip
    host,
    loader,
    packets,
    pins,
    plan,
    task,
)

TAP = 0x0003
PR_SET_PDEATHSIG = 1  # the sender does not outlive the test
STEPS = {"replace": 0, "update": 0, "attach": 0}
FEWEST = 20  # packets while one change is made, for it to prove anything


def frames():
    """Return frames from 10.0.0.0/24, which every declaration drops."""
    return [
        packets.frame(4, 0x0A000000 + low, 0xC0000201, 17, 0, bytes([0, 53, 0, 53]) + bytes(26)) for low in range(256)
    ]


def declaration(random, number):
    """Return rules that drop 10.0.0.0/24 by ever other means."""
    extra = [f"{random.randint(11, 200)}.{random.randint(0, 255)}.{random.randint(0, 255)}.0/24" for _one in range(300)]
    around = random.choice((["10.0.0.0/8"], ["10.0.0.0/24"], ["10.0.0.0/25", "10.0.0.128/25"]))
    # Some of its addresses by a longer prefix, which comes and goes.
    hosts = [f"10.0.0.{random.randint(0, 255)}/32" for _one in range(random.randint(0, 5))] + [
        "10.0.0.7/32",
        "10.0.0.6/31",
    ]
    attackers = {"name": "attackers", "action": "drop", "source": [*around, *hosts, *extra]}
    if number % 2:
        return [attackers]
    by_port = {"name": "dns", "action": "drop", "protocol": ["udp"], "source_ports": ["53"]}
    office = {"name": "office", "action": "pass", "source": ["10.1.0.0/16"]}
    return [office, by_port, attackers] if number % 4 else [by_port]


def sent():
    """Return how many frames v1 has sent."""
    with open("/sys/class/net/v1/statistics/tx_packets") as stream:
        return int(stream.read())


def drained(tap):
    """Return how many frames have arrived."""
    tap.setblocking(False)
    count = 0
    while True:
        try:
            tap.recv(4096)
            count += 1
        except BlockingIOError:
            return count


def main():
    """Do it ``N`` times with replacements, and as often in place."""
    random, features, under_fire = Random(5), loader.features(), []
    sender, tap = (socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(TAP)) for _two in "ab")
    sender.bind(("v1", 0))

    def give(rules):
        wanted = task.wanted_of(["v0"], rules, "native")
        planned = plan.planner(wanted)  # not tried: that attaches nothing, and takes as long as all the rest
        for step in planned(host.observe(["v0"], "native", features)).steps:
            before = sent()
            host.apply(step, features, [])
            STEPS[step.verb] += 1
            under_fire.append(sent() - before >= FEWEST)
        host.collect(["v0"])
        if sum(STEPS.values()) % 10:
            return
        left = planned(host.observe(["v0"], "native", features)).steps
        if left:
            sys.exit(f"not converged: {[str(one) for one in left]}")

    give(declaration(random, 1))
    tap.bind(("v0", TAP))
    child = os.fork()
    if not child:
        content = frames()
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        while True:
            time.sleep(0.0005)
            for frame in content:
                sender.send(frame)
    try:
        number = 0
        while STEPS["replace"] < int(sys.argv[1]) or STEPS["update"] < int(sys.argv[1]):
            number += 1
            # Two declarations of the same kind after each other differ in prefixes only.
            give(declaration(random, number // 2))
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    leaked = drained(tap)
    live = host.brief("v0")
    with pins.opened("v0", live.generation, "counters") as counters:
        counted = loader.read_counters(counters)
    host.remove("v0")
    print(
        json.dumps(
            {
                **STEPS,
                "leaked": leaked,
                "no_rule": counted[loader.NO_RULE][0],
                "dropped": counted[live.verdicts[0][1]][0],
                "under_fire": sum(under_fire),
                "sent": sent(),
            }
        )
    )


if __name__ == "__main__":
    main()
