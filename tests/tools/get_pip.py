# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for the get-pip.py that ansible-test would fetch: the pip that Python brings is enough.

ansible-test runs it with the arguments of get-pip.py; it must do on every Python that is tested.
"""

import os
import subprocess
import sys

wanted = [one for one in sys.argv[1:] if one not in ("--no-setuptools", "--no-wheel")]
# ensurepip refuses to run when this is set.
environment = {key: value for key, value in os.environ.items() if key != "GET_PIP"}
with open(os.devnull, "w") as nothing:
    subprocess.check_call([sys.executable, "-m", "ensurepip"], stdout=nothing, env=environment)
subprocess.check_call([sys.executable, "-m", "pip", "install", "-q", *wanted], env=environment)
