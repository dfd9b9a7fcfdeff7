# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``tproxy`` costs a connection: throughput, and the time to connect and get the first byte.

Run by ``make bench``, in network namespaces of its own: client - router - server. The same proxy copies for all, so
that rules alone make the difference: the least that do it written by hand, Istio's chains, and ours. Rounds in turn.
"""

import json
import os
import statistics
import sys
import tempfile
import time

for _where in os.environ.get("ANSIBLE_COLLECTIONS_PATH", "").split(":"):
    sys.path.insert(0, _where)

from tests.integration import captured, istio  # noqa: E402 they need the path

ROUNDS = 12  # of which the best counts: what else the machine does makes a round dearer, never cheaper
SHORT = 400  # connections of which the median is taken
SECONDS = 0.7  # of each transfer
SERVER, PORT = captured.THERE[4][0], 8090
CIDRS = 10_000
# One byte for a short connection; for a long one how many bytes came.
SERVE = """
import socket, sys, threading
def talk(one):
    data, many = one.recv(1 << 18), 0
    if data == b"?":
        one.sendall(b"!")
        return one.recv(1)  # the client ends first, or its port would be used again while the proxy remembers it
    while data:
        many += len(data)
        data = one.recv(1 << 18)
    one.sendall(str(many).encode())
def safely(one):
    with one:
        talk(one)
server = socket.create_server(("0.0.0.0", int(sys.argv[1])), backlog=1024)
print("ready", flush=True)
while True:
    threading.Thread(target=safely, args=(server.accept()[0],), daemon=True).start()
"""
CALL = """
import json, socket, sys, time
where, short, seconds = (sys.argv[1], int(sys.argv[2])), int(sys.argv[3]), float(sys.argv[4])
took = []
for number in range(short):
    began = time.perf_counter()
    with socket.create_connection(where, timeout=10) as one:
        one.sendall(b"?")
        assert one.recv(1) == b"!"
    took.append(time.perf_counter() - began)
data, rate = b"x" * (1 << 18), 0
if seconds:
    with socket.create_connection(where, timeout=30) as one:
        began = time.perf_counter()
        while time.perf_counter() - began < seconds:
            one.sendall(data)
        one.shutdown(socket.SHUT_WR)
        many = int(one.recv(64))
        rate = many * 8 / (time.perf_counter() - began) / 1e9
print(json.dumps({"took": sorted(took)[short // 2] * 1e6, "rate": rate}))
"""
BY_HAND = f"""
table inet hand {{
    chain to_proxy {{
        type nat hook prerouting priority -100; policy accept;
        iifname "r0" tcp dport {PORT} redirect to :{captured.IN_R}
    }}
}}
"""
BY_HAND_TPROXY = f"""
table inet hand {{
    chain divert {{
        type filter hook prerouting priority -150; policy accept;
        meta l4proto tcp socket transparent 1 meta mark set 0x539 accept
        iifname "r0" tcp dport {PORT} tproxy ip to :{captured.IN} meta mark set 0x539 accept
    }}
}}
"""
# What those rules lack: a connection from before them is left alone, one whose proxy has died goes past nobody. The
# least that tells these apart is connection tracking, which redirect has by itself.
TRACKED = BY_HAND_TPROXY.replace('        iifname "r0"', '        ct direction reply return\n        iifname "r0"')
WAYS = ("rule add fwmark 0x539 lookup 133 pref 133", "route add local default dev lo table 133")


def inbound(mode: str, port: int, **more) -> dict:
    """Return a capture of ours."""
    side = {"mode": mode, "port": port, "ports": [str(PORT)], "interfaces": ["r0"]}
    return {"name": "bench", "inbound": dict(side, **more)}


def variants(net: captured.Net) -> dict:
    """Return {name: (function that sets the rules up, function that removes them)}."""

    def ours(capture: dict):
        return (
            lambda: made(net.tproxy(capture)),
            lambda: made(net.tproxy({"name": "bench", "state": "absent"})),
        )

    many = [f"172.{16 + number // 4096}.{number // 16 % 256}.{number % 16 * 16}/29" for number in range(CIDRS)]
    return {
        "no rules, no proxy": (lambda: None, lambda: None),
        "redirect, by hand": by_hand(net, BY_HAND),
        "redirect, Istio's chains": istios(net),
        "redirect, ours": ours(inbound("redirect", captured.IN_R)),
        "tproxy, by hand": by_hand(net, BY_HAND_TPROXY, WAYS),
        "tproxy, by hand, tracked": by_hand(net, TRACKED, WAYS),
        "tproxy, ours": ours(inbound("tproxy", captured.IN)),
        f"tproxy, ours, {CIDRS:,} networks excluded": ours(inbound("tproxy", captured.IN, exclude_cidrs=many)),
    }


def by_hand(net: captured.Net, text: str, ways=()) -> tuple:
    """Return what sets up rules of nft and ways of ip(8), and what removes them."""

    def up():
        for way in ways:
            net.run("r", "ip", *way.split())
        net.run("r", "nft", "-f", "-", text=text)

    def down():
        net.run("r", "nft", "delete", "table", "inet", "hand")
        for way in ways:
            net.run("r", "ip", *way.replace(" add ", " del ").split())

    return up, down


def istios(net: captured.Net) -> tuple:
    """Return what sets up Istio's chains, and what removes them."""

    def up():
        for program, text in istio.redirect(captured.IN_R).items():
            net.run("r", f"{program}-nft-restore", "--noflush", text=text)

    def down():
        for program in istio.redirect():
            for flag in ("-F", "-X"):
                net.run("r", f"{program}-nft", "-t", "nat", flag)

    return up, down


def made(result: dict) -> None:
    """End when the module has failed."""
    if result["failed"]:
        sys.exit(result["msg"])


def measure(net: captured.Net) -> tuple[dict, dict]:
    """Return {variant: [a dict for each round]}, and the seconds of setting each up."""
    found: dict[str, list] = {}
    seconds: dict[str, list] = {}
    for _number in range(ROUNDS):
        for name, (up, down) in variants(net).items():
            began = time.perf_counter()
            up()
            seconds.setdefault(name, []).append(time.perf_counter() - began)
            said = net.run("c", sys.executable, "-c", CALL, SERVER, str(PORT), str(SHORT), str(SECONDS))
            found.setdefault(name, []).append(json.loads(said))
            down()
    return found, {name: min(took) for name, took in seconds.items()}


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as directory, captured.Net(directory) as net:
        net.stop_proxy()
        net.start("s", sys.executable, "-c", SERVE, str(PORT))
        ports = ["--tproxy", str(captured.IN), "--redirect", str(captured.IN_R)]
        proxy = [sys.executable, str(captured.PROXY), *ports]
        net.start("r", *net.as_user(captured.PROXY_USER, captured.CAPABILITIES), *proxy)
        found, seconds = measure(net)
    print(f"{'rules':44} {'Gbit/s':>8} {'us best':>7} {'median':>6} {'set up s':>9}   (connect and first byte)")
    table = {}
    for name, many in found.items():
        rate, took = max(one["rate"] for one in many), min(one["took"] for one in many)
        middle = statistics.median(one["took"] for one in many)
        table[name] = rate, took
        print(f"{name:44} {rate:8.2f} {took:7.0f} {middle:6.0f} {seconds[name]:9.2f}")
    print()
    many = f"tproxy, ours, {CIDRS:,} networks excluded"
    for one, other, target in (
        ("redirect, ours", "redirect, by hand", "target >= 0.95"),
        ("tproxy, ours", "tproxy, by hand", "target >= 0.95"),
        ("tproxy, ours", "tproxy, by hand, tracked", "target >= 0.95"),
        ("redirect, ours", "redirect, Istio's chains", ""),
        (many, "tproxy, ours", "target: connect <= 1.1x"),
    ):
        rate, took = table[one][0] / table[other][0], table[other][1] / table[one][1]
        print(f"{one} / {other}: throughput {rate:.2f}x, connects per second {took:.2f}x  {target}")
    none = seconds["tproxy, ours"]
    print(f"{CIDRS:,} networks, the whole run of the module: {seconds[many]:.2f} s (none: {none:.2f} s), target < 1 s")


if __name__ == "__main__":
    main()
