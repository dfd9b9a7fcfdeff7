# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does a host need a reboot? What each source says, and what follows from all of them.

Only an exit status that a tool documents is an answer of it; a missing or failing tool says neither yes nor no.
Private to the collection; not a public interface.
"""

from .model import NO, UNKNOWN, YES, Answer, Signal

SHOWN = 8  # names in one reason
# What dnf, dnf5 and yum-utils print with -r before they exit with 1 (needs_restarting.py of dnf-plugins-core and its
# kin), in the locale C.
REQUIRED = "reboot is required"


def together(signals):
    """Return the :class:`Answer` of all signals: yes if one says so; no if one does, and none is unknown."""
    for wanted in (YES, UNKNOWN):
        found = [one for one in signals if one.answer.value == wanted]
        if found:
            return Answer(wanted, "; ".join(one.answer.reason for one in found))
    if not signals:
        return Answer(UNKNOWN, "nothing on this host tells")
    return Answer(NO, "; ".join(one.answer.reason for one in signals))


def marker(path, packages):
    """Return the signal of the file that Debian's packages make when they need a reboot.

    Its absence is no answer: on hosts without the package that makes it, it is never there.

    :param packages: the names in ``path.pkgs``, some of them more than once.
    """
    names = sorted(set(packages))
    return Signal("marker", Answer(YES, f"{path} is there{_for(names)}"))


def tool(argv, status, said, error):
    """Return the signal of a package manager's tool.

    :param argv: the command; ``dnf needs-restarting -r`` and its kin exit with 0 when no reboot is needed and with 1
        when one is (dnf-needs-restarting(8), needs-restarting(1), dnf5-needs-restarting(8)).
    :param status: its exit status; None: it was not run to its end.
    :param said: what it printed. Its yes says so; dnf exits with 1 after errors as well (dnf(8)), some of which it
        prints there.
    :param error: what it said of errors.
    """
    name = " ".join(argv)
    if status == 0:
        return Signal("package_manager", Answer(NO, f"{name} says that none is needed"))
    if status == 1 and REQUIRED in said.lower():
        return Signal("package_manager", Answer(YES, f"{name} says so{_for(_packages(said))}"))
    how = "did not end" if status is None else f"ended with {status}, which is no answer"
    last = (error.strip() or said.strip()).splitlines()[-1:] or ["no message"]
    return Signal("package_manager", Answer(UNKNOWN, f"{name} {how}: {last[0]}"))


def libraries(users, unread):
    """Return the signal of libraries that were replaced, or removed, and are still in use.

    :param users: ``{path of the library: names of programs}``.
    :param unread: how many processes may not be looked at.
    """
    if users:
        programs = sorted({name for names in users.values() for name in names})
        files = sorted(users)
        what = f"deleted libraries are in use by {_some(programs)}: {_some(files)}"
        return Signal("libraries", Answer(YES, what))
    if unread:
        what = f"the libraries of {unread} processes cannot be read; run the task with 'become: true'"
        return Signal("libraries", Answer(UNKNOWN, what))
    return Signal("libraries", Answer(NO, "no deleted library is in use"))


def _packages(said):
    """Return the names of packages in what dnf or yum prints, a line ``  * kernel`` for each."""
    return [line.strip()[1:].strip() for line in said.splitlines() if line.strip().startswith("*")]


def _for(names):
    return f" for {_some(names)}" if names else ""


def _some(names):
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
