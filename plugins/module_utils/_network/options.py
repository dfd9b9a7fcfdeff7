# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of bonds, VLANs, bridges and bridge ports, as data: what users write and what iproute2 calls it.

Values are kept as the kernel has them: integers, words, and times of bridges in hundredths of a second.
Private to the collection; not a public interface.
"""

from typing import NamedTuple, Optional, Tuple

from .._core.reconcile import ReconcileError

MODES = ("balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb")


class Option(NamedTuple):
    """One option.

    ``word`` is its name for ``ip link set ... type KIND`` and ``shown`` its key in ``ip -json -details``;
    ``modes`` are the bond modes that take it, empty for all. ``restart`` says that the kernel changes it
    only while the link is down (``down``) or has no ports (``empty``), linux/drivers/net/bonding/bond_options.c.
    """

    name: str
    type: str
    choices: Tuple[str, ...] = ()
    word: Optional[str] = None
    shown: Optional[str] = None
    modes: Tuple[str, ...] = ()
    restart: str = ""
    scale: int = 1


def _table(*options):
    return {
        one.name: one._replace(word=one.word or one.name, shown=one.shown or one.word or one.name) for one in options
    }


LOAD = ("balance-tlb", "balance-alb")
LACP = ("802.3ad",)
PRIMARY = ("active-backup", *LOAD)
ARP = ("balance-rr", "active-backup", "balance-xor", "broadcast")
VALIDATE = ("none", "active", "backup", "all", "filter", "filter_active", "filter_backup")
HASH = ("layer2", "layer3+4", "layer2+3", "encap2+3", "encap3+4", "vlan+srcmac")

BOND = _table(
    Option("mode", "str", MODES, restart="empty"),
    Option("miimon", "int"),
    Option("updelay", "int"),
    Option("downdelay", "int"),
    Option("arp_interval", "int", modes=ARP),
    Option("arp_ip_target", "list", modes=ARP),
    Option("arp_validate", "str", VALIDATE, modes=ARP),
    Option("arp_all_targets", "str", ("any", "all"), modes=ARP),
    Option("lacp_rate", "str", ("slow", "fast"), shown="ad_lacp_rate", modes=LACP, restart="down"),
    Option("ad_select", "str", ("stable", "bandwidth", "count"), modes=LACP, restart="down"),
    Option("ad_actor_sys_prio", "int", modes=LACP, restart="down"),
    Option("ad_user_port_key", "int", modes=LACP, restart="down"),
    Option("min_links", "int", modes=LACP),
    Option("xmit_hash_policy", "str", HASH, modes=("balance-xor", "802.3ad", *LOAD)),
    Option("primary", "str", modes=PRIMARY),
    Option("primary_reselect", "str", ("always", "better", "failure"), modes=PRIMARY),
    Option("fail_over_mac", "str", ("none", "active", "follow"), modes=("active-backup",), restart="empty"),
    Option("num_grat_arp", "int", shown="num_peer_notif", modes=("active-backup",)),
    Option("resend_igmp", "int"),
    Option("packets_per_slave", "int", modes=("balance-rr",)),
    Option("tlb_dynamic_lb", "bool", modes=LOAD, restart="down"),
    Option("lp_interval", "int", modes=LOAD),
    Option("all_slaves_active", "bool", modes=("active-backup", *LOAD)),
)

# Times are seconds for users and USER_HZ, hundredths, for iproute2 (ip-link(8)).
BRIDGE = _table(
    Option("stp", "bool", word="stp_state"),
    Option("forward_delay", "int", scale=100),
    Option("hello_time", "int", scale=100),
    Option("max_age", "int", scale=100),
    Option("ageing_time", "int", scale=100),
    Option("priority", "int"),
    # Before vlan_filtering: sysfs lets it be changed only while that is off.
    Option("vlan_default_pvid", "int"),
    Option("vlan_filtering", "bool"),
    Option("multicast_snooping", "bool", word="mcast_snooping"),
)

VLAN = _table(
    Option("protocol", "str", ("802.1Q", "802.1ad"), restart="new"),
    Option("id", "int", restart="new"),
    Option("parent", "str", restart="new"),
    Option("reorder_headers", "bool", word="reorder_hdr", shown="REORDER_HDR"),
    Option("gvrp", "bool", shown="GVRP"),
    Option("mvrp", "bool", shown="MVRP"),
    Option("loose_binding", "bool", shown="LOOSE_BINDING"),
    Option("ingress_qos_map", "dict", word="ingress-qos-map", shown="ingress_qos"),
    Option("egress_qos_map", "dict", word="egress-qos-map", shown="egress_qos"),
)

PORT = _table(
    Option("cost", "int"),
    Option("priority", "int"),
    Option("hairpin", "bool", word="hairpin"),
)

KINDS = {"bond": BOND, "vlan": VLAN, "bridge": BRIDGE, "nic": {}}


def argument_spec(table):
    """Return the argument specification of a table's options."""
    # no_log: a port key of LACP is no secret, though Ansible takes every key for one.
    return {
        one.name: dict(type=one.type, **_elements(one), **({"no_log": False} if "key" in one.name else {}))
        for one in table.values()
    }


def _elements(option):
    if option.type == "list":
        return {"elements": "str"}
    return {"choices": list(option.choices)} if option.choices else {}


def given(table, entry):
    """Return the options of an entry that are set, in the kernel's terms."""
    found = {}
    for name, option in table.items():
        value = entry.get(name)
        if value is None:
            continue
        if option.type == "dict":
            value = tuple(sorted((int(key), int(to)) for key, to in value.items()))
        elif option.type == "list":
            value = tuple(value)
        elif option.type == "int":
            value *= option.scale
        found[name] = value
    return found


def meant(link):
    """Return the options of a link that mean something: those of a bond's mode, and none that are empty."""
    mode = link.options.get("mode")
    table = KINDS[link.kind]
    idle = () if link.options.get("arp_interval") else ("arp_validate", "arp_all_targets")
    return {
        name: value
        for name, value in link.options.items()
        if value not in (None, (), "") and name not in idle and (not table[name].modes or mode in table[name].modes)
    }


def has_own_mac(given):
    """Tell whether a bond with these options has a MAC to be set; one that has its active port's ignores it.

    Source: linux/Documentation/networking/bonding.rst, fail_over_mac.
    """
    return given.get("fail_over_mac") != "active"


def check_bond(name, have, want):
    """Refuse bond options that the mode does not take, or that exclude each other.

    :param have: the options as they are, ``want``: those that are declared.
    :raises ReconcileError: names the bond, the option, and the modes that take it.
    Source: linux/Documentation/networking/bonding.rst.
    """
    mode = want.get("mode", have.get("mode", "balance-rr"))
    for key in sorted(want):
        modes = BOND[key].modes
        if modes and mode not in modes:
            raise ReconcileError(f"bond '{name}': {key} has no meaning in mode {mode}, only in {', '.join(modes)}")
    merged = dict(have, **want)
    if merged.get("arp_interval") and merged.get("miimon"):
        raise ReconcileError(
            f"bond '{name}': arp_interval {merged['arp_interval']} and miimon {merged['miimon']} exclude each other; "
            "set one of them to 0"
        )
    if want.get("arp_interval") and not merged.get("arp_ip_target"):
        raise ReconcileError(f"bond '{name}': arp_interval needs addresses to ask for; give arp_ip_target")
    for key in ("updelay", "downdelay"):
        if want.get(key) and (not merged.get("miimon") or want[key] % merged["miimon"]):
            raise ReconcileError(
                f"bond '{name}': {key} {want[key]} must be a multiple of miimon, which is {merged.get('miimon', 0)}"
            )
