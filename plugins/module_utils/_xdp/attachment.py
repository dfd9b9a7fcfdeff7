# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put a program on an interface, change it for another without a gap, and take it off: by a link, or without.

A link belongs to who holds it, so nobody else can take the program off by accident; kernels before 5.9 have none, and
there the kernel is told which program is expected, so that another one is never replaced. Kernels before 5.7 know
neither, and are refused.
Private to the collection; not a public interface.
"""

import errno
import os
import platform
import struct

from .._core.netlink import Refused
from .._core.reconcile import ReconcileError
from . import bpf, rtnetlink
from .rtnetlink import GENERIC, MODE_FLAGS, NATIVE

AUTO = "auto"
# What drivers answer that cannot do it, or not as the interface is set up.
CANNOT = (errno.EOPNOTSUPP, errno.EINVAL, errno.ERANGE, errno.ENOTSUP, errno.ENOSPC, errno.ENOMEM)

LOOPBACK = 1  # its index in every network namespace
PASS_ALL = struct.pack("<BBhiBBhi", 0xB7, 0, 0, 2, 0x95, 0, 0, 0)  # r0 = XDP_PASS; exit


def check_expected():
    """Refuse a kernel that cannot be told which program is expected (XDP_FLAGS_REPLACE, Linux 5.7).

    Asked is for a program to be taken off that is nowhere; who knows the flag says so, who does not calls it invalid.

    :raises ReconcileError: it does not know the flag, or takes no program at all.
    """
    try:
        program = bpf.load_program(PASS_ALL, "probe", "GPL")
    except OSError as error:
        raise ReconcileError(f"Cannot load an XDP program: {error.strerror}") from error
    try:
        rtnetlink.attach(LOOPBACK, -1, GENERIC, expected=program)
    except Refused as error:
        if error.errno == errno.EINVAL:
            raise ReconcileError(
                f"Linux {platform.release()} can neither attach an XDP program by a link (Linux 5.9) nor replace only "
                "the program that is expected (5.7), so that somebody else's could be hit. xdp_drop needs Linux 5.7"
            ) from error
    finally:
        os.close(program)


def attach(interface, program, mode, wanted):
    """Attach a program to an interface that has none.

    :param interface: :class:`rtnetlink.Interface`.
    :param mode: native, generic, or auto: native, else generic.
    :param wanted: :class:`loader.Features`.
    :returns: the descriptor of the link, None where there are no links; the mode; why not native, if that was tried.
    :raises ReconcileError: the kernel's reason.
    """
    try:
        link = _attach(interface, program, NATIVE if mode == AUTO else mode, wanted)
        return link, NATIVE if mode == AUTO else mode, None
    except Refused as error:
        reason = _words(error)
        if mode != AUTO or error.errno not in CANNOT:
            raise ReconcileError(_refused(interface.name, mode, error, reason)) from error
    try:
        return _attach(interface, program, GENERIC, wanted), GENERIC, reason
    except Refused as error:
        raise ReconcileError(_refused(interface.name, GENERIC, error, _words(error))) from error


def _attach(interface, program, mode, wanted):
    """Attach in one mode; return the link or None."""
    if wanted.link:
        try:
            return bpf.create_link(program, interface.ifindex, MODE_FLAGS[mode])
        except OSError as error:
            if error.errno == errno.EBUSY:
                raise Refused(error.errno, "another XDP program has been attached meanwhile") from error
            refused = error
    else:
        refused = None
    # Without links; with them the same question is asked again only because netlink gives a reason in words.
    rtnetlink.attach(interface.ifindex, program, mode)
    if refused is not None and refused.errno != errno.EINVAL:
        # It works after all: what was in the way has gone meanwhile.
        rtnetlink.attach(interface.ifindex, -1, mode, expected=program)
        try:
            return bpf.create_link(program, interface.ifindex, MODE_FLAGS[mode])
        except OSError as error:
            raise Refused(error.errno) from error
    return None


def replace(interface, link, program, before, mode):
    """Let another program run in one step; not one frame passes without one of the two.

    :param link: the descriptor of the link, None: attached without.
    :param before: the descriptor of the program that runs now; if another one does, nothing is changed.
    :raises ReconcileError: the kernel's reason.
    """
    try:
        if link is not None:
            bpf.update_link(link, program, before)
        else:
            rtnetlink.attach(interface.ifindex, program, mode, expected=before)
    except OSError as error:
        raise ReconcileError(
            f"{interface.name}: the XDP program could not be replaced, the one before runs on: {error.strerror}"
        ) from error


def detach(interface, link, program, mode):
    """Take off the program, and only this one.

    :raises ReconcileError: the kernel's reason.
    """
    try:
        if link is not None:
            bpf.detach_link(link)
        else:
            rtnetlink.attach(interface.ifindex, -1, mode, expected=program)
    except OSError as error:
        raise ReconcileError(f"{interface.name}: the XDP program could not be taken off: {error.strerror}") from error


def foreign(interface, own=()):
    """Return a text on each program of an interface that is none of ``own`` (ids)."""
    found = []
    for mode, number in sorted(interface.programs.items()):
        if number in own:
            continue
        try:
            info = described(number)
        except OSError as error:
            if error.errno != errno.ENOENT:  # that one has gone meanwhile
                found.append(f"id {number}, {mode} (its name takes CAP_SYS_ADMIN: {error.strerror})")
            continue
        found.append(f"{info.name or 'without a name'}, id {number}, tag {info.tag}, {mode}")
    return found


def described(number):
    """Return the :class:`bpf.ProgramInfo` of any program.

    :raises OSError: EPERM without CAP_SYS_ADMIN, ENOENT when there is none.
    """
    descriptor = bpf.program_by_id(number)
    try:
        return bpf.program_info(descriptor)
    finally:
        os.close(descriptor)


def _words(error):
    return error.reason or os.strerror(error.errno)


def _refused(name, mode, error, reason):
    hint = ""
    if error.errno in CANNOT and mode == NATIVE:
        hint = ". With mode: auto or generic the program runs without the driver's help, at about a third of the speed"
    elif error.errno == errno.EPERM:
        hint = ". It needs CAP_NET_ADMIN: run the task with 'become: true'"
    return f"{name} refuses an XDP program in mode {mode}: {reason}{hint}"
