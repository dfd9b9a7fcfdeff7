# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files rule-NAME and rule6-NAME of the initscripts, each line the words of ``ip rule add`` (ifup-routes). Pure.

Lines that say more than a rule of ours does belong to someone else and stay. Private to the collection.
"""

from . import rules as policy

FILES = {4: "rule-{}", 6: "rule6-{}"}
# ip-rule(8) knows several words for the same.
WORDS = {"priority": "priority", "pref": "priority", "preference": "priority", "order": "priority", "prio": "priority"}
WORDS.update({"table": "table", "lookup": "table", "from": "from", "to": "to", "iif": "iif", "dev": "iif"})
WORDS.update({"fwmark": "fwmark"})


def render(name, rules, have):
    """Return the two files, ``{file name: text}``, once they say these rules; None for one that is not to be there.

    :param have: the texts of the files that are there, by file name.
    """
    found = {}
    for version, pattern in FILES.items():
        file = pattern.format(name)
        missing, lines = [one for one in rules if one.family == version], []
        for line in (have.get(file) or "").splitlines():
            rule = _rule(version, line)
            if rule is None or rule in missing:
                lines.append(line)
                missing = [one for one in missing if one != rule]
        lines += [" ".join(one.words()) for one in missing]
        found[file] = "".join(f"{line}\n" for line in lines) or None
    return found


def parse(name, files):
    """Return the rules that the two files of a link declare."""
    texts = [(version, files.get(pattern.format(name)) or "") for version, pattern in FILES.items()]
    read = [_rule(version, line) for version, text in texts for line in text.splitlines()]
    return tuple(one for one in read if one)


def _rule(version, line):
    """Return the rule of a line; None for a comment, and for what is none of ours."""
    words = line.split("#")[0].split()
    given = {WORDS.get(word, word): value for word, value in zip(words[::2], words[1::2])}
    if len(words) % 2 or not {"priority", "table"} <= set(given) <= set(WORDS.values()):
        return None
    return policy.from_words(version, given)
