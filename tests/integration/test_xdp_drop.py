# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``xdp_drop`` and ``xdp_drop_info`` on a veth pair, looked at with ip(8) and by what gets through."""

import contextlib
import json
import os
import signal
import subprocess

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._xdp import packets

from tests.integration import modules, netns

RULES = [
    {"name": "office", "action": "pass", "source": ["10.0.0.0/24", "2001:db8:1::/48"]},
    {"name": "attackers", "action": "drop", "source": ["10.0.0.0/8", "2001:db8::/32"]},
    {"name": "dns", "action": "drop", "protocol": ["udp"], "source_ports": ["53"]},
]


# Runs a command with the capabilities that the module needs, and no other.
FEW = ("setpriv", "--bounding-set=-all,+bpf,+perfmon,+net_admin", "--inh-caps=-all")
# All that may be left: pins, files, units.
LEFT = """
find /sys/fs/bpf/hostcraft_xdp_drop /etc/systemd/system -name '*xdp*' 2>/dev/null
find /etc/hostcraft /usr/local/lib/hostcraft /run/hostcraft -type f 2>/dev/null
true
"""


@pytest.fixture(scope="module")
def namespace():
    box = netns.Box()
    yield box
    box.close()


@pytest.fixture
def box(namespace):
    """The namespaces without any program of ours, before and after."""
    yield namespace
    namespace.module(interface=["v0", "v1"], state="absent")
    namespace.run("ip", "link", "set", "v0", "xdpgeneric", "off", ok=(0, 2))
    assert "xdp" not in namespace.link()
    assert namespace.run("sh", "-c", LEFT) == ""


def udp(source, port=40000, version=4):
    destination = 0xC0000201 if version == 4 else 1
    return packets.frame(version, source, destination, 17, 0, port.to_bytes(2, "big") + bytes(26))


OFFICE, ATTACKER, OTHER, DNS = udp(0x0A000001), udp(0x0A010001), udp(0x0B000001), udp(0x0B000001, 53)
OFFICE6, ATTACKER6 = udp(0x20010DB800010000 << 64 | 1, version=6), udp(0x20010DB800020000 << 64 | 1, version=6)
ALL = [OFFICE, ATTACKER, OTHER, DNS, OFFICE6, ATTACKER6]


def counted(box, **more):
    found = box.module("xdp_drop_info", interface=["v0"], **more)
    assert not found["failed"], found
    return found["interfaces"]["v0"]


def test_four_beats_and_what_gets_through(box):
    before = box.passed(ALL)
    assert before == ALL
    predicted = box.module(interface="v0", rules=RULES, check=True)
    assert not predicted["failed"], predicted
    assert "xdp" not in box.link()
    done = box.module(interface="v0", rules=RULES)
    assert not done["failed"], done
    assert (predicted["steps"], predicted["diff"]) == (done["steps"], done["diff"])
    assert done["steps"] == ["attach v0: 3 rules, 4 prefixes"]
    assert done["interfaces"]["v0"]["mode"] == "native"
    assert box.link()["xdp"]["prog"]["id"] == done["interfaces"]["v0"]["program_id"]
    assert box.passed(ALL) == [OFFICE, OTHER, OFFICE6]
    again = box.module(interface="v0", rules=RULES)
    assert (again["changed"], again["steps"]) == (False, [])
    # What was read can be written back, and means the same.
    found = counted(box)
    assert [rule["name"] for rule in found["rules"]] == ["office", "attackers", "dns"]
    assert [rule["packets"] for rule in found["counters"]] == [2, 2, 1]
    assert [rule["bytes"] for rule in found["counters"]] == [
        len(OFFICE) + len(OFFICE6),
        len(ATTACKER) + len(ATTACKER6),
        len(DNS),
    ]
    assert not box.module(interface="v0", rules=found["rules"])["changed"]
    gone = box.module(interface="v0", state="absent")
    assert gone["steps"] == ["detach v0"]
    assert "xdp" not in box.link()
    assert box.passed(ALL) == ALL
    assert not box.module(interface="v0", state="absent")["changed"]


def test_counters_survive_changes_of_rules_and_of_prefixes(box):
    box.module(interface="v0", rules=RULES)
    box.passed(ALL)
    # Prefixes alone: in place, by the same program.
    before = box.link()["xdp"]["prog"]["id"]
    more = [*RULES[:1], dict(RULES[1], source=["10.0.0.0/8", "11.0.0.0/8", "2001:db8::/32"]), RULES[2]]
    predicted = box.module(interface="v0", rules=more, check=True)
    done = box.module(interface="v0", rules=more)
    assert done["steps"] == predicted["steps"] == ["update v0: attackers changed"]
    assert box.link()["xdp"]["prog"]["id"] == before
    assert box.passed(ALL) == [OFFICE, OFFICE6]
    assert [one["packets"] for one in counted(box)["counters"]] == [4, 6, 1]
    # Another order and another rule: another program, whose counters go on by name.
    rules = [{"name": "new", "action": "drop", "source": ["11.0.0.0/8"]}, RULES[2], RULES[0]]
    done = box.module(interface="v0", rules=rules)
    assert done["steps"] == ["replace v0: +new, -attackers"]
    assert box.link()["xdp"]["prog"]["id"] != before
    assert {one["name"]: one["packets"] for one in counted(box)["counters"]} == {"new": 0, "dns": 1, "office": 4}
    # A rule that comes again begins anew: its counter was given back.
    box.module(interface="v0", rules=RULES)
    assert {one["name"]: one["packets"] for one in counted(box)["counters"]} == {"attackers": 0, "dns": 1, "office": 4}


def test_drift_is_seen_and_mended(box):
    box.module(interface="v0", rules=RULES)
    path = box.run("sh", "-c", "ls -d /sys/fs/bpf/hostcraft_xdp_drop/v0/[0-9]*").strip()
    meddle = (
        "from tests.unit import conftest\n"
        "from ansible_collections.hostcraft.linux.plugins.module_utils._xdp import bpf, loader\n"
        f"descriptor = bpf.pinned('{path}/source_prefixes')\n"
        "loader.remove_entries(descriptor, 'source_prefixes', [(10 << 24) << 6 | 8], loader.features())\n"
    )
    box.run("python3", "-c", meddle)
    assert ATTACKER in box.passed(ALL)
    found = box.module(interface="v0", rules=RULES, check=True)
    assert found["steps"] == ["update v0: somebody has changed source_prefixes"]
    assert box.module(interface="v0", rules=RULES)["changed"]
    assert box.passed(ALL) == [OFFICE, OTHER, OFFICE6]
    # Detached by its administrator, who may.
    box.run("rm", "/sys/fs/bpf/hostcraft_xdp_drop/v0/link")
    for _attempt in range(100):
        if "xdp" not in box.link():
            break
    found = box.module(interface="v0", rules=RULES)
    assert found["steps"] == ["attach v0: 3 rules, 4 prefixes"]
    assert counted(box)["counters"][0]["packets"] >= 2


def test_a_foreign_program_is_named_and_left_alone(box):
    load = (
        "import struct; from tests.unit import conftest\n"
        "from ansible_collections.hostcraft.linux.plugins.module_utils._xdp import bpf, rtnetlink\n"
        "code = struct.pack('<BBhi', 0xb7, 0, 0, 2) + struct.pack('<BBhi', 0x95, 0, 0, 0)\n"
        "program = bpf.load_program(code, 'somebodys', 'GPL')\n"
        "rtnetlink.attach(rtnetlink.interface('v0').ifindex, program, 'native')\n"
    )
    box.run("python3", "-c", load)
    before = box.link()["xdp"]
    for check in (True, False):
        found = box.module(interface="v0", rules=RULES, check=check)
        assert found["failed"]
        assert "somebodys, id " in found["msg"]
        assert before["prog"]["tag"] in found["msg"]
        assert box.link()["xdp"] == before
    assert not box.module(interface="v0", state="absent")["changed"]
    # Without CAP_SYS_ADMIN nobody is told its name; it is left alone all the same.
    found = modules.module("xdp_drop", within=(*box.within, *FEW), interface="v0", rules=RULES)
    assert found["failed"]
    assert f"id {before['prog']['id']}, native" in found["msg"]
    found = modules.module("xdp_drop", within=(*box.within, *FEW), interface="v0", state="absent")
    assert found["interfaces"]["v0"] == {"mode": "native", "program_id": before["prog"]["id"], "tag": None}
    box.run("ip", "link", "set", "v0", "xdpdrv", "off")


def test_three_capabilities_are_enough(box):
    def module(**options):
        return modules.module("xdp_drop", within=(*box.within, *FEW), interface="v0", **options)

    done = module(rules=RULES)
    assert not done["failed"], done
    assert done["interfaces"]["v0"]["program_id"] == box.link()["xdp"]["prog"]["id"]
    assert done["interfaces"]["v0"]["tag"] == box.link()["xdp"]["prog"]["tag"]
    assert box.passed(ALL) == [OFFICE, OTHER, OFFICE6]
    assert not module(rules=RULES)["changed"]
    assert module(rules=RULES[:2])["steps"] == ["replace v0: -dns"]
    assert module(state="absent")["steps"] == ["detach v0"]


def test_modes(box):
    # The loopback device has no native mode.
    found = box.module(interface="lo", rules=RULES, mode="native")
    assert found["failed"]
    assert "Underlying driver does not support XDP in native mode" in found["msg"]
    assert box.run("sh", "-c", "ls /sys/fs/bpf/hostcraft_xdp_drop 2>/dev/null; true").split() in ([], ["lo"])
    found = box.module(interface="lo", rules=RULES)
    assert found["interfaces"]["lo"]["mode"] == "generic"
    assert "lo: the driver refuses XDP (Underlying driver does not support XDP in native mode)" in found["warnings"][0]
    again = box.module(interface="lo", rules=RULES)
    assert again["changed"] is False
    assert "lo: the program runs in mode generic" in again["warnings"][0]
    assert box.module(interface="lo", rules=RULES, mode="generic")["warnings"] == []
    box.module(interface="lo", state="absent")
    assert box.module(interface="v0", rules=RULES, mode="generic")["interfaces"]["v0"]["mode"] == "generic"
    assert box.passed(ALL) == [OFFICE, OTHER, OFFICE6]
    found = box.module(interface="v0", rules=RULES, mode="native")
    assert found["steps"] == ["move v0: from mode generic to native"]
    assert found["interfaces"]["v0"]["mode"] == "native"
    assert "nothing is dropped for a moment" in found["warnings"][0]
    assert [one["packets"] for one in counted(box)["counters"]] == [2, 2, 1]
    for check in (True, False):
        found = box.module(interface="v1", rules=RULES, mode="offload", check=check)
        assert found["failed"]
        assert "v1 cannot run the program in mode offload: NICs that run XDP programs themselves hold" in found["msg"]


# What ethtool -K NAME rxvlan on|off does: ETHTOOL_GFLAGS and SFLAGS, ETH_FLAG_RXVLAN (linux/ethtool.h).
RXVLAN = """
import array, fcntl, socket, struct, sys
def ask(command, data):
    value = array.array("I", [command, data])
    fcntl.ioctl(socket.socket(), 0x8946, struct.pack("16sP16x", sys.argv[1].encode(), value.buffer_info()[0]))
    return value[1]
ask(0x26, ask(0x25, 0) & ~(1 << 8) | (sys.argv[2] == "on") << 8)
"""


def test_a_nic_that_takes_tags_off_is_named(box):
    rules = [{"name": "guests", "action": "drop", "vlan": ["5"]}]

    def warned(name):
        found = box.module(interface=name, rules=rules, check=True)
        return any(f"ethtool -K {name} rxvlan off" in text for text in found["warnings"])

    assert not warned("lo")
    try:
        for switch, expected in (("off", False), ("on", True)):
            box.run("python3", "-c", RXVLAN, "v0", switch)
            assert warned("v0") == expected, switch
            if box.run("sh", "-c", "command -v ethtool || true"):
                assert f"rx-vlan-offload: {switch}" in box.run("ethtool", "-k", "v0")
    finally:
        box.run("python3", "-c", RXVLAN, "v0", "on")


def test_the_connection_of_the_task_is_not_dropped(box):
    box.run("ip", "address", "add", "192.0.2.1/24", "dev", "v0")
    connection = {"SSH_CONNECTION": "192.0.2.9 50022 192.0.2.1 22"}
    everything = [{"name": "all", "action": "drop", "protocol": ["tcp"]}]
    try:
        for check in (True, False):
            found = box.module(interface="v0", rules=everything, check=check, env=connection)
            assert found["failed"]
            assert "rule 'all' drops a packet of the connection that this task runs over" in found["msg"]
            assert "xdp" not in box.link()
        syn = [{"name": "no new ones", "action": "drop", "protocol": ["tcp"], "tcp_flags": ["syn", "!ack"]}]
        found = box.module(interface="v0", rules=syn, env=connection)
        assert "rule 'no new ones' drops a new connection from the controller" in found["msg"]
        # It comes in by another interface: the rules of this one cannot harm it.
        assert not box.module(interface="v1", rules=everything, env=connection, check=True)["failed"]
        ours = [{"name": "controller", "action": "pass", "source": ["192.0.2.9"]}, *everything]
        assert not box.module(interface="v0", rules=ours, env=connection)["failed"]
        found = box.module(interface="v0", rules=everything, env=connection, allow_lockout=True)
        assert found["changed"]
        assert "will cut off the task's own connection" in found["warnings"][0]
    finally:
        box.run("ip", "address", "flush", "dev", "v0")


def test_each_next_hop_to_the_controller_is_a_way_of_the_connection(box):
    connection = {"SSH_CONNECTION": "198.51.100.9 50022 192.0.2.1 22"}
    everything = [{"name": "all", "action": "drop", "protocol": ["tcp"]}]
    box.run("ip", "address", "add", "192.0.2.1/32", "dev", "lo")
    for name, address in (("v0", "10.0.0.1/24"), ("v1", "10.0.1.1/24")):
        box.run("ip", "address", "add", address, "dev", name)
    hops = ("nexthop", "via", "10.0.0.2", "nexthop", "via", "10.0.1.2")
    box.run("ip", "route", "add", "198.51.100.0/24", *hops)
    try:
        for name in ("v0", "v1"):
            found = box.module(interface=name, rules=everything, env=connection, check=True)
            assert "rule 'all' drops a packet of the connection that this task runs over" in found.get("msg", ""), name
    finally:
        for name in ("v0", "v1"):
            box.run("ip", "address", "flush", "dev", name)
        box.run("ip", "address", "del", "192.0.2.1/32", "dev", "lo")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"interface": "eth9"}, "There is no interface eth9 on this host. It has: lo, v0, v1"),
        ({"interface": "x" * 20}, "There is no interface 'xxxxxxxxxxxxxxxxxxxx': a name has at most 15 characters"),
        ({"interface": "../../etc/passwd"[:15]}, "There is no interface '../../etc/passw'"),
        (
            {"rules": [dict(RULES[0], source=["10.0.0.1/33"])]},
            "rule 'office', source, entry 1: '10.0.0.1/33' is neither",
        ),
        ({"rules": [dict(RULES[0], source=["10.0.0.1/24"])]}, "write 10.0.0.0/24, or 10.0.0.1 alone"),
        ({"rules": [RULES[0], RULES[0]]}, "Two rules are called 'office'"),
        ({"rules": [dict(RULES[0], name=str(number)) for number in range(65)]}, "65 rules are declared, and 64 fit"),
        ({"rules": [dict(RULES[2], source_ports=["70000"])]}, "'70000' is no port"),
        ({"rules": [dict(RULES[2], source_ports=["9-5"])]}, "ends before it begins"),
        ({"rules": [dict(RULES[2], protocol=["icmp"])]}, "it has ports, and none of its protocols does"),
        ({"rules": [dict(RULES[2], protocol=["tpc"])]}, "'tpc' is no protocol"),
        ({"rules": [dict(RULES[0], icmp_types=["echo-request"])]}, "icmp_types need the protocol"),
        ({"rules": [dict(RULES[0], tcp_flags=["sin"])]}, "'sin' is no TCP flag"),
        ({"rules": [dict(RULES[0], vlan=["4095"])]}, "'4095' is no VLAN"),
        ({"rules": [dict(RULES[0], source=None, source_file="/nowhere")]}, "Cannot read the prefixes in /nowhere"),
        ({"rules": [dict(RULES[0], source_file="/nowhere")]}, "source and source_file are both given"),
        *(
            ({"rules": [{"name": "none", "action": "drop", "protocol": ["icmp"], option: []}]}, f"{option} is an empty")
            for option in ("protocol", "source_ports", "destination_ports", "icmp_types", "tcp_flags", "vlan")
        ),
    ],
)
def test_bad_input_changes_nothing(box, options, said):
    found = box.module(**dict({"interface": "v0", "rules": RULES}, **options))
    assert found["failed"]
    assert said in found["msg"]
    assert "xdp" not in box.link()


def test_malformed_lines_of_a_file_are_named(box, tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("10.0.0.0/8\n# comment\n192.0.2.0/24 ; SBL1\n10.0.0.300\n2001:db8::/129\n\n10.1.2.3/8\n")
    found = box.module(interface="v0", rules=[{"name": "a", "action": "drop", "source_file": str(path)}])
    assert found["failed"]
    for line in (4, 5, 7):
        assert f"{path}, line {line}: " in found["msg"]
    assert "line 2" not in found["msg"]
    path.write_text("10.0.0.0/8\n\n# comment\n 192.0.2.0/24 ; SBL1\n2001:db8::/32\n10.0.0.0/8\n")
    found = box.module(interface="v0", rules=[{"name": "a", "action": "drop", "source_file": str(path)}], check=True)
    assert found["steps"] == ["attach v0: 1 rules, 3 prefixes"]


def test_an_empty_list_of_prefixes_matches_nothing(box, tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("# nobody attacks\n\n")
    rules = [
        {"name": "inline", "action": "drop", "source": []},
        {"name": "to nobody", "action": "drop", "destination": []},
        {"name": "file", "action": "drop", "source_file": str(path)},
    ]
    done = box.module(interface="v0", rules=rules)
    assert done["steps"] == ["attach v0: 3 rules, 0 prefixes"], done
    assert [one.partition(": its list of")[0] for one in done["warnings"]] == [
        f"Rule '{name}' can never match" for name in ("inline", "to nobody", "file")
    ]
    assert box.passed(ALL) == ALL
    assert not box.module(interface="v0", rules=counted(box)["rules"])["changed"]


def test_rules_that_can_never_match_are_named(box):
    rules = [
        {"name": "wide", "action": "drop", "source": ["10.0.0.0/8"]},
        {"name": "narrow", "action": "pass", "source": ["10.1.0.0/16"], "protocol": ["tcp"]},
        {"name": "wide again", "action": "drop", "source": ["10.0.0.0/8"]},
        {"name": "mixed", "action": "drop", "source": ["11.0.0.0/8"], "destination": ["2001:db8::/32"]},
        {"name": "other", "action": "drop", "source": ["10.0.0.0/7"]},
    ]
    found = box.module(interface="v0", rules=rules, check=True)
    assert [one.partition(":")[0] for one in found["warnings"]] == [
        "Rule 'narrow' can never match",
        "Rule 'wide again' can never match",
        "Rule 'mixed' can never match",
    ]
    assert "rule 'wide' stands before it and matches all" in found["warnings"][0]
    assert "rule 'wide' stands before it and has the same conditions" in found["warnings"][1]


def test_without_capability_or_bpffs(box):
    for left in ("net_admin", "bpf,+net_admin", "sys_ptrace"):
        within = (*box.within, "setpriv", f"--bounding-set=-all,+{left}", "--inh-caps=-all")
        found = modules.module("xdp_drop", within=within, interface="v0", rules=RULES)
        assert found["failed"], left
        assert "it needs the capabilities CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN" in found["msg"]
        assert "xdp" not in box.link()
    box.run("umount", "/sys/fs/bpf")
    try:
        for check in (True, False):
            found = box.module(interface="v0", rules=RULES, check=check)
            assert found["failed"]
            assert "mount -t bpf bpf /sys/fs/bpf" in found["msg"]
        assert "xdp" not in box.link()
    finally:
        box.run("mount", "-t", "bpf", "bpf", "/sys/fs/bpf")


def test_what_comes_back_at_boot_is_the_same_and_goes_with_absent(box):
    box.run("systemctl", "--version")
    done = box.module(interface="v0", rules=RULES, boot=True)
    assert not done["failed"], done
    assert not box.module(interface="v0", rules=RULES, boot=True)["changed"]
    unit = box.run("cat", "/etc/systemd/system/hostcraft-xdp-drop-v0.service")
    start = next(line for line in unit.splitlines() if line.startswith("ExecStart=")).partition("=")[2].split()
    # The power goes: pins and programs are no more.
    box.run("sh", "-c", "rm -r /sys/fs/bpf/hostcraft_xdp_drop /run/hostcraft")
    for _attempt in range(1000):
        if "xdp" not in box.link():
            break
    assert box.passed([ATTACKER]) == [ATTACKER]
    said = box.run("env", "-i", *start)
    assert said.splitlines()[0] == "attach v0: 3 rules, 4 prefixes"
    assert box.passed(ALL) == [OFFICE, OTHER, OFFICE6]
    # And what the unit has done is what the module would do.
    assert not box.module(interface="v0", rules=RULES)["changed"]
    # Without saying so again the files follow the rules.
    assert "write /etc/hostcraft/xdp_drop/v0.json" in box.module(interface="v0", rules=RULES[:2])["steps"]
    gone = box.module(interface="v0", state="absent")
    assert gone["steps"][-1] == "detach v0"
    assert (
        box.run(
            "sh", "-c", "ls -d /usr/local/lib/hostcraft /etc/hostcraft/xdp_drop /etc/systemd/system/*xdp* 2>&1; true"
        ).count("No such file")
        == 3
    )


def test_nothing_leaks_while_rules_change(box):
    """100 replacements by new programs and 100 changes in place, under traffic that all of them drop."""
    found = json.loads(box.run("python3", "-m", "tests.integration.xdp_swaps", "100"))
    assert found["replace"] >= 100
    assert found["update"] >= 100
    # While the changes were made, but for the first ones, there were packets that could have got through.
    changes = found["replace"] + found["update"]
    assert found["under_fire"] > 0.9 * changes, found
    assert found["sent"] > 200 * changes, found
    assert found["dropped"] > 0
    assert (found["leaked"], found["no_rule"]) == (0, 0)


def test_a_death_at_any_call_leaves_the_old_or_the_new_program(box):
    died = json.loads(box.run("python3", "-m", "tests.integration.xdp_deaths"))
    assert all(died[verb] > 10 for verb in ("attach", "replace")), died
    assert died["update"] > 4, died


# Declares the rules that it is given, as on a kernel that has neither links, batches nor memory maps.
OLD_KERNEL = """
import json, sys
from tests.unit import conftest
from ansible_collections.hostcraft.linux.plugins.module_utils._xdp import attachment, host, loader, task
attachment.check_expected()
features = loader.Features(link=False, batch=False, mmap=False)
wanted = task.wanted_of(["v0"], json.loads(sys.argv[1]), "native")
planned = task.tried_planner(wanted, features, False)
for step in planned(host.observe(["v0"], "native", features)).steps:
    host.apply(step, features, [])
    print(step)
host.collect(["v0"])
print([str(one) for one in planned(host.observe(["v0"], "native", features)).steps])
"""


def test_the_same_without_links_batches_and_memory_maps(box):
    def declare(rules):
        return box.run("python3", "-c", OLD_KERNEL, json.dumps(rules)).splitlines()

    assert declare(RULES) == ["attach v0: 3 rules, 4 prefixes", "[]"]
    assert "link" not in box.run("ls", "/sys/fs/bpf/hostcraft_xdp_drop/v0").split()
    assert box.passed(ALL) == [OFFICE, OTHER, OFFICE6]
    wider = dict(RULES[1], source=["11.0.0.0/8", "10.0.0.0/8", "2001:db8::/32"])
    assert declare([RULES[0], wider, RULES[2]]) == ["update v0: attackers changed", "[]"]
    assert box.passed(ALL) == [OFFICE, OFFICE6]
    assert declare([RULES[0], wider]) == ["replace v0: -dns", "[]"]
    assert [one["packets"] for one in counted(box)["counters"]] == [4, 6]
    # Entries that come, and that go.
    many = [*RULES[1]["source"], "2001:db8:7::/48", "11.0.0.7"]
    assert declare([dict(RULES[1], source=many)])[1:] == ["[]"]
    assert box.passed(ALL) == [OTHER, DNS]
    fewer = [one for one in many if one not in ("10.0.0.0/8", "2001:db8:7::/48")] + ["10.0.0.0/16", "11.0.0.1"]
    assert declare([dict(RULES[1], source=fewer)]) == ["update v0: attackers changed", "[]"]
    assert box.passed(ALL) == [ATTACKER]
    # Nothing but the program that is expected is replaced or taken off; the module itself goes on with it.
    assert box.module(interface="v0", rules=RULES)["steps"] == ["replace v0: +office, +dns, attackers changed"]


# Somebody else's program comes between the plan and what is done.
COLLISION = (
    OLD_KERNEL.partition("for step in")[0]
    + """
from ansible_collections.hostcraft.linux.plugins.module_utils._xdp import bpf, rtnetlink
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import ReconcileError
steps = planned(host.observe(["v0"], "native", features)).steps
gone = task.tried_planner(task.wanted_of(["v0"], [], "native", present=False), features, False)
steps += gone(host.observe(["v0"], "native", features)).steps
index = rtnetlink.interface("v0").ifindex
live = host.brief("v0")
with host.pins.opened("v0", live.generation, "prog") as ours:
    rtnetlink.attach(index, bpf.load_program(attachment.PASS_ALL, "somebodys", "GPL"), "native", expected=ours)
for step in steps:
    try:
        host.apply(step, features, [])
    except ReconcileError as error:
        print(step.verb, error)
"""
)


def test_a_program_that_came_meanwhile_is_not_replaced_without_links(box):
    box.run("python3", "-c", OLD_KERNEL, json.dumps(RULES[:2]))
    said = box.run("python3", "-c", COLLISION, json.dumps(RULES[1:2])).splitlines()
    assert [line.split()[0] for line in said] == ["replace", "detach"]
    assert "v0: the XDP program could not be replaced, the one before runs on: " in said[0]
    assert "v0: the XDP program could not be taken off: " in said[1]
    assert box.link()["xdp"]["prog"]["name"] == "somebodys"
    box.run("ip", "link", "set", "v0", "xdpdrv", "off")


def test_rates_and_sources_that_are_dropped_most(box):
    box.module(interface="v0", rules=RULES)
    busy = (
        "import socket, sys, time\n"
        "sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)\n"
        "sender.bind(('v1', 0))\n"
        "frames = [bytes.fromhex(one) for one in sys.argv[1:]]\n"
        "end = time.monotonic() + 6\n"
        "while time.monotonic() < end:\n"
        "    for frame in frames: sender.send(frame)\n"
        "    time.sleep(0.001)\n"
    )
    argv = ["python3", "-c", busy, *[one.hex() for one in (ATTACKER, ATTACKER, ATTACKER6, OTHER)]]
    with subprocess.Popen(["nsenter", f"--target={box.process.pid}", "--net", "--", *argv]) as sender:
        found = counted(box, interval=1, top_sources=5, sample_every=2)
        sender.kill()
    assert [one["source"] for one in found["top_sources"]] == ["10.1.0.1", "2001:db8:2::1"]
    rates = {one["name"]: one["packets_per_second"] for one in found["counters"]}
    assert rates["attackers"] > 10 > rates["office"] == rates["dns"] == 0
    assert found["no_rule"]["packets_per_second"] > 1
    # Sampling has ended, and has left the rules as they were.
    assert not box.module(interface="v0", rules=RULES)["changed"]
    assert box.module("xdp_drop_info", top_sources=5)["msg"].startswith("top_sources are sampled for an interval")


SAMPLED = """
from tests.unit import conftest
from ansible_collections.hostcraft.linux.plugins.module_utils._xdp import host, loader, pins
live = host.brief("v0")
with pins.opened("v0", live.generation, "verdicts") as verdicts:
    print(loader.sampled(verdicts, len(live.verdicts)))
"""


@contextlib.contextmanager
def sampling(box):
    """Let the sources be sampled by a task, which is killed at the end if it is still there."""
    run = modules.start("xdp_drop_info", within=box.within, interface=["v0"], interval=5, top_sources=1)
    try:
        for _attempt in range(20):
            if box.run("python3", "-c", SAMPLED) == "True\n":
                break
        else:
            pytest.fail("nothing is sampled")
        yield run
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)


def test_a_survey_goes_on_with_what_is_replaced_meanwhile(box):
    box.module(interface="v0", rules=RULES)
    with sampling(box) as run:
        second = box.module("xdp_drop_info", interface=["v0"], interval=1, top_sources=1)
        assert "The sources that v0 drops are being sampled by another task" in second["msg"]
        assert not box.module(interface="v0", rules=RULES[1:])["failed"]
        box.passed(ALL)
        found = modules.result(run)
    assert not found["failed"], found
    found = found["interfaces"]["v0"]
    # The rules of the beginning, and counters that have gone on.
    assert [rule["name"] for rule in found["rules"]] == ["office", "attackers", "dns"]
    assert {one["name"]: one["packets"] for one in found["counters"]} == {"office": 0, "attackers": 4, "dns": 1}


def test_the_sampling_of_a_survey_that_was_killed_is_ended_by_the_next_one(box):
    box.module(interface="v0", rules=RULES)
    with sampling(box):
        counted(box)
        # It is still there, and is not disturbed.
        assert box.run("python3", "-c", SAMPLED) == "True\n"
    assert box.run("python3", "-c", SAMPLED) == "True\n"
    counted(box)
    assert box.run("python3", "-c", SAMPLED) == "False\n"


def test_the_right_device_is_named(box):
    box.run("ip", "link", "add", "b0", "type", "bridge")
    box.run("ip", "link", "set", "v1", "master", "b0")
    said = "b0 is a bridge, and frames meet an XDP program on its ports only: declare 'interface: [v1]'"
    try:
        assert said in box.module(interface="b0", rules=RULES)["msg"]
        assert box.module(interface="b0", rules=RULES, mode="generic")["interfaces"]["b0"]["mode"] == "generic"
        box.module(interface="b0", state="absent")
    finally:
        box.run("ip", "link", "del", "b0")
