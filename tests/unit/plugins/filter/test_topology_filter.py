# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter ``topology``: what is drawn of a host, what changes, the real dot(1), and every error."""

from xml.etree import ElementTree

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.hostcraft.linux.plugins.filter.topology import FilterModule

HOST = {
    "bonds": [{"name": "bond0", "mode": "802.3ad", "ports": ["eth1", "eth2"], "addresses": []}],
    "vlans": [
        {"parent": "bond0", "id": 100, "addresses": ["10.10.100.2/24"], "gateway": "10.10.100.1", "mtu": None},
    ],
    "nics": [{"name": "eth1", "mtu": 1500}],
}
MOVE = {"bridges": [{"name": "br0", "ports": ["bond0.100"], "addresses": ["10.10.100.2/24"], "gateway": "10.10.100.1"}]}
SVG = "{http://www.w3.org/2000/svg}"

topology = FilterModule().filters()["topology"]


def test_a_host_is_drawn_with_its_links_and_what_they_stand_on():
    assert topology(HOST) == (
        "flowchart LR\n"
        '    n0[["bond0<br/>bond<br/>mode 802.3ad"]]\n'
        '    n1(["bond0.100<br/>vlan<br/>id 100<br/>10.10.100.2/24<br/>via 10.10.100.1"])\n'
        '    n2["eth1<br/>nic<br/>mtu 1500"]\n'
        '    n3["eth2<br/>nic"]\n'
        "    n0 -->|VLAN| n1\n"
        "    n2 -->|port| n0\n"
        "    n3 -->|port| n0\n"
    )


def test_a_declaration_is_drawn_over_what_it_leaves_alone():
    lines = topology(HOST, declared=MOVE).splitlines()
    assert '    n0[["bond0<br/>bond<br/>mode 802.3ad"]]' in lines
    moved = "<br/>".join(("bond0.100", "vlan", "id 100", "- 10.10.100.2/24", "- via 10.10.100.1"))
    assert f'    n1(["{moved}"]):::changed' in lines
    assert '    n2{{"br0<br/>bridge<br/>10.10.100.2/24<br/>via 10.10.100.1"}}:::added' in lines
    assert "    n1 ==>|port, added| n2" in lines
    assert not [line for line in lines if "removed" in line]


def test_what_a_whole_topology_does_not_have_is_removed():
    lines = topology(HOST, {"nics": [{"name": "eth1", "mtu": 9000}]}).splitlines()
    assert '    n2["eth1<br/>nic<br/>+ mtu 9000<br/>- mtu 1500"]:::changed' in lines
    assert [line.rpartition(":::")[2] for line in lines[1:5]] == ["removed", "removed", "changed", "removed"]
    assert "    n0 -.->|VLAN, removed| n1" in lines


@pytest.mark.parametrize("after", [{}, {"bonds": []}])
def test_an_empty_topology_is_one(after):
    assert topology(HOST, after).count(":::removed") == 4


def test_the_same_before_and_after_is_no_change():
    assert topology(HOST, HOST) == topology(HOST, declared=HOST) == topology(HOST, declared={}) == topology(HOST)


def test_an_absent_link_goes_and_a_port_changes_its_master():
    two = {"bridges": [{"name": "br0", "ports": ["eth0"]}, {"name": "br1"}]}
    text = topology(two, declared={"bridges": [{"name": "br1", "ports": ["eth0"]}]})
    assert "|port, removed|" in text
    assert "|port, added|" in text
    gone = topology(two, declared={"bridges": [{"name": "br0", "state": "absent"}]})
    assert '"br0<br/>bridge"}}:::removed' in gone
    assert "|port, removed|" in gone


def test_a_name_cannot_end_a_label():
    assert 'n0["a#quot;#lt;b#gt;#35;<br/>nic"]' in topology({"nics": [{"name": 'a"<b>#'}]})


def test_graphviz_draws_a_picture():
    hostile = dict(MOVE, nics=[{"name": 'e"\\<&'}])
    picture = ElementTree.fromstring(topology(HOST, declared=hostile, format="svg").encode())  # noqa: S314 dot wrote it
    assert picture.tag == f"{SVG}svg"
    titles = {one.find(f"{SVG}title").text for one in picture.iter(f"{SVG}g") if one.get("class") == "node"}
    assert {"bond0", "bond0.100", "br0", "eth1", "eth2"} < titles
    assert "- 10.10.100.2/24" in {one.text for one in picture.iter(f"{SVG}text")}


def test_without_graphviz_it_says_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(AnsibleFilterError, match="install graphviz"):
        topology(HOST, format="svg")
    assert topology(HOST)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (([],), "the input is a list and no dictionary"),
        ((None,), "the input is a NoneType"),
        ((HOST, "x"), "after is a str"),
        ((HOST, None, 7), "declared is a int"),
        ((HOST, HOST, HOST), "exclude each other"),
        ((HOST, None, None, "png"), "format 'png' is none"),
        (({"vlans": [{"id": 7}]},), "vlans has an entry without a name"),
        (({"nics": ["eth0"]},), "nics has an entry that is no dictionary: 'eth0'"),
    ],
)
def test_what_is_no_topology_is_refused(arguments, said):
    with pytest.raises(AnsibleFilterError, match=said):
        topology(*arguments)
