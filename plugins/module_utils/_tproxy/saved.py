# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The script that loads a capture after a reboot, for the unit of role ``transparent_proxy``. Pure.

Private to the collection; not a public interface.
"""

from . import paths, report, routing, ruleset_iptables, ruleset_nft

END = "HOSTCRAFT_END"
CGROUPS = "/sys/fs/cgroup"
# Of what iptables-save prints: the chains and rules of one capture, each with its family and table.
AWK = "/^[*]/ { t = substr($1, 2) } index($0, m) && /^:/ { print f, t, $1 } index($0, m) && /^-A / { print f, t, $0 }"


def script(capture, backend, place):
    """Return the text of a script for sh(1). It can be run again, and ends with an error when a command fails."""
    lines = [
        "#!/bin/sh",
        "# Made by hostcraft.linux.tproxy. Changes made by hand are lost.",
        "set -e",
        f"PATH={'/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin'} LC_ALL=C",
        f"mkdir -p -m 755 {paths.RECORDS}",
    ]
    # Rules name a control group that is there. This early its slice is not, and takes over what it finds.
    lines += [f"mkdir -p '{CGROUPS}/{one}' 2>/dev/null || :" for one in capture.proxy.cgroups]
    want = capture.routing
    if want:
        for family in want.families:
            for kind in ("route", "rule"):
                lines.append(" ".join(routing.command("del", family, kind, want)) + " 2>/dev/null || :")
                lines.append(" ".join(routing.command("add", family, kind, want)))
    if backend == "nftables":
        lines += _document("nft -f -", ruleset_nft.render(capture, place.wildcard))
        listed = f"nft -s list table inet {ruleset_nft.table(capture.name)}"
    else:
        lines += _iptables(capture, backend, place.backends[backend])
        listed = _listing(capture, place.backends[backend])
    seen, record = (one(None, capture.name) for one in (paths.listing, paths.record))
    lines.append(f"{listed} | sha256sum | cut -d ' ' -f 1 > {seen}")
    lines += _document(f"cat > {record}", report.record(capture, backend))
    return "\n".join([*lines, ""])


def _iptables(capture, backend, programs):
    lines = []
    for family, program in zip((4, 6), programs):
        if family in capture.families:
            made = ruleset_iptables.render_sets(ruleset_iptables.sets(capture, family), family)
            lines += _document("ipset -exist restore", made) if made else []
            for table, hook, chain in ruleset_iptables.hooks(capture):
                lines.append(f"{program} -w 5 -t {table} -D {hook} -j {chain} 2>/dev/null || :")
            texts = ruleset_iptables.render(capture, family, backend, ())
            lines += [line for text in texts.values() for line in _document(f"{program}-restore --noflush -w 5", text)]
    return lines


def _listing(capture, programs):
    """Return the command that prints what ``backends.saved_text`` does."""
    mine = f"{ruleset_iptables.PREFIX}{capture.name}_"
    parts = [
        f"{program}-save | awk -v f={family} -v m={mine} '{AWK}' | sort" for family, program in zip((4, 6), programs)
    ]
    names = [name for family in capture.families for name in ruleset_iptables.sets(capture, family)]
    parts += [f"ipset save {name} | grep '^add ' | sort" for name in sorted(names)]
    return "{ " + "; ".join(parts) + "; }"


def _document(command, text):
    return [f"{command} <<'{END}'", text.rstrip("\n"), END]
