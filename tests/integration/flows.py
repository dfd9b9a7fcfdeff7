# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers that tell who they see, and clients that tell what became of a connection: programs for network namespaces.

``python3 flows.py serve PORT[,PORT...] ADDRESS...`` answers every connection and datagram with the peer's address.
``python3 flows.py call`` reads a list of flows (JSON: proto, source, destination, port, patience in seconds) and writes
what became of each, all at the same time: who the server saw and who it is.
"""

import json
import socket
import sys
import threading
import time


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def serve(ports, addresses):
    """Answer for ever; each address has sockets of its own, so that datagrams are answered from it."""
    for address in addresses:
        for port in ports:
            stream = socket.socket(family(address), socket.SOCK_STREAM)
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            stream.bind((address, port))
            stream.listen(1024)
            datagram = socket.socket(family(address), socket.SOCK_DGRAM)
            # A proxy that answers in this address's name must be able to use it too.
            datagram.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            datagram.bind((address, port))
            threading.Thread(target=serve_tcp, args=(stream,), daemon=True).start()
            threading.Thread(target=serve_udp, args=(datagram, address), daemon=True).start()
    print("ready", flush=True)
    while True:
        time.sleep(3600)


def serve_tcp(stream):
    while True:
        connection, peer = stream.accept()
        threading.Thread(target=talk, args=(connection, peer), daemon=True).start()


def talk(connection, peer):
    """Answer each message with the peer's address, the message, and the address that was called."""
    with connection:
        try:
            data = connection.recv(65536)
            while data:
                told = [peer[:2], data.decode(), connection.getsockname()[0]]
                connection.sendall(json.dumps(told).encode() + b"\n")
                data = connection.recv(65536)
        except OSError:
            pass


def serve_udp(datagram, address):
    while True:
        data, peer = datagram.recvfrom(65536)
        datagram.sendto(json.dumps([peer[:2], data.decode(), address]).encode(), peer)


def call(flow):
    """Return what became of a flow: ``refused``, ``lost``, or what the server saw and where it came from."""
    kind = socket.SOCK_STREAM if flow["proto"] == "tcp" else socket.SOCK_DGRAM
    with socket.socket(family(flow["destination"]), kind) as one:
        one.settimeout(flow["patience"])
        one.bind((flow["source"], 0))
        local = one.getsockname()[:2]
        try:
            one.connect((flow["destination"], flow["port"]))
            one.sendall(b"?")
            seen, _asked, server = json.loads(one.recv(65536))
            return {"local": local, "seen": seen, "server": server}
        except (ConnectionRefusedError, ConnectionResetError):
            return {"local": local, "outcome": "refused"}
        except TimeoutError:
            return {"local": local, "outcome": "lost"}
        except (OSError, ValueError) as error:
            return {"local": local, "outcome": str(error) or "ended"}


def call_all(flows):
    found = [None] * len(flows)

    def one(number):
        found[number] = call(flows[number])

    threads = [threading.Thread(target=one, args=(number,)) for number in range(len(flows))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve([int(port) for port in sys.argv[2].split(",")], sys.argv[3:])
    json.dump(call_all(json.load(sys.stdin)), sys.stdout)
