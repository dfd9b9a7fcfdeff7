# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubernetes nodes, read on the controller: a managed host needs no way to the API server, and gets no credentials."""

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.hostcraft.linux.plugins.module_utils._boot import node
from ansible_collections.hostcraft.linux.plugins.module_utils._core.reconcile import ReconcileError
from ansible_collections.hostcraft.linux.plugins.module_utils._k8s.api import Api, ApiError
from ansible_collections.hostcraft.linux.plugins.module_utils._k8s.arguments import AUTH
from ansible_collections.hostcraft.linux.plugins.module_utils._k8s.names import is_node, no_node

GUIDE = "It needs the verb get of nodes, see docs/maintenance.md"
# The server has answered, and will answer the same again until somebody changes something.
FINAL = (401, 403)


def parted(arguments):
    """Return the arguments of a task without, and with only, those by which a cluster is reached."""
    known = {name for one, spec in AUTH["argument_spec"].items() for name in (one, *spec.get("aliases", ()))}
    return (
        {name: value for name, value in arguments.items() if name not in known},
        {name: value for name, value in arguments.items() if name in known},
    )


class Nodes:
    """The nodes of the cluster that the options of a task mean.

    :param patience: seconds that are spent on a server that is away.
    """

    def __init__(self, options, patience):
        checked = ArgumentSpecValidator(**AUTH).validate(options)
        if checked.error_messages:
            raise AnsibleActionFail("; ".join(checked.error_messages))
        try:
            given = {**dict.fromkeys(AUTH["argument_spec"]), **checked.validated_parameters}
            self._api = Api(given, patience, parallelism=1, guide=GUIDE)
        except ReconcileError as error:
            raise AnsibleActionFail(f"On the controller: {error}") from error

    def read(self, name):
        """Return a node; one that cannot be read now says why.

        :raises AnsibleActionFail: it will not be readable later either.
        """
        if not is_node(name):
            raise AnsibleActionFail(no_node("node", name))
        try:
            return node.parse(name, self._api.get(f"/api/v1/nodes/{name}", "get nodes"))
        except ApiError as error:
            if error.status in FINAL:
                raise AnsibleActionFail(str(error)) from error
            problem = f"there is no node {name} in {self._api.host}" if error.status == 404 else str(error)
            return node.Node(name, problem=problem)
        except ReconcileError as error:
            raise AnsibleActionFail(f"On the controller: {error}") from error
