# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines and kernels that lack something: it is found by trying, and named."""

import errno
import os
import platform
import sys

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._core.netlink import Refused
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import ReconcileError
from ansible_collections.hostcraft.linux.plugins.module_utils._xdp import bpf, loader, rtnetlink


def refusing(code):
    def call(*_arguments, **_more):
        raise OSError(code, os.strerror(code))

    return call


class Kernel:
    """Answers like one that lacks some things; descriptors are those of /dev/null."""

    def __init__(self, monkeypatch, *, no_batch_of=None, link=errno.EBADF, expected=errno.EEXIST, mmap=True):
        self.kinds, self.links, self.asked, self.mmap = {}, link, [], mmap
        self.no_batch_of, self.expected = no_batch_of or {}, expected
        monkeypatch.setattr(bpf, "create_map", self.create_map)
        monkeypatch.setattr(bpf, "update_batch", self.update_batch)
        monkeypatch.setattr(bpf, "create_link", refusing(link))
        monkeypatch.setattr(bpf, "load_program", lambda *_arguments: os.open("/dev/null", os.O_RDONLY))
        monkeypatch.setattr(rtnetlink, "attach", self.attach)

    def create_map(self, kind, _key_size, _value_size, _entries, flags=0):
        if flags & bpf.MMAPABLE and not self.mmap:
            refusing(errno.EINVAL)()
        descriptor = os.open("/dev/null", os.O_RDONLY)
        self.kinds[descriptor] = kind
        return descriptor

    def update_batch(self, descriptor, _keys, _values, _count):
        code = self.no_batch_of.get(self.kinds[descriptor])
        if code:
            refusing(code)()

    def attach(self, index, program, mode, expected=None):
        self.asked.append((index, program, mode))
        assert expected is not None
        raise Refused(self.expected)


def test_a_new_kernel_has_all(monkeypatch):
    kernel = Kernel(monkeypatch)
    assert loader.features() == loader.Features()
    assert loader.fallbacks(loader.features()) == []
    assert kernel.asked == []


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP, 524])
def test_batches_that_tries_do_not_have_are_not_used(monkeypatch, code):
    # Linux 5.6 to 5.12 have them for hashes and arrays.
    Kernel(monkeypatch, no_batch_of={bpf.LPM_TRIE: code})
    assert loader.features() == loader.Features(batch=False)
    assert loader.fallbacks(loader.features())[0].startswith("batches of entries of BPF tries (Linux 5.13)")


def test_a_kernel_without_links_that_knows_the_expected_program_will_do(monkeypatch):
    kernel = Kernel(monkeypatch, link=errno.EINVAL, mmap=False)
    found = loader.features()
    assert found == loader.Features(link=False, mmap=False)
    assert [text.partition(":")[0] for text in loader.fallbacks(found)] == [
        "BPF links (Linux 5.9)",
        "BPF arrays mapped into memory (Linux 5.5)",
    ]
    # Nothing was attached: what was asked for is to take a program off that is nowhere.
    assert kernel.asked == [(1, -1, "generic")]


def test_a_kernel_that_knows_neither_is_refused(monkeypatch):
    Kernel(monkeypatch, link=errno.EINVAL, expected=errno.EINVAL)
    with pytest.raises(ReconcileError, match="xdp_drop needs Linux 5.7"):
        loader.features()


@pytest.mark.parametrize(
    ("machine", "order", "number"),
    [
        ("x86_64", "little", 321),
        ("aarch64", "little", 280),
        ("ppc64le", "little", 361),
        ("aarch64", "big", None),
        ("ppc64", "big", None),
        ("s390x", "big", None),
        ("riscv64", "little", None),
    ],
)
def test_machines(monkeypatch, machine, order, number):
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(sys, "byteorder", order)
    bpf.syscall_number.cache_clear()
    try:
        if number:
            assert bpf.syscall_number() == number
            return
        with pytest.raises(ReconcileError) as caught:
            loader.features()
        assert f"no XDP program for {machine}, {order}-endian" in str(caught.value)
        assert "x86-64, aarch64 and ppc64le (all little-endian)" in str(caught.value)
    finally:
        bpf.syscall_number.cache_clear()
