# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One host attacks another, and is dropped by the driver; the list would drop the controller, too, and is refused."""

import json
import tempfile
from pathlib import Path

from lab import progress
from tests.tools.demo.stage import HOSTS, addresses, expect, guard, play, recap, shown
from tests.tools.scenarios import lab

BOOK = "hostcraft.linux.drop_attack"
NETWORKS = "".join(f"100.{number // 256}.{number % 256}.0/24\n" for number in range(65536))


def tell(inventory: str) -> None:
    """Tell the story, and check each sentence of it."""
    victim, attacker, friend = HOSTS
    lab("ssh", victim, "mount --make-private /sys && mount -t bpf bpf /sys/fs/bpf")
    hostile, own = (addresses(name)["inet"].partition("/")[0] for name in (attacker, victim))
    with tempfile.TemporaryDirectory() as directory:
        listed = Path(directory, "attack.txt")

        def drop(*options: str) -> tuple[int, str]:
            these = ["--limit", victim, "-e", f"drop_attack_file={listed}"]
            return play(inventory, "attack.yml", *these, *options, book=BOOK)

        def reaches(name: str) -> bool:
            return lab("ssh", name, f"ping -n -q -c 1 -W 1 {own} >/dev/null && echo yes || echo no") == "yes\n"

        listed.write_text(f"# 65,536 networks that attack, and one host\n{NETWORKS}{hostile}\n")
        progress.say("19. The plan: a list of networks is tried on the very rules that the kernel will run")
        status, planned = drop("--check")
        expect(status == 0 and recap(planned)[victim]["changed"] == 1, "there is a plan")
        expect(reaches(attacker) and reaches(friend), "and nothing was changed")
        progress.say("20. The real run, confirmed over a new connection")
        status, applied = drop()
        expect(status == 0 and shown(planned, "attach") == shown(applied, "attach") != [], "the steps are the plan's")
        expect(guard(victim)["state"] == "confirmed", "the host was confirmed")
        expect(not reaches(attacker) and reaches(friend), f"{attacker} is dropped, {friend} is not")
        status, again = drop()
        expect(status == 0 and recap(again)[victim]["changed"] == 0, "a second run changes nothing")
        progress.say("21. A list that has the controller in it is refused before anything is touched")
        listed.write_text(f"{hostile}\n10.203.0.0/24\n")
        status, refused = drop()
        expect(status != 0 and "drops a packet of the connection that this task runs over" in refused, "it says why")
        expect(not reaches(attacker) and reaches(friend), "and all is as before")
        status, _gone = drop("-e", "drop_attack_state=absent")
        expect(status == 0 and reaches(attacker), "the attack is over, and the rules are gone")
        link = json.loads(lab("ssh", victim, "ip -json -details link show eth0"))[0]
        expect(
            "xdp" not in link and lab("ssh", victim, "ls /sys/fs/bpf | grep -v debug || true") == "", "nothing is left"
        )
