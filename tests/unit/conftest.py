# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the checkout importable under the collection's full name, as ansible-core would."""

import importlib.util
import os
import sys
import types

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def _importable(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


# It has its own loader for collections, so nothing is to be done there.
BY_ANSIBLE_TEST = _importable("ansible_collections.hostcraft.linux")
# There each example costs several times as much, on each of three Pythons. That a property holds is found by the run
# without it; here it is found whether it does so on each of them.
EXAMPLES = 20 if BY_ANSIBLE_TEST else 100
# It hands on no variable that says where tests may write; the home that the suite gives it has a place for that.
PLACE = os.path.expanduser("~/written-by-tests")
if BY_ANSIBLE_TEST and os.path.isdir(PLACE):
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", PLACE)

if not BY_ANSIBLE_TEST:
    for package, path in (
        ("ansible_collections", []),
        ("ansible_collections.hostcraft", []),
        ("ansible_collections.hostcraft.linux", [ROOT]),
    ):
        module = sys.modules.setdefault(package, types.ModuleType(package))
        module.__path__ = path


if _importable("hypothesis"):
    from hypothesis import HealthCheck, settings

    # A busy machine is slow at times; what a test takes is no part of what it proves.
    settings.register_profile(
        "untimed", deadline=None, max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("untimed")
