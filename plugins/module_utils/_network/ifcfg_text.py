# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The assignments of a shell script such as the initscripts source: read, and changed one by one. Pure.

Private to the collection; not a public interface.
"""

import re

ASSIGNMENT = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)\Z")
PLAIN = re.compile(r"[A-Za-z0-9_./:+,@%-]*\Z")
TRUE = ("yes", "true", "t", "y", "1")  # is_true() of /etc/init.d/functions, which heeds no case


class Text:
    """The lines of one script. The last assignment of a variable counts, as in the shell."""

    def __init__(self, text=None):
        self.lines = (text or "").splitlines()
        self.values = {}
        for line in self.lines:
            found = ASSIGNMENT.match(line)
            if found:
                self.values[found.group(1)] = _unquoted(found.group(2))

    def get(self, key):
        """Return the value of a variable, None when it is not set."""
        return self.values.get(key)

    def set(self, key, value):
        """Give a variable a value where it stands, or at the end; None removes it. What is right is left alone."""
        if self.values.get(key) == value:
            return
        places = [number for number, line in enumerate(self.lines) if self._key(line) == key]
        if value is None:
            for number in reversed(places):
                del self.lines[number]
            del self.values[key]
            return
        line = f"{key}={_quoted(value)}"
        if places:
            self.lines[places[-1]] = line
        else:
            self.lines.append(line)
        self.values[key] = value

    def __str__(self):
        return "".join(f"{line}\n" for line in self.lines)

    @staticmethod
    def _key(line):
        found = ASSIGNMENT.match(line)
        return found and found.group(1)


def is_true(value):
    """Tell whether the initscripts take a value for a yes."""
    return (value or "").lower() in TRUE


def _unquoted(text):
    """Return what the shell makes of one word: quotes and backslashes taken off, what follows it left out."""
    out, quote, number = [], "", 0
    while number < len(text):
        char = text[number]
        if quote != "'" and char == "\\" and number + 1 < len(text):
            number += 1
            # bash(1): between double quotes a backslash is taken off only before these.
            out.append(text[number] if not quote or text[number] in '$`"\\' else f"\\{text[number]}")
        elif char == quote:
            quote = ""
        elif not quote and char in "\"'":
            quote = char
        elif not quote and (char.isspace() or char == ";"):
            break
        else:
            out.append(char)
        number += 1
    return "".join(out)


def _quoted(value):
    if PLAIN.match(value):
        return value
    return '"{}"'.format(re.sub(r'([$`"\\])', r"\\\1", value))
