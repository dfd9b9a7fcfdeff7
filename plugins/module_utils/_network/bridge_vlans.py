# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The VLANs of the ports of a bridge that filters them, bridge(8): ``pvid`` untagged, ``vids`` tagged. Pure.

They are kept among the options of a port, ``vids`` as a sorted tuple of numbers. Those of the bridge itself are kept
the same way. Private to the collection; not a public interface.
"""

from .._core.reconcile import ReconcileError

LAST = 4094
NAMES = ("pvid", "vids")


def given(where, entry):
    """Return what an entry declares, numbers and ranges as numbers.

    :raises ReconcileError: what is given is no VLAN id and no range of them.
    """
    found = {}
    if entry.get("pvid") is not None:
        if not 0 <= entry["pvid"] <= LAST:
            raise ReconcileError(
                f"{where}: pvid {entry['pvid']} is none; they go from 1 to {LAST}, and 0 is none at all"
            )
        found["pvid"] = entry["pvid"]
    if entry.get("vids") is not None:
        ids = {number for text in entry["vids"] for number in _range(where, str(text))}
        found["vids"] = tuple(sorted(ids))
    return found


def _range(where, text):
    first, _dash, last = text.partition("-")
    try:
        numbers = range(int(first), int(last or first) + 1)
    except ValueError:
        numbers = range(0)
    if not numbers or numbers[0] < 1 or numbers[-1] > LAST:
        raise ReconcileError(f"{where}: vids has '{text}'; write an id from 1 to {LAST}, or two as in 200-210")
    return numbers


def shown(vids):
    """Return ids as a list of numbers and ranges."""
    return [first if first == last else f"{first}-{last}" for first, last in spans(vids)]


def spans(vids):
    """Return sorted ids as pairs of the first and last of each unbroken row."""
    found = []
    for one in vids:
        if found and found[-1][1] == one - 1:
            found[-1][1] = one
        else:
            found.append([one, one])
    return [tuple(one) for one in found]


def read(entries):
    """Return ``{name: {"pvid": int, "vids": tuple}}`` of what ``bridge -json vlan show`` printed."""
    found = {}
    for entry in entries:
        pvid, vids = 0, set()
        for one in entry.get("vlans", ()):
            if "PVID" in one.get("flags", ()):
                pvid = one["vlan"]
            else:
                vids.update(range(one["vlan"], one.get("vlanEnd", one["vlan"]) + 1))
        found[entry.get("ifname")] = {"pvid": pvid, "vids": tuple(sorted(vids))}
    return found


def written(port):
    """Return VLANs as a profile of NetworkManager has them (nm-settings-keyfile(5), bridge-port.vlans)."""
    words = [f"{port['pvid']} pvid untagged"] if port["pvid"] else []
    return ",".join([*words, *map(str, shown(port["vids"]))])


def parsed(text):
    """Return the VLANs that such a text says."""
    found = {"pvid": 0, "vids": ()}
    for one in filter(None, text.split(",")):
        first, *flags = one.split()
        low, _dash, high = first.partition("-")
        if "pvid" in flags:
            found["pvid"] = int(low)
        else:
            found["vids"] = tuple(sorted({*found["vids"], *range(int(low), int(high or low) + 1)}))
    return found


def of_new_port(options):
    """Return the VLANs that a bridge with these options gives a port, and itself (br_vlan_add_default)."""
    return {"pvid": options.get("vlan_default_pvid", 1), "vids": ()}


def given_any(port):
    """Tell whether VLANs are among the options of a port."""
    return any(name in port for name in NAMES)


def after_default(port, old, new):
    """Return the VLANs of a port once its bridge has another default one (__br_vlan_set_default_pvid, br_vlan.c)."""
    pvid, vids = port["pvid"], port["vids"]
    if old == new or (old and pvid != old) or new in (pvid, *vids):
        return {"pvid": pvid, "vids": vids}
    # Where there was none the port's own becomes one of the others.
    kept = {pvid} if pvid and not old and new else set()
    return {"pvid": new if new or old else pvid, "vids": tuple(sorted(kept.union(vids)))}


def whole(want, have):
    """Return what is wanted over what is there."""
    pvid = want.get("pvid", have.get("pvid", 0))
    vids = want.get("vids", have.get("vids", ()))
    return {"pvid": pvid, "vids": tuple(one for one in vids if one != pvid)}


def commands(name, want, have, itself=False):
    """Return the commands that bring a port from what it has to what is wanted; what is not given stays.

    :param itself: it is the bridge.
    """
    if not given_any(want):
        return []
    old, new = whole(have, {}), whole(want, have)
    found = []
    if new["pvid"] and new["pvid"] != old["pvid"]:
        found.append(_command("add", name, (new["pvid"], new["pvid"]), ["pvid", "untagged"], itself))
    fresh = [one for one in new["vids"] if one not in old["vids"] and one != new["pvid"]]
    found += [_command("add", name, span, [], itself) for span in spans(fresh)]
    kept = {new["pvid"], *new["vids"]}
    gone = [one for one in sorted({old["pvid"], *old["vids"]} - {0}) if one not in kept]
    return found + [_command("del", name, span, [], itself) for span in spans(gone)]


def again(name, want, itself=False):
    """Return the commands that give a port these VLANs whatever it has, each with whether it may fail."""
    if not given_any(want):
        return []
    everything = [(_command("del", name, (1, LAST), [], itself), True)]
    return everything + [(argv, False) for argv in commands(name, want, {}, itself)]


def _command(verb, name, span, flags, itself):
    text = str(span[0]) if span[0] == span[1] else f"{span[0]}-{span[1]}"
    return ["bridge", "vlan", verb, "dev", name, "vid", text, *flags, *(["self"] if itself else [])]
