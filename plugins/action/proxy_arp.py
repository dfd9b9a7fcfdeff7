# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run ``proxy_arp`` under its guard."""

from ansible_collections.hostcraft.linux.plugins.plugin_utils.guarded import ActionModule

__all__ = ("ActionModule",)
