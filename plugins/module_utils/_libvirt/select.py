# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which domains a name, a pattern, a UUID or a tag means.

Private to the collection; not a public interface.
"""

import re
from fnmatch import fnmatchcase

UUID = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)


def is_pattern(name):
    """Tell whether a name may mean more than one domain."""
    return any(character in name for character in "*?[")


def is_uuid(name):
    """Tell whether a name is a UUID, with or without hyphens."""
    return UUID.fullmatch(name) is not None


def select(target, domains):
    """Return those of ``domains`` that ``target`` means, in the order of their names.

    A name is taken literally first: a domain may be called ``web[1]``.
    """
    if target.name is None:
        return tuple(one for one in domains if set(target.tags).issubset(one.tags))
    literal = tuple(one for one in domains if one.name == target.name)
    if literal:
        return literal
    if is_uuid(target.name):
        wanted = target.name.replace("-", "").lower()
        return tuple(one for one in domains if one.uuid.replace("-", "") == wanted)
    if is_pattern(target.name):
        return tuple(one for one in domains if fnmatchcase(one.name, target.name))
    return ()
