# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The layout of chains that istio-iptables sets up for a sidecar with its default options, for iptables-restore(8).

Written from the description of its chains (mode REDIRECT, all ports and networks).
"""

OWN = {"iptables": ("127.0.0.6/32", "127.0.0.1/32"), "ip6tables": ("::6/128", "::1/128")}
EXCLUDED = (15090, 15021, 15020)


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
        "-A ISTIO_INBOUND -p tcp --dport 15008 -j RETURN",
        "-A ISTIO_INBOUND -p tcp --dport 22 -j RETURN",
        *(f"-A ISTIO_INBOUND -p tcp --dport {port} -j RETURN" for port in EXCLUDED),
        "-A ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT",
        "-A OUTPUT -j ISTIO_OUTPUT",
        f"-A ISTIO_OUTPUT -o lo -s {passthrough} -j RETURN",
    ]
    for kind in ("uid", "gid"):
        owner = f"-m owner --{kind}-owner 1337"
        ports = "-m multiport ! --dports 53,15008"
        rules += [
            f"-A ISTIO_OUTPUT -o lo ! -d {loopback} -p tcp {ports} {owner} -j ISTIO_IN_REDIRECT",
            f"-A ISTIO_OUTPUT -o lo -p tcp ! --dport 53 -m owner ! --{kind}-owner 1337 -j RETURN",
            f"-A ISTIO_OUTPUT {owner} -j RETURN",
        ]
    rules += [f"-A ISTIO_OUTPUT -d {loopback} -j RETURN", "-A ISTIO_OUTPUT -p tcp -j ISTIO_REDIRECT"]
    return "\n".join(["*nat", *rules, "COMMIT", ""])
