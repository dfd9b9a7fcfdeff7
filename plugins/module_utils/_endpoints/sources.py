# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that drops IPv6 packets of endpoints whose source is not routed to them, as rp_filter does for IPv4.

One rule of nftables for all endpoints, since their links have a group of their own. Pure.
Private to the collection; not a public interface.
"""

from .._core.reconcile import Plan, Step
from .model import GROUP

TABLE = "ip6 hostcraft_endpoints"
COMMENT = "hostcraft.linux sources 1"
NAME = "IPv6 source filter"
# What has a link-local address as its source, or none yet (neighbour discovery), is not forwarded by any host.
TEXT = f"""table {TABLE} {{
    chain sources {{
        type filter hook prerouting priority -300; policy accept;
        iifgroup {GROUP} ip6 saddr != {{ ::, fe80::/10 }} fib saddr . iif oif missing counter drop comment "{COMMENT}"
    }}
}}
"""
NONE = f"add table {TABLE}\ndelete table {TABLE}\n"  # whether there is one or not


def replaced(listed):
    """Return the text that puts a table as it was listed in the place of what is there; an empty text: none."""
    return NONE + listed


def is_whole(listed):
    """Tell whether a table that was listed is the one above; the words for it vary with the version of nft."""
    lines = [line.strip() for line in listed.splitlines() if line.strip() not in ("", "}")]
    return (
        len(lines) == 4
        and lines[1] == "chain sources {"
        and lines[2].startswith("type filter hook prerouting")
        and "policy accept" in lines[2]
        and lines[3].startswith("iifgroup ")
        and " fib saddr . iif oif " in lines[3]
        and lines[3].endswith(f'drop comment "{COMMENT}"')
    )


def are_needed(wanted, state, others):
    """Tell whether there is an endpoint in the end; one that has only IPv4 can send IPv6, too.

    :param others: those that stay and are not declared.
    """
    return bool(wanted.endpoints or others) and "ipv6/conf/all/forwarding" in state.settings


def plan(wanted, state, others):
    """Return the plan that comes before endpoints are made, and the one that comes after they are removed."""
    nothing, listed = Plan({}, {}, ()), state.sources
    if not are_needed(wanted, state, others):
        if not listed:
            return nothing, nothing
        step = Step("remove", NAME, f"nftables table {TABLE}", ((["nft", NONE], [["nft", replaced(listed)]]),))
        return nothing, Plan({NAME: "there"}, {NAME: None}, (step,))
    if listed is None:
        said = (
            "IPv6 packets of endpoints are not checked for their source: it needs nft and a kernel with nft_fib_ipv6. "
            "Install nftables where endpoints are not trusted"
        )
        return nothing._replace(warnings=(said,)), nothing
    if is_whole(listed):
        return nothing, nothing
    verb, was = ("repair", "changed by somebody else") if listed else ("add", None)
    detail = "drops what comes from an endpoint with a source that is not its own"
    step = Step(verb, NAME, detail, ((["nft", replaced(TEXT)], [["nft", replaced(listed)]]),))
    return Plan({NAME: was}, {NAME: "there"}, (step,)), nothing
