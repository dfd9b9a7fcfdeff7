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
from pathlib import Path

import pytest

from lab import record
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
                try:
                    mine.status(self.name(host), self._boot(host))
                except Exception as error:  # noqa: BLE001 the machine is busy; the next one will do
                    print(f"no heartbeat of {host.name}: {error!r}", file=sys.stderr)

    @staticmethod
    def _boot(host):
        """Return the boot ID that a host is in, without an SSH connection for each heartbeat."""
        return Path(f"/proc/{record.read(host.name).pid}/root{BOOT}").read_text().strip()

    @contextlib.contextmanager
    def only_reading(self):
        """Give the options of a user who may read nodes and change none."""
        prefix, name = "/apis/rbac.authorization.k8s.io/v1", {"metadata": {"name": "node-reader"}}
        rule = {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "node-reader"}
        user = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "node-reader"}
        ask = self.nodes.cluster.ask
        ask("POST", f"{prefix}/clusterroles", {**name, "rules": [rule]})
        ask("POST", f"{prefix}/clusterrolebindings", {**name, "roleRef": reference, "subjects": [user]})
        try:
            yield {"kubeconfig": self.nodes.cluster.kubeconfig, "impersonate_user": "node-reader"}
        finally:
            for one in ("clusterrolebindings", "clusterroles"):
                ask("DELETE", f"{prefix}/{one}/node-reader")

    def options(self, **variables):
        given = {
            "target": "first,second",
            "ansible_pipelining": True,
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


def test_a_run_that_is_aborted_at_every_step_goes_on_where_it_was(fleet, shop, tmp_path):
    """One host fails at each of its steps in turn, and is repaired in between."""
    nodes, first = fleet.nodes, fleet.hosts[0]
    owner = nodes.owner(shop, "web")
    nodes.pod(shop, "web-1", "n-first", owner)
    nodes.budget(shop, "web", 1)
    tasks = tmp_path / "work.yml"
    tasks.write_text(json.dumps([{"name": "Upgrade", "ansible.builtin.command": "test -e /root/repaired"}]))
    fixed = {"node_maintenance_tasks": str(tasks)}
    whole = ["drain", "work", "reboot", "wait", "uncordon"]

    def fails_at(step, *taken, boots=0, **variables):
        status, said, report = fleet.run(**fixed, **variables)
        assert status != 0
        assert "run the playbook again, and it goes on with that" in " ".join(said.split())
        assert "The maintenance of first has failed" in said
        assert (report["counts"]["failed"], report["counts"]["done"]) == (1, 0), said
        assert report["hosts"]["first"]["reason"]
        assert [name for name, _result in steps(report, "first")] == list(taken)
        assert steps(report, "first")[-1] == (step, "failed")
        assert json.loads(first.ssh(f"cat {JOURNAL}"))["step"] == step
        assert fleet.boots(first) == boots
        return report

    # There is no libvirt on that host; nothing was cordoned for it, and no other host is begun.
    report = fails_at("evacuate", "evacuate", node_maintenance_evacuate=True)
    assert report["hosts"]["second"]["result"] == "skipped"
    assert report["hosts"]["second"]["reason"] == "1 host has failed before"
    assert cordon_of(nodes, "n-first") == cordon_of(nodes, "n-second") == (False, None)
    fixed["target"] = "first"
    fails_at("drain", "evacuate", "drain", node_maintenance_drain_timeout=3)
    assert cordon_of(nodes, "n-first") == (True, "hostcraft.linux"), "it stays cordoned"
    nodes.pod(shop, "web-2", "n-second", owner)
    nodes.healthy(shop, "web", 2)
    so_far = ["evacuate", "drain", "drain", "work"]
    fails_at("work", *so_far)
    assert nodes.pods("n-first") == []
    first.ssh("touch /root/repaired")
    so_far += ["drain", "work", "reboot"]
    fails_at("reboot", *so_far, node_maintenance_reboot_command=["false"])
    first.ssh("rm /root/repaired")  # what is done is not done again
    fleet.silent.add("first")
    so_far += ["drain", "reboot", "wait"]
    fails_at("wait", *so_far, boots=1, node_maintenance_reboot_timeout=4)
    fleet.silent.clear()
    with fleet.only_reading() as reader:
        so_far += ["wait", "uncordon"]
        fails_at("uncordon", *so_far, boots=1, node_maintenance_kubernetes=reader)
    assert cordon_of(nodes, "n-first") == (True, "hostcraft.linux")
    status, said, report = fleet.run(**fixed)
    assert status == 0, said
    assert [name for name, _result in steps(report, "first")] == [*so_far, "wait", "uncordon"]
    assert [name for name, result in steps(report, "first") if result == "done"][-2:] == whole[-2:]
    assert report["hosts"]["first"]["result"] == "done"
    assert fleet.boots(first) == 1, "it was rebooted once in all"
    assert cordon_of(nodes, "n-first") == (False, None)


def test_one_of_a_batch_is_lost_or_fails_and_the_other_goes_on(fleet, tmp_path):
    first, second = fleet.hosts
    # What loses the connection to the first host in the middle of a step.
    lose = [
        {"name": "Lose it", "ansible.builtin.set_fact": {"ansible_port": 1}, "when": "inventory_hostname == 'first'"},
        {"name": "Lose what is kept of it", "ansible.builtin.meta": "reset_connection"},
        {"name": "Upgrade", "ansible.builtin.command": "true"},
    ]
    tasks = tmp_path / "work.yml"
    tasks.write_text(json.dumps(lose))
    status, said, report = fleet.run(batch=2, node_maintenance_tasks=str(tasks))
    assert status != 0
    assert "The maintenance of first has failed" in said
    assert (report["hosts"]["first"]["result"], report["hosts"]["second"]["result"]) == ("unfinished", "done"), said
    assert steps(report, "first") == [("drain", "done"), ("work", "running")]
    assert (fleet.boots(first), fleet.boots(second)) == (0, 1)
    assert cordon_of(fleet.nodes, "n-first") == (True, "hostcraft.linux")
    assert cordon_of(fleet.nodes, "n-second") == (False, None)
    command = ["sh", "-c", f"[ $(hostname) != first ] || exit 1; {REBOOT[2]}"]
    status, said, report = fleet.run(batch=2, node_maintenance_reboot_command=command)
    assert status != 0
    assert (report["hosts"]["first"]["result"], report["hosts"]["second"]["result"]) == ("failed", "done"), said
    assert steps(report, "first")[-1] == ("reboot", "failed")
    assert (fleet.boots(first), fleet.boots(second)) == (0, 2)
    assert cordon_of(fleet.nodes, "n-second") == (False, None)


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
    assert "unfinished" in next(fleet.reports.glob("*.html")).read_text(), "the page was written when it began"
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
    status, said, report = fleet.run(ansible_port=1, target="first")
    assert status != 0
    assert report["hosts"]["first"]["result"] == "failed"
    assert steps(report, "first") == []
    assert "Stop where it cannot be reached" in report["hosts"]["first"]["reason"], said
