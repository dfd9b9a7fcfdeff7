# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``tproxy`` with real traffic, in network namespaces of its own: client - router with the proxy - server."""

import pytest

from tests.integration.captured import IN, IN_R, OUT, OUT_R, OUTSIDE, PROXY_USER, Net, became, expected, matrix

BACKENDS = ("nftables", "iptables_nft", "iptables_legacy")
PROXY = {"uids": [str(PROXY_USER)]}
TRANSPARENT = {
    "name": "both",
    "inbound": {
        "mode": "tproxy",
        "port": IN,
        "protocols": ["tcp", "udp"],
        "ports": ["8080"],
        "exclude_cidrs": OUTSIDE,
    },
    "outbound": {
        "mode": "tproxy",
        "port": OUT,
        "protocols": ["tcp", "udp"],
        "ports": ["8080"],
        "exclude_cidrs": OUTSIDE,
    },
    "proxy": PROXY,
}
REDIRECT = {
    "name": "redir",
    "inbound": {"mode": "redirect", "port": IN_R, "exclude_ports": ["8081"], "exclude_cidrs": OUTSIDE},
    "outbound": {"mode": "redirect", "port": OUT_R, "ports": ["8080"], "cidrs": ["10.9.2.2", "fd09:2::2"]},
    "proxy": {"gids": [str(PROXY_USER)]},
}
MIXED = {
    "name": "mixed",
    "inbound": {
        "mode": "tproxy",
        "port": IN,
        "protocols": ["tcp", "udp"],
        "ports": ["8000-8080", "53"],
        "interfaces": ["r0"],
        "destinations": "forwarded",
    },
    "outbound": {"mode": "redirect", "port": OUT_R, "exclude_cidrs": OUTSIDE},
    "families": ["ipv4"],
    "proxy": PROXY,
}


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    """The namespaces and all programs, for the whole file."""
    with Net(tmp_path_factory.mktemp("net")) as found:
        yield found


@pytest.fixture
def bare(net):
    """The same, without any capture before and after."""
    before = net.state()
    net.noted()
    yield net
    gone = [{"name": one["name"], "state": "absent"} for one in (TRANSPARENT, REDIRECT, MIXED)]
    net.tproxy(*gone)
    assert net.state() == before


def check_matrix(net, capture, backend, listening=(), patience=3.0):
    """Send the whole matrix, and compare what became of each flow with the model."""
    flows = matrix()
    net.noted()
    answers = net.call(flows, patience)
    noted = net.noted()
    wrong = []
    for flow, answer in zip(flows, answers):
        said, seen = expected(capture, flow, listening), became(flow, answer, noted)
        if said != seen:
            wrong.append((flow, said, seen, answer))
    assert not wrong, f"{len(wrong)} of {len(flows)} differ with {backend}: {wrong[:4]}"
    return {expected(capture, flow, listening) for flow in flows}


@pytest.mark.parametrize("capture", [TRANSPARENT, REDIRECT, MIXED], ids=lambda one: one["name"])
def test_every_backend_does_what_the_model_says(bare, capture):
    for backend in BACKENDS:
        planned = bare.tproxy(capture, backend=backend, check=True)
        done = bare.tproxy(capture, backend=backend)
        assert not done["failed"], done
        assert done["changed"]
        assert (planned["steps"], planned["diff"]) == (done["steps"], done["diff"])
        again = bare.tproxy(capture, backend=backend)
        assert (again["changed"], again["steps"]) == (False, []), again
        kinds = check_matrix(bare, capture, backend)
        assert len(kinds) > 2, "the matrix has a flow for each verdict"
