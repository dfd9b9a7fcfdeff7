# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask the server from the client's namespace; print what became of it and how many flows the proxy has noted of it."""

import subprocess
import time

CALL = "import socket; socket.create_connection(('10.77.2.2', 8080), timeout=4).close(); print('answered')"


def noted():
    with open("/var/log/reference-proxy") as stream:
        return sum('"destination": ["10.77.2.2", 8080]' in line for line in stream)


before = noted()
done = subprocess.run(
    ["ip", "netns", "exec", "client", "python3", "-c", CALL], capture_output=True, text=True, check=False
)
time.sleep(0.2)
print(done.stdout.strip() or "lost", noted() - before)
