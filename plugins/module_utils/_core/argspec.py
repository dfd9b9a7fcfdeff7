# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put an argument specification together from parts that several modules share.

Private to the collection; not a public interface.
"""


def compose(*parts):
    """Merge parts of an argument specification into the keyword arguments of ``AnsibleModule``.

    :param parts: dicts with ``argument_spec`` and any of the rules that AnsibleModule knows
        (``mutually_exclusive``, ``required_together``, ``required_one_of``, ``required_if``: lists;
        ``required_by``: dict).
    :returns: the merged dict, with ``supports_check_mode`` on: no module here does without.
    :raises ValueError: two parts define the same option; the later one would silently win.
    """
    merged = {"argument_spec": {}, "supports_check_mode": True}
    for part in parts:
        for rule, value in part.items():
            if isinstance(value, dict):
                target = merged.setdefault(rule, {})
                twice = sorted(set(target).intersection(value))
                if twice:
                    raise ValueError("defined twice in {}: {}".format(rule, ", ".join(twice)))
                target.update(value)
            else:
                merged[rule] = merged.get(rule, []) + list(value)
    return merged
