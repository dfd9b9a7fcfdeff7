# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a module whose change may cut the connection, and confirm the change over a new one.

The action plugin of every guarded module is this one. Without ``confirm_timeout`` it only runs the module.
"""

import json
import platform
import time
import uuid

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.hostcraft.linux.plugins.plugin_utils.connection import keep_alive

ROOT = "/var/lib/hostcraft/guard"  # as in module_utils/_core/guard.py
PAUSE = 1.0  # seconds between two attempts to reach the host
UNCONFIRMED = "no confirmation in time"  # as in module_utils/_core/watchdog.py
RESTORE = 120.0  # seconds in which a host that puts back a change must answer again
REFUSED = 3  # exit status of "guard confirm": it was put back before

display = Display()


class ActionModule(ActionBase):
    """The action plugin of all guarded modules."""

    def run(self, tmp=None, task_vars=None):
        """Run the module and, when it left a change that waits for it, confirm that over a new connection."""
        result = super().run(tmp, task_vars)
        change = uuid.uuid4().hex[:12]
        if self._task.args.get("confirm_timeout") and not self._task.check_mode:
            keep_alive(self._connection)
        told = {"HOSTCRAFT_GUARD_ID": change, "HOSTCRAFT_CONTROLLER": platform.node()}
        self._task.environment = [*(self._task.environment or []), told]
        try:
            result.update(self._execute_module(task_vars=task_vars))
        except AnsibleConnectionFailure as error:
            found = self._after_a_cut(change)
            if found is None:
                raise
            display.vv(f"the connection was cut ({error}); change {change} goes on over a new one")
            result.update(found)
        if "module_stdout" in result:  # it died without a word of its own
            result.update(self._after_a_cut(change) or {})
        guard = result.get("guard")
        if result.get("failed") or not isinstance(guard, dict) or guard.get("confirmed") is not False:
            return result
        result.update(self._confirm(guard))
        return result

    def _confirm(self, guard):
        """Confirm the change over a new connection; return what that changes in the task's result."""
        deadline = time.monotonic() + guard["timeout"]
        answer = None
        while answer is None and time.monotonic() < deadline:
            answer = self._ask(guard["id"], "confirm")
        if answer and answer["state"] == "confirmed":
            return {"guard": dict(guard, confirmed=True)}
        return self._rolled_back(guard, answer)

    def _rolled_back(self, guard, answer):
        """Wait until the host is back, and return a failed task's result."""
        deadline = time.monotonic() + RESTORE
        while not (answer and answer.get("restored")) and time.monotonic() < deadline:
            answer = self._ask(guard["id"], "status") or answer
        # What the task returned is in its result already.
        told = {key: value for key, value in (answer or {}).items() if key != "result"}
        failed = {"failed": True, "rolled_back": False, "guard": dict(guard, **told)}
        if not answer:
            failed["msg"] = (
                f"The host did not answer over a new connection within {guard['timeout']} s after the change, nor in "
                f"the {RESTORE:.0f} s after that in which it should have put back what was there before. Look at it "
                f"on its console: {ROOT}/{guard['id']}/guard status"
            )
        elif answer.get("errors") or not answer.get("restored"):
            failed["msg"] = (
                f"The change was not confirmed ({answer.get('reason')}), the host answers again, and not all could be "
                f"put back: {'; '.join(answer.get('errors', ['still at it']))}"
            )
        else:
            failed.update(rolled_back=True, changed=False, msg=_why(guard, answer["reason"]))
        return failed

    def _after_a_cut(self, change):
        """Return the result that the module left, or its failure, after the connection was lost; None: unknown."""
        timeout = int(self._task.args.get("confirm_timeout") or 0)
        patience = RESTORE + timeout
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            answer = self._ask(change, "status")
            if answer and answer["state"] == "armed":  # the change is still being made; its watchdog bounds that
                deadline = time.monotonic() + patience
                time.sleep(PAUSE)
            if answer and answer["state"] == "rolled_back":
                return self._rolled_back({"id": change, "timeout": timeout}, answer)
            if answer and answer["state"] == "cancelled":
                msg = f"The connection was cut, and the change was given up: {answer['reason']}. Nothing was changed"
                return {"failed": True, "changed": False, "rolled_back": False, "guard": answer, "msg": msg}
            if answer and "result" in answer:
                return answer["result"]
            if answer and answer["state"] == "unknown":
                return None
        return None

    def _ask(self, change, question):
        """Ask the guard of a change over a new connection; return its answer, None when the host is not reached."""
        program = f"{ROOT}/{change}/guard"
        try:
            # A connection that is kept open from before the change proves nothing.
            self._connection.reset()
            # By the interpreter that its first line names: /var may be mounted noexec.
            done = self._low_level_execute_command(
                f'test -e {program} || exit 77; read -r first < {program}; exec "${{first#??}}" {program} {question}'
            )
        except (AnsibleConnectionFailure, OSError) as error:
            display.vvv(f"not reached: {error}")
            time.sleep(PAUSE)
            return None
        if done["rc"] == 77:
            return {"state": "unknown"}
        if done["rc"] not in (0, REFUSED):
            display.vvv(f"no answer: {done}")
            time.sleep(PAUSE)
            return None
        return json.loads(done["stdout"].strip().splitlines()[-1])


def _why(guard, reason):
    """Say why a change was put back."""
    if reason == UNCONFIRMED:
        return (
            f"The change cut off the host: it could not be reached over a new connection within {guard['timeout']} s. "
            "It has put back what was there before, and answers again"
        )
    return f"The change was not kept ({reason}). The host has put back what was there before, and answers"
