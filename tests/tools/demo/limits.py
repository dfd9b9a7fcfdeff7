# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resource limits: a plan, its application, a second run, and a declaration that is refused."""

from lab import progress
from tests.tools.demo.stage import HOSTS, expect, play, recap, shown
from tests.tools.scenarios import lab

BOOK = "hostcraft.linux.set_limits"


def tell(inventory: str) -> None:
    """Tell the story, and check each sentence of it."""
    for name in HOSTS:
        lab("ssh", name, "setsid sleep 3600 >/dev/null 2>&1 </dev/null &")
    progress.say("1. The plan: what would be done, and nothing is")
    status, planned = play(inventory, "good.yml", "--check", "--diff", book=BOOK)
    expect(status == 0 and all(one["changed"] == 1 for one in recap(planned).values()), "each host has a plan")
    expect(set(recap(planned)) == set(HOSTS), f"it reached {', '.join(HOSTS)}")
    missing = [lab("ssh", name, "ls -A /etc/security/limits.d").strip() for name in HOSTS]
    expect(missing == ["", "", ""], "nothing was written")
    progress.say("2. The real run takes the same steps")
    status, applied = play(inventory, "good.yml", book=BOOK)
    expect(status == 0 and _steps(planned) == _steps(applied) != [], "the steps are those of the plan")
    session = lab("ssh", "alpha", "su ops -c 'ulimit -Hn; ulimit -Hl'").split()
    expect(session == ["4096", "64"], "a new session of ops has the limits")
    process = lab("ssh", "alpha", "prlimit --nofile --noheadings --raw -o SOFT,HARD --pid $(pgrep -x sleep)").split()
    expect(process == ["256", "1024"], "the process that ran already has its limits")
    progress.say("3. A second run changes nothing")
    status, again = play(inventory, "good.yml", book=BOOK)
    expect(status == 0 and all(one["changed"] == 0 for one in recap(again).values()), "nothing was changed")
    progress.say("4. A wrong declaration is refused before anything is touched")
    status, refused = play(inventory, "wrong.yml", book=BOOK)
    expect(
        status != 0 and "the soft limit 8192 is above the hard limit 4096" in refused, "the message says what is wrong"
    )
    status, again = play(inventory, "good.yml", "--check", book=BOOK)
    expect(status == 0 and all(one["changed"] == 0 for one in recap(again).values()), "and the hosts are as before")


def _steps(output: str) -> list[str]:
    """Return the steps that a play showed, in order of their text."""
    return sorted(shown(output, "limit", "write"))
