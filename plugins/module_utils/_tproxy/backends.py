# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The packet filters of a network namespace: which work, and which captures they have.

Private to the collection; not a public interface.
"""

import hashlib
import re
import shutil

from .._core import files
from .._core.command import SYSTEM_PATH, run
from .._core.reconcile import ReconcileError
from . import chains, paths, report, ruleset_iptables, ruleset_nft
from .model import Found

LONG = 60.0  # seconds that listing or loading may take
# All that the rules use, so that a kernel or an nft without it is found out before anything is changed.
PROBE = """table inet hostcraft_probe {
    chain a {
        type filter hook prerouting priority -150; policy accept;
        meta l4proto { tcp, udp } socket transparent 1%s meta mark set meta mark & 0xfffff000 | 0x1 accept
        ct direction reply fib daddr type local ct mark set ct mark & 0xfffff000 | 0x1
        meta nfproto ipv4 meta l4proto { tcp, udp } tproxy ip to :1 accept
    }
    chain b {
        type nat hook output priority -100; policy accept;
        meta l4proto tcp redirect to :1
    }
    chain c {
        type route hook output priority -150; policy accept;
    }
}
"""


def usable(netns, legacy_first):
    """Return {backend: its programs}, the best first, and whether nft knows ``socket wildcard``.

    :param legacy_first: whether the namespace's packets are in the hands of iptables-legacy already; rules of two
        frameworks at one hook are asked in an order that nobody sees.
    """
    found, wildcard = {}, True
    if _which("nft"):
        wildcard = _nft_takes(netns, PROBE % " socket wildcard 0")
        if wildcard or _nft_takes(netns, PROBE % ""):
            found["nftables"] = ("nft",)
    found.update(installed())
    if legacy_first and "iptables_legacy" in found:
        found = dict([("iptables_legacy", found.pop("iptables_legacy")), *found.items()])
    return found, wildcard


def installed():
    """Return {backend: (program for IPv4, for IPv6)} of the flavours of iptables."""
    found = {}
    for flavour in ("nft", "legacy"):
        if _which(f"iptables-{flavour}-restore"):
            found[f"iptables_{flavour}"] = (f"iptables-{flavour}", f"ip6tables-{flavour}")
    if not found and _which("iptables-restore"):
        flavour = "nft" if "nf_tables" in run(["iptables", "--version"]) else "legacy"
        found[f"iptables_{flavour}"] = ("iptables", "ip6tables")
    return found


def has_ipset():
    """Tell whether ipset(8) is installed."""
    return _which("ipset") is not None


def captures(netns):
    """Return {name: Found} of all captures whose rules are there, and whether iptables-legacy has rules of others."""
    many = list(_of_nft(netns).items()) if _which("nft") else []
    legacy = False
    for backend, programs in installed().items():
        lines = {family: _lines(netns, program) for family, program in zip((4, 6), programs)}
        many += _of_iptables(netns, backend, lines).items()
        if backend == "iptables_legacy":
            every = [line for one in lines.values() for _table, line in one]
            legacy = any(line.startswith("-A ") and ruleset_iptables.PREFIX not in line for line in every)
    return report.together(many), legacy


def list_rules(netns, backend, programs, name):
    """Return the rules of a capture as they are: {0: text} for nft, {4 or 6: pairs of table and line} for iptables."""
    if backend == "nftables":
        return {0: run(paths.inside(netns, ["nft", "-s", "list", "table", "inet", ruleset_nft.table(name)]), LONG)}
    lines = {family: _lines(netns, program) for family, program in zip((4, 6), programs)}
    return {family: _of_capture(many, name) for family, many in lines.items()}


def list_sets(netns, rules):
    """Return {name: text that makes it anew} of the sets of ipset(8) that rules ask; nft lists them with the rules."""
    every = [line for family in (4, 6) for _table, line in rules.get(family, ())]
    names = {word for line in every for word in re.findall(r"--match-set (\S+)", line)}
    return {word: run(paths.inside(netns, ["ipset", "save", word]), LONG) for word in names}


def digest(rules, sets):
    """Return what tells listed rules, and what is in their sets, from others."""
    return hashlib.sha256(saved_text(rules, sets).encode()).hexdigest()


def saved_text(rules, sets):
    """Return listed rules as the script of a saved capture sees them: as text, line by line, sorted for iptables."""
    if 0 in rules:
        return rules[0]
    lines = [f"{family} {table} {line}" for family in (4, 6) for table, line in sorted(rules.get(family, ()))]
    for name in sorted(sets):
        lines += sorted(line for line in sets[name].splitlines() if line.startswith("add "))
    return "".join(f"{line}\n" for line in lines)


def _which(program):
    return shutil.which(program, path=SYSTEM_PATH)


def _nft_takes(netns, text):
    try:
        run(paths.inside(netns, ["nft", "-c", "-f", "-"]), stdin=text)
    except ReconcileError:
        return False
    return True


def _of_nft(netns):
    shown = run(paths.inside(netns, ["nft", "list", "tables"]), LONG)
    found = {}
    for name in re.findall(rf"^table inet {ruleset_nft.PREFIX}(\S+)", shown, re.M):
        rules = list_rules(netns, "nftables", ("nft",), name)
        labels = [chains.read_label(text) for text in re.findall(r'comment "([^"]*)"', rules[0])]
        found[name] = _found(netns, name, "nftables", labels, (rules, {}))
    return found


def _of_iptables(netns, backend, lines):
    every = [line for many in lines.values() for _table, line in many]
    names = set(re.findall(rf"^:{ruleset_iptables.PREFIX}([a-z0-9]+)_", "\n".join(every), re.M))
    found = {}
    for name in names:
        rules = {family: _of_capture(many, name) for family, many in lines.items()}
        every = [line for many in rules.values() for _table, line in many]
        labels = [chains.read_label(text) for line in every for text in re.findall(r'--comment "([^"]*)"', line)]
        found[name] = _found(netns, name, backend, labels, (rules, list_sets(netns, rules)))
    return found


def _of_capture(lines, name):
    return tuple(pair for pair in lines if f"{ruleset_iptables.PREFIX}{name}_" in pair[1])


def _found(netns, name, backend, labels, listed):
    labels = [one for one in labels if one]
    seen = (files.read(paths.listing(netns, name)) or "").strip()
    known, routing = labels[0] if labels else ("", None)
    return Found(backend, known, routing, digest(*listed) == seen, files.read(paths.record(netns, name)), *listed)


def _lines(netns, program):
    """Return pairs of table and line of what is there, without counters.

    No table is asked for: that would make it.
    """
    found, table = [], ""
    for line in run(paths.inside(netns, [f"{program}-save"]), LONG).splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith(":"):
            found.append((table, line.split()[0]))
        elif line.startswith("-A "):
            found.append((table, line))
    return found
