# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers get addresses out of the hosts' own subnet, without a bridge."""

from lab import progress
from tests.tools.demo.stage import HOSTS, expect, play, recap, shown
from tests.tools.scenarios import lab

BOOK = "hostcraft.linux.add_endpoints"
MENDED = "set web1: routes fd00:203::201/128 -> 10.203.0.201/32+fd00:203::201/128"
REACHED = ("10.203.0.201", "fd00:203::201", "10.203.0.202", "fd00:203::202")


def tell(inventory: str) -> None:
    """Give two containers of a host addresses out of the hosts' own subnet, without a bridge."""
    first, second, _third = HOSTS

    def declare(declaration: str, *options: str) -> tuple[int, str]:
        return play(inventory, declaration, "--limit", first, *options, book=BOOK)

    def reaches(name: str, *where: str) -> list[bool]:
        pings = (f"{' '.join(where)} ping -n -q -c 1 -W 1 {address} >/dev/null; echo $?" for address in REACHED)
        return [one == "0" for one in lab("ssh", name, "; ".join(pings)).split()]

    progress.say("13. The plan: two containers get addresses of the hosts' own subnet, and no bridge")
    status, planned = declare("endpoints.yml", "--check")
    expect(status == 0 and recap(planned)[first]["changed"] == 1, f"{first} has a plan")
    expect(reaches(second) == [False] * 4, "and nothing was changed")
    progress.say("14. The real run, confirmed over a new connection")
    status, applied = declare("endpoints.yml")
    expect(
        status == 0 and shown(planned, "create", "set", "add") == shown(applied, "create", "set", "add") != [],
        "the steps are those of the plan",
    )
    expect(reaches(second) == [True] * 4, f"{second} reaches both containers, and was told nothing")
    expect(reaches(first, "ip netns exec web1") == [True] * 4, "one container reaches the other")
    status, again = declare("endpoints.yml")
    expect(status == 0 and recap(again)[first]["changed"] == 0, "a second run changes nothing")
    lab("ssh", first, "ip route del 10.203.0.201/32")
    status, mended = declare("endpoints.yml")
    expect(
        status == 0 and shown(mended, "create", "set", "add") == [MENDED],
        "what somebody has taken away comes back, and nothing else",
    )
    progress.say("15. They go, with all that belonged to them")
    status, _gone = declare("no_endpoints.yml")
    expect(status == 0 and reaches(second) == [False] * 4, "nobody answers")
    expect(lab("ssh", first, "ls /run/netns; ip link show group 26723; ip neigh show proxy") == "", "nothing is left")
