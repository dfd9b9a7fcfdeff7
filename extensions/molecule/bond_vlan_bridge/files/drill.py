# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lock-out drill, as the host sees it.

begin [WHEN NUMBER COMMAND]   ask the host five times a second from behind the router, and run COMMAND "now", at the
                              NUMBER-th "nmcli", or when the NUMBER-th profile was written ("write")
kill                          kill the module
end                           stop all that
look                          do nothing else

``look``, ``begin`` and ``end`` print as JSON what the network of this host is and will be; ``end`` also for how long
the host did not answer, how long after the decision of the guard it answered again (in seconds), whether COMMAND was
run, and what the guards of this boot have told the journal.
"""

import ctypes
import hashlib
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

PROFILES = Path("/etc/NetworkManager/system-connections")
LINKS = ("bond0", "bond0.100", "bond0.200", "eth11", "eth12", "br0")
RUN = Path("/run/drill")
GUARD = Path("/var/lib/hostcraft/guard")
# Not by its own -w: with that it ends at the first error that it is told of (ping(8)).
PING = ["timeout", "900", "ping", "-n", "-D", "-i", "0.2", "-I", "10.20.0.1", "10.10.100.2"]
MOVED_TO = 0x80  # IN_MOVED_TO, inotify(7)


def begin(when="never", number="0", command=""):
    stop()
    RUN.mkdir(exist_ok=True)
    for old in RUN.iterdir():
        old.unlink()
    before = state()
    (RUN / "strike").write_text(f"touch {RUN}/struck; {command}")
    if when == "now":
        strike()
    elif when == "nmcli":
        (RUN / "count").write_text(number)
    elif when == "write":
        background("drill-watch", sys.executable, sys.argv[0], "watch", number)
    background("drill-pings", "ip", "netns", "exec", "switch", *PING, output=RUN / "pings")
    wait_for_answer(0)
    print(json.dumps({"state": before}))


def look():
    print(json.dumps({"state": state()}))


def end():
    silence, back = None, None
    if RUN.exists():  # else the machine was reset, and all in /run is gone
        wait_for_answer(time.time())
        times = answers()
        silence = round(max(later - earlier for earlier, later in itertools.pairwise(times)), 1)
        decided = max(json.loads(one.read_text())["time"] for one in GUARD.glob("*/decision"))
        back = round(min(one for one in times if one > decided) - decided, 1)
    stop()
    subprocess.run(["umount", "--quiet", "/run/NetworkManager/devices"], check=False)
    tool("chattr", "-R", "-i", str(PROFILES))
    found = {"state": state(), "silence": silence, "back": back, "struck": (RUN / "struck").exists()}
    told = tool("journalctl", "--quiet", "--identifier=hostcraft-guard", "--output=cat").splitlines()
    print(json.dumps({**found, "told": told}))


def watch(number):
    """Strike after the NUMBER-th profile that is written; a new one is moved to its place when it is whole."""
    libc = ctypes.CDLL(None, use_errno=True)
    watching = libc.inotify_init()
    if libc.inotify_add_watch(watching, os.fsencode(PROFILES), MOVED_TO) < 0:
        raise OSError(ctypes.get_errno(), "inotify_add_watch")
    left = int(number)
    while left > 0:
        events = os.read(watching, 4096)
        while events:  # struct inotify_event: four integers, the last the length of the name that follows
            events, left = events[16 + int.from_bytes(events[12:16], sys.byteorder) :], left - 1
    strike()


def kill():
    """Kill the module: whoever holds the guard's file "task" open, but for the watchdog."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            files = [os.readlink(one) for one in (process / "fd").iterdir()]
            held = any(one.startswith(f"{GUARD}/") and one.endswith("/task") for one in files)
            if held and b"/guard\0watch" not in (process / "cmdline").read_bytes():
                os.kill(int(process.name), signal.SIGKILL)
        except OSError:
            continue


def stop():
    subprocess.run(["systemctl", "stop", "drill-pings", "drill-watch"], stderr=subprocess.DEVNULL, check=False)


def strike():
    subprocess.run(["sh", str(RUN / "strike")], check=False)


def state():
    """Return the links with master and addresses, the routes, and the digest of each profile."""
    shown = {one["ifname"]: one for one in json.loads(tool("ip", "-json", "address"))}
    return {
        "links": {
            name: [
                shown[name].get("master"),
                [one["local"] for one in shown[name]["addr_info"] if one["scope"] != "link"],
            ]
            for name in LINKS
            if name in shown
        },
        # NetworkManager chooses another metric each time.
        "routes": sorted(re.sub(r" metric \d+", "", one).strip() for one in tool("ip", "-4", "route").splitlines()),
        "files": {one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in PROFILES.iterdir()},
    }


def answers():
    """Return when the host answered, in seconds since the epoch."""
    said = (RUN / "pings").read_text() if (RUN / "pings").exists() else ""
    return [float(one) for one in re.findall(r"^\[([0-9.]+)\] \d+ bytes from", said, re.M)]


def wait_for_answer(since):
    deadline = time.monotonic() + 30
    while not any(one > since for one in answers()):
        if time.monotonic() > deadline:
            sys.exit("drill: the host does not answer a ping from behind the router")
        time.sleep(0.2)


def background(name, *argv, output="/dev/null"):
    keep = f"--property=StandardOutput=truncate:{output}"
    subprocess.run(["systemd-run", "--quiet", "--collect", f"--unit={name}", keep, *argv], check=True)


def tool(*argv):
    return subprocess.run(argv, stdout=subprocess.PIPE, text=True, timeout=60, check=True).stdout


if __name__ == "__main__":
    {"look": look, "begin": begin, "kill": kill, "end": end, "watch": watch}[sys.argv[1]](*sys.argv[2:])
