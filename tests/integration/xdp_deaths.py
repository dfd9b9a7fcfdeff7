# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python3 -m tests.integration.xdp_deaths``: die before each call of bpf(2) of a change of the rules of v0.

While maps are made and filled, before and after each pin, the attachment and what follows it. After each death the
interface has the old or the new program, for each frame, and the next task brings all in order. Prints how often it
died, by the step, as one JSON object. Run in the namespaces of ``netns.Box``.
"""

import importlib
import json
import os
import socket
import sys

importlib.import_module("tests.unit.conftest")  # makes the collection importable

from ansible_collections.hostcraft.linux.plugins.module_utils._xdp import (  # noqa: E402 isort: skip
    bpf,
    host,
    loader,
    packets,
    task,
)

from tests.integration.netns import TAP, got_past  # noqa: E402 isort: skip

MANY = [f"10.9.{number}.0/24" for number in range(80)]  # so many that they are laid out in blocks
FEW = [{"name": "one", "action": "drop", "source": ["10.0.0.0/24", "10.2.0.7", "10.3.0.1"]}]
OLD = [dict(FEW[0], source=[*FEW[0]["source"], *MANY])]
NEW = [dict(FEW[0], source=["10.0.0.0/24", "10.1.0.0/24", "10.2.0.0/24", "10.3.0.1", *MANY[:-1]])]
OTHER = [{"name": "two", "action": "drop", "source": ["10.1.0.0/24"]}, {"name": "three", "action": "pass"}]
CASES = {"attach": (None, FEW), "update": (OLD, NEW), "replace": (FEW, OTHER)}
SURVIVED, KILLED = 3, 9
features = loader.features()


def steps(rules):
    """Return what is to be done for these rules, None: for none."""
    wanted = task.wanted_of(["v0"], rules or (), "native", present=rules is not None)
    planned = task.tried_planner(wanted, features, allow_lockout=False)
    return planned(host.observe(["v0"], "native", features)).steps


def give(rules):
    """Make it so, and return the verbs of what was done."""
    todo = steps(rules)
    for step in todo:
        host.apply(step, features, [])
    host.collect(["v0"])
    return [step.verb for step in todo]


def dies_at(number, rules):
    """Make it so in a child that dies before this call; return its exit status."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        todo, left, original = steps(rules), [number], bpf.call

        def call(*arguments):
            left[0] -= 1
            if not left[0]:
                os._exit(KILLED)
            return original(*arguments)

        bpf.call = call
        for step in todo:
            host.apply(step, features, [])
        host.collect(["v0"])
        os._exit(SURVIVED)
    finally:
        os._exit(1)


def main():
    """Do it for each kind of step."""
    with (
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender,
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(TAP)) as tap,
    ):
        sender.bind(("v1", 0))
        tap.bind(("v0", TAP))
        frames = [
            packets.frame(4, source, 0xC0000201, 17, 0, bytes(28))
            for source in (0x0A000001, 0x0A010001, 0x0A020007, 0x0A020008, 0x0A090001, 0x0A094F01)
        ]
        died = {}
        for verb, (before, after) in CASES.items():
            give(before)
            old = got_past(sender, tap, frames)
            done = give(after)
            new = got_past(sender, tap, frames)
            if done != [verb] or old == new:
                sys.exit(f"{verb}: it would prove nothing: {done}")
            died[verb], status, seen = 0, KILLED, set()
            while status == KILLED:
                give(before)
                status = dies_at(died[verb] + 1, after)
                found = got_past(sender, tap, frames)
                mixed = [frame for frame in frames if frame not in found and frame in old and frame in new]
                mixed += [frame for frame in found if frame not in old and frame not in new]
                if mixed or (verb != "update" and found not in (old, new)):
                    sys.exit(f"{verb}: after a death at call {died[verb] + 1} neither the old nor the new program")
                seen.add(found == new)
                give(after)
                if got_past(sender, tap, frames) != new or steps(after):
                    sys.exit(f"{verb}: what a death at call {died[verb] + 1} left was not brought in order")
                died[verb] += status == KILLED
            if status != SURVIVED or seen != {True, False}:
                sys.exit(f"{verb}: exit status {status}, deaths before and after it took effect: {seen}")
        host.remove("v0")
        print(json.dumps(died))


if __name__ == "__main__":
    main()
