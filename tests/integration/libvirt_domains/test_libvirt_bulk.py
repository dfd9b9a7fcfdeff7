# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A thousand domains of libvirt's test driver behind its socket."""

URI = "test+unix:///default"


def names(host, *options):
    return host.ssh("virsh", "-q", "-c", URI, "list", "--name", *options).split()


def test_a_thousand_domains_in_one_task(bulk):
    arguments = {"name": "web-*", "state": "running", "uri": URI}
    predicted = bulk.state(check=True, **arguments)
    assert [one for one in names(bulk) if one.startswith("web-")] == []
    applied = bulk.state(**arguments)
    assert predicted["steps"] == applied["steps"] == [f"start web-{number:04d}" for number in range(1000)]
    assert predicted["diff"] == applied["diff"]
    assert len(applied["domains"]) == 1000
    assert len([one for one in names(bulk) if one.startswith("web-")]) == 1000
    assert bulk.state(**arguments)["changed"] is False
    found = bulk.info(uri=URI, name="web-*")
    assert {one["state"] for one in found["domains"]} == {"running"}
    assert bulk.state(uri=URI, domains=found["declarations"])["changed"] is False


def test_what_is_read_can_be_declared_again(bulk):
    # The test driver cannot start a domain paused.
    bulk.state(name="web-000[0-4]", state="running", uri=URI)
    bulk.state(name="web-000[0-4]", state="paused", uri=URI)
    bulk.state(name="web-000[5-9]", state="saved", start_to_save=True, uri=URI)
    before = bulk.info(uri=URI, name="web-000*")["declarations"]
    assert [one["state"] for one in before] == ["paused"] * 5 + ["saved"] * 5
    bulk.state(name="web-000*", state="running", uri=URI)
    bulk.state(domains=before, uri=URI)
    assert bulk.info(uri=URI, name="web-000*")["declarations"] == before


def test_one_that_is_refused_names_all_that_are(bulk):
    bulk.ssh("virsh", "-q", "-c", URI, "start", "web-0007")
    result = bulk.state(name="web-000*", state="saved", uri=URI)
    assert len(result["refused"]) == 9
    assert not any("web-0007" in line for line in result["refused"])
    assert [one for one in names(bulk) if one.startswith("web-")] == ["web-0007"]
