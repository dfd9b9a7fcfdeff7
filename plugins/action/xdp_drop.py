# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run ``xdp_drop`` under its guard, with the files of prefixes that lie on the controller."""

import os

from ansible.errors import AnsibleError
from ansible_collections.hostcraft.linux.plugins.plugin_utils import guarded

FILES = ("source_file", "destination_file")


class ActionModule(guarded.ActionModule):
    """The action plugin of ``xdp_drop``."""

    TRANSFERS_FILES = True

    def run(self, tmp=None, task_vars=None):
        """Send the files, run the module, and say of an error in which of the controller's files it is."""
        arguments, sent = self._task.args, {}
        rules = arguments.get("rules")
        here = arguments.get("state") != "absent" and not arguments.get("remote_src")
        try:
            if here and isinstance(rules, list):
                try:
                    arguments["rules"] = [self._with_files(rule, sent) for rule in rules]
                except AnsibleError as error:
                    return {"failed": True, "changed": False, "msg": f"Cannot find the prefixes of a rule: {error}"}
            result = super().run(tmp, task_vars)
        finally:
            # Another attempt of the same task (until) begins with the files of the controller again.
            if rules is not None:
                arguments["rules"] = rules
        for remote, local in sent.items():
            if "msg" in result:
                result["msg"] = result["msg"].replace(remote, local)
        return result

    def _with_files(self, rule, sent):
        """Return a rule whose files are on the host; ``sent`` gets {path there: path here}."""
        if not isinstance(rule, dict):
            return rule
        moved = dict(rule)
        for option in FILES:
            if not rule.get(option):
                continue
            local = self._find_needle("files", rule[option])
            known = [remote for remote, path in sent.items() if path == local]
            if not known:
                shell = self._connection._shell
                if not shell.tmpdir:
                    self._make_tmp_path()
                remote = shell.join_path(shell.tmpdir, f"{len(sent)}-{os.path.basename(local)}")
                self._transfer_file(local, remote)
                self._fixup_perms2((shell.tmpdir, remote))
                sent[remote] = local
                known = [remote]
            moved[option] = known[0]
        return moved
