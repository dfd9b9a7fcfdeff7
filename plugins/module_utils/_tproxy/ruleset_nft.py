# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of a capture as text for nft(8). Pure.

Private to the collection; not a public interface.
"""

from . import networks
from .chains import BROADCAST, ESTABLISHED, NOT_SYN, REPLY, SYN, TRANSPARENT, chains, label

PREFIX = "hostcraft_tproxy_"
# nft(8), standard priority names: mangle -150, dstnat -100. Numbers, for nft before 0.9.6 has no names in family inet.
PRIORITIES = {"filter": -150, "route": -150, "nat": -100}
WORDS = {
    SYN: "tcp flags & (syn | ack) == syn",
    NOT_SYN: "tcp flags & (syn | ack) != syn",
    REPLY: "ct direction reply",
    BROADCAST: "meta pkttype { broadcast, multicast }",
    ESTABLISHED: "ct state established",
}


def table(name):
    """Return the name of a capture's table."""
    return PREFIX + name


def flavour(wildcard):
    """Return what the rules depend on beside the declaration."""
    return f"nft wildcard={wildcard}"


def render(capture, wildcard=True):
    """Return the text that replaces the capture's table in one transaction.

    :param wildcard: whether nft and kernel know ``socket wildcard``. Without it, what is sent to the proxy's own port
        elsewhere is not told from what is the proxy's.
    """
    name, made = table(capture.name), chains(capture)
    lines = [f"add table inet {name}", f"delete table inet {name}", f"table inet {name} {{"]
    for family, kind, elements in _sets(made):
        lines += [f"    set {kind}{family} {{", f"        type ipv{family}_addr", "        flags interval"]
        lines += [f"        elements = {{ {', '.join(elements)} }}", "    }"]
    lines += ["    chain label {", f'        counter comment "{label(capture, flavour(wildcard))}"', "    }"]
    for chain in made:
        lines.append(f"    chain {chain.name} {{")
        if chain.hook:
            kind, where = chain.hook
            lines.append(f"        type {kind} hook {where} priority {PRIORITIES[kind]}; policy accept;")
        lines += [f"        {line}" for rule in chain.rules for line in _rule(rule, wildcard)]
        lines.append("    }")
    return "\n".join([*lines, "}", ""])


def delete(name):
    """Return the text that removes a capture's table."""
    return f"delete table inet {table(name)}\n"


def restore(name, listed):
    """Return the text that puts a table back as it was listed; an empty text: that there is none."""
    return f"add table inet {table(name)}\ndelete table inet {table(name)}\n{listed}"


def _sets(made):
    """Return (family, name, elements) of every list of networks, each once."""
    found = {}
    for chain in made:
        for rule in chain.rules:
            for match in rule.matches:
                if match[0] in ("src", "dst"):
                    _kind, family, many, name = match
                    found[name, family] = (family, name, [networks.text(family, one) for one in many])
    return found.values()


def _rule(rule, wildcard):
    matches = " ".join(_match(one, wildcard) for one in rule.matches)
    return [f"{matches} {one}".strip() for one in _actions(rule.action)]


def _match(one, wildcard):
    kind = one[0]
    if one in WORDS:
        return WORDS[one]
    if one == TRANSPARENT:
        return "socket transparent 1" + (" socket wildcard 0" if wildcard else "")
    if kind in ("iif", "oif"):
        return "{}name {}".format(kind, _any(f'"{name}"' for name in one[1]))
    if kind in ("src", "dst"):
        return f"{'ip' if one[1] == 4 else 'ip6'} {kind[0]}addr @{one[3]}{one[1]}"
    return _plain(kind, one)


def _plain(kind, one):
    value = one[1]
    if kind == "dport":
        return f"{value} dport {_any(str(low) if low == high else f'{low}-{high}' for low, high in one[2])}"
    if kind == "mark":
        return f"meta mark & {value.mask:#x} == {value.value:#x}"
    if kind == "not_connmark":
        return f"ct mark & {value.mask:#x} != {value.value:#x}"
    if kind == "in_connmark":
        return f"ct mark & {value.mask:#x} == {value.value:#x}"
    if kind == "cgroup":
        return 'socket cgroupv2 level {} "{}"'.format(value.count("/") + 1, value)
    return {
        "family": lambda: f"meta nfproto ipv{value}",
        "proto": lambda: f"meta l4proto {value}",
        "local": lambda: f"fib daddr type {'' if value else '!= '}local",
        "uid": lambda: f"meta skuid {_any(map(str, value))}",
        "gid": lambda: f"meta skgid {_any(map(str, value))}",
    }[kind]()


def _any(words):
    words = list(words)
    return words[0] if len(words) == 1 else f"{{ {', '.join(words)} }}"


def _actions(action):
    kind, *values = action
    if kind == "divert":
        return [f"{_set('meta', values[0])} accept"]
    if kind in ("mark", "connmark"):
        return [_set("meta" if kind == "mark" else "ct", values[0])]
    if kind == "tproxy":
        port, mark, *of_connection = values
        sets = " ".join([_set("meta", mark), *(_set("ct", one) for one in of_connection)])
        return [
            f"meta nfproto ipv{family} meta l4proto {{ tcp, udp }} tproxy {name} to :{port} {sets} accept"
            for family, name in ((4, "ip"), (6, "ip6"))
        ]
    if kind == "redirect":
        return [f"redirect to :{values[0]}"]
    return [{"jump": f"jump {values[0] if values else ''}", "return": "return", "drop": "counter drop"}[kind]]


def _set(what, mark):
    kept = ~mark.mask & 0xFFFFFFFF
    if not kept:
        return f"{what} mark set {mark.value:#x}"
    return f"{what} mark set {what} mark & {kept:#x} | {mark.value:#x}"
