# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Kubernetes control plane: etcd, kube-apiserver with TLS, tokens and RBAC, controllers of namespaces and budgets.

All of it listens on loopback, on ports that were free, and each program has a record of its own, so that one can be
stopped and started again under the same address.
"""

import json
import os
import secrets
import shutil
import socket
import ssl
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from lab import kubernetes, progress, record

KIND = "cluster"
NAME = "cluster"
PARTS = ("etcd", "apiserver", "controllers")  # in the order in which they start
USERS = {"admin": "system:masters", "alice": ""}
# A program does nothing before it is told to, and ends when who has started it dies before it was recorded.
WAITING = ("/bin/sh", "-c", 'read -r go && [ "$go" = go ] && exec "$@" <&-', "sh")
READY = 60.0  # seconds


def up(controllers: bool = True) -> record.Record:
    """Start what does not run yet, and return the record of the server; it is then ready.

    ``data`` has ``address`` (its URL), ``kubeconfig`` (a path) and ``tokens``, by user.
    """
    programs = kubernetes.ensure()
    with record.locked(record.lab() / "cluster.lock", progress.say), progress.step("Start the control plane"):
        plan = _plan()
        for part in PARTS[: 3 if controllers else 2]:
            start(part, programs, plan)
    return record.read(f"{NAME}-apiserver")


def start(part: str, programs: Path | None = None, plan: dict | None = None) -> None:
    """Start one part unless it runs, and wait until it answers."""
    programs, plan = programs or kubernetes.ensure(), plan or _plan()
    known = record.read(f"{NAME}-{part}")
    if known is None or not record.alive(known):
        argv = _argv(part, programs, plan)
        with open(_place() / f"{part}.log", "ab") as log:
            process = subprocess.Popen(
                [*WAITING, *argv], stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True, cwd="/"
            )
        data = {"address": plan["url"], "kubeconfig": str(_place() / "kubeconfig"), "tokens": plan["tokens"]}
        record.write(record.Record(KIND, f"{NAME}-{part}", process.pid, record.start_time(process.pid) or "", data))
        process.stdin.write(b"go\n")
        process.stdin.close()
    record.wait_for(f"{part} of the control plane", lambda: _ready(part, plan), READY, 0.05)


def stop(part: str) -> bool:
    """Stop one part; return whether it ran. What it has stored stays."""
    known = record.read(f"{NAME}-{part}")
    return known is not None and record.stop(known, 20.0)


def down() -> bool:
    """Stop everything and remove what was stored; return whether anything ran."""
    ran = [stop(part) for part in reversed(PARTS)]
    for part in PARTS:
        record.forget(f"{NAME}-{part}")
    shutil.rmtree(_place(), ignore_errors=True)
    return any(ran)


def _place() -> Path:
    path = record.lab() / NAME
    path.mkdir(mode=0o700, exist_ok=True)
    return path


def _plan() -> dict:
    """Return ports, tokens and address of this control plane, chosen when it is started for the first time."""
    path = _place() / "plan.json"
    if path.exists():
        return json.loads(path.read_text())
    ports = dict(zip(("etcd", "peer", "apiserver", "controllers"), _free_ports(4), strict=True))
    plan = {
        "ports": ports,
        "url": f"https://127.0.0.1:{ports['apiserver']}",
        "tokens": {user: secrets.token_hex(16) for user in USERS},
    }
    _keys()
    tokens = [f'{plan["tokens"][user]},{user},{user},"{group}"\n' for user, group in USERS.items()]
    _secret("tokens.csv", "".join(tokens))
    _secret("kubeconfig", json.dumps(_kubeconfig(plan), indent=1))
    _secret("plan.json", json.dumps(plan))
    return plan


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _one in range(count)]
    try:
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _secret(name: str, text: str) -> None:
    path = _place() / name
    path.touch(mode=0o600)
    path.write_text(text)


def _keys() -> None:
    """Make the key of service accounts, and a certificate authority with one client certificate, of admin."""
    place = _place()
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    for argv in (
        ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "sa.key"],
        ["openssl", "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-days", "30", "-subj", "/CN=lab"],
        ["openssl", "req", *key, "-keyout", "admin.key", "-out", "admin.csr", "-subj", "/O=system:masters/CN=admin"],
        ["openssl", "x509", "-req", "-in", "admin.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
         "-out", "admin.crt", "-days", "30"],
    ):  # fmt: skip
        subprocess.run(argv, cwd=place, capture_output=True, timeout=60, check=True)


def _kubeconfig(plan: dict) -> dict:
    """Return a kubeconfig with a context for each token, and "certificate" for the client certificate."""
    place = _place()
    users = [{"name": user, "user": {"token": token}} for user, token in plan["tokens"].items()]
    files = {"client-certificate": str(place / "admin.crt"), "client-key": str(place / "admin.key")}
    users.append({"name": "certificate", "user": files})
    cluster = {"server": plan["url"], "certificate-authority": str(place / "certs/apiserver.crt")}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "admin",
        "clusters": [{"name": "lab", "cluster": cluster}],
        "users": users,
        "contexts": [{"name": one["name"], "context": {"cluster": "lab", "user": one["name"]}} for one in users],
    }


def _argv(part: str, programs: Path, plan: dict) -> list[str]:
    place, ports = _place(), plan["ports"]
    etcd = f"http://127.0.0.1:{ports['etcd']}"
    peer = f"http://127.0.0.1:{ports['peer']}"
    options = {
        "etcd": {
            "data-dir": f"{place}/etcd",
            "listen-client-urls": etcd,
            "advertise-client-urls": etcd,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"default={peer}",
            "unsafe-no-fsync": "true",  # nothing of it outlives the lab
        },
        "apiserver": {
            "etcd-servers": etcd,
            "bind-address": "127.0.0.1",
            "advertise-address": "127.0.0.1",
            "secure-port": ports["apiserver"],
            "cert-dir": f"{place}/certs",
            "client-ca-file": f"{place}/ca.crt",
            "token-auth-file": f"{place}/tokens.csv",
            "authorization-mode": "RBAC",
            "service-cluster-ip-range": "10.0.0.0/24",
            "service-account-issuer": "https://kubernetes.default.svc",
            "service-account-signing-key-file": f"{place}/sa.key",
            "service-account-key-file": f"{place}/sa.key",
            "endpoint-reconciler-type": "none",
            "disable-admission-plugins": "ServiceAccount",
        },
        "controllers": {
            "kubeconfig": f"{place}/kubeconfig",
            "controllers": "namespace,garbagecollector,disruption",
            "leader-elect": "false",
            "bind-address": "127.0.0.1",
            "secure-port": ports["controllers"],
            "cert-dir": f"{place}/certs-controllers",
            "port": "0",
        },
    }
    program = {"etcd": "etcd", "apiserver": kubernetes.PROGRAMS[0], "controllers": kubernetes.PROGRAMS[1]}[part]
    return [str(programs / program), *(f"--{name}={value}" for name, value in options[part].items())]


def _ready(part: str, plan: dict) -> bool:
    """Tell whether a part answers. Raises ``LabError`` when its program has ended."""
    known = record.read(f"{NAME}-{part}")
    if known is None or not record.alive(known):
        log = _place() / f"{part}.log"
        raise record.LabError(f"{part} of the control plane has ended: {progress.last_line(log)!r}; see {log}")
    url, headers, context = f"http://127.0.0.1:{plan['ports']['etcd']}/health", {}, None
    certificate = _place() / "certs/apiserver.crt"
    if part == "apiserver":
        url, headers = f"{plan['url']}/readyz", {"Authorization": f"Bearer {plan['tokens']['admin']}"}
    elif part == "controllers":
        url, certificate = f"https://127.0.0.1:{plan['ports']['controllers']}/healthz", None
    try:
        if url.startswith("https"):
            context = ssl.create_default_context(cafile=certificate)
            if certificate is None:  # a certificate that it has made itself and that nobody else needs
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        # Proxies of the machine's environment do not reach its loopback.
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        with opener.open(urllib.request.Request(url, headers=headers), timeout=2.0) as answer:
            return answer.status == 200
    except (OSError, urllib.error.URLError):
        return False


def environment() -> dict[str, str]:
    """Return the environment in which kubectl reaches the control plane."""
    return {**os.environ, "KUBECONFIG": str(_place() / "kubeconfig")}
