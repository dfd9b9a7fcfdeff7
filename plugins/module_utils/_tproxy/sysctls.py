# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of the kernel by which captured traffic would get lost. Pure.

Private to the collection; not a public interface.
"""

# ip-sysctl.rst and nf_conntrack's br_netfilter: bridged frames that are seen by iptables and nft have their socket set
# before they are routed, and are dropped or passed on unproxied.
BRIDGE = {4: "net/bridge/bridge-nf-call-iptables", 6: "net/bridge/bridge-nf-call-ip6tables"}
RP_FILTER = "net/ipv4/conf/all/rp_filter"
ROUTE_LOCALNET = "net/ipv4/conf/all/route_localnet"
NAMES = (*BRIDGE.values(), RP_FILTER, ROUTE_LOCALNET, "net/ipv4/conf/lo/rp_filter")


def wrong(capture, found, bridges):
    """Return {name: (value, wanted, why)} of the settings that are in the way of a capture.

    :param found: {name: value as text} of those that the host has.
    :param bridges: whether the namespace has a bridge.
    """
    bad = {}
    inbound = capture.inbound
    if inbound and inbound.mode == "tproxy" and bridges:
        for family in capture.families:
            if found.get(BRIDGE[family]) == "1":
                why = "frames that are only bridged here are handed to the proxy half way, and lost"
                bad[BRIDGE[family]] = ("1", "0", why)
    return bad
