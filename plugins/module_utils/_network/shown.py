# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan says: the words of its steps, its diff and its warnings. Pure.

Private to the collection; not a public interface.
"""

from .job import PLAIN


def said(link):
    """Describe a link that is made: its kind, and the options that are given."""
    words = [f"{key} {text_of(value)}" for key, value in sorted(link.options.items())]
    words += [f"{key} {getattr(link, key)}" for key in PLAIN if getattr(link, key) is not None]
    return " ".join([link.kind, ", ".join(words)]).strip()


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
    else:
        found = {key: link.options.get(key) for key in job.changed(name)}
        found.update({key: getattr(link, key) for key in job.plain(name)})
        found.update({key: getattr(link, key) for key in ("master", "up") if getattr(after, key) != getattr(have, key)})
        found.update({"port": link.port} if job.port(name) else {})
        found.update({"addresses": list(link.addresses)} if set(after.addresses) != set(have.addresses) else {})
    if set(after.routes if after else ()) != set(have.routes if have else ()):
        found["routes"] = [str(one) for one in link.routes]
    return found


def warnings(touched, job):
    """Warn of addresses that no link has any more."""
    homes = {one.partition("/")[0] for link in job.links.values() for one in link.addresses}
    return tuple(
        f"{one} is taken from {name} and given to no other link"
        for name in touched
        for one in (job.have[name].addresses if name in job.have else ())
        if one.partition("/")[0] not in homes
    )
