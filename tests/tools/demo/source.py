# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program that one host serves by git is checked out by the others; a branch is folded and restored."""

from lab import progress
from tests.tools.demo.stage import HOSTS, addresses, expect, play, recap, shown
from tests.tools.scenarios import lab

DEPLOY, SQUASH = "hostcraft.linux.deploy_source", "hostcraft.linux.squash_branch"
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


def tell(inventory: str) -> None:
    """Check a program out on two hosts from a third, move it to another version, and fold a branch there."""
    server, *others = HOSTS
    lab("ssh", server, SERVED)
    address = addresses(server)["inet"].partition("/")[0]

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
    expect(status == 0 and shown(planned, "clone") == shown(applied, "clone") != [], "the steps are those of the plan")
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
    for options, having in (
        (["--check"], ["Part 3", "Part 2", "Part 1"]),
        ([], ["Add the feature"]),
        (["-e", "squash_branch_state=restored"], ["Part 3", "Part 2", "Part 1"]),
    ):
        status, said = play(inventory, "squash.yml", "--limit", server, *options, book=SQUASH)
        expect(status == 0 and recap(said)[server]["changed"] == 1, "the branch has a plan")
        expect(
            commits(server, "/srv/git/app.git", "main..feature") == having, f"it has the commits {', '.join(having)}"
        )
        tree = lab("ssh", server, "git -C /srv/git/app.git rev-parse feature^{tree}").strip()
        expect(tree == before[1], "its files are the same")
    expect(lab("ssh", server, "git -C /srv/git/app.git rev-parse feature").split() == before[:1], "all is as it was")
