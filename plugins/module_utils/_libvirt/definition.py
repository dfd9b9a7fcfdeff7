# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Definitions of domains: what a declared one says that the existing one does not.

libvirt completes what it is given (addresses, controllers, defaults), so the two are not compared as texts. A
declared definition is met when all that it says is found in the existing one, and the existing one has nothing
that only a declaration can have brought there. Source: https://libvirt.org/formatdomain.html.

Private to the collection; not a public interface.
"""

import re
from xml.etree import ElementTree

from .._core.reconcile import ReconcileError

UNITS = {"b": 1, "bytes": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12, "k": 2**10, "kib": 2**10}
UNITS.update({"m": 2**20, "mib": 2**20, "g": 2**30, "gib": 2**30, "t": 2**40, "tib": 2**40})
AMOUNTS = ("memory", "currentMemory", "hard_limit", "soft_limit", "swap_hard_limit", "maxMemory", "size", "target")
# What libvirt itself adds, so that its presence says nothing.
GENERATED_DEVICES = ("controller", "emulator", "memballoon", "audio", "panic", "video")
GENERATED_PARTS = (
    "acpi", "address", "alias", "audio", "backend", "backingStore", "driver", "image", "listen", "log", "mac", "model",
    "protocol", "source", "target",
)  # fmt: skip
GENERATED_TOP = ("cpu", "currentMemory", "features", "id", "metadata", "name", "os", "resource", "seclabel", "uuid")
# Defaults that libvirt writes out: not declaring them is declaring these.
DEFAULTS = {
    "vcpu": ("", "1"), "clock": ("offset", "utc"), "on_poweroff": ("", "destroy"), "on_reboot": ("", "restart"),
    "on_crash": ("", "destroy"), "pm": None,
}  # fmt: skip
MACHINES = {"q35": "pc-q35-", "pc": "pc-i440fx-", "virt": "virt-"}
# What libvirt works out anew at each start, or changes while the guest runs.
STARTED_OTHERWISE = ("cpu", "currentMemory", "seclabel", "metadata")
UNLIKE = 9
SECRET = ("passwd", "passphrase", "secret")


def parse(text, name=None):
    """Return the root element of a definition.

    :raises ReconcileError: it is not XML, not that of a domain, or that of another one than ``name``.
    """
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 libvirt's own output, or the user's own declaration
    except ElementTree.ParseError as error:
        raise ReconcileError(
            "xml{}: not well-formed, {}".format(f" of {name}" if name else "", error),
        ) from error
    if root.tag != "domain" or not (root.findtext("name") or "").strip():
        raise ReconcileError(f"xml: this is a <{root.tag}>; a <domain> with a <name> is needed")
    own = root.findtext("name").strip()
    if name is not None and own != name:
        raise ReconcileError(f"xml: it defines the domain {own}, not {name}. Make 'name' and <name> the same")
    return root


def name_of(text):
    """Return the name that a definition gives its domain."""
    return parse(text).findtext("name").strip()


def uuid_of(text):
    """Return the UUID that a definition declares, None for none."""
    uuid = parse(text).findtext("uuid")
    return uuid.strip().lower() if uuid else None


def has_agent(text):
    """Tell whether a definition has a channel to the QEMU guest agent."""
    names = [one.get("name") for one in parse(text).findall("devices/channel/target")]
    return "org.qemu.guest_agent.0" in names


def has(text, path):
    """Tell whether a definition has an element at ``path`` (as of ElementTree)."""
    return parse(text).find(path) is not None


def tags(text, uri):
    """Return the tags in the metadata of a definition, in the element ``tags`` of the namespace ``uri``."""
    return tuple(_text(one) for one in parse(text).findall(f"metadata/{{{uri}}}tags/*"))


def disks(text):
    """Return ``{target name: path}`` of the disks of a definition that are files or block devices."""
    found = {}
    for disk in parse(text).findall("devices/disk"):
        source, target = disk.find("source"), disk.find("target")
        path = None if source is None else source.get("file") or source.get("dev")
        if path and target is not None:
            found[target.get("dev")] = path
    return found


def differences(declared, existing):
    """Return ``{path: (existing, declared)}`` of what differs; None stands for what is not there.

    :param declared: the XML that is wanted.
    :param existing: the XML that libvirt has.
    """
    found = {}
    _compare(parse(declared), parse(existing), "", found)
    return found


def restart_required(inactive, live):
    """Return the paths at which what runs differs from its definition, so that only a restart can bring it there."""
    found = differences(inactive, live)
    return sorted(path for path in found if re.split("[/@]", path)[0] not in STARTED_OTHERWISE)


def merged(declared, existing):
    """Return the declared XML with what the existing definition has and the declaration leaves to libvirt.

    That is the UUID, the metadata, MAC addresses, and the addresses of devices: a guest would take a network
    card with another address for a new one.
    """
    new, old = parse(declared), parse(existing)
    for tag in ("uuid", "metadata"):
        if new.find(tag) is None and old.find(tag) is not None:
            new.append(old.find(tag))
    devices, present = new.find("devices"), old.find("devices")
    if devices is not None and present is not None:
        _keep_devices(devices, present)
    return ElementTree.tostring(new, encoding="unicode")


def _keep_devices(devices, present):
    """Give the declared devices the addresses of those that are there, and keep the controllers these are on."""
    pairs = list(_pairs(devices, present))
    for one, match in pairs:
        for part in ("mac", "address"):
            if match is not None and one.tag != "emulator" and one.find(part) is None and match.find(part) is not None:
                one.append(match.find(part))
    declared = [match for _one, match in pairs]
    devices.extend(one for one in present.findall("controller") if not any(one is match for match in declared))


def _compare(new, old, path, found):
    _compare_values(new, old, path, found)
    used = []
    for one, match in _pairs(new, old):
        where = "{}{}".format(f"{path}/" if path else "", _label(one))
        if match is None:
            found[where] = (None, _shown(one))
        else:
            used.append(match)
            _compare(one, match, where, found)
    for extra in old if old is not None else ():
        if not any(extra is one for one in used) and not _is_generated(extra, path, old):
            found["{}{}".format(f"{path}/" if path else "", _label(extra))] = (_shown(extra), None)


def _compare_values(new, old, path, found):
    if _amount(new) is not None:
        if _amount(new) != _amount(old):
            found[path] = (_shown(old), _shown(new))
        return
    if _text(new) != _text(old) and not _same(new.tag, "", _text(new), _text(old)):
        found[path] = _hidden(new.tag, _text(old), _text(new))
    for key, value in sorted(new.attrib.items()):
        had = old.get(key)
        if not _same(new.tag, key, value, had):
            found[f"{path}@{key}"] = _hidden(key, had, value)


def _same(tag, key, value, had):
    """Tell whether two values mean the same to libvirt."""
    if value == had or had is None:
        return value == had or (tag, key) == ("domain", "id")
    if tag in ("mac", "uuid"):
        return value.replace("-", "").lower() == had.replace("-", "").lower()
    if key == "machine" and value in MACHINES:
        return had.startswith(MACHINES[value])
    # A port that libvirt is to choose, or one number in two notations.
    chosen = value == "-1" and key in ("port", "tlsPort")
    return chosen or (_number(value) is not None and _number(value) == _number(had))


def _number(value):
    try:
        return int(value, 0)
    except ValueError:
        return None


def _amount(element):
    """Return the bytes that an element with an amount of memory means, None for any other element."""
    if element.tag not in AMOUNTS or not _text(element).isdigit():
        return None
    unit = element.get("unit", "KiB").lower()
    return int(_text(element)) * UNITS[unit] if unit in UNITS else None


def _pairs(new, old):
    """Yield every child of ``new`` with the child of ``old`` that it corresponds to, or None."""
    left = list(old) if old is not None else []
    # Those that are surest of their like choose first: a card must not take the address of another one.
    for one in sorted(new, key=lambda child: min([_distance(child, other) for other in left] or [UNLIKE])):
        match = min(left, key=lambda other, one=one: _distance(one, other)) if left else None
        if match is None or _distance(one, match) == UNLIKE:
            match = None
        left = [other for other in left if other is not match]
        yield one, match


def _distance(one, other):
    """Return how unlike two elements are, 0 for the same key, UNLIKE for two that cannot be the same thing."""
    if one.tag != other.tag:
        return UNLIKE
    if _key(one) is not None:
        return 0 if _key(one) == _key(other) else UNLIKE
    # Without a key, type and source tell; where nothing does, the order does (min and sorted are stable).
    mine, its = ({} if each.find("source") is None else each.find("source").attrib for each in (one, other))
    return 1 + 2 * (one.get("type") != other.get("type")) + any(its.get(key) != mine[key] for key in mine)


def _key(element):
    """Return what tells a child from others of its kind, None where only the order does."""
    attributes = {
        "disk": ("target", "dev"), "filesystem": ("target", "dir"), "interface": ("mac", "address"),
        "channel": ("target", "name"),
    }  # fmt: skip
    if element.tag in attributes:
        child, key = attributes[element.tag]
        part = element.find(child)
        value = None if part is None else part.get(key)
        return value.lower() if value else None
    if element.tag == "controller":
        return element.get("type"), element.get("index", "0")
    own = {"feature": "name", "timer": "name", "input": "type", "boot": "dev"}.get(element.tag)
    return element.get(own) if own else None


def _is_generated(extra, path, old):
    """Tell whether libvirt may have added an element that is not declared."""
    if path == "":
        return _is_generated_top(extra)
    if path == "devices":
        return _is_generated_device(extra, old)
    if path.startswith("devices/"):
        return extra.tag in GENERATED_PARTS
    return path.split("/")[0] in ("os", "cpu", "metadata", "resource", "seclabel", "clock", "pm", "numatune")


def _is_generated_top(extra):
    if extra.tag in DEFAULTS:
        default = DEFAULTS[extra.tag]
        return default is None or (extra.get(default[0]) if default[0] else _text(extra)) == default[1]
    return extra.tag in GENERATED_TOP


def _is_generated_device(extra, old):
    if extra.tag in ("console", "serial"):
        # A serial port and the console on it are one device that is shown twice.
        return len(old.findall(extra.tag)) <= len(old.findall("serial" if extra.tag == "console" else "console"))
    if extra.tag == "input":
        return extra.get("bus") == "ps2"
    if extra.tag == "watchdog":
        return extra.get("model") == "itco"
    return extra.tag in GENERATED_DEVICES


def _label(element):
    """Return how a path names an element: its tag, and what tells it from its like."""
    tag = re.sub(r"^{.*}", "", element.tag)
    key = _key(element)
    return tag if key is None else "{}[{}]".format(tag, " ".join(key) if isinstance(key, tuple) else key)


def _text(element):
    return "" if element is None else (element.text or "").strip()


def _shown(element):
    """Return an element as one short line, without secrets."""
    if element is None:
        return None
    parts = [f"{key}={_hidden(key, None, value)[1]}" for key, value in sorted(element.attrib.items())]
    return " ".join([_hidden(element.tag, None, _text(element))[1] or "", *parts]).strip() or "present"


def _hidden(key, old, new):
    """Return both values, or what only says that they differ where they are secret."""
    return ("(hidden)", "(hidden, another one)") if key in SECRET else (old, new)
