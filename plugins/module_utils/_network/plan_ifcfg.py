# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which steps make the links of a host that the initscripts keep what is declared. Pure.

The files are written first, for the next boot; then the running kernel is changed in place through ip(8), since the
initscripts would take a link down for nearly everything, and end with 0 whatever came of it. Only who is to get its
address from a server is restarted through them: they run the client. What takes all of it back is the undo of the first
step: the files must be back before a link is restarted. Private to the collection; not a public interface.
"""

from .._core.reconcile import Plan, ReconcileError, Step
from . import ifcfg, ifcfg_settings, iproute, options, topology
from . import plan as plan_kernel
from .ifcfg_text import Text
from .job import job_of
from .model import SETTINGS, Link, Write
from .shown import said_of_settings, shown, with_keys

POST = f"{ifcfg.DIRECTORY}/ifup-post"
RESOLVER = "/etc/resolv.conf"
READABLE = 0o644


def plan(wanted, state):
    """Return the :class:`Plan` that makes ``state`` what is ``wanted``, through files of the initscripts and ip(8).

    :raises ReconcileError: the declaration cannot be met on this host; nothing has been changed.
    """
    job = job_of(wanted, state)
    _check(job)
    kernel = plan_kernel.with_commands(wanted, state, job)
    written = {}
    for name in topology.order(job.links):
        # What only loses something to a link that is declared, and has no file, gets none.
        if name in wanted.links or (name in kernel.before and f"ifcfg-{name}" in state.files):
            written.update({file: (name, text) for file, text in _files(name, job, state).items()})
    stale = {file: one for file, one in written.items() if one[1] != state.files.get(file)}
    gone = {file: name for name in wanted.absent for file in ifcfg.names(name) if file in state.files}
    steps = [_write(file, name, text, state) for file, (name, text) in stale.items()]
    steps += [step._replace(data=(step.data[0], ())) for step in kernel.steps]
    steps += [step for name in topology.order(job.links) for step in _settings(name, job)]
    steps += [_write(file, name, None, state) for file, name in gone.items()]
    named = dict.fromkeys([*kernel.before, *(name for name, _text in stale.values()), *gone.values()])
    old, new = (_by_link(files, named) for files in (state.files, _after(stale, gone, state.files)))
    todo = Plan(
        {one: with_keys(shown(state.links.get(one), one, job), "ifcfg", old[one], new[one]) for one in named},
        {one: with_keys(shown(job.links.get(one), one, job), "ifcfg", new[one], old[one]) for one in named},
        tuple(steps),
        kernel.warnings,
    )
    if not steps:
        return todo
    first = steps[0]
    return todo._replace(steps=(first._replace(data=(first.data[0], undo(state, todo))), *todo.steps[1:]))


def undo(state, todo):
    """Return what takes a change back, from whatever state the host is in: operations, each with whether it may fail.

    The files first, so that a machine that goes down boots with them.

    :param todo: the plan that is carried out.
    """
    operations = [one for step in todo.steps for one in step.data[0]]
    found = [(Write(one.path, None), False) for one in operations if isinstance(one, Write)]
    commands = [one for one in operations if not isinstance(one, Write)]
    if any(one[0] in (POST, "ifup") for one in commands):
        found.append((Write(RESOLVER, None), False))
    found += plan_kernel.undo(state, todo)
    for name in [one[1] for one in commands if one[0] == "ifup" and one[1] in state.links]:
        found += [(argv, True) for argv in _restart(name, state.links)]
    return found


def _check(job):
    """Refuse what the initscripts cannot keep, as far as the file alone does not tell."""
    for name, link in job.links.items():
        if job.settings(name).get("dhcp4"):
            ifcfg_settings.refuse_beside_lease(link)
        if job.settings(name).get("ipv6") == "disabled":
            raise ReconcileError(
                f"{link.kind} '{name}': the initscripts cannot disable IPv6 of one link, so it would be back at "
                f"the next boot; set net.ipv6.conf.{name}.disable_ipv6 in /etc/sysctl.d, or leave ipv6 out"
            )


def _files(name, job, state):
    """Return the files of a link once they say what is declared, ``{file name: text}``."""
    have = {file: state.files[file] for file in ifcfg.names(name) if file in state.files}
    return ifcfg.render(_said(name, job, state, f"ifcfg-{name}" not in have), job.links, have)


def _said(name, job, state, new):
    """Return what the files of a link are to say of it; None for what stays as they have it."""
    link, have, want = job.links[name], state.links.get(name), job.declared.get(name, Link(name, job.links[name].kind))
    if new:
        pinned = have and link.kind == "bond" and options.has_own_mac(link.options)
        mac = link.mac or (have.mac if pinned else None)
        return link._replace(options=options.meant(link), mac=mac, port=want.port, up=True, **_given(want))
    kept = {
        key: getattr(link, key)
        for key in ("master", "addresses", "routes", "rules")
        if getattr(want, key) is not None or not have or getattr(link, key) != getattr(have, key)
    }
    # The two are said together, by the name or by two keys.
    place = {key: link.options[key] for key in ("parent", "id") if {"parent", "id"}.intersection(want.options)}
    return want._replace(kind=link.kind, options=dict(want.options, **place), **kept)


def _given(want):
    return {key: getattr(want, key) for key in SETTINGS}


def _write(file, name, text, state):
    path = f"{ifcfg.DIRECTORY}/{file}"
    verb = "delete" if text is None else "write"
    said = f"of {name}" if file in state.files else f"new, of {name}"
    return Step(verb, path, said, ([Write(path, text, READABLE)], ()))


def _settings(name, job):
    """Let the initscripts carry out what ip(8) cannot: clients of DHCP, and name servers."""
    have, changed = job.have.get(name, Link(name, "nic")), job.settings(name)
    leases = [key for key in ("dhcp4", "ipv6") if key in changed and "dhcp" in (key[:4], changed[key], have.ipv6)]
    said = ", ".join(said_of_settings({key: value for key, value in changed.items() if key != "ipv6" or leases}, have))
    if leases:
        return [Step("restart", name, f"({', '.join(leases)}) {said}", (_restart(name, job.links), ()))]
    if "dns" in changed or "dns_search" in changed:
        return [Step("apply", name, said, ([[POST, f"ifcfg-{name}"]], ()))]
    return []


def _restart(name, links):
    """Return the commands that restart a link through the initscripts, and bring back what those on it have lost."""
    lost = [one for one in topology.above(name, links) if one.name != name]
    again = [iproute.command(argv) for argv in iproute.after_down(lost)]
    return [["ifdown", name], ["ifup", name], *again]


def _after(stale, gone, files):
    found = {file: text for file, text in files.items() if file not in gone}
    found.update({file: text for file, (_name, text) in stale.items()})
    return found


def _by_link(files, names):
    """Return what the files of each link say, key by key; the other files of a link line by line."""
    found = {}
    for name in names:
        keys = dict(Text(files.get(f"ifcfg-{name}")).values)
        keys.update({file: files[file] for file in ifcfg.names(name)[1:] if files.get(file)})
        found[name] = keys
    return found
