# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans: which steps lead from what is there to what is wanted, and that nothing is left afterwards."""

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import ReconcileError
from ansible_collections.hostcraft.linux.plugins.module_utils._tproxy import (
    chains,
    declare,
    paths,
    proxies,
    report,
    routing,
    sysctls,
)
from ansible_collections.hostcraft.linux.plugins.module_utils._tproxy import plan as planning
from ansible_collections.hostcraft.linux.plugins.module_utils._tproxy.model import Command, Found, Place, State, Write
from ansible_collections.hostcraft.linux.plugins.module_utils._tproxy.verdict import DIRECT, DROPPED, Flow, verdict
from hypothesis import given, settings
from hypothesis import strategies as st

BACKENDS = {
    "nftables": ("nft",),
    "iptables_nft": ("iptables-nft", "ip6tables-nft"),
    "iptables_legacy": ("iptables-legacy", "ip6tables-legacy"),
}
ALL_LISTEN = {(proto, family, port): True for proto in ("tcp", "udp") for family in (4, 6) for port in (15006, 15001)}
WEB = {"name": "web", "inbound": {"mode": "tproxy", "port": 15006, "ports": ["80"]}, "families": ["ipv4"]}
OUT = {"name": "out", "outbound": {"mode": "redirect", "port": 15001}, "proxy": {"uids": ["7"]}}
ROUTE = "add route of web: IPv4 default to this host in table 133"
RULE = "add rule of web: IPv4 mark 0x539/0xfff to table 133 at priority 133"
CAPTURE = "web: inbound tcp 80 by tproxy to port 15006; ssh to this host (tcp 22) is left alone"


def wanted(*entries, **params):
    return declare.wanted(dict(params, captures=list(entries)), int, int)


def place(**more):
    return Place(**dict({"backends": BACKENDS, "listeners": ALL_LISTEN}, **more))


def steps(want, state):
    return [str(one) for one in planning.plan(want, state).steps]


def carried_out(want, state):
    """Return the state after all steps, as the host would be."""
    places, files = dict(state.places), dict(state.files)
    for step in planning.plan(want, state).steps:
        netns, name = None, step.target.split()[-1]
        here = places[netns]
        found, rules, routes = dict(here.found), list(here.rules), dict(here.routes)
        if step.target.startswith("net."):
            here = _settings(step, here)
        elif step.verb in ("add", "delete"):
            _ways(step, rules, routes)
        elif step.verb in ("capture", "replace", "repair"):
            one = next(one for one in want.captures if one.name == name)
            backend = planning.backend_of(one, here, want.backend)
            label = planning.label_of(one, backend, here)
            record = next(pair[0].text for pair in step.data if isinstance(pair[0], Write))
            there = {0: "x"} if backend == "nftables" else {4: (), 6: ()}
            found[name] = Found(backend, *chains.read_label(label), True, record, there)
        elif step.verb == "record":
            every = [one._replace(record=step.data[0][0].text) for one in found[name].every]
            found[name] = every[0]._replace(hidden=tuple(every[1:]))
        elif step.verb == "release":
            every = [one for one in found[name].every if not step.detail.endswith(one.backend)]
            gone = [pair for pair in step.data if isinstance(pair[0], Write)]
            found[name] = every[0]._replace(hidden=tuple(every[1:])) if every else None
            found.pop(name) if gone else None
        elif step.verb == "forget":
            found.pop(name)
        elif step.verb in ("save", "remove"):
            files[step.data[0][0].path] = step.data[0][0].text
        places[netns] = here._replace(found=found, rules=tuple(rules), routes=routes)
    return State(places, files)


def _settings(step, here):
    """Do what a step does to settings of the kernel, and to the record of them."""
    values, kept = dict(here.sysctls), here.kept
    for one, _back in step.data:
        if isinstance(one, Command):
            assert one.argv[:3] == ("sysctl", "-q", "-w")
            name, value = one.argv[3].split("=")
            values[name] = value
        else:
            assert one.path == paths.settings(None)
            kept = sysctls.read(one.text)
    return here._replace(sysctls=values, kept=kept)


def _ways(step, rules, routes):
    """Do what a step of ip(8) does to the rules and routes."""
    argv = step.data[0][0].argv
    family, kind = {"-4": 4, "-6": 6}[argv[1]], argv[2]
    if kind == "route":
        routes[family, int(argv[-1])] = ("local default dev lo scope host",) if argv[3] == "add" else ()
        return
    priority, mark, table = argv[5], argv[7], argv[9]
    (rule,) = routing.rules(family, f"{priority}:\tfrom all fwmark {mark} lookup {table}\n", {})
    rules.append(rule) if argv[3] == "add" else rules.remove(rule)


def test_a_capture_is_made_with_its_way_first():
    want, state = wanted(WEB), State({None: place()})
    todo = planning.plan(want, state)
    assert [str(one) for one in todo.steps] == [ROUTE, RULE, f"capture {CAPTURE}"]
    assert todo.before == {"web": None}
    assert todo.after["web"]["rules"] == "as loaded"
    assert todo.warnings == ()
    assert steps(want, carried_out(want, state)) == []


def test_each_drift_is_one_step():
    want = wanted(WEB)
    there = carried_out(want, State({None: place()})).places[None]
    found = there.found["web"]
    for change, said in (
        ({"rules": ()}, [RULE]),
        ({"routes": {}}, [ROUTE]),
        (
            {"found": {"web": found._replace(intact=False)}},
            [f"repair web: its rules were changed by somebody else; {CAPTURE[5:]}"],
        ),
        ({"found": {"web": found._replace(backend=None, digest="", intact=False)}}, [f"capture {CAPTURE}"]),
        ({"found": {"web": found._replace(record=None)}}, ["record web: what was declared"]),
        ({"found": {"web": found._replace(digest="old")}}, [f"replace {CAPTURE}"]),
    ):
        state = State({None: there._replace(**change)})
        assert steps(want, state) == said
        assert planning.plan(want, state).before != planning.plan(want, state).after
        assert steps(want, carried_out(want, state)) == []


def test_another_mark_moves_the_way_behind_the_rules():
    want = wanted(dict(WEB, mark="0x1000/0xf000", table=134))
    state = carried_out(wanted(WEB), State({None: place()}))
    verbs = [one.split(":")[0] for one in steps(want, state)]
    assert verbs == ["add route of web", "add rule of web", "replace web", "delete rule of web", "delete route of web"]
    assert steps(want, carried_out(want, state)) == []


def test_another_backend_is_made_before_the_old_one_goes():
    state = carried_out(wanted(WEB), State({None: place()}))
    want = wanted(WEB, backend="iptables_legacy")
    assert [one.split(":")[0] for one in steps(want, state)] == ["capture web", "release web"]
    again = carried_out(want, state)
    assert again.places[None].found["web"].backend == "iptables_legacy"
    assert steps(wanted(WEB), again) == [], "auto keeps what is there"


def test_a_change_of_the_backend_that_came_to_no_end_is_ended():
    """Both have rules, by whichever the next task begins with."""
    old, new = (
        carried_out(wanted(WEB, backend=one), State({None: place()})).places[None]
        for one in ("nftables", "iptables_legacy")
    )
    rules = {"nftables": old.found["web"], "iptables_legacy": new.found["web"]}
    for recorded, other in (("nftables", "iptables_legacy"), ("iptables_legacy", "nftables")):
        record = rules[recorded].record
        both = report.together([("web", one._replace(record=record)) for one in rules.values()])
        assert both["web"].backend == recorded
        state = State({None: new._replace(found=both)})
        assert [one.split(",")[0] for one in steps(wanted(WEB), state)] == [f"release web: its rules in {other}"]
        assert steps(wanted(WEB), carried_out(wanted(WEB), state)) == []
        want = wanted(WEB, backend=other)
        verbs = [one.split(":")[0] for one in steps(want, state)]
        assert verbs == ["record web", "release web"], "its rules are those already"
        assert steps(want, carried_out(want, state)) == []
        gone = [one.split(":")[0] for one in steps(wanted({"name": "web", "state": "absent"}), state)]
        assert gone == ["release web", "release web", "delete rule of web", "delete route of web"]


def test_what_is_absent_goes_rules_first():
    state = carried_out(wanted(WEB, save="/etc/x"), State({None: place()}, {"/etc/x/web.sh": None}))
    want = wanted({"name": "web", "state": "absent"}, save="/etc/x")
    found = steps(want, state)
    assert next(one.split(":")[0] for one in found) == "release web"
    assert found[-1] == "remove /etc/x/web.sh"
    after = carried_out(want, state)
    assert (after.places[None].found, after.places[None].rules) == ({}, ())
    assert steps(want, after) == []


def test_a_backend_that_is_not_there_is_named():
    with pytest.raises(ReconcileError, match="backend nftables does not work here; what does: iptables_legacy"):
        planning.plan(
            wanted(WEB, backend="nftables"),
            State({None: place(backends={"iptables_legacy": BACKENDS["iptables_legacy"]})}),
        )


def test_a_list_without_ipset_is_refused_before_anything_is_changed():
    many = [f"10.0.{number}.0/25" for number in range(100)]
    entry = dict(WEB, inbound=dict(WEB["inbound"], exclude_cidrs=many))
    with pytest.raises(ReconcileError, match="install ipset, or use backend nftables"):
        planning.plan(wanted(entry, backend="iptables_nft"), State({None: place()}))
    assert planning.plan(wanted(entry, backend="iptables_nft"), State({None: place(has_ipset=True)})).steps


SSH = ("192.0.2.9", "192.0.2.1", 22)


def test_the_tasks_own_connection_is_not_taken_unguarded():
    swallow = dict(WEB, inbound=dict(WEB["inbound"], ports=[]), ssh_ports=[])
    state = State({None: place(connection=SSH)})
    with pytest.raises(ReconcileError, match="it takes the ssh connection from 192.0.2.9 to 192.0.2.1 port 22"):
        planning.plan(wanted(swallow), state)
    guarded = planning.plan(wanted(swallow, confirm_timeout=30), state)
    assert "it takes the ssh connection that this task came by" in guarded.warnings[0]
    assert "ssh to this host is CAPTURED as well" in str(guarded.steps[-1])
    assert planning.plan(wanted(dict(swallow, ssh_ports=["22"])), state).warnings == ()


def test_a_proxy_that_does_not_listen_is_warned_of():
    todo = planning.plan(wanted(WEB, OUT), State({None: place(listeners={("tcp", 4, 15006): False})}))
    opaque, nobody = todo.warnings
    assert opaque.startswith(
        "capture 'web': at tcp port 15006, where inbound goes, the listener over IPv4 is not IP_TRA"
    )
    assert opaque.endswith("what is captured is dropped until a proxy does")
    assert nobody.startswith("capture 'out': at tcp port 15001, where outbound goes, nobody listens over IPv4 and IPv6")
    assert nobody.endswith("what is captured is refused until a proxy does")
    assert planning.plan(wanted(WEB), State({None: place(listeners=None)})).warnings == ()


def test_a_proxy_at_the_loopback_gets_what_the_host_sends_and_nothing_from_elsewhere():
    shown = "tcp LISTEN 0 4 127.0.0.1:15006 0.0.0.0:*\n\t inet-sockopt: ( transparent )\n"
    shown += "tcp LISTEN 0 4 [::1]:15001 [::]:*\ntcp LISTEN 0 4 127.0.0.1:15001 0.0.0.0:*\n"
    there = State({None: place(listeners=proxies.read(shown, True))})
    (said,) = planning.plan(wanted(WEB, OUT), there).warnings
    assert "at tcp port 15006, where inbound goes, somebody listens over IPv4 at the loopback alone" in said
    assert said.endswith("what is captured is dropped until a proxy does")


MARKED, LOCAL, STRICT = (
    f"net/ipv4/conf/{name}" for name in ("all/src_valid_mark", "eth0/route_localnet", "eth1/rp_filter")
)
SETTINGS = {MARKED: "1", LOCAL: "1", STRICT: "1", "net/ipv4/conf/eth1/route_localnet": "1"}
NAMED = dict(WEB, inbound=dict(WEB["inbound"], interfaces=["eth0", "eth1"], exclude_interfaces=["eth1"]))


def machine(**more):
    """Return a state with a host all of whose settings are in the way."""
    known = {"links": ("lo", "eth0", "eth1"), "dead_ends": {"eth1": True}, "sysctls": SETTINGS}
    return State({None: place(**dict(known, **more))}, {paths.SYSCTL_D: None})


def test_settings_are_named_and_set_only_when_asked():
    todo = planning.plan(wanted(NAMED), machine())
    assert not [one for one in todo.steps if one.target.startswith("net.")]
    assert [one.partition(" is 1: ")[0] for one in todo.warnings] == [
        f"capture 'web': {name.replace('/', '.')}" for name in (MARKED, LOCAL, STRICT)
    ]
    want = wanted(NAMED, set_sysctls=True)
    todo = planning.plan(want, machine())
    assert [str(one).partition(":")[0] for one in todo.steps[:3]] == [
        f"set {name.replace('/', '.')}" for name in (MARKED, LOCAL, STRICT)
    ]
    assert "1 -> 2: no route leads out by eth1" in str(todo.steps[2])
    assert todo.warnings == ()
    after = carried_out(want, machine())
    values = after.places[None].sysctls
    assert values == dict(SETTINGS, **{MARKED: "0", LOCAL: "0", STRICT: "2"})
    assert steps(want, after) == []
    assert steps(wanted(NAMED), after) == [], "what was set once stays set while it is needed"


@pytest.mark.parametrize(
    "change",
    [
        {"dead_ends": {}},
        {"sysctls": {STRICT: "2"}},
        {"sysctls": {STRICT: "1", "net/ipv4/conf/all/rp_filter": "2"}},
        {"sysctls": {STRICT: "0", "net/ipv4/conf/all/rp_filter": "0"}},
        {"sysctls": {}},
        {"dead_ends": {"eth1": False}, "sysctls": {STRICT: "0"}},
    ],
)
def test_a_filter_that_lets_everything_in_is_left_alone(change):
    assert not [one for one in planning.plan(wanted(NAMED), machine(**change)).warnings if "rp_filter is" in one]


def test_a_link_without_an_address_needs_no_filter_at_all():
    bare = {"eth1": False}
    todo = planning.plan(wanted(NAMED, set_sysctls=True), machine(dead_ends=bare, sysctls={STRICT: "2"}))
    assert str(todo.steps[0]).startswith("set net.ipv4.conf.eth1.rp_filter: 2 -> 0: no route leads out by eth1")
    every = {STRICT: "0", "net/ipv4/conf/all/rp_filter": "1"}
    todo = planning.plan(wanted(NAMED, set_sysctls=True), machine(dead_ends=bare, sysctls=every))
    assert not [one for one in todo.steps if one.target.startswith("net.")]
    assert "eth1 has no IPv4 address and no route leads out by it" in todo.warnings[0]


def test_settings_go_back_with_the_last_capture_that_needs_them():
    other = {"name": "b", "inbound": {"mode": "redirect", "port": 1, "ports": ["81"]}, "families": ["ipv4"]}
    both = wanted(NAMED, other, set_sysctls=True)
    state = carried_out(both, machine())
    gone = wanted({"name": "web", "state": "absent"})
    assert [one.split(":")[0] for one in steps(gone, state)][-2:] == [
        f"reset {name.replace('/', '.')}" for name in (MARKED, STRICT)
    ]
    state = carried_out(gone, state)
    values = dict(state.places[None].sysctls)
    assert values == dict(SETTINGS, **{LOCAL: "0", "net/ipv4/conf/eth1/route_localnet": "0"})
    # Somebody else has set one of them meanwhile, and set it is.
    changed = state.places[None]._replace(sysctls=dict(values, **{LOCAL: "1"}))
    last = wanted({"name": "b", "state": "absent"})
    found = steps(last, State({None: changed}))
    assert f"forget {LOCAL.replace('/', '.')}: somebody else has set it since" in found
    after = carried_out(last, State({None: changed})).places[None]
    assert (after.sysctls, after.kept) == (SETTINGS, {})


@pytest.mark.parametrize("save", ["/etc/x", None])
def test_settings_that_are_saved_are_set_back_after_a_reboot(save):
    want = wanted(NAMED, set_sysctls=True, save="/etc/x")
    state = carried_out(want, machine())
    text = state.files[paths.SYSCTL_D]
    assert f"# was {STRICT} = 1\n{STRICT} = 2\n" in text
    assert sysctls.parsed(text) == state.places[None].kept
    assert steps(want, state) == []
    # What is in /run is gone; what the boot has set is what was saved.
    state = State({None: state.places[None]._replace(kept=sysctls.parsed(text))}, state.files)
    gone = wanted({"name": "web", "state": "absent"}, save=save)
    after = carried_out(gone, state)
    assert after.places[None].sysctls == SETTINGS
    assert after.files[paths.SYSCTL_D] is None
    assert steps(gone, after) == []


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (dict(WEB, name="b", inbound={"mode": "redirect", "port": 1, "ports": ["70-90"]}), "both take inbound tcp 80"),
        (dict(WEB, name="b", inbound={"mode": "tproxy", "port": 1, "ports": ["81"]}), "the same mark or table"),
        (dict(WEB, name="b", inbound={"mode": "redirect", "port": 1, "ports": ["81"]}), None),
        (dict(WEB, name="b", inbound={"mode": "redirect", "port": 1}, families=["ipv6"]), None),
    ],
)
def test_captures_that_cannot_be_side_by_side(other, said):
    both = State({None: place()})
    after = carried_out(wanted(WEB), both)
    if said is None:
        assert planning.plan(wanted(WEB, other), both).steps
        assert planning.plan(wanted(other), after).steps
        return
    for want, state in ((wanted(WEB, other), both), (wanted(other), after)):
        with pytest.raises(ReconcileError, match=said):
            planning.plan(want, state)


MODES = st.sampled_from(["tproxy", "redirect"])
SIDES = st.fixed_dictionaries(
    {"mode": MODES, "port": st.sampled_from([15006, 15001])},
    optional={"ports": st.sampled_from([["80"], ["90-99"]]), "exclude_cidrs": st.sampled_from([["10.0.0.0/8"]])},
)
DECLARATIONS = st.fixed_dictionaries(
    {"name": st.just("web"), "proxy": st.just({"uids": ["7"]})},
    optional={
        "inbound": SIDES,
        "outbound": SIDES,
        "dns": st.just({"port": 53}),
        "families": st.sampled_from([["ipv4"], ["ipv6"]]),
        "mark": st.sampled_from(["0x539/0xfff", "0x1000/0xf000"]),
        "table": st.sampled_from([133, 134]),
        "priority": st.sampled_from([133, 77]),
    },
).filter({"inbound", "outbound", "dns"}.intersection)
TASKS = st.tuples(
    st.one_of(DECLARATIONS, st.just({"name": "web", "state": "absent"})),
    st.sampled_from(["auto", *BACKENDS]),
    st.sampled_from([None, "/etc/x"]),
)


@settings(derandomize=True)
@given(st.lists(TASKS, min_size=1, max_size=4), st.booleans())
def test_any_sequence_of_declarations_leaves_nothing_to_do(tasks, broken):
    state = State({None: place()}, {"/etc/x/web.sh": None})
    for entry, backend, save in tasks:
        want = wanted(entry, backend=backend, save=save)
        state = carried_out(want, state)
        again = planning.plan(want, state)
        assert again.steps == ()
        assert again.before == again.after
        if broken and "web" in state.places[None].found:
            here = state.places[None]
            here = here._replace(found={"web": here.found["web"]._replace(intact=False)}, routes={})
            state = carried_out(want, State({None: here}, state.files))
            assert steps(want, state) == []
    gone = carried_out(wanted({"name": "web", "state": "absent"}, save="/etc/x"), state)
    assert gone == State({None: place(routes=gone.places[None].routes)}, {"/etc/x/web.sh": None})
    assert not any(gone.places[None].routes.values())


def test_the_record_can_be_read_again():
    one = declare.capture(WEB, int, int)
    text = report.record(one, "nftables")
    assert declare.capture(report.recorded(text)["declaration"], int, int) == one
    assert report.recorded_routing(text) == one.routing
    assert report.recorded("broken{") == {}


IN = Flow("in", "tcp", "192.0.2.9", "192.0.2.1", 80, "eth0")


@pytest.mark.parametrize(
    ("flow", "listening", "said"),
    [
        (IN, (), 15006),
        (IN, (1,), DROPPED),
        (IN._replace(port=81), (), DIRECT),
        (IN._replace(proto="udp"), (), DIRECT),
        (IN._replace(interface="lo"), (), DIRECT),
        (IN._replace(port=22, to_host=True), (), DIRECT),
        (IN._replace(destination="224.0.0.1"), (), DIRECT),
        (IN._replace(destination="2001:db8::1"), (), DIRECT),
        (IN._replace(way="out"), (), DIRECT),
    ],
)
def test_verdicts(flow, listening, said):
    assert verdict(declare.capture(WEB, int, int), flow, listening) == said
