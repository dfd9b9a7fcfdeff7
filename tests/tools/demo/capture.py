# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host sends goes through a proxy, and nothing past it when that is stopped."""

import base64

from lab import progress, record
from tests.tools import collection
from tests.tools.demo.stage import HOSTS, addresses, expect, guard, play, recap, shown
from tests.tools.scenarios import lab

BOOK = "hostcraft.linux.capture_traffic"
PROXY = collection.ROOT / "roles/transparent_proxy/files/reference_proxy.py"


def tell(inventory: str) -> None:
    """Have what a user of one host sends to another go through a proxy, and nothing past it."""
    client, server, *_rest = HOSTS
    address = addresses(server)["inet"].partition("/")[0]
    lab("ssh", server, "setsid python3 -m http.server --directory /srv 8080 >/dev/null 2>&1 </dev/null &")
    text = base64.b64encode(PROXY.read_bytes()).decode()
    lab("ssh", client, f"echo {text} | base64 -d > /root/proxy.py")
    start = "setsid python3 /root/proxy.py --redirect 15001 --log /root/proxy.log >/dev/null 2>&1 </dev/null & echo $!"
    proxy = lab("ssh", client, start).strip()

    def change(*options: str) -> tuple[int, str]:
        return play(inventory, "capture.yml", "--limit", client, *options, book=BOOK)

    def ask() -> tuple[bool, int]:
        """Return whether the server answers a user of the client, and how many flows the proxy has noted."""
        call = f"import socket; socket.create_connection(('{address}', 8080), timeout=5)"
        said = lab("ssh", client, f'su ops -c "python3 -c \\"{call}\\"" 2>/dev/null && echo yes || echo no')
        return said.strip() == "yes", int(lab("ssh", client, "grep -c 8080 /root/proxy.log || true") or 0)

    record.wait_for("the server", lambda: ask() == (True, 0), 30.0)
    progress.say("16. The plan: what the host sends to port 8080 goes to a proxy, but for the proxy's own")
    status, planned = change("--check")
    expect(status == 0 and ask() == (True, 0), "there is a plan, and nothing was changed")
    progress.say("17. The real run, confirmed over a new connection, and a second one")
    status, applied = change()
    expect(status == 0 and shown(planned, "capture") == shown(applied, "capture") != [], "the steps are the plan's")
    expect(guard(client)["state"] == "confirmed", "the host was confirmed")
    expect(ask() == (True, 1), "the server answers, by way of the proxy")
    status, again = change()
    expect(status == 0 and recap(again)[client]["changed"] == 0, "a second run changes nothing")
    progress.say("18. The proxy is stopped: nothing goes past it")
    lab("ssh", client, f"kill {proxy}")
    expect(ask() == (False, 1), "there is no way to the server")
    status, _gone = change("-e", "state=absent")
    expect(status == 0 and ask() == (True, 1), "the capture is ended, and the way is free")
