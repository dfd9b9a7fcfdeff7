# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``xdp_drop`` costs per packet with many prefixes, and how long it takes to apply and to change them.

Run by ``make bench``. Packets: BPF_PROG_RUN with random sources among all prefixes, against a program that drops and
does nothing else and against xdp-filter, whose list is limited to 10 000 addresses (raised here by patching one number
of its object file). Times: the module's own code from the file to the attached program, in namespaces of its own.
"""

import functools
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.ladder import ours, random_sources, xdp_filter
from tests.integration import netns

SIZES = (1, 1 << 10, 1 << 16, 1 << 20)
TURNS = 3
PEERED = 5  # programs measured where xdp-filter is among them
PART = "HOSTCRAFT_BENCH_APPLY"


def per_packet() -> None:
    """Print ns per packet: the least of several turns, and in brackets the median.

    A machine with neighbours has slow spells that outlast a measurement, so that all are measured in turn. What the
    harness costs is in every number, the bare program's being little else; without it a ratio says more.
    """
    bare, costs = random_sources.bare(), {}
    print(
        f"{'prefixes':>10} {'bare':>12} {'ours /24':>12} {'scattered':>12} {'ours /32':>12} {'xdp-filter':>12}  ratios"
    )
    for count in SIZES:
        dense, wide = random_sources.Sources(count), random_sources.Sources(count, factor=random_sources.SCATTER)
        hosts = random_sources.Sources(count, length=32, first=10 << 24)
        ways = [functools.partial(random_sources.cost, bare, dense)]
        ways += [functools.partial(_ours, one) for one in (dense, wide, hosts)]
        if count <= 1 << 16:  # its map would have to be many times what it is made for
            ways.append(functools.partial(_peer, hosts))
        turns = [[way() for way in ways] for _turn in range(TURNS)]
        found = [_least(some) for some in zip(*turns, strict=True)]
        limit, ours, *_others = found
        costs[count] = found[1:4]
        ratios = f"{ours.least / limit.least:.2f}x bare (target <= 1.5 at 65536)"
        if len(found) == PEERED:
            peer = found[-1].least
            ratios += (
                f", xdp-filter {peer / ours.least:.1f}x, without the bare {_ratio(peer, ours, limit)} "
                f"(target >= 5 at 65536; the bare alone is {peer / limit.least:.1f}x)"
            )
        cells = [f"{one.least:5.0f} ({one.median:.0f})" for one in found]
        print(f"{count:>10} " + " ".join(f"{cell:>12}" for cell in cells) + f"  {ratios}", flush=True)
    grown = [f"{many.least / few.least:.2f}x" for many, few in zip(costs[1 << 20], costs[1 << 16], strict=True)]
    print("1048576 prefixes against 65536: /24 {}, scattered {}, /32 {} (target <= 2)".format(*grown), flush=True)
    os.close(bare)


def _least(costs):
    return random_sources.Cost(min(one.least for one in costs), statistics.median(one.median for one in costs))


def _ratio(peer, ours, limit):
    own = ours.least - limit.least
    return f"{(peer - limit.least) / own:.1f}x" if own > 0 else "without end"


def _ours(sources):
    loader, model, tables = ours._modules("loader", "model", "tables")
    keys = tuple(sorted(address << 6 | sources.length for address in sources.addresses()))
    rules = (model.Rule("attack", True, source=model.Prefixes(four=keys)),)
    loaded = loader.load(tables.compiled(rules), [(True, 0)], loader.features())
    try:
        return random_sources.cost(loaded.program, sources)
    finally:
        loader.close(loaded)


def _peer(sources):
    peer = xdp_filter.Program(sources.addresses(), raised=sources.count > xdp_filter.LIMIT)
    try:
        return random_sources.cost(peer.descriptor, sources)
    finally:
        peer.close()


def apply(count: int) -> dict:
    """Declare prefixes of a file on v0, then 1 % others, in the namespace; return the seconds that each part takes."""
    host, in_place, loader, task = ours._modules("host", "in_place", "loader", "task")
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "list.txt")
        found = {}
        for turn in ("new", "changed"):
            addresses = random_sources.Sources(count, factor=random_sources.SCATTER).addresses()
            if turn == "changed":
                free = random_sources.Sources(count + count // 100, factor=random_sources.SCATTER).addresses()[count:]
                addresses = addresses[count // 100 :] + free
            path.write_text("".join(f"{one >> 24}.{one >> 16 & 255}.{one >> 8 & 255}.0/24\n" for one in addresses))
            spent = []
            change = in_place.change
            in_place.change = lambda *given: spent.append(_timed(lambda: change(*given)))  # noqa: B023 called at once
            began, cpu = time.perf_counter(), _cpu()
            features = loader.features()
            rules = [{"name": "attack", "action": "drop", "source_file": str(path)}]
            wanted = task.wanted_of(["v0"], rules, "native")
            steps = task.tried_planner(wanted, features, False)(host.observe(["v0"], "native", features)).steps
            for step in steps:
                host.apply(step, features, [])
            found[turn] = {
                "step": steps[0].verb,
                "wall": time.perf_counter() - began,
                "cpu": _cpu() - cpu,
                "map_work": sum(spent),
            }
            in_place.change = change
        host.remove("v0")
    return found


def _timed(work):
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def times() -> None:
    """Print how long it takes to apply and to change, and what got through meanwhile."""
    box = netns.Box()
    try:
        for count, target in ((1 << 16, 0.5), (1 << 20, 5.0)):
            found = json.loads(box.run("env", f"{PART}={count}", sys.executable, "-m", "tests.bench.bench_xdp_drop"))
            new, changed = found["new"], found["changed"]
            # What is timed below is the change in place, not another program.
            assert changed["step"] == "update", changed
            rest = f"map work {1000 * changed['map_work']:.1f} ms (target < 50), all of it {changed['wall']:.3f} s"
            print(f"{count} prefixes from a file: {new['wall']:.3f} s, {new['cpu']:.3f} CPU s (target < {target} s)")
            print(f"1 % of them changed ({changed['step']}): {rest}", flush=True)
        swaps = json.loads(box.run("python3", "-m", "tests.integration.xdp_swaps", "100"))
        print(
            f"{swaps['replace']} replacements and {swaps['update']} changes in place under traffic: "
            f"{swaps['leaked'] + swaps['no_rule']} packets leaked (target 0)"
        )
    finally:
        box.close()


def main() -> None:
    """Print all tables."""
    if PART in os.environ:
        print(json.dumps(apply(int(os.environ[PART]))))
        return
    per_packet()
    times()


if __name__ == "__main__":
    main()
