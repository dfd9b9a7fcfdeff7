# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test hosts for hostcraft.linux: namespace hosts and virtual machines."""
