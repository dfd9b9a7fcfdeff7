# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``git_shallow`` over ssh between two hosts, and the playbooks ``deploy_source`` and ``squash_branch``."""

import json
import subprocess

import pytest

from tests.integration.histories import stream

MODULE = "hostcraft.linux.git_shallow"
IDENTITY = "git -c user.name=x -c user.email=x@example.com"


@pytest.fixture(scope="module")
def hosts(pair):
    """A host; another one that serves a repository by its sshd; and the address of that."""
    host, server = pair
    server.ssh("git init --quiet --bare --initial-branch=main /srv/app.git")
    history = b"".join(stream(120))
    subprocess.run(server.argv("git -C /srv/app.git fast-import --quiet"), input=history, timeout=60, check=True)
    (address,) = [one["local"] for one in _addresses(server) if one["family"] == "inet"]
    public = host.ssh("for n in good bad; do ssh-keygen -q -t ed25519 -N '' -f /root/$n; done; cat /root/good.pub")
    server.ssh(f"echo '{public.strip()}' >> /root/.ssh/authorized_keys")
    host.ssh(f"ssh-keyscan -t ed25519 {address} > /root/known 2>/dev/null; test -s /root/known")
    return host, server, address


def _addresses(host):
    (link,) = json.loads(host.ssh("ip -j address show eth0"))
    return link["addr_info"]


def meant(server, version):
    return server.ssh(f"git -C /srv/app.git rev-parse '{version}^{{commit}}'").strip()


def call(entry, check=False, **more):
    return MODULE, {"checkouts": [{**entry, **more}]}, check


def test_keys_and_host_keys(hosts):
    host, server, address = hosts
    entry = {"repo": f"ssh://root@{address}/srv/app.git", "dest": "/srv/keys", "version": "v100"}
    known = {"ssh_key": "/root/good", "known_hosts": "/root/known"}
    strange, locked, predicted, applied, again, scp, first = host.modules(
        call(entry, ssh_key="/root/good", known_hosts="/root/none"),
        call(entry, ssh_key="/root/bad", known_hosts="/root/known"),
        call(entry, True, **known),
        call(entry, **known),
        call(entry, **known),
        call(entry, **known, repo=f"root@{address}:/srv/app.git", dest="/srv/scp", version="main"),
        call(entry, ssh_key="/root/good", known_hosts="/root/new", accept_new_host_key=True, dest="/srv/new"),
    )
    assert "ssh does not know the server's host key; give known_hosts" in strange["msg"]
    assert "ssh was not let in; give ssh_key" in locked["msg"]
    assert not applied["failed"], applied
    assert (predicted["steps"], predicted["diff"]) == (applied["steps"], applied["diff"])
    assert (again["changed"], again["steps"]) == (False, [])
    assert host.ssh("git -C /srv/keys rev-parse HEAD").strip() == meant(server, "v100")
    assert not scp["failed"], scp
    assert host.ssh("git -C /srv/scp rev-list HEAD").split() == [meant(server, "main")]
    assert not first["failed"], first
    assert "ssh-ed25519" in host.ssh("cat /root/new")
    assert host.ssh("cat /srv/keys/.git/config").count("good") == 0


def test_commits_by_id_with_and_without_the_protocol_of_today(hosts):
    """sshd hands GIT_PROTOCOL on only when AcceptEnv says so; else the branches are deepened step by step."""
    host, server, address = hosts
    entry = {
        "repo": f"ssh://root@{address}/srv/app.git",
        "dest": "/srv/ids",
        "version": meant(server, "main~62"),
        "ssh_key": "/root/good",
        "known_hosts": "/root/known",
    }
    searched, again = host.modules(call(entry), call(entry))
    assert not searched["failed"], searched
    assert any("the newest 100 commits of every branch were fetched to find it" in one for one in searched["warnings"])
    assert again["changed"] is False
    server.ssh("echo 'AcceptEnv GIT_PROTOCOL' > /etc/ssh/sshd_config.d/git.conf; kill -HUP $(pgrep -o sshd)")
    direct, again = host.modules(call(entry, dest="/srv/direct"), call(entry, dest="/srv/direct"))
    assert direct["steps"], direct
    assert "warnings" not in direct
    assert again["changed"] is False
    for dest in ("/srv/ids", "/srv/direct"):
        assert host.ssh(f"git -C {dest} rev-list HEAD").split() == [entry["version"]]


def test_files_of_lfs_where_there_is_no_git_lfs(hosts):
    host, server, address = hosts
    server.ssh(
        "git clone --quiet /srv/app.git /srv/work && cd /srv/work && echo '*.bin filter=lfs' > src/.gitattributes && "
        f"git checkout --quiet -b lfs && git add . && {IDENTITY} commit --quiet -m lfs && git push --quiet origin lfs"
    )
    entry = {"repo": f"ssh://root@{address}/srv/app.git", "dest": "/srv/lfs", "version": "lfs"}
    entry.update(ssh_key="/root/good", known_hosts="/root/known")
    made, again, without = host.modules(call(entry), call(entry), call(entry, lfs=False))
    assert not made["failed"], made
    assert again["changed"] is False
    assert "this host has no git-lfs; only pointers are there" in again["warnings"][0]
    assert "warnings" not in without


def recap(said, host):
    (line,) = [line for line in said.partition("PLAY RECAP")[2].splitlines() if line.startswith(f"{host} ")]
    return {key: int(value) for key, value in (word.split("=") for word in line.split(":")[1].split())}


def test_deploy_source(hosts, tmp_path):
    host, server, address = hosts
    declared = {
        "source_checkout_defaults": {"ssh_key": "/home/ops/.ssh/good", "known_hosts": "/home/ops/.ssh/known"},
        "source_checkout_user": "ops",
        "source_checkout_declarations": [
            {"repo": f"ssh://root@{address}/srv/app.git", "dest": f"/home/ops/{name}", "version": version}
            for name, version in (("a", "v50"), ("b", "main"))
        ],
    }
    host.ssh("install -o ops -m 600 /root/good /root/known /home/ops/.ssh/")
    (tmp_path / "vars.json").write_text(json.dumps(declared))
    run = ["hostcraft.linux.deploy_source", "--limit", host.name, "-e", f"@{tmp_path}/vars.json"]
    status, planned = host.ansible(*run, "--check", "--diff")
    assert status == 0, planned
    assert "clone /home/ops/b: " in planned
    assert host.ssh("ls /home/ops").split() == []
    status, said = host.ansible(*run)
    assert (status, recap(said, host.name)["changed"]) == (0, 1), said
    for name, version in (("a", "v50"), ("b", "main")):
        assert host.ssh(f"stat -c %U /home/ops/{name}").strip() == "ops"
        assert host.ssh(f"git -C /home/ops/{name} rev-parse HEAD", user="ops").strip() == meant(server, version)
    status, said = host.ansible(*run)
    assert (status, recap(said, host.name)["changed"]) == (0, 0), said
    refused = host.module(MODULE, {"checkouts": [dict(declared["source_checkout_declarations"][0], version="v100")]})
    assert "belongs to another user, for whom git would run its hooks" in refused["msg"]


def test_squash_branch(hosts, tmp_path):
    host = hosts[0]
    host.ssh("git clone --quiet --bare /srv/keys /srv/bare.git 2>/dev/null; rm -rf /srv/series; mkdir /srv/series")
    host.ssh(
        "cd /srv/series && git init --quiet --initial-branch=main . && for n in 1 2 3 4; do echo $n > f; git add f; "
        f"{IDENTITY} commit --quiet -m part-$n; done"
    )
    declared = {"squash_branch_declarations": [{"path": "/srv/series", "last": 3, "commit_message": "all"}]}
    (tmp_path / "vars.json").write_text(json.dumps(declared))
    run = ["hostcraft.linux.squash_branch", "--limit", host.name, "-e", f"@{tmp_path}/vars.json"]
    old = host.ssh("git -C /srv/series rev-parse main main^{tree}").split()
    for options, changed, subjects in (
        (["--check"], 1, "part-4 part-3 part-2 part-1"),
        ([], 1, "all part-1"),
        ([], 0, "all part-1"),
        (["-e", "squash_branch_state=restored"], 1, "part-4 part-3 part-2 part-1"),
    ):
        status, said = host.ansible(*run, *options)
        assert (status, recap(said, host.name)["changed"]) == (0, changed), said
        assert host.ssh("git -C /srv/series log --format=%s main").split() == subjects.split()
        assert host.ssh("git -C /srv/series rev-parse main^{tree}").split() == old[1:]
    assert host.ssh("git -C /srv/series rev-parse main").split() == old[:1]
