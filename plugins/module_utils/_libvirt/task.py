# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The task of ``libvirt_domain_state``, from its options to its result. The lab drives its machines by it as well.

Private to the collection; not a public interface.
"""

from .._core.reconcile import reconcile, reported
from . import declare
from .fleet import Fleet, restart_required
from .plan import plan
from .session import Session


def run(module):
    """Bring the domains to what ``module.params`` declare and return the result of the task.

    :param module: what :func:`reconcile` takes, with all options of ``declare.OPTIONS`` and ``declare.SELECTION``.
    """
    with reported(module):
        wanted = declare.wanted(module.params)
        session = Session(module.params["uri"], patience=wanted.timeout)
    with session:
        fleet = Fleet(session, wanted)
        result = reconcile(
            module,
            observe=fleet.observe,
            plan=lambda state: plan(wanted, state),
            apply=fleet.apply,
            together=True,
        )
        with reported(module):
            waiting = restart_required(session, wanted)
    return dict(result, domains=fleet.results, restart_required=waiting)
