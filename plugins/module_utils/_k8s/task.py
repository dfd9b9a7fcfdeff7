# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tasks of ``k8s_ns_finalize`` and ``k8s_ns_finalize_info``, from their options to their results.

Private to the collection; not a public interface.
"""

from .._core.reconcile import reconcile, reported
from . import declare, report
from .api import ROLE, Api
from .arguments import AUTH
from .fleet import Fleet, said
from .model import State
from .plan import orphaned, plan
from .survey import Survey


def run(module):
    """Free namespaces, or remove orphans, as ``module.params`` say, and return the result of the task."""
    with reported(module):
        wanted = declare.wanted(module.params)
        api = connect(module.params)
    with Survey(api, wanted.parallelism) as survey:
        fleet = Fleet(api, survey, wanted)
        planned = []

        def planning(state):
            planned.append(plan(wanted, state))
            return planned[-1]

        result = reconcile(module, fleet.observe, planning, fleet.apply, together=True)
        with reported(module):
            if module.check_mode:
                # The server is asked in check mode too: what it would refuse is no prediction.
                fleet.rehearse(planned[0].steps, every=True)
    _warn_of_hints(module, fleet.first.cluster)
    for warning in fleet.warnings:
        module.warn(warning)
    result.update(
        namespaces=report.namespaces(fleet.first),
        outcomes=fleet.results,
        orphans=report.orphans(
            fleet.first.orphans if wanted.orphans else (),
            fleet.results,
            orphaned(planned[0].steps) if module.check_mode else (),
        ),
    )
    failed = fleet.refusals(fleet.first)
    if failed:
        module.fail_json(msg=said(failed), **result)
    return result


def info(module):
    """Return the result of ``k8s_ns_finalize_info``."""
    with reported(module):
        selection = declare.selection(module.params)
        api = connect(module.params)
        with Survey(api, module.params["parallelism"]) as survey:
            state = survey.look(selection)
            missing = survey.orphans(selection.names) if module.params["orphans"] else State()
    _warn_of_hints(module, state.cluster)
    for one in missing.cluster.unread:
        module.warn(f"There may be more orphans than were found, since this cannot be listed: {one.label}")
    return {
        "changed": False,
        "namespaces": report.namespaces(state),
        "orphans": report.orphans(missing.orphans),
        "unread": report.unread(missing.cluster.unread),
        "requests": api.requests,
    }


def _warn_of_hints(module, cluster):
    for one in cluster.hints:
        module.warn(f"Who is behind a failure cannot be told ({one.what}): {one.message}")


def connect(params, guide=ROLE):
    """Return the server that the options mean.

    :param guide: says where the permissions are described.
    """
    options = {name: params[name] for name in AUTH["argument_spec"]}
    return Api(options, parallelism=params["parallelism"], guide=guide)
