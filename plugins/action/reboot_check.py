# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run ``reboot_check``, and for ``state=waited`` ask again over new connections until the host was rebooted."""

import time

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.hostcraft.linux.plugins.plugin_utils.connection import keep_alive

TIMEOUT = 600  # seconds, as the module's documentation says
PAUSE = 2.0  # seconds between two questions

display = Display()


class ActionModule(ActionBase):
    """The action plugin of ``reboot_check``."""

    def run(self, tmp=None, task_vars=None):
        """Run the module, again and again where the task waits."""
        result = super().run(tmp, task_vars)
        if self._task.args.get("state") != "waited" or self._task.check_mode:
            result.update(self._execute_module(task_vars=task_vars))
            return result
        keep_alive(self._connection)
        began, patience = time.monotonic(), self._patience()
        found = self._ask(task_vars)
        # What fails on a host that still stands fails again; what fails later may be the host coming up.
        standing = found.get("failed")
        while not standing and found.get("rebooted") not in ("yes", "unknown") and time.monotonic() < began + patience:
            time.sleep(PAUSE)
            found = self._ask(task_vars)
        result.update(found, waited=int(time.monotonic() - began))
        if found.get("rebooted") == "unknown":
            result.update(failed=True, msg=f"Whether the host was rebooted cannot be told: {found['reason']}")
        elif found.get("rebooted") != "yes" and not standing:
            why = found.get("reason") or found.get("msg")
            result.update(failed=True, msg=f"The host was not back from a reboot within {patience} s: {why}")
        return result

    def _patience(self):
        """Return how many seconds to wait."""
        given = self._task.args.get("timeout", TIMEOUT)
        try:
            return int(given)
        except (TypeError, ValueError) as error:
            raise AnsibleActionFail(f"timeout: {given!r} is not a number of seconds") from error

    def _ask(self, task_vars):
        """Return the module's result over a new connection; one without ``failed``: it was not reached."""
        try:
            self._connection.reset()
            return self._execute_module(task_vars=task_vars)
        except (AnsibleConnectionFailure, OSError) as error:
            display.vvv(f"not reached: {error}")
            return {"msg": f"it was not reached ({error})"}
