# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run on the hypervisor: the task of ``libvirt_domain_state``. The argument is its options as JSON."""

import json
import sys

from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import ReconcileError
from ansible_collections.hostcraft.linux.plugins.module_utils._libvirt import declare, survey, task
from ansible_collections.hostcraft.linux.plugins.module_utils._libvirt.session import Session


class Caller:
    """What a task needs of AnsibleModule."""

    check_mode = False

    def __init__(self, options: dict):
        known = {**declare.SELECTION["argument_spec"], **declare.OPTIONS["argument_spec"]}
        self.params = {name: options.get(name, one.get("default")) for name, one in known.items()}

    def warn(self, text: str) -> None:
        """Say it where the lab's errors go."""
        sys.stderr.write(f"{text}\n")

    def fail_json(self, msg: str, **_details) -> None:
        """End with the message."""
        sys.exit(msg)


def main() -> None:
    """Print the result as JSON, or the states of all domains when "read" is asked for."""
    options = json.loads(sys.argv[1])
    try:
        if options.get("read"):
            with Session("qemu:///system", read_only=True) as session, session.reading():
                result = {one.name: one.state for one in survey.every(session)[0]}
        else:
            result = task.run(Caller(options))
    except ReconcileError as error:
        sys.exit(str(error))
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main()
