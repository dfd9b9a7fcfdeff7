# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a declaration may say, and how a wrong one is refused."""

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import ReconcileError
from ansible_collections.hostcraft.linux.plugins.module_utils._endpoints import arguments, declare


def filled(endpoints=(), proxies=(), **more):
    """Return the options of a task, with the defaults that Ansible fills in."""
    params = {name: one.get("default") for name, one in arguments.ARGUMENTS["argument_spec"].items()}
    for key, entries, options in (
        ("endpoints", endpoints, arguments.ENDPOINT),
        ("proxies", proxies, arguments.PROXY),
    ):
        defaults = {name: one.get("default") for name, one in options.items()}
        params[key] = [dict(defaults, **entry) for entry in entries]
    return dict(params, **more)


def test_an_endpoint_by_its_name_and_addresses():
    (one,) = declare.wanted(filled([{"name": "web1", "addresses": ["10.0.0.1/32", "FD00::0:1"]}])).endpoints
    assert one.path == "/run/netns/web1"
    assert (one.addresses, one.gateway, one.gateway6) == (
        ("10.0.0.1", "fd00::1"),
        "169.254.1.1",
        "fe80::ecee:eeff:feee:eeee",
    )
    assert len(one.host_interface) == 14
    assert one.host_interface == declare.host_interface("web1") != declare.host_interface("web2")


@pytest.mark.parametrize(
    ("entry", "path", "create"),
    [
        ({"netns": "/var/run/netns/x"}, "/run/netns/x", True),
        ({"netns": "/run/docker/netns/1"}, "/run/docker/netns/1", False),
        ({"pid": 7}, "/proc/7/ns/net", False),
        ({"netns": "x", "create": False}, "/run/netns/x", False),
    ],
)
def test_where_a_namespace_is(entry, path, create):
    (one,) = declare.wanted(filled([dict({"name": "a", "addresses": ["10.0.0.1"]}, **entry)])).endpoints
    assert (one.path, one.create and "/" not in one.place) == (path, create)


BAD = [
    ({"addresses": None}, "it has no addresses"),
    ({"addresses": ["10.0.0.0/24"]}, "'10.0.0.0/24' is a whole network"),
    ({"addresses": ["10.0.0"]}, "'10.0.0' is no address"),
    ({"addresses": ["224.0.0.1"]}, "multicast"),
    ({"addresses": ["fe80::2"]}, "link-local"),
    ({"gateway": "10.0.0.1"}, "its gateway 10.0.0.1 is one of its own addresses"),
    ({"gateway": "fe80::1"}, "is not an IPv4 address"),
    ({"gateway6": "fd00::1"}, "is not a link-local IPv6 address"),
    ({"mac": "01:00:00:00:00:00"}, "no address of one link"),
    ({"mac": "ee:ee"}, "no address of one link"),
    ({"mtu": 10}, "not between 68 and 65535"),
    ({"mtu": 1000, "addresses": ["fd00::1"]}, "too small for IPv6"),
    ({"name": "a/b"}, "letters, digits"),
    ({"netns": "../x"}, "a path begins with '/'"),
    ({"netns": "a b"}, "a name may have"),
    ({"netns": "x", "pid": 3}, "exclude each other"),
    ({"interface": "sixteen-letters-"}, "1 to 15 characters"),
    ({"host_interface": "a:b"}, "1 to 15 characters"),
]


@pytest.mark.parametrize(("entry", "said"), BAD)
def test_what_is_refused(entry, said):
    with pytest.raises(ReconcileError, match=r"endpoints, entry 1") as caught:
        declare.wanted(filled([dict({"name": "a", "addresses": ["10.0.0.1"]}, **entry)]))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ({"name": "a", "addresses": ["10.0.0.2"]}, "the name is given twice: a"),
        ({"name": "b", "addresses": ["10.0.0.1"]}, "the address is given twice: 10.0.0.1"),
        ({"name": "b", "netns": "a", "addresses": ["10.0.0.2"]}, "the namespace and interface is given twice"),
        (
            {"name": "b", "netns": "a", "interface": "eth1", "addresses": ["10.0.0.2"]},
            "the default route of a namespace is given twice: netns a, IPv4",
        ),
        (
            {"name": "b", "host_interface": declare.host_interface("a"), "addresses": ["10.0.0.2"]},
            "host_interface is given twice",
        ),
    ],
)
def test_two_of_the_same(second, said):
    with pytest.raises(ReconcileError, match=said):
        declare.wanted(filled([{"name": "a", "addresses": ["10.0.0.1"]}, second]))


def test_proxies_stand_for_single_addresses():
    (one,) = declare.wanted(filled(proxies=[{"interface": "eth0", "addresses": ["192.0.2.8/30", "fd00::1"]}])).proxies
    assert one.addresses == ("192.0.2.8", "192.0.2.9", "192.0.2.10", "192.0.2.11", "fd00::1")
    for address, said in (("10.0.0.0/8", "more than 4096"), ("10.0.0.1/24", "no address or network")):
        with pytest.raises(ReconcileError, match=said):
            declare.wanted(filled(proxies=[{"interface": "eth0", "addresses": [address]}]))
