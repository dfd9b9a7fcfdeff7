# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of ``tproxy``."""


class ModuleDocFragment:
    """Documentation that modules share; private to the collection."""

    DOCUMENTATION = r"""
options:
  captures:
    description:
      - The captures, each with a name of its own in its network namespace. Captures that are not named stay as they
        are.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Its name, up to 10 of a-z and 0-9, a letter first. It becomes part of the names of its rules.
        type: str
        required: true
      state:
        description:
          - V(absent) removes its rules, its policy routing and all else that was made for it. That ends the
            connections that mode V(tproxy) has handed to the proxy.
        type: str
        choices: [present, absent]
        default: present
      netns:
        description:
          - The network namespace, by the name that C(ip-netns(8)) has for it or by a path such as
            V(/proc/4711/ns/net); without it, that of the host. Give a namespace always in the same way.
          - A container that shares the namespace of the host has that, and is refused.
          - With O(captures[].state=absent) it may be gone already.
        type: str
      preset:
        description:
          - What the capture has unless it is said otherwise.
          - V(istio_sidecar) is what Istio sets up for a sidecar. Inbound TCP goes to port 15006 but for ports 15008,
            15020, 15021 and 15090, outbound TCP to port 15001, both by V(redirect), and not that of uid or gid 1337.
            What uid 1337 sends to an address of its own host goes to port 15006 as well, but for port 15008, and
            unless it comes from 127.0.0.6 or ::6. The mark is 1337 without a mask, the table 133.
          - Unlike Istio it leaves out port 22 of this host, which O(captures[].ssh_ports=[]) takes in, and what a
            neighbour sends to 127.0.0.0/8. The address ::6, which Istio adds to the loopback for IPv6, is for whoever
            starts the proxy.
        type: str
        choices: [istio_sidecar]
      families:
        description: Which versions of IP are captured. Both by default.
        type: list
        elements: str
        choices: [ipv4, ipv6]
      inbound:
        description:
          - What comes in from elsewhere, to this host or through it. Never what comes in over the loopback, or what a
            neighbour sends to 127.0.0.0/8.
        type: dict
        suboptions:
          mode:
            description:
              - V(redirect) changes the destination to this host; the proxy asks for the original one
                (SO_ORIGINAL_DST). For TCP. Connections that are there already go on as they are.
              - V(tproxy) changes nothing in the packet, and routes it to the proxy, whose socket must be
                IP_TRANSPARENT. It has the original destination as its own address. For TCP and UDP.
              - Needed, unless a preset has it.
            type: str
            choices: [redirect, tproxy]
          port:
            description: The port of the proxy on this host. Needed, unless a preset has it.
            type: int
          protocols:
            description: What is captured; V(tcp) by default.
            type: list
            elements: str
            choices: [tcp, udp]
          ports:
            description: Destination ports and ranges such as V(8000-8099) that are captured; all by default.
            type: list
            elements: str
          exclude_ports:
            description: Destination ports and ranges that are not captured.
            type: list
            elements: str
          interfaces:
            description: Interfaces by which the traffic comes or goes; all by default.
            type: list
            elements: str
          exclude_interfaces:
            description: Interfaces whose traffic is not captured.
            type: list
            elements: str
          cidrs:
            description: Destination addresses and networks that are captured; all by default. Thousands are welcome.
            type: list
            elements: str
          exclude_cidrs:
            description: Destination addresses and networks that are not captured. Thousands are welcome.
            type: list
            elements: str
          exclude_sources:
            description: Source addresses and networks that are not captured.
            type: list
            elements: str
          destinations:
            description:
              - Whether traffic to this host (V(local)), through it (V(forwarded)) or both (V(all), the default) is
                captured.
            type: str
            choices: [all, local, forwarded]
          hairpin:
            description:
              - Whether what the proxy itself sends to an address of its host goes to the inbound port, so that an
                application is reached through its proxy also by the application beside it. For mode V(redirect), and
                only for a proxy that is known by uid. As in Istio's rules, port 15008 is left out, and with
                O(captures[].dns) port 53.
            type: bool
      outbound:
        description: What the programs of this host send, but for what stays on this host.
        type: dict
        suboptions:
          mode:
            description: As O(captures[].inbound.mode).
            type: str
            choices: [redirect, tproxy]
          port:
            description: The port of the proxy on this host. Needed, unless a preset has it.
            type: int
          protocols:
            description: What is captured; V(tcp) by default.
            type: list
            elements: str
            choices: [tcp, udp]
          ports:
            description: Destination ports and ranges such as V(8000-8099) that are captured; all by default.
            type: list
            elements: str
          exclude_ports:
            description: Destination ports and ranges that are not captured.
            type: list
            elements: str
          interfaces:
            description: Interfaces by which the traffic goes; all by default.
            type: list
            elements: str
          exclude_interfaces:
            description: Interfaces whose traffic is not captured.
            type: list
            elements: str
          cidrs:
            description: Destination addresses and networks that are captured; all by default.
            type: list
            elements: str
          exclude_cidrs:
            description: Destination addresses and networks that are not captured.
            type: list
            elements: str
      dns:
        description:
          - Questions of this host's programs to name servers, by UDP and TCP port 53, go to a port of this host. The
            proxy's own do not.
          - UDP has no connection, and the kernel remembers for some minutes where a pair of addresses and ports was
            sent; a program that keeps asking from the same port is captured when it has been silent for that long.
        type: dict
        suboptions:
          port:
            description: The port of the name server or proxy on this host. Needed.
            type: int
          servers:
            description:
              - The name servers whose questions are captured, also those on the loopback such as V(127.0.0.53);
                without it all but those on the loopback.
            type: list
            elements: str
      proxy:
        description:
          - What the proxy's own traffic is known by; any of it is enough. Needed for O(captures[].outbound) and
            O(captures[].dns), where the proxy would else get back without end what it sends itself.
        type: dict
        suboptions:
          uids:
            description: Users that the proxy runs as, by name or number.
            type: list
            elements: str
          gids:
            description: Groups that the proxy runs as, by name or number.
            type: list
            elements: str
          marks:
            description: Marks that the proxy gives its sockets (SO_MARK), such as V(0x53a) or V(0x1000/0xf000).
            type: list
            elements: str
          cgroups:
            description:
              - Control groups (version 2) that the proxy runs in, such as V(system.slice/envoy.service). They must be
                there when the rules are loaded; a service that starts again is in a new one, its slice stays. At boot
                the script of O(save) makes them.
              - C(nft) looks for them below C(/sys/fs/cgroup). Where version 2 is mounted elsewhere (a host with both
                versions), use O(backend=iptables).
            type: list
            elements: str
      allow_loop:
        description: Capture outbound traffic although nothing tells the proxy's own from it. V(false) by default.
        type: bool
      on_proxy_down:
        description:
          - What becomes of new connections while nobody listens at the proxy's port. V(drop) is the default; with
            mode V(redirect) they are refused.
          - V(bypass) lets them through unproxied. That is possible for O(captures[].inbound) with mode V(tproxy) and
            nftables only.
        type: str
        choices: [drop, bypass]
      mark:
        description:
          - The mark of packets that go to the proxy and the bits that count, with mode V(tproxy). V(0x539/0xfff) by
            default. The same bits of the connection's mark are used to know captured connections again, so the value
            must leave one of them clear.
        type: str
      table:
        description: The routing table that leads to this host, with mode V(tproxy). V(133) by default.
        type: int
      priority:
        description:
          - The priority of the rule that looks it up (C(ip-rule(8))), from 1 to 32765. V(133) by default.
          - A rule of somebody else that is asked before it is refused, unless it asks for another mark; what such a
            rule meets would pass by the proxy.
        type: int
      ssh_ports:
        description:
          - TCP ports of this host that inbound capture leaves alone, so that the host can still be logged in to.
            V([22]) by default. A capture that takes the very connection of the task is refused unless
            O(confirm_timeout) is set.
        type: list
        elements: str
  backend:
    description:
      - Who gets the rules. V(auto) is who has them already; else iptables-legacy where that has rules of others,
        since it owns the hooks; else nftables where kernel and C(nft) can do it; else iptables.
      - V(iptables) is the flavour that the host has, V(iptables_nft) and V(iptables_legacy) are one of them.
      - All give the same verdicts.
    type: str
    choices: [auto, nftables, iptables, iptables_nft, iptables_legacy]
    default: auto
  set_sysctls:
    description:
      - Set the settings of the kernel that are in the way of a capture, each as a step of the plan. Without it the task
        warns of them. What is set goes back to what it was with the last capture that needs it, unless somebody else
        has set it since. It stays set as long as it is needed, also when this option is off again.
      - C(net.bridge.bridge-nf-call-iptables) and C(net.bridge.bridge-nf-call-ip6tables) are set to 0 for inbound
        captures by V(tproxy) where there is a bridge.
      - C(src_valid_mark) is set to 0, with mode V(tproxy). The kernel would look for the way back of a packet with its
        mark, find this host, and drop it. wg-quick sets it.
      - C(rp_filter) of a link that O(captures[].inbound.interfaces) names, and by which no IPv4 route leads out, is set
        to 2, or to 0 where the link has no address. Such a link has a tunnel that a router sends clients' traffic by.
      - C(route_localnet) is set to 0 for inbound captures, unless they take forwarded traffic alone. With it, who is on
        the link reaches past the proxy what listens on 127.0.0.0/8.
      - With O(save) they are also in C(/etc/sysctl.d/90-hostcraft-tproxy.conf), which sets them at boot.
    type: bool
    default: false
  save:
    description:
      - A directory that gets a script for each capture, which loads it again after a reboot, as the role
        P(hostcraft.linux.transparent_proxy#role) does. Written with the same plan, and put back with it.
    type: path
"""
