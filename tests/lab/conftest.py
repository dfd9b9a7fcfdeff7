# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab is tested with hosts that are taken down whatever happens."""

import signal


def pytest_configure():
    """Take down what was started also when the run is stopped from outside."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
