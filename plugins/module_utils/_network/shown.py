# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan says: the words of its steps, its diff and its warnings. Pure.

Private to the collection; not a public interface.
"""

from . import bridge_vlans
from .job import PLAIN
from .model import SETTINGS


def said(link):
    """Describe a link that is made: its kind, and the options that are given."""
    words = [f"{key} {text_of(value)}" for key, value in sorted(link.options.items())]
    words += [f"{key} {getattr(link, key)}" for key in PLAIN if getattr(link, key) is not None]
    return " ".join([link.kind, ", ".join(words)]).strip()


def said_of_port(options):
    """Say the options of a port."""
    words = {key: value if key != "vids" else _ids(value) for key, value in options.items()}
    return ", ".join(f"{key} {value}" for key, value in sorted(words.items()))


def _ids(vids):
    return " ".join(map(str, bridge_vlans.shown(vids))) or "none"


def said_of_settings(changed, have):
    """Say what changes of name servers and ways to get addresses."""
    return [f"{key} {_setting(getattr(have, key))} -> {_setting(value)}" for key, value in sorted(changed.items())]


def _setting(value):
    return text_of(value) if value is not None else "none"


def changes(changed, have):
    """Say which options change from what to what."""
    return ", ".join(f"{key} {text_of(have.options.get(key))} -> {text_of(changed[key])}" for key in sorted(changed))


def text_of(value):
    if isinstance(value, tuple):
        return " ".join(f"{one[0]}:{one[1]}" if isinstance(one, tuple) else str(one) for one in value) or "none"
    return str(value)


def shown(link, name, job):
    """Return what a diff shows of a link on either side: what is to change; None for no link."""
    if link is None:
        return None
    after, have = job.links.get(name), job.have.get(name)
    if have is None or after is None:
        found = {"kind": link.kind, "up": link.up, "addresses": list(link.addresses)}
        found.update({key: getattr(link, key) for key in ("master", *PLAIN, "port") if getattr(link, key)})
        found.update(link.options)
        found.update({key: getattr(link, key) for key in SETTINGS if getattr(link, key)})
    else:
        found = {key: link.options.get(key) for key in job.changed(name)}
        found.update({key: getattr(link, key) for key in job.plain(name)})
        found.update({key: getattr(link, key) for key in ("master", "up") if getattr(after, key) != getattr(have, key)})
        found.update({"port": link.port} if job.port(name) else {})
        found.update({key: getattr(link, key) for key in job.settings(name)})
        found.update({"addresses": list(link.addresses)} if set(after.addresses) != set(have.addresses) else {})
    if set(after.routes if after else ()) != set(have.routes if have else ()):
        found["routes"] = [str(one) for one in link.routes]
    if set(after.rules or () if after else ()) != set(have.rules or () if have else ()):
        found["rules"] = [str(one) for one in link.rules or ()]
    return found


def with_keys(found, where, mine, other):
    """Add to what a diff shows of a link those keys of its file that differ; only these, as it may hold secrets."""
    differing = {key: value for key, value in mine.items() if other.get(key) != value}
    return dict(found or {}, **{where: differing}) if differing else found


def warnings(touched, job):
    """Warn of addresses that no link has any more."""
    homes = {one.partition("/")[0] for link in job.links.values() for one in link.addresses}
    return tuple(
        f"{one} is taken from {name} and given to no other link"
        for name in touched
        for one in (job.have[name].addresses if name in job.have else ())
        if one.partition("/")[0] not in homes
    )
