# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What istio-iptables sets up for a sidecar by default, for iptables-restore(8), and what becomes of a flow by it.

Written after tools/istio-iptables/pkg/capture/run.go of Istio: mode REDIRECT, all ports and networks, no DNS capture,
the ports that the injector leaves out. The agent also gives the loopback the address ::6.
"""

import ipaddress
import shlex

OWN = {"iptables": ("127.0.0.6/32", "127.0.0.1/32"), "ip6tables": ("::6/128", "::1/128")}
EXCLUDED = (15090, 15021, 15020)
TUNNEL, OWNER = 15008, 1337


def redirect(inbound=15006, outbound=15001):
    """Return {program: text} of the table nat, for a proxy at these ports."""
    return {program: _nat(inbound, outbound, *own) for program, own in OWN.items()}


def _nat(inbound, outbound, passthrough, loopback):
    rules = [
        ":ISTIO_INBOUND - [0:0]",
        ":ISTIO_IN_REDIRECT - [0:0]",
        ":ISTIO_OUTPUT - [0:0]",
        ":ISTIO_REDIRECT - [0:0]",
        f"-A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports {outbound}",
        f"-A ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports {inbound}",
        "-A PREROUTING -p tcp -j ISTIO_INBOUND",
        f"-A ISTIO_INBOUND -p tcp --dport {TUNNEL} -j RETURN",
        f"-A ISTIO_INBOUND -p tcp -m multiport --dports {','.join(map(str, EXCLUDED))} -j RETURN",
        "-A ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT",
        "-A OUTPUT -j ISTIO_OUTPUT",
        f"-A ISTIO_OUTPUT -o lo -s {passthrough} -j RETURN",
    ]
    for kind in ("uid", "gid"):
        mine = f"--{kind}-owner {OWNER}"
        rules += [
            f"-A ISTIO_OUTPUT -o lo ! -d {loopback} -p tcp ! --dport {TUNNEL} -m owner {mine} -j ISTIO_IN_REDIRECT",
            f"-A ISTIO_OUTPUT -o lo -m owner ! {mine} -j RETURN",
            f"-A ISTIO_OUTPUT -m owner {mine} -j RETURN",
        ]
    rules += [f"-A ISTIO_OUTPUT -d {loopback} -j RETURN", "-A ISTIO_OUTPUT -j ISTIO_REDIRECT"]
    return "\n".join(["*nat", *rules, "COMMIT", ""])


def becomes(flow, inbound=15006, outbound=15001):
    """Return the port that a flow is redirected to by these rules, or ``direct``."""
    text = redirect(inbound, outbound)["iptables" if flow.family == 4 else "ip6tables"]
    rules = {}
    for line in text.splitlines():
        if line.startswith("-A "):
            chain, *words = shlex.split(line[3:])
            rules.setdefault(chain, []).append(words)
    hook = "PREROUTING" if flow.way == "in" else "OUTPUT"
    found = _asked(rules, hook, flow)
    return "direct" if found is None else found


def _asked(rules, chain, flow):
    for words in rules[chain]:
        target = words[words.index("-j") + 1 :]
        if not _matches(words[: words.index("-j")], flow):
            continue
        if target[0] == "RETURN":
            return None
        found = int(target[2]) if target[0] == "REDIRECT" else _asked(rules, target[0], flow)
        if found is not None:
            return found
    return None


def _matches(words, flow):
    tests = {
        "-p": lambda value: flow.proto == value,
        "-o": lambda value: flow.interface == value,
        "-s": lambda value: ipaddress.ip_address(flow.source) in ipaddress.ip_network(value),
        "-d": lambda value: ipaddress.ip_address(flow.destination) in ipaddress.ip_network(value),
        "--dport": lambda value: flow.port == int(value),
        "--dports": lambda value: str(flow.port) in value.split(","),
        "--uid-owner": lambda value: flow.uid == int(value),
        "--gid-owner": lambda value: flow.gid == int(value),
        "-m": lambda _value: True,
    }
    words, denied = list(words), False
    while words:
        word = words.pop(0)
        if word == "!":
            denied = True
        else:
            if tests[word](words.pop(0)) == denied:
                return False
            denied = False
    return True
