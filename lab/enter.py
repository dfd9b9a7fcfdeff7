# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run one program in new namespaces, detached. A program of its own, started by namespaces.py.

Standard input: one line of JSON, {"namespaces": [...], "log": PATH, "argv": [...], "host": null | {...}},
then "go". Standard output: the pid. The new process does nothing before "go" and ends when its
starter dies before saying it: a process that nobody has recorded cannot remain.

"host" makes argv run in a root file system of its own, with these keys:
hostname, lower (list of directories, topmost first), upper, work, root (directories),
binds (list of [source, target, read_only]), devices (list of [path, major, minor, mode, gid]),
files (list of [path, mode, uid, text]).
"""

import ctypes
import json
import os
import socket
import stat
import sys
import traceback

FLAGS = {  # /usr/include/linux/sched.h, see namespaces(7)
    "mount": 0x00020000,
    "uts": 0x04000000,
    "ipc": 0x08000000,
    "pid": 0x20000000,
    "net": 0x40000000,
}
# /usr/include/linux/mount.h, see mount(2)
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 0x1000, 0x4000, 0x40000, 2
SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
NODES = (("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0))

libc = ctypes.CDLL(None, use_errno=True)


def check(result: int, what: str) -> None:
    """Raise ``OSError`` for a failed libc call."""
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(source: str, target: str, kind: str, flags: int = 0, options: str = "") -> None:
    """mount(2)."""
    arguments = (source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode())
    check(libc.mount(*arguments), f"mount {kind or 'bind'} {source} on {target}")


def make_root(host: dict) -> None:
    """Mount the root file system of a host, with fresh /proc, /sys, /dev and /run, and make it ours."""
    mount("", "/", "", MS_REC | MS_PRIVATE)
    root = host["root"]
    layers = f"lowerdir={':'.join(host['lower'])},upperdir={host['upper']},workdir={host['work']},volatile"
    mount("overlay", root, "overlay", 0, layers)
    plain = MS_NOSUID | MS_NODEV | MS_NOEXEC
    mount("proc", f"{root}/proc", "proc", plain)
    mount("sysfs", f"{root}/sys", "sysfs", plain)
    mount("tmpfs", f"{root}/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    make_dev(f"{root}/dev", host["devices"])
    # The one file below /proc by which a host could restart the machine itself.
    if os.path.exists(f"{root}/proc/sysrq-trigger"):
        mount(f"{root}/dev/null", f"{root}/proc/sysrq-trigger", "", MS_BIND)
    for source, target, read_only in host["binds"]:
        if os.path.realpath(root + target) != root + target:
            raise ValueError(f"{target} of {root} is, or is below, a symbolic link: it would lead out of the root")
        os.makedirs(root + target, exist_ok=True)
        mount(source, root + target, "", MS_BIND)
        if read_only:
            mount("", root + target, "", MS_BIND | MS_REMOUNT | MS_RDONLY)
    os.chdir(root)
    # pivot_root(2), section NOTES: pivot_root(".", ".") needs no directory for the old root.
    check(libc.syscall(SYS_PIVOT_ROOT[os.uname().machine], b".", b"."), f"pivot_root {root}")
    check(libc.umount2(b".", MNT_DETACH), "umount the old root")
    os.chdir("/")
    # Not before: an absolute symbolic link in the root file system would lead to a file of the machine.
    for path, mode, uid, text in host["files"]:
        write(path, mode, uid, text)


def make_dev(dev: str, devices: list) -> None:
    """Fill /dev with what every program may expect (Linux allocated devices, admin-guide/devices.rst)."""
    mount("tmpfs", dev, "tmpfs", MS_NOSUID, "mode=755")
    for name, major, minor in NODES:
        make_node(f"{dev}/{name}", major, minor, 0o666, 0)
    for path, major, minor, mode, gid in devices:
        os.makedirs(os.path.dirname(f"{dev}/{path}"), exist_ok=True)
        make_node(f"{dev}/{path}", major, minor, mode, gid)
    for name in ("pts", "shm", "mqueue"):
        os.mkdir(f"{dev}/{name}")
    mount("devpts", f"{dev}/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620,gid=5")
    mount("tmpfs", f"{dev}/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    mount("mqueue", f"{dev}/mqueue", "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    links = {"ptmx": "pts/ptmx", "fd": "/proc/self/fd"}
    links.update({name: f"/proc/self/fd/{number}" for number, name in enumerate(("stdin", "stdout", "stderr"))})
    for name, target in links.items():
        os.symlink(target, f"{dev}/{name}")


def make_node(path: str, major: int, minor: int, mode: int, gid: int) -> None:
    """Make a character device of root; mknod(2) alone would apply the umask."""
    os.mknod(path, stat.S_IFCHR, os.makedev(major, minor))
    os.chmod(path, mode)
    os.chown(path, 0, gid)


def write(path: str, mode: int, uid: int, text: str) -> None:
    """Write a file of the user and group ``uid``; its directory is made (0700, same owner) when missing."""
    directory = os.path.dirname(path)
    if not os.path.isdir(directory):
        os.makedirs(directory)
        os.chmod(directory, 0o755 if uid == 0 and mode & 0o044 else 0o700)
        os.chown(directory, uid, uid)
    with open(path, "w") as stream:
        stream.write(text)
        os.fchmod(stream.fileno(), mode)
        os.fchown(stream.fileno(), uid, uid)


def run(spec: dict, log: int) -> None:
    """Be the new process: wait for "go", make the root file system, become argv."""
    os.setsid()
    if sys.stdin.readline() != "go\n":
        return
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.umask(0o022)
    os.chdir("/")
    if spec["host"]:
        socket.sethostname(spec["host"]["hostname"])
        make_root(spec["host"])
    os.execve(spec["argv"][0], spec["argv"], {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})


def main() -> None:
    """Make the namespaces, fork into them (a PID namespace begins with the child), print the pid."""
    spec = json.loads(sys.stdin.readline())
    log = os.open(spec["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    flags = sum(FLAGS[name] for name in spec["namespaces"])
    check(libc.unshare(flags), f"unshare {' '.join(spec['namespaces'])}")
    pid = os.fork()
    if pid:
        print(pid, flush=True)
        return
    try:
        run(spec, log)
    except BaseException:
        os.write(log, traceback.format_exc().encode())
    os._exit(1)


if __name__ == "__main__":
    main()
