# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The address that each host is reached by moves to a bridge; a host is lost, and finds itself again."""

import json
import tempfile

from lab import progress
from tests.tools.demo.stage import HOSTS, addresses, expect, guard, links, play, recap, shown

BOOK = "hostcraft.linux.provision_network"


def tell(inventory: str) -> None:
    """Move the address that each host is reached by to a bridge, lose a host, and find it again."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as stream:
        json.dump({"all": {"hosts": {name: addresses(name) for name in HOSTS}}}, stream)
        stream.flush()
        _move(inventory, stream.name)


def _move(inventory: str, variables: str) -> None:
    def change(declaration: str, *options: str) -> tuple[int, str]:
        return play(inventory, declaration, "-i", variables, *options, book=BOOK)

    before = [links(name) for name in HOSTS]
    progress.say("5. The plan: the address that a host is reached by moves to a bridge")
    status, planned = change("bridge.yml", "--check")
    expect(status == 0 and all(one["changed"] == 1 for one in recap(planned).values()), "each host has a plan")
    expect([links(name) for name in HOSTS] == before, "and nothing was changed")
    progress.say("6. The real run: host by host, and each is confirmed over a new connection")
    status, applied = change("bridge.yml")
    expect(status == 0 and _moves(planned) == _moves(applied) != [], "the steps are those of the plan")
    expect([guard(name)["state"] for name in HOSTS] == ["confirmed"] * len(HOSTS), "each host was confirmed")
    bridged = [links(name) for name in HOSTS]
    homes = [[name for name, link in one.items() if link["addresses"]] for one in bridged]
    expect(homes == [["br0"]] * len(HOSTS), "the addresses are those of br0")
    expect([one["eth0"]["master"] for one in bridged] == ["br0"] * len(HOSTS), "and eth0 is its port")
    status, again = change("bridge.yml")
    expect(status == 0 and all(one["changed"] == 0 for one in recap(again).values()), "a second run changes nothing")
    progress.say("7. A wrong address cuts the host off; it takes it back by itself, and the next host is not touched")
    status, lost = change("cut.yml")
    expect(status != 0 and "The change cut off the host" in lost, "the task says that the host was cut off")
    expect("It has put back what was there before, and answers again" in lost, "and that it has put all of it back")
    expect(guard(HOSTS[0])["state"] == "rolled_back", f"{HOSTS[0]} decided that itself: {guard(HOSTS[0])['reason']}")
    expect(set(recap(lost)) == {HOSTS[0]}, f"{' and '.join(HOSTS[1:])} were not touched")
    expect([links(name) for name in HOSTS] == bridged, "every host is as before")
    progress.say("8. Back to the first state")
    status, _back = change("plain.yml")
    expect(status == 0 and [links(name) for name in HOSTS] == before, "the bridges are gone, and all is as it was")


def _moves(output: str) -> list[str]:
    """Return the steps of the links that a play showed, host by host."""
    return shown(output, "create", "start", "add", "enslave", "move", "set", "remove")
