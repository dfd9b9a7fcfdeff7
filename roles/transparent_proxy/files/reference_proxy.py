# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small transparent proxy, to see captures work: it passes on what it gets, and notes what it has seen.

It is for tests and demonstrations, not for production. Python 3.6 or newer, nothing else. It needs CAP_NET_ADMIN for
ports with --tproxy (ip(7), IP_TRANSPARENT), and CAP_NET_BIND_SERVICE to answer UDP in the name of a port below 1024.
"""

import argparse
import contextlib
import errno
import json
import os
import selectors
import socket
import struct
import sys
import threading
import time

# Constants of linux/in.h, linux/in6.h and linux/netfilter_ipv4.h that the module socket has not.
IP_TRANSPARENT, IP_RECVORIGDSTADDR = 19, 20
IPV6_TRANSPARENT, IPV6_RECVORIGDSTADDR = 75, 74
SO_ORIGINAL_DST = 80
SO_MARK = getattr(socket, "SO_MARK", 36)
LEVEL = {socket.AF_INET: socket.IPPROTO_IP, socket.AF_INET6: socket.IPPROTO_IPV6}
TRANSPARENT = {socket.AF_INET: IP_TRANSPARENT, socket.AF_INET6: IPV6_TRANSPARENT}
ANY = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}  # noqa: S104 the packets have foreign addresses
CHUNK = 1 << 18
IDLE = 60.0  # seconds after which an exchange of datagrams is forgotten
FLOWS = 4096  # exchanges of datagrams at the same time; the oldest gives way


class Proxy:
    """What all listeners share: how to go on to the destination, and where to note it."""

    def __init__(self, keep_source, local_sources, mark, log):
        self.keep_source, self.mark = keep_source, mark
        self.local_sources = {socket.AF_INET6 if ":" in one else socket.AF_INET: one for one in local_sources}
        self.log = open(log, "a") if log else None  # noqa: SIM115 open to the end

    def note(self, proto, client, destination, port):
        """Write one line about a flow, whole."""
        if self.log:
            told = {"proto": proto, "client": client[:2], "destination": destination[:2], "port": port}
            self.log.write(json.dumps(told) + "\n")
            self.log.flush()

    def upstream(self, family, kind, client, destination, transparent):
        """Return a socket that goes on to the destination, in the name of the client if that is wanted and possible."""
        found = socket.socket(family, kind)
        if self.mark:
            found.setsockopt(socket.SOL_SOCKET, SO_MARK, self.mark)
        # What answers on this host would send its answers to the client itself, past the proxy.
        local = is_local(family, destination[0])
        if local and family in self.local_sources:
            found.bind((self.local_sources[family], 0))
        elif self.keep_source and transparent and not local:
            found.setsockopt(LEVEL[family], TRANSPARENT[family], 1)
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind((client[0], 0))
        return found


def listener(family, kind, port, transparent):
    """Return a socket that is bound to the port at all addresses."""
    found = socket.socket(family, kind)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if transparent:
        found.setsockopt(LEVEL[family], TRANSPARENT[family], 1)
    found.bind((ANY[family], port))
    return found


def is_local(family, address):
    """Tell whether an address is one of this host: only then can a plain socket be bound to it."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def original(connection, family, transparent):
    """Return where a captured connection was going to (address, port).

    With mode tproxy that is the socket's own address, with redirect the kernel remembers it.
    """
    if transparent:
        return connection.getsockname()[:2]
    size = 16 if family == socket.AF_INET else 28
    raw = connection.getsockopt(LEVEL[family], SO_ORIGINAL_DST, size)
    port = struct.unpack_from("!H", raw, 2)[0]
    where = raw[4:8] if family == socket.AF_INET else raw[8:24]
    return socket.inet_ntop(family, where), port


def serve_tcp(proxy, family, port, transparent, own):
    """Take connections for ever."""
    server = listener(family, socket.SOCK_STREAM, port, transparent)
    server.listen(1024)
    own.release()
    while True:
        try:
            connection, client = server.accept()
        except OSError as error:
            # Too many open files: what waits is taken later.
            sys.stderr.write(f"accept: {error}\n")
            time.sleep(0.05)
            continue
        arguments = (proxy, connection, client, (family, port, transparent))
        threading.Thread(target=pass_on, args=arguments, daemon=True).start()


def pass_on(proxy, connection, client, where):
    """Connect to where a connection was going to, and copy both ways until both have ended."""
    upstream, (family, port, transparent) = None, where
    try:
        destination = original(connection, family, transparent)
        if destination[1] == port:
            raise OSError(errno.ELOOP, "this was meant for the proxy itself")
        proxy.note("tcp", client, destination, port)
        upstream = proxy.upstream(family, socket.SOCK_STREAM, client, destination, transparent)
        upstream.connect(destination)
        back = threading.Thread(target=copy, args=(upstream, connection), daemon=True)
        back.start()
        copy(connection, upstream)
        back.join()
    except OSError as error:
        sys.stderr.write(f"{client}: {error}\n")
        # The client learns that it failed, instead of an orderly end.
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    finally:
        connection.close()
        if upstream:
            upstream.close()


def copy(source, target):
    """Copy until the source ends, without leaving the kernel where Python can (splice(2), Python 3.10)."""
    try:
        if hasattr(os, "splice"):
            splice(source.fileno(), target.fileno())
        else:
            data = source.recv(CHUNK)
            while data:
                target.sendall(data)
                data = source.recv(CHUNK)
    except OSError:
        pass
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def splice(source, target):
    """Copy from one descriptor to another through a pipe."""
    out, into = os.pipe()
    try:
        while True:
            many = os.splice(source, into, CHUNK)
            if not many:
                return
            while many:
                many -= os.splice(out, target, many)
    finally:
        os.close(out)
        os.close(into)


def serve_udp(proxy, family, port, own):
    """Pass datagrams on and back for ever."""
    server = listener(family, socket.SOCK_DGRAM, port, transparent=True)
    option = IP_RECVORIGDSTADDR if family == socket.AF_INET else IPV6_RECVORIGDSTADDR
    server.setsockopt(LEVEL[family], option, 1)
    waiting = selectors.DefaultSelector()
    waiting.register(server, selectors.EVENT_READ)
    own.release()
    flows = {}
    while True:
        for key, _events in waiting.select(timeout=IDLE):
            try:
                if key.fileobj is server:
                    receive(proxy, server, (family, port), flows, waiting)
                else:
                    answer(family, key)
            except OSError as error:
                sys.stderr.write(f"udp: {error}\n")
        forget(flows, waiting)


def receive(proxy, server, own, flows, waiting):
    """Pass one datagram of a client on; its flow gets a socket of its own when it is the first."""
    family, port = own
    data, more, _flags, client = server.recvmsg(65535, 256)
    raw = next(value for level, _kind, value in more if level == LEVEL[family])
    where = raw[4:8] if family == socket.AF_INET else raw[8:24]
    destination = socket.inet_ntop(family, where), struct.unpack_from("!H", raw, 2)[0]
    if destination[1] == port:
        return
    flow = client[:2], destination
    if flow not in flows:
        proxy.note("udp", client, destination, port)
        upstream = proxy.upstream(family, socket.SOCK_DGRAM, client, destination, True)
        upstream.connect(destination)
        waiting.register(upstream, selectors.EVENT_READ, flow)
        flows[flow] = [upstream, 0.0]
    flows[flow][1] = time.monotonic()
    flows[flow][0].send(data)


def answer(family, key):
    """Send one datagram back to the client, in the name of where its own was going to."""
    client, destination = key.data
    data = key.fileobj.recv(65535)
    with socket.socket(family, socket.SOCK_DGRAM) as back:
        back.setsockopt(LEVEL[family], TRANSPARENT[family], 1)
        back.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        back.bind(destination)
        # A service of this host with the same address keeps what others send it.
        back.connect(client)
        back.send(data)


def forget(flows, waiting):
    """Close the sockets of exchanges that have ended, and of the oldest of too many."""
    now = time.monotonic()
    gone = [flow for flow, (_upstream, last) in flows.items() if now - last > IDLE]
    gone += sorted(flows, key=lambda flow: flows[flow][1])[: max(0, len(flows) - FLOWS)]
    for flow in set(gone):
        upstream, _last = flows.pop(flow)
        waiting.unregister(upstream)
        upstream.close()


def main():
    """Listen where the command line says, until the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tproxy", type=int, action="append", default=[], metavar="PORT", help="TCP and UDP")
    parser.add_argument("--redirect", type=int, action="append", default=[], metavar="PORT", help="TCP")
    parser.add_argument("--keep-source", action="store_true", help="go on in the name of the client (--tproxy)")
    parser.add_argument(
        "--local-source",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="where to call services of this host from",
    )
    parser.add_argument("--mark", type=lambda text: int(text, 0), default=0, help="the mark of what goes on (SO_MARK)")
    parser.add_argument("--log", help="file that gets a line of JSON for each flow")
    options = parser.parse_args()
    proxy, ready = Proxy(options.keep_source, options.local_source, options.mark, options.log), threading.Semaphore(0)
    servers = [(serve_tcp, (proxy, family, port, True, ready)) for family in LEVEL for port in options.tproxy]
    servers += [(serve_udp, (proxy, family, port, ready)) for family in LEVEL for port in options.tproxy]
    servers += [(serve_tcp, (proxy, family, port, False, ready)) for family in LEVEL for port in options.redirect]
    for target, arguments in servers:
        threading.Thread(target=target, args=arguments, daemon=True).start()
    for _server in servers:
        if not ready.acquire(timeout=10):
            sys.exit("not all ports could be opened")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
