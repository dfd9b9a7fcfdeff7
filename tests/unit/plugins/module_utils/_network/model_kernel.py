# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel makes of ip(8)'s arguments, as far as plans depend on it: an oracle for plans.

It refuses what the kernel refuses: a VLAN without its parent, a port for a bond that is up, a second address of the
same kind. And it forgets what the kernel forgets: the routes and IPv6 addresses of a link that goes down.
The scenario in the virtual machine asks the real one.
"""

from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import ReconcileError
from ansible_collections.hostcraft.linux.plugins.module_utils._network import bridge_vlans, options, rules
from ansible_collections.hostcraft.linux.plugins.module_utils._network.model import Link, Route, Rule, State
from ansible_collections.hostcraft.linux.plugins.module_utils._network.topology import BLANK

PORT = {"cost": 100, "priority": 32, "hairpin": False}
DEFAULTS = {
    "bond": {"miimon": 0},
    "vlan": {"gvrp": False},
    "bridge": {"stp": False, "vlan_filtering": False, "vlan_default_pvid": 1},
}
ON_OR_OFF = ("reorder_hdr", "gvrp", "mvrp", "loose_binding", "hairpin")  # the other switches are 1 or 0


class Kernel:
    """Links by name; :meth:`ip` changes them."""

    def __init__(self, state):
        self.links = dict(state.links)
        self.owners = state.owners
        self.rules = list(state.rules)
        self.pinned = set(state.links)
        self.before_default = {}
        self.heeded = {name: link.ipv6 for name, link in state.links.items() if link.ipv6 in ("manual", "auto")}
        self.permanent = {name: f"52:54:00:00:00:{name[-1]:0>2}" for name in state.links}

    def state(self):
        """Return what is there now."""
        return rules.given_out(State(dict(self.links), self.owners, rules=tuple(self.rules)))

    def ip(self, argv):
        """Carry out one command; raises ``ReconcileError`` where the kernel refuses."""
        words = [one for one in argv if one != "-6"]
        getattr(self, f"_{words[0]}_{words[1]}")(words[2:])

    def carry_out(self, commands, may_fail=False):
        """Carry out commands; what has gone by itself need not be taken away, as in host.py."""
        for argv in commands:
            try:
                {"ip": self.ip, "bridge": self.bridge, "sysctl": self.sysctl}[argv[0]](argv[1:])
            except ReconcileError:
                if not (may_fail or ("del" in argv and argv[1] != "link")):
                    raise

    def bridge(self, argv):
        """Carry out ``bridge vlan add|del dev NAME vid FIRST-LAST [pvid] [untagged] [self]``."""
        name, (first, _dash, last) = argv[3], argv[5].partition("-")
        link = self.links.get(name)
        refuse(link is None, f"{name}: no such link")
        bridge = name if "self" in argv else link.master
        refuse(self.links.get(bridge, link).kind != "bridge", f"{name}: not a port of a bridge")
        port = bridge_vlans.whole(link.port, {})
        ids = set(range(int(first), int(last or first) + 1))
        old, pvid = {port["pvid"], *port["vids"]} - {0}, port["pvid"]
        if argv[1] == "del":
            found, pvid = old - ids, 0 if pvid in ids else pvid
        else:
            found, pvid = old | ids, min(ids) if "pvid" in argv else 0 if pvid in ids else pvid
        self._set(name, port=dict(link.port, pvid=pvid, vids=tuple(sorted(found - {pvid}))))

    def sysctl(self, argv):
        """Carry out ``sysctl -q -w net/ipv6/conf/NAME/KEY=VALUE``; who disables IPv6 loses its addresses."""
        name, (key, _equals, value) = argv[2].split("/")[3], argv[2].split("/")[4].partition("=")
        refuse(name not in self.links, f"{name}: no such link")
        link = self.links[name]
        if key == "accept_ra":
            self._set(name, ipv6="disabled" if link.ipv6 == "disabled" else "auto" if int(value) else "manual")
            self.heeded[name] = "auto" if int(value) else "manual"
        elif value == "0":
            self._set(name, ipv6=self.heeded.get(name, "auto") if link.ipv6 == "disabled" else link.ipv6)
        else:
            addresses = tuple(one for one in link.addresses if ":" not in one)
            routes = tuple(one for one in link.routes if ":" not in one.to)
            self._set(name, ipv6="disabled", addresses=addresses, routes=routes)

    def _rule_add(self, words):
        rule = read_rule(words)
        refuse(rule in self.rules, f"{words}: File exists")
        self.rules.append(rule)

    def _rule_del(self, words):
        rule = read_rule(words)
        refuse(rule not in self.rules, f"{words}: not there")
        self.rules.remove(rule)

    def _link_add(self, words):
        parent = words[words.index("link") + 1] if words[0] == "link" else None
        given, kind = pairs(words[words.index("name") : words.index("type")]), words[words.index("type") + 1]
        name = given["name"]
        refuse(name in self.links, f"{name}: exists")
        refuse(parent is not None and parent not in self.links, f"{name}: no parent {parent}")
        found = dict(BLANK[kind], **DEFAULTS[kind])
        found.update(self._options(kind, words[words.index("type") + 2 :]))
        if kind == "vlan":
            found["parent"] = parent
            same = [
                one for one in self._vlans(parent) if all(one.options[key] == found[key] for key in ("id", "protocol"))
            ]
            refuse(same, f"{name}: id is taken")
            refuse(int(given.get("mtu", 0)) > self.links[parent].mtu, f"{name}: above its parent")
        self.pinned.update([name] if "address" in given else [])
        mtu = int(given.get("mtu", self.links[parent].mtu if parent else 1500))
        self.links[name] = Link(name, kind, found, "", {}, mtu, given.get("address", "auto"), (), (), False)
        itself = bridge_vlans.of_new_port(found) if kind == "bridge" else {}
        self._set(name, port=itself, rules=(), dhcp4=False, ipv6="auto")

    def _link_del(self, words):
        name = words[0]
        refuse(name not in self.links, f"{name}: no such link")
        for one in self._vlans(name):
            self._link_del([one.name])
        for one in self._ports(name):
            self._release(one.name)
        del self.links[name]
        self.pinned.discard(name)

    def _link_set(self, words):
        name, *words = words
        refuse(name not in self.links, f"{name}: no such link")
        if words[0] == "type":
            self._change(name, words[1], words[2:])
        elif words[0] in ("up", "down"):
            self._switch(name, words[0] == "up")
        elif words[0] == "master":
            self._enslave(name, words[1])
        elif words[0] == "nomaster":
            self._release(name)
        elif words[0] == "mtu":
            self._resize(name, int(words[1]))
        else:
            self.pinned.add(name)
            self._set(name, mac=words[1])
            for one in self._ports(name) if self.links[name].kind == "bond" else ():
                self._set(one.name, mac=words[1])

    def _release(self, name):
        """A port that leaves a bond has its permanent MAC again."""
        link = self.links[name]
        mac = (
            self.permanent[name] if link.kind == "nic" and self.links[link.master or name].kind == "bond" else link.mac
        )
        self._set(name, master="", port={}, mac=mac)

    def _resize(self, name, mtu):
        link = self.links[name]
        refuse(link.kind == "vlan" and mtu > self.links[link.options["parent"]].mtu, f"{name}: above its parent")
        self._set(name, mtu=mtu)
        for one in self._vlans(name):
            self._set(one.name, mtu=min(one.mtu, mtu))
        for one in self._ports(name) if link.kind == "bond" else ():
            self._resize(one.name, mtu)

    def _change(self, name, kind, words):
        link = self.links[name]
        if kind == "bridge_slave":
            refuse(self.links.get(link.master, link).kind != "bridge", f"{name}: not a port of a bridge")
            return self._set(name, port=dict(link.port, **self._options(None, words)))
        for key, value in self._options(kind, words).items():
            option = options.KINDS[kind][key]
            changed = link.options.get(key) != value
            if key == "vlan_default_pvid":
                self.before_default[name] = link.options.get(key, 1)
            refuse(option.restart == "new" and changed, f"{name}: {key} is for ever")
            refuse(option.restart == "empty" and self._ports(name) and changed, f"{name}: {key} needs an empty bond")
            refuse(option.restart and link.up and changed, f"{name}: {key} needs the link down")
            link = self._set(name, options=dict(link.options, **{key: value}))
            if key == "vlan_default_pvid" and changed:
                self._change_default(name, value)
        return link

    def _change_default(self, bridge, new):
        """Who was in the default VLAN untagged is in the new one; where there was none, all are that lack it."""
        old = self.before_default.pop(bridge)
        for link in [self.links[bridge], *self._ports(bridge)]:
            ids = {link.port["pvid"], *link.port["vids"]} - {0}
            if (old and link.port["pvid"] != old) or new in ids:
                continue
            ids = (ids | {new}) - ({old} if old else set())
            self._set(link.name, port=dict(link.port, pvid=new, vids=tuple(sorted(ids - {new, 0}))))

    def _enslave(self, name, master):
        link = self.links[name]
        refuse(master not in self.links, f"{name}: no master {master}")
        refuse(self.links[master].kind == "bond" and link.up, f"{name}: up, and a bond takes only what is down")
        refuse(self.links[master].kind not in ("bond", "bridge"), f"{name}: {master} takes no ports")
        new = link.master != master
        if new:  # do_set_master(): out of the old one first
            self._release(name)
            link = self._set(name, master=master, port=self._fresh(master))
        if self.links[master].kind == "bond":
            # bond_enslave(): the bond has the MAC of its first port, the others get the bond's; and its MTU
            if new and len(self._ports(master)) == 1 and master not in self.pinned:
                self._set(master, mac=link.mac)
            self._set(name, mac=self.links[master].mac, mtu=self.links[master].mtu)

    def _fresh(self, master):
        link = self.links[master]
        return dict(PORT, **bridge_vlans.of_new_port(link.options)) if link.kind == "bridge" else {}

    def _switch(self, name, up):
        self._set(name, up=up)
        if not up:
            self._set(name, routes=(), addresses=tuple(one for one in self.links[name].addresses if ":" not in one))
        for one in self._vlans(name):
            if not one.options.get("loose_binding"):
                self._switch(one.name, up)

    def _addr_add(self, words):
        link = self.links.get(words[2])
        refuse(link is None or words[0] in link.addresses, f"{words}: exists, or no link")
        refuse(":" in words[0] and link.ipv6 == "disabled", f"{words}: IPv6 is disabled on this device")
        self._set(link.name, addresses=(*link.addresses, words[0]))

    def _addr_replace(self, words):
        if words[0] not in self.links[words[2]].addresses:
            self._addr_add(words)

    def _addr_del(self, words):
        link = self.links.get(words[2])
        refuse(link is None or words[0] not in link.addresses, f"{words}: not there")
        self._keep(link, [one for one in link.addresses if one != words[0]])

    def _addr_flush(self, words):
        refuse(words[1] not in self.links, f"{words}: no link")
        self._keep(self.links[words[1]], [])

    def _keep(self, link, addresses):
        """With its last IPv4 address a link loses its IPv4 routes."""
        alive = any(":" not in one for one in addresses)
        routes = tuple(one for one in link.routes if alive or ":" in one.to)
        self._set(link.name, addresses=tuple(addresses), routes=routes)

    def _route_replace(self, words):
        name, route = read_route(words)
        refuse(name not in self.links or not self.links[name].up, f"{words}: {name} is down")
        for link in list(self.links.values()):
            kept = [one for one in link.routes if one._replace(via=None) != route._replace(via=None)]
            self._set(link.name, routes=tuple(kept))
        self._set(name, routes=(*self.links[name].routes, route))

    def _route_del(self, words):
        name, route = read_route(words)
        refuse(name not in self.links or route not in self.links[name].routes, f"{words}: not there")
        self._set(name, routes=tuple(one for one in self.links[name].routes if one != route))

    def _set(self, name, **values):
        self.links[name] = self.links[name]._replace(**values)
        return self.links[name]

    def _ports(self, name):
        return [one for one in self.links.values() if one.master == name]

    def _vlans(self, name):
        return [one for one in list(self.links.values()) if one.kind == "vlan" and one.options["parent"] == name]

    def _options(self, kind, words):
        table = {one.word: one for one in (options.KINDS[kind] if kind else options.PORT).values()}
        joined = []
        for word in words:
            if ":" in word and joined[-1] not in table:
                joined[-1] += " " + word
            else:
                joined.append(word)
        given = pairs(joined)
        return {table[word].name: read_value(table[word], value) for word, value in given.items()}


def refuse(whether, why):
    """Refuse as the kernel does."""
    if whether:
        raise ReconcileError(why, stderr=why)


def pairs(words):
    """Return ``word value word value`` as a dict."""
    return dict(zip(words[::2], words[1::2]))


def read_value(option, text):
    """Return what an option's value on the command line means."""
    if option.type == "bool":
        return {"on": True, "off": False}[text] if option.word in ON_OR_OFF else {"1": True, "0": False}[text]
    if option.type == "dict":
        found = (tuple(int(one) for one in pair.split(":")) for pair in text.split())
        return tuple(pair for pair in found if pair[1])
    if option.type == "list":
        return tuple(text.split(","))
    return int(text) if option.type == "int" else text


def read_rule(words):
    """Return the rule of ``priority N from P [to P] [iif L] [fwmark M] table T``."""
    given = pairs(words)
    source = None if given["from"] in ("0.0.0.0/0", "::/0") else given["from"]
    family = 6 if ":" in f"{given['from']}{given.get('to', '')}" else 4
    numbers = int(given["priority"]), int(given["table"])
    return Rule(*numbers, family, source, given.get("to"), given.get("iif"), given.get("fwmark"))


def read_route(words):
    """Return link and route of ``TO [via V] dev NAME [metric M] [table T]``."""
    given = pairs(words[1:])
    numbers = {key: int(given[key]) if key in given else None for key in ("metric", "table")}
    return given["dev"], Route(words[0], given.get("via"), **numbers)
