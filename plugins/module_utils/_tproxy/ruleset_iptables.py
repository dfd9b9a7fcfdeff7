# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of a capture as text for iptables-restore(8), one for each family. Pure.

A list is a rule for each of its items here; long lists of networks are sets of ipset(8), named after what is in them,
so that new rules never meet an old set.
Private to the collection; not a public interface.
"""

import hashlib
import itertools

from . import networks
from .chains import BROADCAST, ESTABLISHED, NOT_SYN, REPLY, SYN, TRANSPARENT, Chain, Rule, chains, label

PREFIX = "hct_"
IN_RULES = 64  # networks up to which a list is rules; each costs every new connection a comparison
MULTIPORT = 15  # ports that one rule can name, a range counting two (iptables-extensions(8))
TABLES = {"filter": "mangle", "route": "mangle", "nat": "nat"}
HOOKS = {"prerouting": "PREROUTING", "output": "OUTPUT"}
WORDS = {
    SYN: "-p tcp --syn",
    NOT_SYN: "-p tcp ! --syn",
    TRANSPARENT: "-m socket --transparent",
    REPLY: "-m conntrack --ctdir REPLY",
    ESTABLISHED: "-m conntrack --ctstate ESTABLISHED",
}
FAMILIES = {4: "inet", 6: "inet6"}


def chain_name(name, chain):
    """Return the name of a chain of a capture, at most 28 characters."""
    return f"{PREFIX}{name}_{chain}"


def flavour(backend):
    """Return what the rules depend on beside the declaration."""
    return backend


def hooks(capture):
    """Return (table, hook, chain) of every chain that the kernel asks."""
    return [
        (TABLES[chain.hook[0]], HOOKS[chain.hook[1]], chain_name(capture.name, chain.name))
        for chain in chains(capture)
        if chain.hook
    ]


def outline(capture):
    """Return the chains and jumps of a capture as pairs of table and line, as they are in ``present``."""
    found = {("mangle", f":{chain_name(capture.name, 'label')}")}
    for chain in _all(capture):
        found.add((_table(chain, capture), f":{chain_name(capture.name, chain.name)}"))
    return found | {(table, f"-A {hook} -j {chain}") for table, hook, chain in hooks(capture)}


def render(capture, family, backend, present):
    """Return {table: text} that replaces the rules of a capture in one family; each is one transaction.

    :param present: pairs of table and line of the rules of this capture that are there: chains (``:name``) and rules
        (``-A …``). Jumps that stay are kept where they are.
    """
    after = outline(capture)
    texts = {"mangle": [], "nat": []}
    for table, line in sorted(after - set(present)):
        if line.startswith("-A "):
            texts[table].append(line.replace("-A ", "-I ", 1))
    name = chain_name(capture.name, "label")
    texts["mangle"].append(f'-A {name} -m comment --comment "{label(capture, flavour(backend))}" -j RETURN')
    for chain in _all(capture):
        name = chain_name(capture.name, chain.name)
        texts[_table(chain, capture)] += [
            f"-A {name} {line}".replace("  ", " ") for rule in chain.rules for line in _rule(rule, family, capture.name)
        ]
    return _sections(after, present, texts)


def delete(present):
    """Return {table: text} that removes what is there of a capture in one family."""
    return _sections((), present, {})


def restore(present, now):
    """Return {table: text} that brings back the rules ``present`` where the rules ``now`` are; as in :func:`render`."""
    texts = {}
    for table, line in present:
        if line.startswith("-A "):
            if not _is_jump(line):
                texts.setdefault(table, []).append(line)
            elif (table, line) not in now:
                texts.setdefault(table, []).append(line.replace("-A ", "-I ", 1))
    return _sections(present, now, texts)


def sets(capture, family):
    """Return {name: networks} of the sets of ipset(8) that the rules of one family need."""
    found = {}
    for chain in chains(capture):
        for rule in chain.rules:
            for match in rule.matches:
                if match[0] in ("src", "dst") and match[1] == family and len(match[2]) > IN_RULES:
                    found[set_name(capture.name, family, match[2])] = match[2]
    return found


def set_name(name, family, many):
    """Return the name of a set, after its content; with ``_new`` at most 31 characters."""
    return f"{PREFIX}{name}_{family}{hashlib.sha256(repr(many).encode()).hexdigest()[:10]}"


def render_sets(found, family):
    """Return the text for ``ipset -exist restore``: each set in one go, also where one of the name is in use."""
    lines = []
    for name, many in sorted(found.items()):
        kind = f"hash:net family {FAMILIES[family]} maxelem {max(len(many), 65536)}"
        lines += [f"create {name} {kind}", f"create {name}_new {kind}", f"flush {name}_new"]
        lines += [f"add {name}_new {networks.text(family, one)}" for one in many]
        lines += [f"swap {name}_new {name}", f"destroy {name}_new"]
    return "".join(f"{line}\n" for line in lines)


def _sections(after, present, texts):
    """Return {table: text}: the chains of ``after`` emptied or made, what else is present removed, and the rules."""
    found = {}
    for table in ("mangle", "nat"):
        kept = sorted(line[1:] for one, line in after if one == table and line[0] == ":")
        there = [line for one, line in present if one == table]
        jumps = [line.replace("-A ", "-D ", 1) for line in there if _is_jump(line) and (table, line) not in after]
        gone = [line[1:] for line in there if line[0] == ":" and line[1:] not in kept]
        lines = [f":{name} - [0:0]" for name in kept] + jumps
        lines += [f"{flag} {name}" for flag in ("-F", "-X") for name in gone] + texts.get(table, [])
        if lines:
            found[table] = "\n".join([f"*{table}", *lines, "COMMIT", ""])
    return found


def _is_jump(line):
    return line.startswith("-A ") and line.split()[1] in HOOKS.values()


def _all(capture):
    """Return the chains, with the one that stands for the action ``divert``."""
    found = chains(capture)
    if not capture.uses_tproxy:
        return found
    return (Chain("divert", (Rule((), ("mark", capture.mark)), Rule((), ("accept",)))), *found)


def _table(chain, capture):
    if chain.hook:
        return TABLES[chain.hook[0]]
    if chain.name == "hairpin" or chain.name.startswith("nat_"):
        return "nat"
    if chain.name in ("in", "in_2", "in_3"):
        return "nat" if capture.inbound.mode == "redirect" else "mangle"
    return "mangle"


def _rule(rule, family, name):
    """Return the rules of one family: one for each combination of what is listed."""
    matches = [_match(one, family, name) for one in rule.matches]
    if any(one is None for one in matches):
        return []
    combinations = list(itertools.product(*matches))
    return [
        " ".join([word for word in (*one, _last) if word]) for one in combinations for _last in _actions(rule, name)
    ]


def _match(one, family, name):
    """Return the alternatives of a match; None when it is that of the other family."""
    kind = one[0]
    if kind in ("src", "dst"):
        return _networks(one, family, name) if one[1] == family else None
    if kind == "family":
        return None
    if one == BROADCAST:
        return [f"-m pkttype --pkt-type {word}" for word in ("broadcast", "multicast")]
    if kind == "dport":
        return [f"-p {one[1]} -m multiport --dports {part}" for part in _multiport(one[2])]
    prefix = {"iif": "-i", "oif": "-o", "uid": "-m owner --uid-owner", "gid": "-m owner --gid-owner"}.get(kind)
    return [f"{prefix} {item}" for item in one[1]] if prefix else [_single(one)]


def _single(one):
    if one in WORDS:
        return WORDS[one]
    kind, value = one
    return {
        "proto": lambda: f"-p {value}",
        "local": lambda: f"-m addrtype {'' if value else '! '}--dst-type LOCAL",
        "mark": lambda: f"-m mark --mark {value}",
        "in_connmark": lambda: f"-m connmark --mark {value}",
        "not_connmark": lambda: f"-m connmark ! --mark {value}",
        "cgroup": lambda: f"-m cgroup --path {value}",
    }[kind]()


def _networks(one, family, name):
    kind, _family, many, _label = one
    if len(many) > IN_RULES:
        return [f"-m set --match-set {set_name(name, family, many)} {kind}"]
    return [f"-{kind[0]} {networks.text(family, network)}" for network in many]


def _multiport(ranges):
    part, weight = [], 0
    for low, high in ranges:
        more = 1 if low == high else 2
        if weight + more > MULTIPORT:
            yield ",".join(part)
            part, weight = [], 0
        part.append(str(low) if low == high else f"{low}:{high}")
        weight += more
    yield ",".join(part)


def _actions(rule, name):
    kind, *values = rule.action
    if kind in ("divert", "jump"):
        return [f"-j {chain_name(name, 'divert' if kind == 'divert' else values[0])}"]
    if kind in ("mark", "connmark"):
        return [f"-j {kind.upper()} --set-xmark {values[0]}"]
    if kind == "tproxy":
        port, mark = values
        return [f"-p {proto} -j TPROXY --on-port {port} --tproxy-mark {mark}" for proto in ("tcp", "udp")]
    if kind == "redirect":
        return [f"-j REDIRECT --to-ports {values[0]}"]
    return [f"-j {kind.upper()}"]
