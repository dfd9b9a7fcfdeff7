# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo: three hosts with a real sshd, a plan, its application, a second run, and a declaration that is refused.

First for resource limits, then for the very address that the hosts are reached by, then for a program that one of them
serves by git and the others check out, for containers with addresses of their own, and for traffic that goes through a
proxy and not past it.
"""

import base64
import json
import os
import signal
import subprocess
import sys
import tempfile

from lab import progress, record
from tests.tools import collection, packages, venvs
from tests.tools.scenarios import lab

HOSTS = ("alpha", "beta", "gamma")
LIMITS, NETWORK = "hostcraft.linux.set_limits", "hostcraft.linux.provision_network"
CAPTURE = "hostcraft.linux.capture_traffic"
PROXY = collection.ROOT / "roles/transparent_proxy/files/reference_proxy.py"
DEPLOY, SQUASH = "hostcraft.linux.deploy_source", "hostcraft.linux.squash_branch"
ENDPOINTS = "hostcraft.linux.add_endpoints"
MENDED = "set web1: routes fd00:203::201/128 -> 10.203.0.201/32+fd00:203::201/128"
REACHED = ("10.203.0.201", "fd00:203::201", "10.203.0.202", "fd00:203::202")
# A repository with two tagged versions and a branch of three commits, and the server for it.
SERVED = """
git init --quiet --bare --initial-branch=main /srv/git/app.git
git clone --quiet /srv/git/app.git /srv/work 2>/dev/null
cd /srv/work
git config user.name Demo
git config user.email demo@example.com
for number in $(seq 60); do echo $number > app; git add app; git commit --quiet --message "Change $number"; done
git tag v1 HEAD~30
git tag --annotate --message v2 v2
git checkout --quiet -b feature
for part in 1 2 3; do echo $part > part$part; git add .; git commit --quiet --message "Part $part"; done
git push --quiet origin main feature v1 v2
git daemon --detach --export-all --base-path=/srv/git /srv/git
"""


def play(inventory: str, declaration: str, *options: str, shown: bool = True, book: str = LIMITS) -> tuple[int, str]:
    """Run a playbook with a declaration of tests/demo; return its exit status and output, which is shown."""
    venv = venvs.ensure("core219")
    argv = [str(venv / "bin/ansible-playbook"), "-i", inventory, "-e", f"@tests/demo/{declaration}", *options, book]
    if shown:
        print(
            f"\n$ ansible-playbook -i INVENTORY -e @tests/demo/{declaration} {' '.join([*options, book])}",
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


def move(inventory: str) -> None:
    """Move the address that each host is reached by to a bridge, lose a host, and find it again."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as stream:
        json.dump({"all": {"hosts": {name: _addresses(name) for name in HOSTS}}}, stream)
        stream.flush()
        _move(inventory, stream.name)


def _move(inventory: str, addresses: str) -> None:
    def change(declaration: str, *options: str) -> tuple[int, str]:
        return play(inventory, declaration, "-i", addresses, *options, book=NETWORK)

    before = [_links(name) for name in HOSTS]
    progress.say("5. The plan: the address that a host is reached by moves to a bridge")
    status, planned = change("bridge.yml", "--check")
    expect(status == 0 and all(one["changed"] == 1 for one in recap(planned).values()), "each host has a plan")
    expect([_links(name) for name in HOSTS] == before, "and nothing was changed")
    progress.say("6. The real run: host by host, and each is confirmed over a new connection")
    status, applied = change("bridge.yml")
    expect(status == 0 and _moves(planned) == _moves(applied) != [], "the steps are those of the plan")
    expect([_guard(name)["state"] for name in HOSTS] == ["confirmed"] * len(HOSTS), "each host was confirmed")
    bridged = [_links(name) for name in HOSTS]
    homes = [[name for name, link in links.items() if link["addresses"]] for links in bridged]
    expect(homes == [["br0"]] * len(HOSTS), "the addresses are those of br0")
    expect([links["eth0"]["master"] for links in bridged] == ["br0"] * len(HOSTS), "and eth0 is its port")
    status, again = change("bridge.yml")
    expect(status == 0 and all(one["changed"] == 0 for one in recap(again).values()), "a second run changes nothing")
    progress.say("7. A wrong address cuts the host off; it takes it back by itself, and the next host is not touched")
    status, lost = change("cut.yml")
    expect(status != 0 and "The change cut off the host" in lost, "the task says that the host was cut off")
    expect("It has put back what was there before, and answers again" in lost, "and that it has put all of it back")
    expect(_guard(HOSTS[0])["state"] == "rolled_back", f"{HOSTS[0]} decided that itself: {_guard(HOSTS[0])['reason']}")
    expect(set(recap(lost)) == {HOSTS[0]}, f"{' and '.join(HOSTS[1:])} were not touched")
    expect([_links(name) for name in HOSTS] == bridged, "every host is as before")
    progress.say("8. Back to the first state")
    status, _back = change("plain.yml")
    expect(status == 0 and [_links(name) for name in HOSTS] == before, "the bridges are gone, and all is as it was")


def source(inventory: str) -> None:
    """Check a program out on two hosts from a third, move it to another version, and fold a branch there."""
    server, *others = HOSTS
    lab("ssh", server, SERVED)
    address = _addresses(server)["inet"].partition("/")[0]

    def deploy(version: str, *options: str) -> tuple[int, str]:
        more = ["--limit", ",".join(others), "-e", f"server={address}", "-e", f"version={version}"]
        return play(inventory, "checkout.yml", *more, *options, book=DEPLOY)

    def commits(name: str, where: str, *which: str) -> list[str]:
        return lab("ssh", name, f"git -C {where} log --format=%s {' '.join(which)}").splitlines()

    progress.say("9. The plan: a version of a program, by its tag, with one commit of its sixty")
    status, planned = deploy("v1", "--check", "--diff")
    expect(status == 0 and all(one["changed"] == 1 for one in recap(planned).values()), "each host has a plan")
    progress.say("10. The real run, and a second one")
    status, applied = deploy("v1")
    expect(
        status == 0 and _shown(planned, "clone") == _shown(applied, "clone") != [], "the steps are those of the plan"
    )
    expect([commits(name, "/srv/app") for name in others] == [["Change 30"]] * 2, "one commit was fetched, not sixty")
    status, again = deploy("v1")
    expect(status == 0 and all(one["changed"] == 0 for one in recap(again).values()), "a second run changes nothing")
    progress.say("11. The next version; on one host somebody has changed a file, which is not lost")
    lab("ssh", others[0], "echo mine > /srv/app/app")
    status, moved = deploy("v2")
    expect(status != 0 and "there are local changes: 1 changed file (app)" in moved, f"{others[0]} is refused, by name")
    expect(lab("ssh", others[0], "cat /srv/app/app").strip() == "mine", "and its file is as it was")
    expect(commits(others[1], "/srv/app") == ["Change 60"], f"{others[1]} has the new version")
    progress.say("12. A branch of three commits becomes one, without a checkout, and comes back")
    before = lab("ssh", server, "git -C /srv/git/app.git rev-parse feature feature^{tree}").split()
    for options, shown in (
        (["--check"], ["Part 3", "Part 2", "Part 1"]),
        ([], ["Add the feature"]),
        (["-e", "squash_branch_state=restored"], ["Part 3", "Part 2", "Part 1"]),
    ):
        status, said = play(inventory, "squash.yml", "--limit", server, *options, book=SQUASH)
        expect(status == 0 and recap(said)[server]["changed"] == 1, "the branch has a plan")
        expect(commits(server, "/srv/git/app.git", "main..feature") == shown, f"it has the commits {', '.join(shown)}")
        tree = lab("ssh", server, "git -C /srv/git/app.git rev-parse feature^{tree}").strip()
        expect(tree == before[1], "its files are the same")
    expect(lab("ssh", server, "git -C /srv/git/app.git rev-parse feature").split() == before[:1], "all is as it was")


def endpoints(inventory: str) -> None:
    """Give two containers of a host addresses out of the hosts' own subnet, without a bridge."""
    first, second, _third = HOSTS

    def declare(declaration: str, *options: str) -> tuple[int, str]:
        return play(inventory, declaration, "--limit", first, *options, book=ENDPOINTS)

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
        status == 0 and _shown(planned, "create", "set", "add") == _shown(applied, "create", "set", "add") != [],
        "the steps are those of the plan",
    )
    expect(reaches(second) == [True] * 4, f"{second} reaches both containers, and was told nothing")
    expect(reaches(first, "ip netns exec web1") == [True] * 4, "one container reaches the other")
    status, again = declare("endpoints.yml")
    expect(status == 0 and recap(again)[first]["changed"] == 0, "a second run changes nothing")
    lab("ssh", first, "ip route del 10.203.0.201/32")
    status, mended = declare("endpoints.yml")
    expect(
        status == 0 and _shown(mended, "create", "set", "add") == [MENDED],
        "what somebody has taken away comes back, and nothing else",
    )
    progress.say("15. They go, with all that belonged to them")
    status, _gone = declare("no_endpoints.yml")
    expect(status == 0 and reaches(second) == [False] * 4, "nobody answers")
    expect(lab("ssh", first, "ls /run/netns; ip link show group 26723; ip neigh show proxy") == "", "nothing is left")


def capture(inventory: str) -> None:
    """Have what a user of one host sends to another go through a proxy, and nothing past it."""
    client, server, *_rest = HOSTS
    address = _addresses(server)["inet"].partition("/")[0]
    lab("ssh", server, "setsid python3 -m http.server --directory /srv 8080 >/dev/null 2>&1 </dev/null &")
    text = base64.b64encode(PROXY.read_bytes()).decode()
    lab("ssh", client, f"echo {text} | base64 -d > /root/proxy.py")
    start = "setsid python3 /root/proxy.py --redirect 15001 --log /root/proxy.log >/dev/null 2>&1 </dev/null & echo $!"
    proxy = lab("ssh", client, start).strip()

    def change(*options: str) -> tuple[int, str]:
        return play(inventory, "capture.yml", "--limit", client, *options, book=CAPTURE)

    def ask() -> tuple[bool, int]:
        """Return whether the server answers a user of the client, and how many flows the proxy has noted."""
        call = f"import socket; socket.create_connection(('{address}', 8080), timeout=5)"
        said = lab("ssh", client, f'su ops -c "python3 -c \\"{call}\\"" 2>/dev/null && echo yes || echo no')
        return said.strip() == "yes", int(lab("ssh", client, "grep -c 8080 /root/proxy.log || true") or 0)

    record.wait_for("the server", lambda: ask() == (True, 0), 30.0)
    progress.say("16. The plan: what the host sends to port 8080 goes to a proxy, but for the proxy's own")
    status, planned = change("--check")
    expect(status == 0 and ask() == (True, 0), "there is a plan, and nothing was changed")
    progress.say("17. The real run, confirmed over a new connection, and a second one")
    status, applied = change()
    expect(status == 0 and _shown(planned, "capture") == _shown(applied, "capture") != [], "the steps are the plan's")
    expect(_guard(client)["state"] == "confirmed", "the host was confirmed")
    expect(ask() == (True, 1), "the server answers, by way of the proxy")
    status, again = change()
    expect(status == 0 and recap(again)[client]["changed"] == 0, "a second run changes nothing")
    progress.say("18. The proxy is stopped: nothing goes past it")
    lab("ssh", client, f"kill {proxy}")
    expect(ask() == (False, 1), "there is no way to the server")
    status, _gone = change("-e", "state=absent")
    expect(status == 0 and ask() == (True, 1), "the capture is ended, and the way is free")


def _addresses(name: str) -> dict[str, str]:
    """Return the variables of a host that the declarations of its links need."""
    found = {one["family"]: one for one in json.loads(lab("ssh", name, "ip -j addr show eth0"))[0]["addr_info"]
             if one["scope"] == "global"}  # fmt: skip
    return {family: f"{one['local']}/{one['prefixlen']}" for family, one in found.items()}


def _links(name: str) -> dict[str, dict]:
    """Return what ip(8) on the host says: each link's master, addresses and default routes."""
    shown, *routes = lab("ssh", name, "ip -j addr; ip route show default; ip -6 route show default").splitlines()
    return {
        one["ifname"]: {
            "master": one.get("master"),
            "up": "UP" in one["flags"],
            "addresses": sorted(info["local"] for info in one["addr_info"] if info["scope"] == "global"),
            "routes": sorted(" ".join(line.split()) for line in routes if f" dev {one['ifname']} " in f"{line} "),
        }
        for one in json.loads(shown)
    }


def _guard(name: str) -> dict:
    """Return what the guard of the last change on a host says."""
    return json.loads(
        lab("ssh", name, "cd /var/lib/hostcraft/guard && exec ./$(ls -t | grep -v lock | head -1)/guard status")
    )


def _moves(output: str) -> list[str]:
    """Return the steps of the links that a play showed, host by host."""
    return _shown(output, "create", "start", "add", "enslave", "move", "set", "remove")


def _steps(output: str) -> list[str]:
    """Return the steps that a play showed, in order of their text."""
    return sorted(_shown(output, "limit", "write"))


def _shown(output: str, *verbs: str) -> list[str]:
    begins = tuple(f'"{verb} ' for verb in verbs)
    return [json.loads(line.strip().rstrip(",")) for line in output.splitlines() if line.strip().startswith(begins)]


def main() -> int:
    """Run the demo; return the exit status."""
    os.environ["HOSTCRAFT_LAB"] = "demo"
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        packages.install()
        collection.install()
        lab("up", *HOSTS)
        inventory = lab("inventory").split()[-1]
        story(inventory)
        move(inventory)
        source(inventory)
        endpoints(inventory)
        capture(inventory)
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
