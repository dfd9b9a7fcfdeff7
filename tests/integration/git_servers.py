# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real git servers on loopback: git daemon, and git http-backend behind a small HTTP server."""

import base64
import contextlib
import json
import os
import select
import signal
import socket
import socketserver
import ssl
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path


@contextlib.contextmanager
def daemon(root):
    """Serve the repositories below ``root`` by git daemon; gives the beginning of their addresses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        ["git", "daemon", "--export-all", "--listen=127.0.0.1", f"--port={port}", f"--base-path={root}", str(root)],
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert time.monotonic() < deadline, "git daemon did not come up"
            time.sleep(0.02)
        yield f"git://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=10)


LFS = "application/vnd.git-lfs+json"


class Web(socketserver.ThreadingTCPServer):
    """An HTTP server for the repositories below ``root``.

    It answers for Git LFS too, with the objects that lie in ``lfs/objects`` of a repository (Git LFS specification,
    "Batch API" and "Basic Transfers").

    :ivar user: ``name:password`` that it asks for, or None.
    :ivar git: the git whose http-backend answers.
    :ivar old: take the protocol version out of requests, so that git answers with version 0.
    :ivar plain: send files as they are, without git.
    :ivar cut: bytes of an answer after which the connection is cut, once; None for never.
    :ivar requests: (method, path, answer) of each.
    """

    allow_reuse_address = daemon_threads = True

    def __init__(self, root):
        super().__init__(("127.0.0.1", 0), Handler)
        self.root, self.user, self.old, self.plain, self.cut = Path(root), None, False, False, None
        self.requests = []
        self.scheme = "http"
        self.git = "git"

    @property
    def url(self):
        return f"{self.scheme}://127.0.0.1:{self.server_address[1]}"

    def secure(self, certificate, key):
        """Speak HTTPS from now on."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.scheme = "https"

    def handle_error(self, request, client_address):
        """A client that hangs up is no news."""


class Handler(BaseHTTPRequestHandler):
    """Hands each request to git http-backend (git-http-backend(1))."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments):
        """Tests look at the server's list instead."""

    def do_GET(self):
        self.answer()

    def do_POST(self):
        self.answer()

    def body(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            data = b""
            while size := int(self.rfile.readline(), 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return data
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def answer(self):
        server, body = self.server, self.body()
        if server.user:
            wanted = "Basic " + base64.b64encode(server.user.encode()).decode()
            if self.headers.get("Authorization") != wanted:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="git"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
        path, _mark, query = self.path.partition("?")
        if "/info/lfs/" in path:
            server.requests.append((self.command, path, b""))
            self.lfs(path, body)
            return
        if server.plain:
            file = server.root / path.lstrip("/")
            self.send(200 if file.is_file() else 404, file.read_bytes() if file.is_file() else b"")
            return
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(server.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "REMOTE_ADDR": "127.0.0.1",
            "HOME": "/nonexistent",
        }
        if not server.old and self.headers.get("Git-Protocol"):
            environment["GIT_PROTOCOL"] = self.headers["Git-Protocol"]
        backend = [server.git, "http-backend"]
        done = subprocess.run(backend, input=body, capture_output=True, cwd="/", env=environment, check=False)
        head, _end, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        server.requests.append((self.command, path, content))
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if server.cut is not None and len(content) > server.cut:
            self.wfile.write(content[: server.cut])
            server.cut = None
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.wfile.write(content)

    def lfs(self, path, body):
        """Tell where objects can be fetched, or send one."""
        repository, _mark, rest = path.partition("/info/lfs/")
        if rest == "objects/batch":
            place = f"{self.server.url}{repository}/info/lfs/object"
            objects = [
                {**one, "actions": {"download": {"href": f"{place}/{one['oid']}"}}}
                for one in json.loads(body)["objects"]
            ]
            content, kind = (
                json.dumps({"transfer": "basic", "objects": objects}).encode(),
                "application/vnd.git-lfs+json",
            )
        else:
            oid = rest.rpartition("/")[2]
            store = self.server.root / repository.lstrip("/") / "lfs/objects"
            content, kind = (store / oid[:2] / oid[2:4] / oid).read_bytes(), "application/octet-stream"
        self.send(200, content, kind)

    def send(self, status, content, kind="application/octet-stream"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class Proxy(socketserver.ThreadingTCPServer):
    """A proxy for HTTP, and for HTTPS by CONNECT (RFC 9110, section 9.3.6).

    :ivar user: ``name:password`` that it asks for, or None.
    :ivar requests: the first line of each request that it let through.
    """

    allow_reuse_address = daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Passing)
        self.user, self.requests = None, []

    @property
    def address(self):
        return f"127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request, client_address):
        """A client that hangs up is no news."""


class Passing(BaseHTTPRequestHandler):
    """Opens a connection to the server that is named, and copies bytes both ways until one side ends."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments):
        """Tests look at the proxy's list instead."""

    def do_GET(self):
        self.go()

    def do_POST(self):
        self.go()

    def do_CONNECT(self):
        self.go()

    def go(self):
        proxy = self.server
        wanted = "Basic " + base64.b64encode((proxy.user or "").encode()).decode()
        if proxy.user and self.headers.get("Proxy-Authorization") != wanted:
            self.send_response(407)
            self.send_header("Proxy-Authenticate", 'Basic realm="proxy"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        proxy.requests.append(self.requestline)
        target = self.path if self.command == "CONNECT" else self.path.split("/")[2]
        host, _colon, port = target.partition(":")
        with socket.create_connection((host, int(port)), 10) as there:
            if self.command == "CONNECT":
                self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                lines = [f"{self.command} /{self.path.split('/', 3)[3]} HTTP/1.1", "Connection: close"]
                lines += [f"{name}: {value}" for name, value in self.headers.items() if not name.startswith("Proxy-")]
                there.sendall("\r\n".join([*lines, "", ""]).encode() + body)
            self.copy(there)
        self.close_connection = True

    def copy(self, there):
        while True:
            for one in select.select([self.connection, there], [], [], 30)[0]:
                data = one.recv(1 << 16)
                if not data:
                    return
                (there if one is self.connection else self.connection).sendall(data)


@contextlib.contextmanager
def serving(server):
    """Let a server answer in a thread of its own while the body runs; gives the server."""
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(timeout=10)


def web(root):
    """Serve the repositories below ``root`` over HTTP; gives the :class:`Web`."""
    return serving(Web(root))
