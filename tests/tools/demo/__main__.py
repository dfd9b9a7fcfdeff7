# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo: three hosts with a real sshd, a plan, its application, a second run, and a declaration that is refused.

First for resource limits, then for the very address that the hosts are reached by, then for a program that one of them
serves by git and the others check out, for containers with addresses of their own, for traffic that goes through a
proxy and not past it, and for a host that attacks another.
"""

import os
import signal
import subprocess
import sys

from lab import progress, record
from tests.tools import collection, packages
from tests.tools.demo import attack, capture, endpoints, limits, network, source
from tests.tools.demo.stage import HOSTS
from tests.tools.scenarios import lab

SCENES = (limits, network, source, endpoints, capture, attack)


def main() -> int:
    """Run the demo; return the exit status."""
    os.environ["HOSTCRAFT_LAB"] = "demo"
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        packages.install()
        collection.install()
        lab("up", *HOSTS)
        inventory = lab("inventory").split()[-1]
        for scene in SCENES:
            scene.tell(inventory)
    except (progress.StepFailed, record.LabError, subprocess.SubprocessError) as error:
        progress.say(f"FAILED: {error}")
        return 1
    except KeyboardInterrupt:
        progress.say("STOPPED: interrupted")
        return 130
    finally:
        lab("down")
    progress.say("That was the demo; the hosts are gone again.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
