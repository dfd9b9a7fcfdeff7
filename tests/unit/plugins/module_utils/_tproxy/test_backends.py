# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packet filters work: told by programs that stand for those of other hosts."""

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._tproxy import backends

ANY, NO_WILDCARD, NONE = "exit 0", "! grep -q wildcard", "exit 1"
NFT, LEGACY = (
    (f"iptables-{flavour}-restore", f"ip6tables-{flavour}-restore", f"iptables-{flavour}")
    for flavour in ("nft", "legacy")
)


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return what makes programs, {name: what the shell runs}; there are no others that are looked for."""
    monkeypatch.setattr(backends, "SYSTEM_PATH", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    def make(programs):
        for name, text in programs.items():
            (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
            (tmp_path / name).chmod(0o755)

    return make


@pytest.mark.parametrize(
    ("nft", "legacy_first", "order", "wildcard"),
    [
        (ANY, False, ["nftables", "iptables_nft", "iptables_legacy"], True),
        (NO_WILDCARD, False, ["nftables", "iptables_nft", "iptables_legacy"], False),
        (NONE, False, ["iptables_nft", "iptables_legacy"], False),
        (ANY, True, ["iptables_legacy", "nftables", "iptables_nft"], True),
    ],
    ids=["all", "an older nft or kernel", "nft without tproxy", "legacy has rules of others"],
)
def test_the_best_comes_first(install, nft, legacy_first, order, wildcard):
    install({"nft": nft, **dict.fromkeys((*NFT, *LEGACY), ANY)})
    found, knows = backends.usable(None, legacy_first)
    assert (list(found), knows) == (order, wildcard)
    assert found["iptables_legacy"] == ("iptables-legacy", "ip6tables-legacy")


@pytest.mark.parametrize(
    ("said", "backend"),
    [("iptables v1.8.9 (nf_tables)", "iptables_nft"), ("iptables v1.8.4 (legacy)", "iptables_legacy"),
     ("iptables v1.4.21", "iptables_legacy")],
)  # fmt: skip
def test_iptables_of_one_flavour_tells_which(install, said, backend):
    install({"iptables-restore": ANY, "iptables": f'echo "{said}"'})
    assert backends.usable(None, False) == ({backend: ("iptables", "ip6tables")}, True)


def test_legacy_that_is_not_there_is_not_first(install):
    install({"nft": ANY})
    assert backends.usable(None, True) == ({"nftables": ("nft",)}, True)
    assert backends.has_ipset() is False
