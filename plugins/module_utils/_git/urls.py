# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses of repositories, and the secrets that people write into them.

Private to the collection; not a public interface.
"""

import re

WITH_USER = re.compile(r"(https?|ftps?|ssh)://([^/@]*)@(.*)\Z", re.IGNORECASE)


def clean(url):
    """Return the address without user and password, and these two (or None).

    An ssh address keeps its user, which is no secret, but no password, which ssh would not use.
    """
    found = WITH_USER.match(url)
    if not found:
        return url, None, None
    scheme, who, rest = found.groups()
    user, colon, password = who.partition(":")
    kept = f"{user}@" if scheme.lower() == "ssh" else ""
    return f"{scheme}://{kept}{rest}", unquote(user), unquote(password) if colon else None


def secrets(url):
    """Return the parts of an address that nobody may see, as they are written and as they are meant.

    A user without a password is a token where it is long; a short name is no secret.
    """
    found = WITH_USER.match(url)
    user, _colon, password = found.group(2).partition(":") if found else ("", "", "")
    secret = password or (user if len(user) >= 12 else "")
    return {secret, unquote(secret)} - {""}


def unquote(text):
    """Return the text with %XX undone (RFC 3986), which may be bytes that are no UTF-8."""
    parts = re.split(r"%([0-9A-Fa-f]{2})", text)
    data = b"".join(bytes([int(part, 16)]) if number % 2 else part.encode("utf-8") for number, part in enumerate(parts))
    return data.decode("utf-8", "surrogateescape")


def same(one, other):
    """Tell whether two addresses mean the same repository, secrets aside."""
    return _bare(one) == _bare(other)


def _bare(url):
    found = WITH_USER.match(url)
    if found and found.group(1).lower() != "ssh":
        url = f"{found.group(1)}://{found.group(3)}"
    return url.rstrip("/")
