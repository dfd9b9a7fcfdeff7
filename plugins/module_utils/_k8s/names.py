# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be the name of a namespace or a node.

Names are a part of a request's path. A server decodes that before it looks at it, so that quoting does not help: a name
with a slash in it would ask for something else. Private to the collection; not a public interface.
"""

import re

# Labels and subdomains of DNS (RFC 1123), as k8s.io/apimachinery/pkg/util/validation has them.
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\Z")
SUBDOMAIN = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")


def is_namespace(text):
    """Tell whether a namespace can be called so."""
    return bool(LABEL.match(text))


def is_node(text):
    """Tell whether a node can be called so."""
    return bool(SUBDOMAIN.match(text))


def no_node(option, text):
    """Return the message about what is no name of a node."""
    return f"{option}: {text!r} is no name of a node: lower case letters, digits, '-' and '.', 253 at most"
