# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of modules whose change may cut the connection."""


class ModuleDocFragment:
    """Documentation that modules share; private to the collection."""

    DOCUMENTATION = r"""
options:
  confirm_timeout:
    description:
      - Seconds that the controller has, after the change is made, to reach the host over a new connection and confirm
        it. Without that the host puts back what was there before, and the task fails with RV(ignore:rolled_back=true).
      - V(0) makes the change without a guard. It is refused all the same while another change on the host is
        unconfirmed.
      - The watchdog on the host depends neither on the task nor on its connection; it is proved to be alive before
        anything is changed. C(/var/lib/hostcraft/guard/ID/guard status) shows it.
    type: int
    default: 0
"""
