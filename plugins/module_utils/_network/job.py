# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to change: the links as they are to be, as they are declared and as they are. Pure.

Private to the collection; not a public interface.
"""

from typing import NamedTuple, Tuple

from . import bridge_vlans, options, rules, topology
from .model import SETTINGS, Link, Rule

PLAIN = ("mtu", "mac")
NOTHING = Link("", "nic")


class Job(NamedTuple):
    """What a plan is made of: the links as they are to be, what is declared of them, and the links as they are.

    What is not declared is not compared: the kernel changes it with the rest, as the MAC of a port with its bond's.
    """

    links: dict
    declared: dict
    have: dict
    rules: Tuple[Rule, ...] = ()

    def without(self, names):
        """Return the job that is left once these links are removed; they keep their mtu where the parent allows."""
        links = dict(self.links)
        for name in set(names).intersection(links):
            parent = links[name].options["parent"]
            most = links[parent].mtu or (self.have[parent].mtu if parent in self.have else 0)
            kept = self.have[name].mtu if self.have[name].mtu <= most else None
            links[name] = links[name]._replace(mtu=links[name].mtu or kept)
        have = {name: link for name, link in self.have.items() if name not in names}
        return self._replace(links=links, have=have)

    def changed(self, name):
        """Return the options of a link that are declared and differ; of a new one, all."""
        have, want = self.have.get(name), self.declared.get(name, NOTHING)
        if have is None:
            return self.links[name].options
        untold = [key for key, value in have.options.items() if value is None]
        return {
            key: value for key, value in want.options.items() if have.options.get(key) != value and key not in untold
        }

    def plain(self, name):
        """Return which of mtu and mac are declared and differ, of a link that is there."""
        have, want = self.have[name], self.declared.get(name, NOTHING)
        return [key for key in PLAIN if getattr(want, key) not in (None, getattr(have, key))]

    def port(self, name):
        """Return the options of a bridge's port that are declared and differ."""
        known = self.port_known(name)
        want = dict(self.declared.get(name, NOTHING).port)
        vlans = bridge_vlans.whole(want, known)
        want.update({key: vlans[key] for key in bridge_vlans.NAMES if key in want})
        return {key: value for key, value in want.items() if known.get(key) != value}

    def port_known(self, name):
        """Return the options that a port has once it is in its bridge, before any is set."""
        have, link = self.have.get(name, NOTHING), self.links[name]
        bridge = name if link.kind == "bridge" else link.master
        new = bridge_vlans.of_new_port(self.links[bridge].options) if bridge in self.links else {}
        if name not in self.have or have.master != link.master:
            return new
        if not bridge_vlans.given_any(have.port) or bridge not in self.have:
            return have.port
        old = self.have[bridge].options.get("vlan_default_pvid", 1)
        return dict(have.port, **bridge_vlans.after_default(have.port, old, new["pvid"]))

    def settings(self, name):
        """Return what is declared of name servers and of ways to get addresses, and differs."""
        have, want = self.have.get(name, NOTHING), self.declared.get(name, NOTHING)
        given = {key: getattr(want, key) for key in SETTINGS if getattr(want, key) is not None}
        # Of a new link, and where nobody can tell, no name servers and no DHCP is what there is.
        blank = {"dns": (), "dns_search": (), "dhcp4": False}
        return {
            key: value
            for key, value in given.items()
            if value != (blank.get(key) if getattr(have, key) is None else getattr(have, key))
        }

    def differs(self, name):
        """Tell whether a link has to change at all."""
        have, link = self.have.get(name), self.links[name]
        if have is None:
            return True
        return (
            bool(self.changed(name) or self.plain(name) or self.port(name) or self.settings(name))
            or set(link.rules or ()) != set(have.rules or ())
            or (link.master, link.up) != (have.master, have.up)
            or set(link.addresses) != set(have.addresses)
            or set(link.routes) != set(have.routes)
        )


def job_of(wanted, state):
    """Return the :class:`Job` that makes ``state`` what is ``wanted``.

    :raises ReconcileError: the declaration cannot be met on this host.
    """
    if state.backend != "networkmanager":  # which gives a route that is given none a metric of its own
        wanted = wanted._replace(links={name: _plain(link) for name, link in wanted.links.items()})
    state = rules.claimed(state, {name: link.rules for name, link in wanted.links.items()})
    return Job(topology.target(wanted, state), wanted.links, state.links, state.rules)


def _plain(link):
    return link._replace(routes=link.routes and tuple(dict.fromkeys(one.plain for one in link.routes)))


def anew(job):
    """Return the names of the VLANs that the kernel can only make anew, and of those on them."""
    found = set()
    for name in topology.order(job.links):
        link = job.links[name]
        new = any(options.KINDS[link.kind][key].restart == "new" for key in job.changed(name))
        if name in job.have and (new or (link.kind == "vlan" and link.options["parent"] in found)):
            found.add(name)
    return found


def in_the_way(gone, again, job):
    """Return which of these VLANs have to go first: the kernel knows an id of a parent once, and VLANs go with it."""
    taken = {_identity(link): name for name, link in job.links.items() if name not in job.have or name in again}
    parents = {job.have[name].options["parent"] for name in again}
    vlans = [name for name in (*gone, *again) if job.have[name].kind == "vlan"]
    conflicts = {name for name in vlans if taken.get(_identity(job.have[name]), name) != name}
    return conflicts | {name for name in again if name in parents or job.have[name].options["parent"] in again}


def _identity(link):
    return tuple(link.options.get(key) for key in ("parent", "id", "protocol"))
