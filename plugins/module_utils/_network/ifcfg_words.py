# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of ifcfg files that are words, ``key=value``: BONDING_OPTS and BRIDGING_OPTS. Pure.

Private to the collection; not a public interface.
"""


def pairs(value):
    """Return ``key=value`` words as pairs; ifup takes the key up to the first and the value from the last ``=``."""
    return [(word.partition("=")[0], word.rpartition("=")[2]) for word in (value or "").split()]


def read(table, names, words):
    """Return the options among these words in the kernel's terms; a number may stand for the word of its place."""
    found, known = {}, {file: table[name] for name, file in names.items()}
    for key, value in words:
        if key in known:
            found[known[key].name] = _value(known[key], value)
    return found


def _value(option, text):
    if option.choices and text.isdigit() and int(text) < len(option.choices):
        return option.choices[int(text)]
    if option.type == "bool":
        return text == "1"
    if option.type == "list":
        return tuple(one for one in text.split(",") if one)
    return int(text) if option.type == "int" else text


def edit(old, table, names, given):
    """Return ``key=value`` words with the given options among them; those that are the same, or unknown, stay."""
    words, done = [], set()
    known = {file: name for name, file in names.items()}
    for key, value in pairs(old):
        name = known.get(key)
        if name not in given:
            words.append(f"{key}={value}")
        elif name not in done and given[name] not in ((), ""):
            same = read(table, names, [(key, value)])[name] == given[name]
            words.append(f"{key}={value if same else _word(table[name], given[name])}")
        done.add(name)
    words += [
        f"{file}={_word(table[name], given[name])}"
        for name, file in names.items()
        if name in given and name not in done and given[name] not in ((), "")
    ]
    return " ".join(words)


def _word(option, value):
    if option.type == "bool":
        return "1" if value else "0"
    return ",".join(value) if option.type == "list" else str(value)
