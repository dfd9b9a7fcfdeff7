# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo: three hosts with a real sshd, a plan, its application, a second run, and a declaration that is refused."""

import json
import os
import signal
import subprocess
import sys

from lab import progress, record
from tests.tools import collection, packages, venvs
from tests.tools.scenarios import lab

HOSTS = ("alpha", "beta", "gamma")
PLAYBOOK = "hostcraft.linux.set_limits"


def play(inventory: str, declaration: str, *options: str, shown: bool = True) -> tuple[int, str]:
    """Run the playbook with a declaration of tests/demo; return its exit status and output, which is shown."""
    venv = venvs.ensure("core219")
    argv = [str(venv / "bin/ansible-playbook"), "-i", inventory, "-e", f"@tests/demo/{declaration}", *options, PLAYBOOK]
    if shown:
        print(
            f"\n$ ansible-playbook -i INVENTORY -e @tests/demo/{declaration} {' '.join([*options, PLAYBOOK])}",
            flush=True,
        )
    environment = venvs.environment(venv) | ({} if shown else {"ANSIBLE_STDOUT_CALLBACK": "json"})
    done = subprocess.run(
        argv, cwd=collection.ROOT, env=environment, timeout=300, check=False,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    if shown:
        print(done.stdout, flush=True)
    return done.returncode, done.stdout


def recap(output: str) -> dict[str, dict[str, int]]:
    """Return ``{host: {word: count}}`` of the recap at the end of a play."""
    rows = [line.split(":", 1) for line in output.partition("PLAY RECAP")[2].splitlines() if "ok=" in line]
    return {host.strip(): {w: int(n) for w, n in (pair.split("=") for pair in row.split())} for host, row in rows}


def expect(condition: bool, what: str) -> None:
    """End the demo when something is not as the story says."""
    if not condition:
        raise progress.StepFailed(f"the demo is wrong: {what}")
    progress.say(f"as it should be: {what}")


def story(inventory: str) -> None:
    """Tell the story, and check each sentence of it."""
    for name in HOSTS:
        lab("ssh", name, "setsid sleep 3600 >/dev/null 2>&1 </dev/null &")
    progress.say("1. The plan: what would be done, and nothing is")
    status, planned = play(inventory, "good.yml", "--check", "--diff")
    expect(status == 0 and all(one["changed"] == 1 for one in recap(planned).values()), "each host has a plan")
    expect(set(recap(planned)) == set(HOSTS), f"it reached {', '.join(HOSTS)}")
    missing = [lab("ssh", name, "ls -A /etc/security/limits.d").strip() for name in HOSTS]
    expect(missing == ["", "", ""], "nothing was written")
    progress.say("2. The real run takes the same steps")
    status, applied = play(inventory, "good.yml")
    expect(status == 0 and _steps(planned) == _steps(applied) != [], "the steps are those of the plan")
    session = lab("ssh", "alpha", "su ops -c 'ulimit -Hn; ulimit -Hl'").split()
    expect(session == ["4096", "64"], "a new session of ops has the limits")
    process = lab("ssh", "alpha", "prlimit --nofile --noheadings --raw -o SOFT,HARD --pid $(pgrep -x sleep)").split()
    expect(process == ["256", "1024"], "the process that ran already has its limits")
    progress.say("3. A second run changes nothing")
    status, again = play(inventory, "good.yml")
    expect(status == 0 and all(one["changed"] == 0 for one in recap(again).values()), "nothing was changed")
    progress.say("4. A wrong declaration is refused before anything is touched")
    status, refused = play(inventory, "wrong.yml")
    expect(
        status != 0 and "the soft limit 8192 is above the hard limit 4096" in refused, "the message says what is wrong"
    )
    status, again = play(inventory, "good.yml", "--check")
    expect(status == 0 and all(one["changed"] == 0 for one in recap(again).values()), "and the hosts are as before")


def _steps(output: str) -> list[str]:
    """Return the steps that a play showed, in order of their text."""
    return sorted(
        json.loads(line.strip().rstrip(","))
        for line in output.splitlines()
        if line.strip().startswith(('"limit ', '"write '))
    )


def main() -> int:
    """Run the demo; return the exit status."""
    os.environ["HOSTCRAFT_LAB"] = "demo"
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        packages.install()
        collection.install()
        lab("up", *HOSTS)
        story(lab("inventory").split()[-1])
    except (progress.StepFailed, record.LabError, subprocess.SubprocessError) as error:
        progress.say(f"FAILED: {error}")
        return 1
    except KeyboardInterrupt:
        progress.say("STOPPED: interrupted")
        return 130
    finally:
        lab("down")
    progress.say("That was the demo; the hosts are gone again.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
