# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role ``maintenance_schedule`` in a mount namespace of the machine, where systemd is installed and does not run.

Its units are looked at by systemd's own tools, and their commands are run by hand. A timer that fires is in the
Molecule scenario ``node_maintenance``.
"""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.netns import Box

UNITS = "/etc/systemd/system"
SEEN = "/mnt/seen"
# What stands for ansible-playbook: it writes down how it was called.
PLAYBOOK = f"""#!/bin/sh
echo "$@" until=$HOSTCRAFT_MAINTENANCE_UNTIL reports=$HOSTCRAFT_MAINTENANCE_REPORTS color=$COLOR >> {SEEN}
sleep ${{HOLD:-0}}
exit ${{FAIL:-0}}
"""
COLLECTIONS = os.environ.get("ANSIBLE_COLLECTIONS_PATH", "")
ALL_DAY = [{"from": "00:00", "to": "00:00"}]
NODES = {
    "name": "nodes",
    "playbook": "hostcraft.linux.maintain_nodes",
    "arguments": ["--inventory", "/etc/ansible/a b", "--limit", 'we"st'],
    "on_calendar": ["Sat 22:00", "Sun 22:00"],
    "random_delay": "45min",
    "windows": ALL_DAY,
    "environment": {"COLOR": "red %n $HOME"},
}
PULL = {
    "name": "self",
    "mode": "pull",
    "playbook": "maintain.yml",
    "url": "https://git.example.org/site.git",
    "checkout": "stable",
    "on_calendar": ["daily"],
    "catch_up": True,
}


class Machine(Box):
    """This machine; what is written in /etc, /usr/local, /var/lib and /run is gone at the end.

    :ivar directory: for playbooks.
    """

    def __init__(self, directory):
        super().__init__()
        self.directory = directory

    def ssh(self, *command, ok=(0,)):
        """Run a command of the shell there; return what it printed."""
        return self.run("sh", "-c", *command, ok=ok)

    def argv(self, command):
        """Return what runs a command of the shell there."""
        return [*self.within, "sh", "-c", command]

    def role(self, check=False, **variables):
        """Run the role; return the exit status, how many of its tasks have changed something, and what was said."""
        given = {
            "maintenance_schedule_ansible_playbook": "/usr/local/bin/play",
            "maintenance_schedule_ansible_pull": "/usr/local/bin/play",
            "maintenance_schedule_notify": ["sh", "-c", f"echo told of $HOSTCRAFT_JOB >> {SEEN}"],
            **variables,
        }
        tasks = [{"ansible.builtin.include_role": {"name": "hostcraft.linux.maintenance_schedule"}, "vars": given}]
        book = self.directory / "play.json"
        book.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
        playbook = str(Path(sys.executable).parent / "ansible-playbook")
        where = ["-i", "machine,", "-c", "local", "-e", f"ansible_python_interpreter={sys.executable}"]
        # Whoever runs the tests need not be able to become root by sudo: they are.
        said = self.run(
            playbook, *where, "-e", "ansible_become=false", *(["--check"] if check else []), str(book), ok=range(9)
        )
        recap = next(line for line in said.splitlines() if "changed=" in line)
        count = {name: int(recap.split(f"{name}=")[1].split()[0]) for name in ("changed", "failed")}
        return 2 if count["failed"] else 0, count["changed"], said


@pytest.fixture
def fresh(tmp_path):
    """The machine with a program that stands for ansible-playbook and ansible-pull."""
    machine = Machine(tmp_path)
    try:
        machine.ssh("rm -rf /run/systemd/system /etc/hostcraft /var/lib/hostcraft /etc/systemd/system/hostcraft-*")
        machine.ssh(f"cat > /usr/local/bin/play <<'END'\n{PLAYBOOK}END\nchmod 755 /usr/local/bin/play")
        yield machine
    finally:
        machine.close()


def role(machine, check=False, **variables):
    """Run the role there."""
    return machine.role(check, **variables)


def start(host, unit, before=""):
    """Run what a service of the role starts; return the exit status and what it prints."""
    line = host.ssh(f"grep ^ExecStart= {UNITS}/hostcraft-maintenance-{unit}.service").strip().partition("=")[2]
    out = host.ssh(f"env {before} {line}; echo status=$?")
    text, _mark, status = out.rpartition("status=")
    return int(status), text


def installed(host):
    found = host.ssh(f"ls {UNITS} /etc/hostcraft/maintenance 2>/dev/null; true").split()
    return sorted(one for one in found if "maintenance-" in one or one.endswith(".json"))


def test_jobs_come_change_and_go(fresh):
    status, changes, said = role(fresh, check=True, maintenance_schedule_jobs=[NODES])
    assert status == 0, said
    assert changes > 0
    assert installed(fresh) == []
    status, changes, said = role(fresh, maintenance_schedule_jobs=[NODES, PULL])
    assert status == 0, said
    assert installed(fresh) == [
        "hostcraft-maintenance-nodes-failed.service",
        "hostcraft-maintenance-nodes.service",
        "hostcraft-maintenance-nodes.timer",
        "hostcraft-maintenance-self-failed.service",
        "hostcraft-maintenance-self-resume.service",
        "hostcraft-maintenance-self.service",
        "hostcraft-maintenance-self.timer",
        "nodes.json",
        "self.json",
    ]
    # systemd itself reads them, and would complain of what it does not know or cannot find.
    verified = fresh.ssh(f"systemd-analyze verify --man=no {UNITS}/hostcraft-maintenance-*.timer "
                         f"{UNITS}/hostcraft-maintenance-*.service 2>&1; echo $?")  # fmt: skip
    assert [line for line in verified.splitlines() if "hostcraft" in line] == [], verified
    wanted = f"ls {UNITS}/timers.target.wants {UNITS}/multi-user.target.wants"
    assert "hostcraft-maintenance-nodes.timer" in fresh.ssh(wanted)
    assert "hostcraft-maintenance-self-resume.service" in fresh.ssh(wanted)
    timer = fresh.ssh(f"cat {UNITS}/hostcraft-maintenance-nodes.timer")
    assert "OnCalendar=Sat 22:00\nOnCalendar=Sun 22:00\n" in timer
    assert "RandomizedDelaySec=45min" in timer
    status, changes, said = role(fresh, maintenance_schedule_jobs=[NODES, PULL])
    assert (status, changes) == (0, 0), said
    status, changes, said = role(fresh, maintenance_schedule_jobs=[PULL], maintenance_schedule_notify=[])
    assert status == 0, said
    assert installed(fresh) == [
        "hostcraft-maintenance-self-resume.service",
        "hostcraft-maintenance-self.service",
        "hostcraft-maintenance-self.timer",
        "self.json",
    ]
    assert "hostcraft-maintenance-nodes.timer" not in fresh.ssh(wanted)
    status, changes, said = role(fresh, maintenance_schedule_state="absent", maintenance_schedule_jobs=[PULL])
    assert status == 0, said
    assert installed(fresh) == []
    assert "hostcraft" not in fresh.ssh(wanted, ok=(0, 2))
    assert fresh.ssh("ls /etc/hostcraft/maintenance /usr/local/lib/hostcraft/maintenance 2>/dev/null; true") == ""
    assert role(fresh, maintenance_schedule_state="absent")[:2] == (0, 0)


def test_what_a_job_runs(fresh):
    assert role(fresh, maintenance_schedule_jobs=[NODES, PULL])[0] == 0
    assert start(fresh, "nodes")[0] == 0
    assert start(fresh, "self")[0] == 0
    playbook, pull = fresh.ssh(f"cat {SEEN}").splitlines()
    assert playbook.startswith('--inventory /etc/ansible/a b --limit we"st hostcraft.linux.maintain_nodes until=')
    assert playbook.endswith("reports=/var/lib/hostcraft/reports color=red %n $HOME")
    midnight = int(fresh.ssh("date -d 'tomorrow 00:00' +%s"))
    assert int(playbook.partition("until=")[2].split()[0]) == midnight
    assert pull.startswith(
        "--url https://git.example.org/site.git --directory /var/lib/hostcraft/pull/self --checkout stable maintain.yml"
    )
    assert "until= " in pull, "without a window there is no end"


def test_windows_lock_retention_and_failure(fresh):
    past = int(fresh.ssh("date -d '-2 hours' +%H")), int(fresh.ssh("date -d '-1 hour' +%H"))
    closed = [{"from": f"{past[0]:02}:00", "to": f"{past[1]:02}:00"}]
    jobs = [dict(NODES, windows=closed), dict(PULL, windows=closed)]
    assert role(fresh, maintenance_schedule_jobs=jobs)[0] == 0
    for name in ("nodes", "self"):
        assert start(fresh, name) == (0, "outside of its time windows; nothing was begun\n")
    # The host has rebooted itself, and goes on; nothing new is begun, since the window counts as closed.
    fresh.ssh("mkdir -p /var/lib/hostcraft/maintenance; echo other > /var/lib/hostcraft/maintenance/job")
    for name in ("nodes", "self"):
        assert start(fresh, name) == (0, "outside of its time windows; nothing was begun\n")
    assert start(fresh, "self-resume") == (0, "another job has begun what is under way, and goes on with it\n")
    fresh.ssh("echo self > /var/lib/hostcraft/maintenance/job")
    assert start(fresh, "nodes")[1] == "outside of its time windows; nothing was begun\n"
    fresh.ssh(
        f"printf '#!/bin/sh\\necho $@ >> {SEEN}-units\\n' > /usr/local/bin/systemctl; chmod +x /usr/local/bin/systemctl"
    )
    assert start(fresh, "self-resume")[0] == 0
    fresh.ssh("rm /usr/local/bin/systemctl")
    assert fresh.ssh(f"cat {SEEN}-units") == "start --no-block hostcraft-maintenance-self.service\n"
    assert start(fresh, "self") == (0, "outside of its time windows; what was begun is finished\n")
    until = fresh.ssh(f"cat {SEEN}").partition("until=")[2].split()[0]
    assert abs(int(until) - int(fresh.ssh("date +%s"))) < 60

    assert role(fresh, maintenance_schedule_jobs=[NODES, PULL])[0] == 0
    fresh.ssh("cd /var/lib/hostcraft/reports && touch -d '91 days ago' maintenance-old.html other.html && "
              "touch maintenance-new.json")  # fmt: skip
    fresh.ssh("rm /var/lib/hostcraft/maintenance/job")
    status, said = start(fresh, "nodes", "FAIL=3")
    assert (status, said) == (3, "")
    assert sorted(fresh.ssh("ls /var/lib/hostcraft/reports").split()) == ["lock", "maintenance-new.json", "other.html"]
    assert start(fresh, "nodes-failed")[0] == 0
    assert fresh.ssh(f"tail -1 {SEEN}") == "told of nodes\n"
    assert "OnFailure=hostcraft-maintenance-nodes-failed.service" in fresh.ssh(
        f"cat {UNITS}/hostcraft-maintenance-nodes.service"
    )
    line = fresh.ssh(f"grep ^ExecStart= {UNITS}/hostcraft-maintenance-nodes.service").strip().partition("=")[2]
    lines = len(fresh.ssh(f"cat {SEEN}").splitlines())
    with subprocess.Popen(fresh.argv(f"env HOLD=8 {line}")) as first:
        fresh.ssh(f"for turn in $(seq 50); do [ $(wc -l < {SEEN}) -gt {lines} ] && break; sleep 0.1; done")
        status, said = start(fresh, "self")
        assert status == 75
        assert said.startswith("another job runs: nodes (process ")
        # What goes on waits for its turn instead.
        fresh.ssh("echo self > /var/lib/hostcraft/maintenance/job")
        assert start(fresh, "self")[0] == 0
        assert first.wait(timeout=60) == 0
    assert start(fresh, "self")[0] == 0
    assert shlex.split(line)[1] == "/usr/local/lib/hostcraft/maintenance"


def test_what_is_refused(fresh):
    for jobs, said in (
        ([dict(NODES, on_calendar=["Caturday"])], "Caturday"),
        ([NODES, NODES], "each is given once"),
        ([dict(NODES, name="../x")], "letters, digits"),
        ([dict(PULL, url=None)], "needs a url"),
        ([dict(NODES, windows=[{"from": "22:00"}])], "missing required arguments: to"),
    ):
        given = [{name: one for name, one in job.items() if one is not None} for job in jobs]
        status, changes, text = role(fresh, maintenance_schedule_jobs=given)
        assert (status, changes) == (2, 0), text
        assert said in text
        assert installed(fresh) == []


def test_a_host_that_pulls_goes_on_after_its_own_reboot(fresh):
    """The real ansible-pull and git; the reboot is played by a new boot ID, at which the first run has ended."""
    boot, boots = "/mnt/boot_id", "/mnt/boots"
    reboot = f"cat /proc/sys/kernel/random/uuid > {boot}; cat {boot} >> {boots}"
    variables = {
        "target": "localhost",
        "ansible_connection": "local",
        "ansible_become": False,
        "ansible_python_interpreter": sys.executable,
        "node_maintenance_reboot": "always",
        "node_maintenance_reboot_command": ["sh", "-c", reboot],
        "node_maintenance_boot_id_file": boot,
    }
    book = [{"name": "Maintain this host", "import_playbook": "hostcraft.linux.maintain_nodes", "vars": variables}]
    fresh.ssh(
        f"cat /proc/sys/kernel/random/uuid > {boot}; git init -q /mnt/site; cd /mnt/site; "
        f"echo {shlex.quote(json.dumps(book))} > maintain.yml; git add .; "
        "git -c user.name=t -c user.email=t@example.org commit -qm site"
    )
    job = dict(PULL, url="file:///mnt/site", environment={"ANSIBLE_COLLECTIONS_PATH": COLLECTIONS})
    del job["checkout"]
    pull = {"maintenance_schedule_ansible_pull": str(Path(sys.executable).parent / "ansible-pull")}
    assert role(fresh, maintenance_schedule_jobs=[job], **pull)[0] == 0
    status, said = start(fresh, "self")
    assert status == 0, said
    assert "goes down with it" in said
    assert "not back" not in said
    journal = json.loads(fresh.ssh("cat /var/lib/hostcraft/maintenance/journal.json"))
    assert (journal["step"], journal["result"]) == ("reboot", "unfinished")
    # Whoever runs the job must see that it has to go on, and nothing else.
    assert fresh.ssh("setpriv --reuid=65534 --clear-groups cat /var/lib/hostcraft/maintenance/job") == "self\n"
    assert fresh.ssh("stat -c %a /var/lib/hostcraft/maintenance/journal.json") == "600\n"
    # At the next boot the window has closed.
    hour = int(fresh.ssh("date -d '-2 hours' +%H"))
    closed = [{"from": f"{hour:02}:00", "to": f"{hour:02}:01"}]
    assert role(fresh, maintenance_schedule_jobs=[dict(job, windows=closed)], **pull)[0] == 0
    condition = fresh.ssh(f"grep ConditionPathExists {UNITS}/hostcraft-maintenance-self-resume.service")
    fresh.ssh(f"test -e {condition.partition('=')[2]}")
    status, said = start(fresh, "self")
    assert status == 0, said
    reports = fresh.ssh("cat $(ls -t /var/lib/hostcraft/reports/*.json | head -1)")
    found = json.loads(reports)["hosts"]["localhost"]
    assert found["result"] == "done"
    assert [one["step"] for one in found["events"]] == ["reboot", "wait"]
    assert fresh.ssh("ls /var/lib/hostcraft/maintenance") == ""
    assert len(fresh.ssh(f"cat {boots}").split()) == 1
    assert start(fresh, "self")[1] == "outside of its time windows; nothing was begun\n"
