# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a job of the role maintenance_schedule: within its time window, under a lock, and remove reports that are old.

It is started by systemd with the file of the job, again with ``--failed`` when the job has failed, and with
``--resume`` at the boot of a host that has rebooted itself. Python 3.6 or newer, nothing else.
"""

import argparse
import datetime
import fcntl
import json
import os
import subprocess
import sys
import time

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
BUSY = 75  # EX_TEMPFAIL, sysexits.h
REPORTS = ("maintenance-", (".json", ".html"))  # how the role node_maintenance calls them


def closes(windows, now):
    """Return when the time window closes that is open now, the latest of several; None: none is open."""
    found = []
    for window in windows:
        for back in (0, 1):  # one that is open may have opened yesterday
            day = now.date() - datetime.timedelta(days=back)
            if window.get("days") and DAYS[day.weekday()] not in window["days"]:
                continue
            begin, end = (datetime.datetime.combine(day, _clock(window[name])) for name in ("from", "to"))
            if end <= begin:
                end += datetime.timedelta(days=1)
            if begin <= now < end:
                found.append(end)
    return max(found, default=None)


def old(names, ages, keep):
    """Return the reports among the names of files that are older than so many days.

    :param ages: days, by name.
    """
    prefix, endings = REPORTS
    return [name for name in names if name.startswith(prefix) and name.endswith(endings) and ages[name] > keep]


def prune(directory, keep):
    """Remove old reports."""
    now = time.time()
    names = os.listdir(directory) if os.path.isdir(directory) else []
    ages = {name: (now - os.stat(os.path.join(directory, name)).st_mtime) / 86400 for name in names}
    for name in old(names, ages, keep):
        os.unlink(os.path.join(directory, name))


def begun(job):
    """Tell whether a maintenance is under way on this host that this very job has begun."""
    if not job["begun"]:
        return False
    try:
        with open(job["begun"], encoding="utf-8") as stream:
            return stream.read().strip() == job["name"]
    except FileNotFoundError:
        return False


def run(job):
    """Run a job; return the exit status."""
    now = datetime.datetime.now()
    until, resumed = closes(job["windows"], now), begun(job)
    closed = bool(job["windows"]) and until is None
    if closed and not resumed:
        print("outside of its time windows; nothing was begun")
        return 0
    with open(job["lock"], "a+") as lock:
        try:
            # What was begun has no next time, and waits for its turn.
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if resumed else fcntl.LOCK_NB))
        except BlockingIOError:
            lock.seek(0)
            print("another job runs: {}".format(lock.read().strip() or job["lock"]))
            return BUSY
        if closed and not begun(job):
            print("outside of its time windows; what was begun is finished by now")
            return 0
        if closed:
            print("outside of its time windows; what was begun is finished", flush=True)
            until = now
        environment = _environment(job)
        if until:
            environment["HOSTCRAFT_MAINTENANCE_UNTIL"] = str(int(until.timestamp()))
        lock.truncate(0)
        lock.write("{} (process {})\n".format(job["name"], os.getpid()))
        lock.flush()
        try:
            status = subprocess.call(job["command"], env=environment)
        except OSError as error:
            print("cannot run {}: {}".format(job["command"][0], error.strerror))
            status = 127
        prune(job["reports"], job["keep_days"])
        lock.truncate(0)
    return status if status >= 0 else 128 - status


def _environment(job):
    given = {name: str(value) for name, value in job["environment"].items()}
    return dict(os.environ, HOSTCRAFT_JOB=job["name"], HOSTCRAFT_MAINTENANCE_REPORTS=job["reports"], **given)


def _clock(text):
    return datetime.datetime.strptime(text, "%H:%M").time()


def main():
    """Do what the command line says; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", help="the file that describes the job")
    parser.add_argument("--failed", action="store_true", help="tell that it has failed")
    parser.add_argument("--resume", metavar="UNIT", help="start the unit of the job if that has to go on")
    options = parser.parse_args()
    with open(options.job, encoding="utf-8") as stream:
        job = json.load(stream)
    if options.failed:
        return subprocess.call(job["notify"], env=_environment(job))
    if options.resume:
        if not begun(job):
            print("another job has begun what is under way, and goes on with it")
            return 0
        return subprocess.call(["systemctl", "start", "--no-block", options.resume])
    return run(job)


if __name__ == "__main__":
    sys.exit(main())
