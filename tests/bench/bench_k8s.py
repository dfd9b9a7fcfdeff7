# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``k8s_ns_finalize`` costs on a real control plane, against kubectl and the recipe of many pages, in one run.

Run by ``make bench``. Wall seconds inside the module and, for kubectl, of its processes; the server is the same, and so
are the objects: 10,000 ConfigMaps, half of them in one namespace that is stuck, and 100 namespaces that are stuck.
"""

import json
import os
import shutil
import subprocess
import sys
import threading
import time

from lab import control_plane, kubernetes, packages

os.environ["HOSTCRAFT_LAB"] = "bench"
sys.path[:0] = os.environ["ANSIBLE_COLLECTIONS_PATH"].split(":")

from ansible_collections.hostcraft.linux.plugins.module_utils._k8s import arguments, declare, task  # noqa: E402

from tests.integration.clusters.conftest import HELD, Cluster  # noqa: E402

MANY, NAMESPACES_STUCK, THREADS = 5000, 100, 8
OPTIONS = {**arguments.AUTH["argument_spec"], **declare.SELECTION["argument_spec"], **declare.OPTIONS["argument_spec"]}
# What the pages say: list everything by kind, and take the finalizers from the namespace.
LIST = "kubectl api-resources --verbs=list --namespaced -o name"
LIST += " | xargs -n 1 kubectl get {where} --ignore-not-found -o name"
RECIPE = (
    "kubectl get namespace {name} -o json | python3 -c 'import json, sys; one = json.load(sys.stdin); "
    'one["spec"]["finalizers"] = []; json.dump(one, sys.stdout)\' '
    "| kubectl replace --raw /api/v1/namespaces/{name}/finalize -f -"
)


class Module:
    """What a task needs of AnsibleModule."""

    check_mode = False

    def __init__(self, cluster, **options):
        given = {"kubeconfig": cluster.kubeconfig, "min_age": 0.0, "orphans": False, **options}
        self.params = {name: given.get(name, one.get("default")) for name, one in OPTIONS.items()}
        self.params["orphans"] = given["orphans"]

    def warn(self, text):
        """Say nothing."""

    def fail_json(self, msg, **_details):
        """End the benchmark."""
        sys.exit(msg)


def timed(function, *arguments, **options):
    """Return the wall seconds of a call, and what it returned."""
    began = time.perf_counter()
    found = function(*arguments, **options)
    return time.perf_counter() - began, found


def shell(cluster, command):
    """Run a command with kubectl; return its wall seconds."""
    environment = {**os.environ, "KUBECONFIG": cluster.kubeconfig}
    took, done = timed(
        subprocess.run, ["sh", "-c", command], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    return took if done.returncode == 0 else sys.exit(done.stderr[-2000:])


def row(what, mine, other, target):
    """Print one line of the table."""
    print(f"{what:66} {mine:9.3f} {other:9.3f} {other / mine:8.1f}x  {target}", flush=True)


def fill(cluster):
    """Make the objects, over as many connections as there are threads."""
    cluster.namespace("many")
    cluster.namespace("others")
    for number in range(NAMESPACES_STUCK):
        cluster.namespace(f"stuck{number:03d}")
    work = [(name, f"c{number:04d}") for name in ("many", "others") for number in range(MANY)]
    work += [(f"stuck{number:03d}", "c") for number in range(NAMESPACES_STUCK)]

    def make(part):
        own = type(cluster).__new__(type(cluster))
        own.__dict__.update(cluster.__dict__, _connection=None)
        for namespace, name in work[part::THREADS]:
            own.add(namespace, name, [] if namespace == "others" else [HELD])

    threads = [threading.Thread(target=make, args=(part,)) for part in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    names = ["many", *(f"stuck{number:03d}" for number in range(NAMESPACES_STUCK))]
    for name in names:
        cluster.delete(name)
    cluster.seen(*names)


def main() -> None:
    """Print the table; the control plane is stopped afterwards, whatever happens."""
    if not shutil.which("kubectl"):
        packages.apt(["install", "--yes", "--no-install-recommends", "kubernetes-client"], "Install kubectl")
    kubernetes.ensure()
    try:
        cluster = Cluster(control_plane.up())
        fill(cluster)
        task.info(Module(cluster, name=["many"]))  # imports
        print(f"{'what':66} {'ours':>9} {'peer':>9} {'ratio':>9}")
        one, found = timed(task.info, Module(cluster, name=["many"]))
        assert len(found["namespaces"][0]["objects"]) == MANY
        listed = shell(cluster, LIST.format(where="-n many"))
        row(f"diagnose one namespace with {MANY} objects / kubectl", one, listed, "<= 0.3 s")
        hundred, found = timed(task.info, Module(cluster, name=["stuck*"]))
        assert len(found["namespaces"]) == NAMESPACES_STUCK
        sample = shell(cluster, LIST.format(where="-n stuck000"))
        row(f"diagnose {NAMESPACES_STUCK} namespaces / kubectl, from 1", hundred, sample * NAMESPACES_STUCK, "<= 3 s")
        cluster.finalize("stuck099", [])
        everything = shell(cluster, LIST.format(where="-A"))
        scan, found = timed(task.info, Module(cluster, name=["stuck099", "nothing"], orphans=True))
        assert len(found["orphans"]) == 1, json.dumps(found["orphans"])
        row(f"look for orphans among {2 * MANY} objects / kubectl get -A", scan, everything, "<= 1.5 s")
        recipe = shell(cluster, RECIPE.format(name="stuck098"))
        freed, _found = timed(task.run, Module(cluster, name=["stuck097"], object_finalizers=[HELD]))
        row("free one namespace, nothing left / the recipe, which orphans", freed, recipe, "")
        patch = 'kubectl patch configmap c -n stuck096 --type merge -p \'{"metadata":{"finalizers":null}}\''
        by_hand = shell(cluster, patch)
        cleared, found = timed(task.run, Module(cluster, name=["many"], object_finalizers=[HELD]))
        assert len(found["outcomes"]["many"]["cleared"]) == MANY
        row(f"clear {MANY} finalizers and see the namespace go / kubectl patch", cleared, by_hand * MANY, "")
        print(f"cleared per second, diagnosis and waiting included: {MANY / cleared:.0f}  (target >= 300)")
    finally:
        control_plane.down()


if __name__ == "__main__":
    main()
