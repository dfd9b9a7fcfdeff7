# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest that obeys and takes the answer with it, which no real one does each time."""

from types import SimpleNamespace

import pytest
from ansible_collections.hostcraft.linux.plugins.module_utils._libvirt.drive import Driver
from ansible_collections.hostcraft.linux.plugins.module_utils._libvirt.lifecycle import BY_NAME, SHUTOFF
from ansible_collections.hostcraft.linux.plugins.module_utils._libvirt.model import Act

ON, OFF = 1, 5  # virDomainState
CODES = {
    "VIR_ERR_NO_DOMAIN": 42,
    "VIR_ERR_OPERATION_INVALID": 55,
    "VIR_ERR_OPERATION_TIMEOUT": 68,
    "VIR_ERR_AGENT_UNRESPONSIVE": 86,
}


class Refused(Exception):
    """What libvirt raises."""

    def get_error_code(self):
        return CODES[self.args[0]]


class Guest:
    """One that is asked to shut down, and that ``obeys`` or does not; the call raises ``error`` the first time."""

    def __init__(self, error, obeys):
        self.error, self.obeys, self.now, self.asked = error, obeys, ON, 0

    def state(self):
        return self.now, 0

    def hasManagedSaveImage(self):  # noqa: N802 libvirt's name
        return False

    def shutdownFlags(self, _flags):  # noqa: N802 libvirt's name
        self.asked += 1
        if self.obeys or self.asked > 1:
            self.now = OFF
        if self.asked == 1:
            raise Refused(self.error)


def driver(guest):
    connection = SimpleNamespace(lookupByUUIDString=lambda _uuid: guest)
    session = SimpleNamespace(
        libvirt=SimpleNamespace(libvirtError=Refused, VIR_DOMAIN_SHUTDOWN_GUEST_AGENT=4, **CODES),
        connection=connection,
        lost=lambda _connection: False,
        refusal=str,
        read=lambda function: function(connection),
        listener=lambda _uuid: SimpleNamespace(reboots=0, wait=lambda _seconds: None),
    )
    return Driver(session, SimpleNamespace(timeout=5, force_after=None, shutdown_by=("agent",)), "one", "uuid")


@pytest.mark.parametrize("error", ["VIR_ERR_AGENT_UNRESPONSIVE", "VIR_ERR_OPERATION_INVALID"])
@pytest.mark.parametrize("obeys", [True, False])
def test_what_was_obeyed_without_an_answer_is_noted_once(error, obeys):
    guest = Guest(error, obeys)
    one = driver(guest)
    one.carry_out(Act("one", "uuid", "move", SHUTOFF, BY_NAME["shutdown"]))
    assert (one.done, one.changed, one.state) == (["shutdown"], True, SHUTOFF)
    assert guest.asked == (1 if obeys else 2)


def test_a_guest_that_was_off_before_it_was_asked_is_not_noted():
    guest = Guest("VIR_ERR_NO_DOMAIN", True)
    guest.now = OFF
    one = driver(guest)
    one.carry_out(Act("one", "uuid", "move", SHUTOFF, BY_NAME["shutdown"]))
    assert (one.done, one.changed, guest.asked) == ([], False, 0)
