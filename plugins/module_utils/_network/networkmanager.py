# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""NetworkManager, through nmcli(1): what it keeps of which link.

Private to the collection; not a public interface.
"""

import glob
import re
import time

from .._core import files
from .._core.command import run
from .._core.reconcile import ReconcileError
from . import keyfile, keyfile_ip
from .model import ACTIVATION, Profile

FIELDS = "UUID,DEVICE,ACTIVE,FILENAME"
# nm_device_get_route_metric_default() in src/core/devices/nm-device.c; one more for each further link of a kind,
# and 20000 more while the connectivity check fails.
METRICS = {"nic": 100, "bond": 300, "vlan": 400, "bridge": 425}
PENALTY, FURTHER = 20000, 25
PATIENCE = 3.0  # seconds in which NetworkManager begins to bring up by itself what it was given
PAUSE = 0.2  # seconds between two looks at the notes
NOTES = "/run/NetworkManager/devices"  # NetworkManager's own, one for each link by its index


def managed():
    """Return whether NetworkManager keeps each link, ``{name: bool}``; None where it does not run."""
    try:
        table = run(["nmcli", "-t", "-f", "DEVICE,STATE", "device"])  # fails where it does not run
    except ReconcileError:
        return None
    return {name: state != "unmanaged" for name, state in map(fields, table.splitlines())}


def profiles():
    """Return ``{name: Profile}`` of the links that have one on disk; an active one goes before others.

    :raises ReconcileError: a profile of a link is kept in a format that this module does not write.
    """
    found = {}
    for line in run(["nmcli", "-t", "-f", FIELDS, "connection", "show"]).splitlines():
        uuid, device, active, path = fields(line)
        if not path.startswith("/etc/"):
            continue  # made by NetworkManager itself, for what it found configured
        text = files.read(path) or ""
        name = device or keyfile.parse(text).get("connection", {}).get("interface-name", "")
        if not path.endswith(".nmconnection"):
            if name:
                found.setdefault(name, Profile(uuid, path, text, active == "yes"))
            continue
        if name and (active == "yes" or name not in found):
            found[name] = Profile(uuid, path, text, active == "yes")
    return found


def activate(one, known):
    """Wait until a profile that was loaded is active; bring it up where NetworkManager does not by itself.

    To bring up what is coming up already would make it begin anew.

    :param one: :class:`model.Activate`.
    :param known: set of profiles that were seen active since they were loaded; it is filled.
    :raises ReconcileError: it does not come up.
    """
    begin_until = time.monotonic() + PATIENCE
    end_until = time.monotonic() + ACTIVATION
    while one.uuid not in known:
        if _are_noted(set(one.coming) - known):
            known.update(one.coming)
            return
        table = run(["nmcli", "-t", "-f", "UUID,STATE", "connection", "show", "--active"])
        states = dict(fields(line) for line in table.splitlines())
        known.update(uuid for uuid, state in states.items() if state == "activated")
        if time.monotonic() > (end_until if one.uuid in states else begin_until):
            run(one.argv, timeout=ACTIVATION + PATIENCE)
            return


def _are_noted(uuids):
    """Wait until NetworkManager has noted of all these profiles that a link runs on them; tell whether it did in time.

    A question by nmcli(1) takes half a second of a slow machine, in which NetworkManager activates nothing; to look at
    its notes takes none. They are no documented interface: what is not noted is asked for, and what is noted is found
    by the observation that follows, or was not true.
    """
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        time.sleep(PAUSE)
        if uuids <= set(_noted()):
            return True
    return False


def _noted():
    """Yield the profiles that links were activated with (nm_config_device_state_write() in src/core/nm-config.c)."""
    for path in glob.glob("/sys/class/net/*/ifindex"):
        index = (files.read(path) or "").strip()
        for line in (files.read(f"{NOTES}/{index}") or "").splitlines():
            key, _equals, value = line.partition("=")
            if key == "connection-uuid":
                yield value


def kept(links, rules, found):
    """Return links as profiles keep them: with what only these tell, as far as the kernel has it.

    :param rules: the rules that the kernel has; one that a profile has and the kernel lacks is not there.
    """
    profiles = {name: keyfile.parse(found[name].text) if name in found else {} for name in links}
    links = {name: plain_routes(link, profiles[name]) for name, link in links.items()}
    for name in found:
        if name in links:
            said = keyfile_ip.read(profiles[name])
            said["rules"] = tuple(one for one in said["rules"] if one in rules)
            links[name] = links[name]._replace(**said)
    return links


def refuse_others(names, found):
    """Refuse profiles in the old format of initscripts (NetworkManager.conf(5), ifcfg-rh)."""
    for name in names:
        if name in found and not found[name].path.endswith(".nmconnection"):
            raise ReconcileError(
                f"'{name}': NetworkManager keeps it in {found[name].path}, which this module does not edit; "
                f"turn it into a keyfile with: nmcli connection migrate {found[name].uuid}; or take it from "
                "NetworkManager with NM_CONTROLLED=no in that file, where the initscripts are installed"
            )


def plain_routes(link, sections):
    """Return the link with its routes as its profile has them: without the metric that NetworkManager gives by itself.

    :param sections: the profile; a metric that it states for a route is that route's own, also where NetworkManager
        might have given the same.
    """
    stated, usual = keyfile_ip.metrics(sections)
    return link._replace(routes=tuple(_plain(one, METRICS[link.kind], stated, usual) for one in link.routes))


def _plain(route, base, stated, usual):
    if route.metric is None:
        return route._replace(metric=route.usual_metric) if (route.to, route.usual_metric) in stated else route
    if (route.to, route.metric) in stated:
        return route
    if (route.to, route.metric - PENALTY) in stated:
        return route._replace(metric=route.metric - PENALTY)
    given = route.metric % PENALTY
    version = 6 if ":" in route.to else 4
    by_itself = given == usual[version] if version in usual else 0 <= given - base < FURTHER
    return route._replace(metric=None) if by_itself else route


def fields(line):
    """Split a line of ``nmcli --terse``; colons in a field have a backslash before them."""
    return [re.sub(r"\\(.)", r"\1", one) for one in re.split(r"(?<!\\):", line)]
