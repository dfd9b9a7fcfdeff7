# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rule with no condition but its source settles a frame at once; with any other condition, that one counts too."""

from random import Random

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._xdp import bpf, loader, reference, tables
from ansible_collections.hostcraft.linux.plugins.module_utils._xdp.model import Prefixes, Rule

from tests.integration import frames

EVERYWHERE = Prefixes(four=(0,), six=(0,))
NEEDS = {"icmp_types": ("protocols",), "tcp_flags": ("protocols",)}  # conditions that come together


def conditions(name):
    """Yield rules of random conditions that have this one."""
    random = Random(name)
    while True:
        chosen = frames.rule(random, name)
        if getattr(chosen, name) is not None:
            yield {one: getattr(chosen, one) for one in (name, *NEEDS.get(name, ()))}


@pytest.mark.parametrize("name", [one for one in tables.CONDITIONS if one != "source"])
def test_a_rule_with_a_source_and_one_more_condition_needs_both(name):
    random = Random(name)
    met = set()
    for _turn, chosen in zip(range(6), conditions(name), strict=False):
        rules = [Rule("both", True, source=EVERYWHERE, **chosen), Rule("rest", False, source=EVERYWHERE)]
        loaded = loader.load(tables.compiled(rules), [(True, 0), (False, 1)], loader.features())
        try:
            for _number in range(60):
                frame = frames.frame(random)
                first = reference.first_match(rules, frame)
                assert bpf.run_on(loaded.program, frame)[0] == (1 if first == 0 else 2), (chosen, frame.hex())
                met.add(first)
        finally:
            loader.close(loaded)
    assert {0, 1} <= met, "the frames met one of the rules only"
