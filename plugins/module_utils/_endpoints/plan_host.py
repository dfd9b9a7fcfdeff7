# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What endpoints need of the rest of the host: forwarding, and links that answer for addresses. Pure.

Private to the collection; not a public interface.
"""

from .._core.reconcile import Plan, ReconcileError, Step
from .model import MAIN

ALL6 = "ipv6/conf/all/forwarding"


def uplinks(wanted, state):
    """Return the links that IPv4 traffic of endpoints comes back by: those of default routes, and of proxies."""
    found = {one.interface for one in wanted.proxies if any(":" not in address for address in one.addresses)}
    if any(one.family(4) for one in wanted.endpoints):
        found.update(
            one.dev for one in state.every_route() if one.to == "0.0.0.0/0" and one.table == MAIN and one.kind == 1
        )
    return sorted(one for one in found if one in state.links and not state.links[one].is_ours)


def forwarding(wanted, state):
    """Return the plan that switches on what forwarding is missing.

    IPv6 forwards for the whole host or not at all, and a host that does no longer heeds routers, unless it is told to
    (accept_ra 2): it would lose its own default route (ip-sysctl.rst).

    :raises ReconcileError: something is off, and is only to be looked at.
    """
    off = [(f"ipv4/conf/{link}/forwarding", "0", "1") for link in uplinks(wanted, state)]
    off = [one for one in off if state.settings.get(one[0]) == "0"]
    six = any(one.family(6) for one in wanted.endpoints) or any(
        ":" in a for one in wanted.proxies for a in one.addresses
    )
    if six and state.settings.get(ALL6) == "0":
        heeding = [link for link in sorted(state.links) if _heeds(link, state)]
        off += [(f"ipv6/conf/{link}/accept_ra", "1", "2") for link in heeding] + [(ALL6, "0", "1")]
    if not off or wanted.forwarding == "ignore":
        return Plan({}, {}, ())
    shown = ", ".join("net.{} {} -> {}".format(path.replace("/", "."), old, new) for path, old, new in off)
    if wanted.forwarding == "check":
        raise ReconcileError(
            f"This host does not forward ({shown} is needed), so nothing from outside would come back to the "
            "endpoints, and links would not answer for others. Set forwarding to set, best with confirm_timeout; or to "
            "ignore where endpoints are to reach only the host"
        )
    operations = [(["sysctl", None, path, new], [["sysctl", None, path, old]]) for path, old, new in off]
    if off[-1][0] == ALL6:
        # Switched off for all, it is off for those that had it on their own, too.
        ones = sorted(path for path, value in state.settings.items() if _is_one(path) and value == "1")
        operations[-1][1].extend(["sysctl", None, path, "1"] for path in ones)
    before, after = ({path: side for path, *sides in off for side in sides[index : index + 1]} for index in (0, 1))
    return Plan({"forwarding": before}, {"forwarding": after}, (Step("set", "forwarding", shown, tuple(operations)),))


def proxies(wanted, state):
    """Return the plan for the addresses that links answer for."""
    whole = Plan({}, {}, ())
    for proxy in wanted.proxies:
        have = state.proxied.get(proxy.interface, ())
        more = tuple(one for one in proxy.addresses if one not in have)
        on = any(":" in one for one in proxy.addresses)
        whole = whole.then(_answers("add", proxy.interface, more, (have, (*have, *more)), state, ndp=on))
    for proxy in wanted.unproxied:
        have = state.proxied.get(proxy.interface, ())
        less = tuple(one for one in proxy.addresses if one in have)
        left = tuple(one for one in have if one not in less)
        off = any(":" in one for one in less) and not any(":" in one for one in left)
        whole = whole.then(_answers("remove", proxy.interface, less, (have, left), state, ndp=off))
    return whole


def _answers(verb, link, changed, sides, state, *, ndp):
    """Return the plan that adds or removes addresses; with ``ndp`` the sysctl that IPv6 needs follows."""
    do, back, old, new = ("add", "del", "0", "1") if verb == "add" else ("del", "add", "1", "0")
    setting = f"ipv6/conf/{link}/proxy_ndp"
    ndp = ndp and state.settings.get(setting) == old
    operations = [(["proxy", do, link, one], [["proxy", back, link, one]]) for one in changed]
    operations += [(["sysctl", None, setting, new], [["sysctl", None, setting, old]])] if ndp else []
    if not operations:
        return Plan({}, {}, ())
    some = ", ".join(changed[:5]) + (f" and {len(changed) - 5} more" if len(changed) > 5 else "")
    words = ([f"answers for {some}"] if changed else []) + ([f"proxy_ndp {old} -> {new}"] if ndp else [])
    name = f"proxies of {link}"
    before, after = (
        dict({"addresses": sorted(side)}, **({"proxy_ndp": value} if ndp else {}))
        for side, value in zip(sides, (old, new))
    )
    return Plan({name: before}, {name: after}, (Step(verb, name, ", ".join(words), tuple(operations)),))


def _heeds(link, state):
    one = state.links[link]
    return state.settings.get(f"ipv6/conf/{link}/accept_ra") == "1" and not (one.is_ours or one.loopback)


def _is_one(path):
    return path.startswith("ipv6/conf/") and path.endswith("/forwarding") and path != ALL6
