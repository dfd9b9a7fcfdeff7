# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's switch: a network namespace with one bridge, to which every host is wired.

Nothing is made in the machine's own network namespace. The namespace lives as long as one sleeping
process, and each end of a cable as long as its namespace: there is nothing to remove by hand.
"""

import ipaddress

from lab import namespaces, record

NAME = "switch"  # hosts cannot have this name
SUBNET = ipaddress.ip_network("10.203.0.0/24")
SUBNET6 = ipaddress.ip_network("fd00:203::/64")
OWN = 1  # the switch's own host number in both subnets
# By their number, so that a host that is started again is found at once under its old address; and a bridge without
# one of its own takes another whenever a port comes or goes, and the hosts go on sending to the old one.
MAC = "02:00:0a:cb:00:{:02x}"


def up() -> record.Record:
    """Start the switch unless it runs, and return its record."""
    running = record.read(NAME)
    if running and record.alive(running):
        if running.data.get("ready"):
            return running
        record.stop(running, grace=1.0)  # its start was killed half way
    data = {"log": str(record.lab() / "switch.log")}
    started = namespaces.start("switch", NAME, ["net"], ["/usr/bin/sleep", "infinity"], None, data)
    batch = f"""
link set lo up
link add hub0 address {MAC.format(OWN)} type bridge
addr add {SUBNET[OWN]}/{SUBNET.prefixlen} dev hub0
addr add {SUBNET6[OWN]}/{SUBNET6.prefixlen} dev hub0 nodad
link set hub0 up
"""
    namespaces.run(started.pid, ["ip", "-batch", "-"], batch)
    started = started._replace(data={**started.data, "ready": True})
    record.write(started)
    return started


def down() -> bool:
    """Stop the switch; return whether it was running."""
    running = record.read(NAME)
    stopped = record.stop(running, grace=2.0) if running else False
    record.forget(NAME)
    return stopped


def plug(number: int, pid: int) -> None:
    """Wire the network namespace of ``pid`` to the switch as eth0 with the host number ``number``."""
    switch = up()
    batch = f"""
link add port{number} type veth peer name eth0 address {MAC.format(number)} netns {pid}
link set port{number} master hub0 up
"""
    namespaces.run(switch.pid, ["ip", "-batch", "-"], batch)
    batch = f"""
link set lo up
addr add {SUBNET[number]}/{SUBNET.prefixlen} dev eth0
addr add {SUBNET6[number]}/{SUBNET6.prefixlen} dev eth0 nodad
link set eth0 up
route add default via {SUBNET[OWN]}
route add default via {SUBNET6[OWN]}
"""
    namespaces.run(pid, ["ip", "-batch", "-"], batch)


def hang_up(number: int) -> None:
    """Reset every connection from the controller to the host with this number.

    Else an idle ssh connection (ControlPersist) would keep its socket, and with it the switch's
    namespace, after both are gone. A kernel without CONFIG_INET_DIAG_DESTROY kills none (ss(8)).
    """
    running = record.read(NAME)
    if running and record.alive(running):
        namespaces.run(running.pid, ["ss", "-K", "-H", "dst", f"[{SUBNET6[number]}]", "or", "dst", str(SUBNET[number])])


def free_number(taken: set[int]) -> int:
    """Return the lowest host number that is not taken."""
    for number in range(OWN + 1, SUBNET.num_addresses - 1):
        if number not in taken:
            return number
    raise record.LabError(f"all {SUBNET.num_addresses - 3} addresses of {SUBNET} are in use: take some hosts down")
