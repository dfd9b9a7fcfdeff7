# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program in the kernel says of every frame what the reference model in plain Python says."""

import os
from collections import Counter
from random import Random

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import ReconcileError
from ansible_collections.hostcraft.linux.plugins.module_utils._xdp import bpf, loader, reference, tables, trial
from ansible_collections.hostcraft.linux.plugins.module_utils._xdp.model import Prefixes, Rule

from tests.integration import frames

PLAIN = loader.Features(link=True, batch=False, mmap=False)
SETS, FRAMES = 24, 500


def load(rules, wanted):
    return loader.load(tables.compiled(rules), [(rule.drop, slot) for slot, rule in enumerate(rules)], wanted)


@pytest.mark.parametrize("seed", range(SETS))
def test_verdicts_are_those_of_the_reference_model(seed):
    random = Random(seed)
    count = random.choice((1, 2, 3, 5, 8, 64))
    rules = [frames.rule(random, f"rule {number}") for number in range(count)]
    if seed % 2:  # so many prefixes that they are laid out in blocks
        side = random.choice(("source", "destination"))
        rules[-1] = rules[-1]._replace(**{side: frames.prefixes(random, many=True)})
    assert trial.tried(rules, tables.compiled(rules), loader.features(), ()) == ()
    # Every fourth without batches and memory maps: the tables must be the same.
    loaded = load(rules, loader.features() if seed % 4 else PLAIN)
    try:
        expected = Counter()
        size = Counter()
        for _number in range(FRAMES):
            frame = frames.frame(random)
            first = reference.first_match(rules, frame)
            verdict = bpf.run_on(loaded.program, frame)[0]
            assert verdict == (1 if first is not None and rules[first].drop else 2), (first, frame.hex())
            slot = loader.NO_RULE if first is None else first
            expected[slot] += 1
            size[slot] += len(frame)
        counted = loader.read_counters(loaded.maps["counters"])
        assert {slot: pair for slot, pair in enumerate(counted) if any(pair)} == {
            slot: (expected[slot], size[slot]) for slot in expected
        }
    finally:
        loader.close(loaded)


def test_a_program_that_does_not_what_the_rules_say_is_not_used():
    rules = [Rule("one", True, protocols=frozenset([17])), Rule("two", True, parts=frozenset([1, 2]))]
    made = tables.compiled(rules)
    assert trial.tried(rules, made, loader.features(), ()) == ()
    for broken in (
        made._replace(constants={**made.constants, tables.ALL: 0}),
        # Only what misses a rule tells that it takes too much.
        made._replace(constants={**made.constants, tables.WHOLE_PART: 3}),
    ):
        with pytest.raises(ReconcileError, match=r"Rule '.*': tried on a frame in this kernel, the program says"):
            trial.tried(rules, broken, loader.features(), ())


@pytest.mark.parametrize("wanted", [PLAIN, loader.Features(mmap=False), loader.Features()])
def test_an_array_is_changed_where_it_differs(wanted):
    """By entries, by batches of them, and in memory."""
    size = 4 * loader.PAGE
    first, second = bytearray(size), bytearray(size)
    first[8:16] = second[8:16] = b"stays so"
    first[loader.PAGE : loader.PAGE + 8] = b"is there"
    second[-8:] = b"is added"
    descriptor = bpf.create_map(bpf.ARRAY, 4, 8, size // 8, bpf.MMAPABLE if wanted.mmap else 0)
    try:
        loader.write_array(descriptor, bytes(first), wanted, wanted.mmap)
        assert loader.read_array(descriptor, size, wanted, wanted.mmap) == first
        # What is the same is not written again: somebody else's change of it stays.
        bpf.update(descriptor, (1).to_bytes(4, "little"), b"meddled!")
        loader.write_array(descriptor, bytes(second), wanted, wanted.mmap, bytes(first))
        if not wanted.mmap:
            assert bpf.lookup(descriptor, (1).to_bytes(4, "little"), 8) == b"meddled!"
            bpf.update(descriptor, (1).to_bytes(4, "little"), b"stays so")
        assert loader.read_array(descriptor, size, wanted, wanted.mmap) == second
    finally:
        os.close(descriptor)


def test_frames_reach_all_there_is_to_reach():
    """The property test would prove little if its frames met few of the rules and parts of the parser."""
    random = Random(0)
    packets = [reference.parsed(frames.frame(random)) for _number in range(6000)]
    found = [packet for packet in packets if packet]
    assert {packet.part for packet in found} == {0, 1, 2}
    for ask in (
        lambda packet: packet.ports,
        lambda packet: packet.vlan and packet.flags is not None,
        lambda packet: packet.version == 6 and packet.icmp is not None,
        lambda packet: packet.version == 6 and packet.protocol == 6 and packet.ports is None,
        lambda packet: packet.version == 6 and packet.protocol in frames.EXTENSIONS,
    ):
        assert sum(bool(ask(packet)) for packet in found) > 20
    assert packets.count(None) > 100


def test_what_was_written_can_be_read(tmp_path):
    """Entries of every map come back as they were written, with and without batches and memory maps."""
    random = Random(7)
    rules = [frames.rule(random, str(number))._replace(source=frames.prefixes(random)) for number in range(6)]
    rules[0] = rules[0]._replace(source=frames.prefixes(random, many=True))
    content = tables.compiled(rules)
    assert {name.partition("_")[2] for name in content.keyed} >= {"hosts", "prefixes", "six"}
    for wanted in (loader.features(), PLAIN._replace(batch=True)):
        loaded = load(rules, wanted)
        try:
            for name, entries in content.keyed.items():
                assert loader.read_entries(loaded.maps[name], name, wanted) == entries
            for name, array in content.arrays.items():
                mapped = bool(bpf.map_info(loaded.maps[name]).flags & bpf.MMAPABLE)
                assert mapped == wanted.mmap
                assert loader.read_array(loaded.maps[name], len(array), wanted, mapped) == array
        finally:
            loader.close(loaded)


def test_blocks_are_the_same_without_batches_and_memory_maps():
    random = Random(3)
    networks = [random.getrandbits(24) << 14 | 24 for _number in range(200)]
    rule = Rule("blocks", True, source=Prefixes(tuple(sorted(networks))))
    loaded = load([rule], PLAIN)
    try:
        size = 1 << 24
        plain = loader.read_array(loaded.maps["source_blocks"], size, PLAIN._replace(batch=True), mapped=False)
        assert plain == tables.compiled([rule]).arrays["source_blocks"]
    finally:
        loader.close(loaded)


def test_no_descriptor_is_left_open():
    before = sorted(os.listdir("/proc/self/fd"))
    loader.close(load([frames.rule(Random(1), "one")], loader.features()))
    assert sorted(os.listdir("/proc/self/fd")) == before
