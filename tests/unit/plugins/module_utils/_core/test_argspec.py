# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Argument specifications are merged, and nothing is lost silently."""

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._core.argspec import compose


def test_options_and_rules_of_all_parts_are_kept():
    merged = compose(
        {"argument_spec": {"a": {}}, "mutually_exclusive": [("a", "b")]},
        {"argument_spec": {"b": {}}, "mutually_exclusive": [("b", "c")], "required_by": {"a": "b"}},
    )
    assert merged == {
        "argument_spec": {"a": {}, "b": {}},
        "mutually_exclusive": [("a", "b"), ("b", "c")],
        "required_by": {"a": "b"},
        "supports_check_mode": True,
    }


def test_an_option_that_is_defined_twice_is_refused():
    with pytest.raises(ValueError, match="argument_spec: a"):
        compose({"argument_spec": {"a": {}}}, {"argument_spec": {"a": {}}})
