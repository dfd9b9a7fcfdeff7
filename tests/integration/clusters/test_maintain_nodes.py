# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``maintain_nodes`` on hosts over SSH that are nodes of a real API server: a whole run, aborts at every step, limits.

Played are the kubelets (see ``nodes.py``) and the reboot: the hosts are namespaces, whose command to reboot writes a
new boot ID into a file. A real reboot is in the Molecule scenario ``node_maintenance``.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from tests.integration.clusters.nodes import Kubelet, Nodes
from tests.integration.clusters.test_k8s_node_drain import cordon_of

BOOT = "/root/boot_id"
BOOTS = "/root/boots"  # one line for each reboot
REBOOT = ["sh", "-c", f"cat /proc/sys/kernel/random/uuid > {BOOT}; cat {BOOT} >> {BOOTS}"]
JOURNAL = "/var/lib/hostcraft/maintenance/journal.json"


class Fleet:
    """Two hosts that are the nodes n-first and n-second.

    :ivar silent: names of hosts whose kubelet does not start after a reboot.
    """

    def __init__(self, cluster, hosts, reports):
        self.nodes, self.hosts, self.reports = Nodes(cluster), hosts, reports
        self.silent, self._stop = set(), threading.Event()
        self._thread = threading.Thread(target=self._heartbeats, daemon=True)

    def __enter__(self):
        self.nodes.make(*map(self.name, self.hosts))
        for host in self.hosts:
            host.ssh(f"cat /proc/sys/kernel/random/uuid > {BOOT}; rm -f {BOOTS}; rm -rf /var/lib/hostcraft/maintenance")
        self._thread.start()
        return self

    def __exit__(self, *_error):
        self._stop.set()
        self._thread.join()
        self.nodes.remove(*map(self.name, self.hosts))

    @staticmethod
    def name(host):
        return f"n-{host.name}"

    def _heartbeats(self):
        """Play what the kubelets tell of themselves."""
        mine = Nodes(type(self.nodes.cluster)(self.nodes.cluster.record))
        while not self._stop.wait(1):
            for host in self.hosts:
                if host.name in self.silent:
                    continue
                with contextlib.suppress(subprocess.TimeoutExpired):  # the machine is busy; the next one will do
                    mine.status(self.name(host), host.ssh(f"cat {BOOT}").strip())

    def options(self, **variables):
        given = {
            "target": "first,second",
            "node_maintenance_reboot": "always",
            "node_maintenance_reboot_command": REBOOT,
            "node_maintenance_boot_id_file": BOOT,
            "node_maintenance_reboot_timeout": 60,
            "node_maintenance_kubernetes": {"kubeconfig": self.nodes.cluster.kubeconfig},
            "node_maintenance_reports": str(self.reports),
            **variables,
        }
        node = "n-{{ inventory_hostname }}"
        return ["-e", json.dumps({"node_maintenance_node": node, **given}), "hostcraft.linux.maintain_nodes"]

    def run(self, **variables):
        """Run the playbook; return its exit status, what it said, and the report."""
        *arguments, book = self.options(**variables)
        status, said = self.hosts[0].ansible(book, *arguments)
        assert any(self.reports.glob("*.json")), f"no report was written:\n{said}"
        return status, said, self.report()

    def report(self):
        """Return the newest report."""
        newest = max(self.reports.glob("*.json"), key=os.path.getmtime)
        return json.loads(newest.read_text())

    def boots(self, host):
        return len(host.ssh(f"cat {BOOTS} 2>/dev/null; true").split())


@pytest.fixture
def fleet(cluster, pair, tmp_path):
    with Fleet(cluster, pair, tmp_path / "reports") as found:
        yield found


@pytest.fixture
def shop(fleet):
    """A namespace with pods on the first node, whose kubelets are played."""
    name = f"shop-{time.monotonic_ns()}"
    fleet.nodes.cluster.namespace(name)
    with Kubelet(fleet.nodes.cluster):
        yield name
        fleet.nodes.cluster.delete(name)
        gone = f"/api/v1/namespaces/{name}"
        fleet.nodes.cluster.wait_for("the namespace to go", lambda: fleet.nodes.cluster.exists(gone) is None)


def steps(report, host):
    return [(one["step"], one["result"]) for one in report["hosts"][host]["events"]]


def test_a_whole_run(fleet, shop, tmp_path):
    nodes = fleet.nodes
    nodes.pod(shop, "web-1", "n-first", nodes.owner(shop, "web"))
    tasks = tmp_path / "work.yml"
    tasks.write_text(json.dumps([{"name": "Upgrade", "ansible.builtin.command": "touch /root/upgraded"}]))
    status, said, report = fleet.run(node_maintenance_tasks=str(tasks))
    assert status == 0, said
    assert report["counts"]["done"] == 2
    expected = [(step, "done") for step in ("drain", "work", "reboot", "wait", "uncordon")]
    assert steps(report, "first") == steps(report, "second") == expected
    ended, began = report["hosts"]["first"]["events"][-1]["ended"], report["hosts"]["second"]["events"][0]["began"]
    assert ended <= began, "one after the other"
    assert f"evict pod {shop}/web-1: from node n-first" in report["hosts"]["first"]["events"][0]["detail"]
    assert nodes.pods("n-first") == []
    for host in fleet.hosts:
        assert fleet.boots(host) == 1
        assert cordon_of(nodes, fleet.name(host)) == (False, None)
        assert host.ssh("ls /var/lib/hostcraft/maintenance /root/upgraded") .split() == [
            "/root/upgraded", "/var/lib/hostcraft/maintenance:"
        ]  # fmt: skip
        host.ssh("rm /root/upgraded")
    page = next(fleet.reports.glob("*.html")).read_text()
    assert "src=" not in page
    assert "http" not in page.replace("viewport", "")
    assert page.count('class="bar done"') == 10
    # A second run, for those that need it, finds none.
    status, said, report = fleet.run(node_maintenance_reboot="required")
    assert status == 0, said
    assert report["counts"]["not needed"] == 2
    assert [fleet.boots(host) for host in fleet.hosts] == [1, 1]


def test_check_mode_predicts_and_changes_nothing(fleet, shop):
    nodes = fleet.nodes
    nodes.pod(shop, "web-1", "n-first", nodes.owner(shop, "web"))
    status, said = fleet.hosts[0].ansible(fleet.options()[-1], "--check", *fleet.options()[:-1])
    assert status == 0, said
    assert "drain, reboot, wait, uncordon" in said
    assert nodes.pods("n-first") == [f"{shop}/web-1"]
    assert cordon_of(nodes, "n-first") == (False, None)
    assert [fleet.boots(host) for host in fleet.hosts] == [0, 0]
    assert not fleet.reports.exists()


@pytest.mark.parametrize("step", ["drain", "work", "reboot", "wait"])
def test_an_aborted_run_goes_on_where_it_was(fleet, shop, tmp_path, step):
    nodes, first = fleet.nodes, fleet.hosts[0]
    owner = nodes.owner(shop, "web")
    nodes.pod(shop, "web-1", "n-first", owner)
    nodes.budget(shop, "web", 1)
    tasks = tmp_path / "work.yml"
    tasks.write_text(json.dumps([{"name": "Upgrade", "ansible.builtin.command": "test -e /root/repaired"}]))
    variables = {"node_maintenance_tasks": str(tasks), "node_maintenance_drain_timeout": 3}
    if step != "drain":
        nodes.pod(shop, "web-2", "n-second", owner)
        nodes.healthy(shop, "web", 2)
    if step != "work":
        first.ssh("touch /root/repaired")
    broken = {
        "reboot": {"node_maintenance_reboot_command": ["false"]},
        "wait": {"node_maintenance_reboot_timeout": 4},
    }.get(step, {})
    if step == "wait":
        fleet.silent.add("first")
    status, said, report = fleet.run(**variables, **broken)
    assert status != 0
    assert "run the playbook again, and it goes on with that" in said
    assert (report["counts"]["failed"], report["counts"]["waiting"]) == (1, 1), "no other host was begun"
    assert steps(report, "first")[-1] == (step, "failed")
    assert report["hosts"]["first"]["reason"]
    assert cordon_of(nodes, "n-first") == (True, "hostcraft.linux"), "it stays cordoned"
    assert cordon_of(nodes, "n-second") == (False, None)
    assert json.loads(first.ssh(f"cat {JOURNAL}"))["step"] == step
    assert fleet.boots(first) == (step == "wait")

    fleet.silent.clear()
    first.ssh("touch /root/repaired")
    if step == "drain":
        nodes.pod(shop, "web-2", "n-second", owner)
        nodes.healthy(shop, "web", 2)
    status, said, report = fleet.run(**variables, target="first")
    first.ssh("rm /root/repaired")
    assert status == 0, said
    again = [one for one, _result in steps(report, "first")]
    gone_on = {
        "drain": ["drain", "drain", "work", "reboot", "wait", "uncordon"],
        "work": ["drain", "work", "drain", "work", "reboot", "wait", "uncordon"],
        "reboot": ["drain", "work", "reboot", "drain", "reboot", "wait", "uncordon"],
        "wait": ["drain", "work", "reboot", "wait", "wait", "uncordon"],
    }
    assert again == gone_on[step]
    assert report["hosts"]["first"]["result"] == "done"
    assert fleet.boots(first) == 1, "it was rebooted once in all"
    assert cordon_of(nodes, "n-first") == (False, None)
    assert nodes.pods("n-first") == []


def test_a_run_that_is_killed_goes_on(fleet):
    """Nothing has a chance to clean up; what the run knows is on the host and in the cluster."""
    first = fleet.hosts[0]
    fleet.silent.add("first")
    path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
    argv = ["ansible-playbook", "-i", first.inventory, *fleet.options(target="first")]
    with subprocess.Popen(
        argv,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, "PATH": path},
    ) as run:
        deadline = time.monotonic() + 90
        while "wait" not in first.ssh(f"cat {JOURNAL} 2>/dev/null; true"):
            assert time.monotonic() < deadline
            time.sleep(0.5)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)
    assert fleet.report()["hosts"]["first"]["result"] == "unfinished"
    assert cordon_of(fleet.nodes, "n-first") == (True, "hostcraft.linux")
    fleet.silent.clear()
    # The time window is over, and what was begun is finished nevertheless.
    status, said, report = fleet.run(node_maintenance_until="1", node_maintenance_reboot="required")
    assert status == 0, said
    assert steps(report, "first") == [
        ("drain", "done"), ("reboot", "done"), ("wait", "interrupted"), ("wait", "done"), ("uncordon", "done")
    ]  # fmt: skip
    assert report["hosts"]["second"]["result"] == "not needed"
    assert fleet.boots(first) == 1


def test_a_closed_window_failures_and_a_cordon_of_others(fleet):
    first, second = fleet.hosts
    status, said, report = fleet.run(node_maintenance_until="1")
    assert status == 0, said
    assert report["counts"]["skipped"] == 2
    assert report["hosts"]["first"]["reason"] == "the time window has closed"
    # One failure is tolerated: the next host is done, and the run fails nevertheless.
    fleet.nodes.cordon("n-second")
    command = ["sh", "-c", f"[ $(hostname) != first ] || exit 1; {REBOOT[2]}"]
    status, said, report = fleet.run(node_maintenance_reboot_command=command, node_maintenance_max_failures=1)
    assert status != 0
    assert "The maintenance of first has failed" in said
    assert (report["hosts"]["first"]["result"], report["hosts"]["second"]["result"]) == ("failed", "done")
    assert (fleet.boots(first), fleet.boots(second)) == (0, 1)
    assert cordon_of(fleet.nodes, "n-second") == (True, None), "that was not ours"


def test_a_host_that_cannot_be_reached(fleet):
    status, said, report = fleet.run(ansible_port=1)
    assert status != 0
    assert (report["counts"]["failed"], report["counts"]["waiting"]) == (1, 1)
    assert steps(report, "first") == []
    assert "Stop where it cannot be reached" in report["hosts"]["first"]["reason"], said
