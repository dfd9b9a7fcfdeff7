# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``xdp_drop`` over a real SSH connection through the very interface that gets the rules."""

import json

import pytest

MODULE = "hostcraft.linux.xdp_drop"


@pytest.fixture
def edge(host):
    """The host with a BPF file system, and without a program before and after."""
    # Its own: what is mounted and unmounted on this machine would be here too.
    host.ssh("mount --make-private /sys && mount -t bpf bpf /sys/fs/bpf")
    yield host
    gone = host.module(MODULE, {"interface": "eth0", "state": "absent"})
    assert not gone["failed"], gone["msg"]
    assert attached(host) is None
    host.ssh("umount /sys/fs/bpf")


def attached(host):
    """Return the name of the program on eth0, None when there is none."""
    found = json.loads(host.ssh("ip -json -details link show eth0"))[0].get("xdp")
    return found and found["prog"]["name"]


def test_lists_of_the_controller_and_the_connection_itself(edge, tmp_path):
    listed = tmp_path / "attack.txt"
    listed.write_text("198.18.0.0/15\n2001:db8::/32\n")
    rules = [{"name": "attack", "action": "drop", "source_file": str(listed)}]
    everything = [{"name": "all", "action": "drop"}]
    declared = {"interface": "eth0", "rules": rules}
    checked, refused, done, again = edge.modules(
        (MODULE, declared, True),
        (MODULE, {"interface": "eth0", "rules": everything}, True),
        (MODULE, declared, False),
        (MODULE, declared, False),
    )
    assert not checked["failed"], checked["msg"]
    assert not done["failed"], done["msg"]
    assert checked["steps"] == done["steps"] == ["attach eth0: 1 rules, 2 prefixes"], (checked, done)
    assert refused["failed"]
    assert "rule 'all' drops a packet of the connection that this task runs over" in refused["msg"]
    assert not again["changed"]
    assert attached(edge) == "xdp_drop"
    # A list that lies on the host.
    edge.write("/root/attack.txt", "198.51.100.0/24\n")
    there = [{"name": "attack", "action": "drop", "destination_file": "/root/attack.txt"}]
    found = edge.module(MODULE, {"interface": "eth0", "rules": there, "remote_src": True}, check=True)
    assert found["steps"] == ["replace eth0: attack changed"], found
    # An error in the list is told with the controller's own path.
    listed.write_text("198.18.0.0/15\n198.18.0.1/15\n")
    assert f"{listed}, line 2: '198.18.0.1/15' has bits" in edge.module(MODULE, declared)["msg"]


def test_another_attempt_sends_the_files_again(edge, tmp_path):
    listed, book = tmp_path / "attack.txt", tmp_path / "play.json"
    listed.write_text("198.18.0.0/15\n")
    rules = [{"name": "attack", "action": "drop", "destination_file": str(listed)}]
    task = {
        MODULE: {"interface": "eth0", "rules": rules},
        "register": "done",
        "retries": 1,
        "delay": 0,
        # The first attempt changes something, the second one nothing.
        "until": "done is not changed",
    }
    book.write_text(json.dumps([{"hosts": edge.name, "gather_facts": False, "tasks": [task]}]))
    status, said = edge.ansible(str(book))
    assert status == 0, said
    assert "FAILED - RETRYING" in said
    assert attached(edge) == "xdp_drop"


def test_a_change_that_cuts_the_host_off_is_taken_back(edge):
    before = [{"name": "one", "action": "drop", "source": ["198.18.0.0/15"]}]
    everything = [{"name": "all", "action": "drop"}]
    done = edge.module(MODULE, {"interface": "eth0", "rules": before})
    assert not done["failed"], done["msg"]
    cut = {"interface": "eth0", "rules": everything, "allow_lockout": True, "confirm_timeout": 5}
    found = edge.module(MODULE, cut)
    assert found["failed"], found["steps"]
    assert found["rolled_back"], found
    # The rules from before, with the counters from before, and the next run finds all as it was.
    assert not edge.module(MODULE, {"interface": "eth0", "rules": before}, check=True)["changed"]
    edge.module(MODULE, {"interface": "eth0", "state": "absent"})
    found = edge.module(MODULE, cut)
    assert found.get("rolled_back"), found["msg"]
    assert attached(edge) is None
    kept = edge.module(MODULE, {"interface": "eth0", "rules": before, "confirm_timeout": 30, "boot": True})
    assert kept["guard"]["confirmed"] is True
    assert attached(edge) == "xdp_drop"
    # Confirmed, nothing is kept of what an undo would have needed.
    gone = edge.module(MODULE, {"interface": "eth0", "state": "absent", "confirm_timeout": 30})
    assert gone["guard"]["confirmed"] is True
    assert edge.ssh("ls -d /sys/fs/bpf/hostcraft* /var/lib/hostcraft/xdp_drop 2>/dev/null", ok=(0, 2)) == ""


def names(host):
    """Return the names of the rules on eth0, in order, as the host keeps them."""
    kept = json.loads(host.ssh("cat /run/hostcraft/xdp_drop/eth0.json"))
    return [rule["name"] for rule in kept["rules"]]


def test_an_attack_is_dropped_and_over_on_hosts_with_and_without_rules(pair, tmp_path):
    listed, given = tmp_path / "attack.txt", tmp_path / "attack.json"
    listed.write_text("198.18.0.0/15\n")
    mine = [{"name": "office", "action": "pass", "source": ["10.0.0.0/8"]}]
    given.write_text(json.dumps({"drop_attack_interfaces": "eth0", "drop_attack_pass": mine}))
    permanent = [{"name": "telnet", "action": "drop", "protocol": ["tcp"], "destination_ports": ["23"]}]
    first, second = pair

    def play(*more):
        options = ["--limit", "first,second", "-e", f"@{given}", "-e", f"drop_attack_file={listed}", *more]
        status, said = first.ansible("hostcraft.linux.drop_attack", *options)
        assert status == 0, said
        return said

    for one in pair:
        one.ssh("mount --make-private /sys && mount -t bpf bpf /sys/fs/bpf")
    declared = {"interface": "eth0", "rules": permanent, "mode": "native", "boot": True}
    done = first.module(MODULE, declared)
    assert not done["failed"], done["msg"]
    kept = first.ssh("cat /etc/hostcraft/xdp_drop/eth0.json")
    play()
    assert names(first) == ["office", "attack", "telnet"]
    assert names(second) == ["office", "attack"]
    # Again, with a longer list: each rule is still there once.
    listed.write_text("198.18.0.0/15\n198.51.100.0/24\n")
    play()
    assert names(first) == ["office", "attack", "telnet"]
    play("-e", "drop_attack_state=absent")
    assert not first.module(MODULE, declared, check=True)["changed"]
    assert first.ssh("cat /etc/hostcraft/xdp_drop/eth0.json") == kept
    assert attached(second) is None
    assert second.ssh("find /etc/hostcraft /usr/local/lib/hostcraft -type f 2>/dev/null", ok=(0, 1)) == ""
    # Over already: the rules of the first one are not taken for those of an attack.
    assert "changed=1" not in play("-e", "drop_attack_state=absent")
