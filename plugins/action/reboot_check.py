# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run ``reboot_check``: ask the cluster about a node, and ask the host over new connections until it was rebooted.

The cluster is asked here, on the controller. Neither its credentials nor the way to it get to the host.
"""

import time

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.hostcraft.linux.plugins.module_utils._boot import node as nodes
from ansible_collections.hostcraft.linux.plugins.plugin_utils.cluster import Nodes, parted
from ansible_collections.hostcraft.linux.plugins.plugin_utils.connection import keep_alive

TIMEOUT = 600  # seconds, as the module's documentation says
PAUSE = 2.0  # seconds between two questions
PATIENCE = 20.0  # seconds for an API server that is away, where nothing is waited for

display = Display()


class ActionModule(ActionBase):
    """The action plugin of ``reboot_check``."""

    def run(self, tmp=None, task_vars=None):
        """Run the module, again and again where the task waits."""
        result = super().run(tmp, task_vars)
        args, access = parted(self._task.args)
        waited = args.get("state") == "waited"
        name = args.pop("node", None) if waited or isinstance(args.get("node"), str) else None
        if name is not None and not isinstance(name, str):
            raise AnsibleActionFail(f"node: {name!r} is not a name, which is what state 'waited' needs")
        if waited and name == "":
            raise AnsibleActionFail(
                "node: it is empty, and state 'waited' needs a name; leave it out to wait for no node"
            )
        if name is not None and args.get("boot_id") is not None and not waited:
            raise AnsibleActionFail("node and boot_id exclude each other, unless state is 'waited'")
        cluster = Nodes(access, 0.0 if waited else PATIENCE) if name else None
        if waited and not self._task.check_mode:
            result.update(self._wait(args, cluster, name, task_vars))
            return result
        if name == "":
            args["node"] = {"name": name, "boot_id": "", "problem": "the option node is empty: it names no node"}
        node = cluster.read(name) if name else None
        if node and not waited:
            args["node"] = {"name": name, "boot_id": node.boot_id, "problem": node.problem}
        found = self._execute_module(module_args=args, task_vars=task_vars)
        result.update(_with(found, node))
        return result

    def _wait(self, args, cluster, name, task_vars):
        """Return the result of a task that waits."""
        keep_alive(self._connection)
        began, patience = time.monotonic(), self._patience()
        # What is wrong with the way to the cluster is wrong before the host is down as well.
        node = cluster.read(name) if cluster else None
        found = self._ask(args, task_vars)
        # What fails on a host that still stands fails again; what fails later may be the host coming up.
        standing = found.get("failed")
        while True:
            if cluster and found.get("rebooted") == "yes":
                node = cluster.read(name)
            found = _with(found, node)
            if standing or _through(found) or time.monotonic() >= began + patience:
                break
            time.sleep(PAUSE)
            found = self._ask(args, task_vars)
        result = dict(found, waited=int(time.monotonic() - began))
        if found.get("rebooted") == "unknown":
            result.update(failed=True, msg=f"Whether the host was rebooted cannot be told: {found['reason']}")
        elif found.get("rebooted") != "yes" and not standing:
            why = found.get("reason") or found.get("msg")
            result.update(failed=True, msg=f"The host was not back from a reboot within {patience} s: {why}")
        elif node and not standing and found["node"]["back"] != "yes":
            why = found["node"]["reason"]
            result.update(
                failed=True, msg=f"The host was rebooted, and its node was not back within {patience} s: {why}"
            )
        return result

    def _patience(self):
        """Return how many seconds to wait."""
        given = self._task.args.get("timeout", TIMEOUT)
        try:
            return int(given)
        except (TypeError, ValueError) as error:
            raise AnsibleActionFail(f"timeout: {given!r} is not a number of seconds") from error

    def _ask(self, args, task_vars):
        """Return the module's result over a new connection; one without ``failed``: it was not reached."""
        try:
            self._connection.reset()
            return self._execute_module(module_args=args, task_vars=task_vars)
        except (AnsibleConnectionFailure, OSError) as error:
            display.vvv(f"not reached: {error}")
            return {"msg": f"it was not reached ({error})"}


def _through(found):
    """Tell whether nothing more is to be waited for."""
    if found.get("rebooted") == "yes":
        return "node" not in found or found["node"]["back"] == "yes"
    return found.get("rebooted") == "unknown"


def _with(found, node):
    """Return the module's result, with what is known of the node if there is one."""
    if node is None or "boot_id" not in found:
        return found
    shown = nodes.shown(node, nodes.back(node, found["boot_id"], found["booted"]))
    facts = found.get("ansible_facts", {})
    boot = dict(facts.get("hostcraft_boot", {}), node=shown)
    return dict(found, node=shown, ansible_facts=dict(facts, hostcraft_boot=boot))
