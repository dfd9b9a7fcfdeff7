# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the options and the environment to a way to the API server, by the package ``kubernetes``.

Private to the collection; not a public interface.
"""

import os
import sys

from .._core.reconcile import ReconcileError
from .arguments import AUTH

PREFIX = "K8S_AUTH_"  # as kubernetes.core calls the variables of the environment
TRUE = ("1", "true", "yes", "on", "y", "t")
FALSE = ("0", "false", "no", "off", "n", "f")
# Options that are handed to the client's configuration as they are.
PLAIN = {
    "host": "host",
    "ca_cert": "ssl_ca_cert",
    "client_cert": "cert_file",
    "client_key": "key_file",
    "validate_certs": "verify_ssl",
    "proxy": "proxy",
    "no_proxy": "no_proxy",
}


class Access:
    """A client's configuration with fresh credentials. :meth:`renew` reads all of it again."""

    def __init__(self, params):
        self._params = {name: _given(params, name) for name in params}
        self._client, self._config = _package()
        self.renew()

    def renew(self):
        """Read kubeconfig again, and run its exec plugin again, since the server no longer takes the credentials.

        :raises ReconcileError: there is no usable kubeconfig, or its plugin fails.
        """
        options = self._params
        configuration = self._client.Configuration()
        if not (options.get("host") and self._credentials()):
            self._load(configuration)
        for option, attribute in PLAIN.items():
            if options.get(option) is not None:
                setattr(configuration, attribute, options[option])
        if options.get("api_key"):
            # Releases of the package differ in how they call the only header that there is.
            for name in ("authorization", "BearerToken"):
                configuration.api_key[name] = "Bearer {}".format(options["api_key"])
        self.configuration = configuration
        self.headers = self._own_headers()

    def pool(self, size):
        """Return the urllib3 pool that reaches the server, through its proxy if there is one."""
        from kubernetes.client.rest import RESTClientObject  # type: ignore[import-not-found]

        self.configuration.connection_pool_maxsize = size
        if self._params.get("proxy_headers"):
            from urllib3.util import make_headers  # type: ignore[import-not-found]

            given = {name: one for name, one in self._params["proxy_headers"].items() if one is not None}
            self.configuration.proxy_headers = make_headers(**given)
        for attribute in ("ssl_ca_cert", "cert_file", "key_file"):
            path = getattr(self.configuration, attribute)
            if path and not os.access(path, os.R_OK):
                raise ReconcileError(
                    f"Cannot read {path}, with which {self.host} is to be reached. Look at ca_cert, client_cert and "
                    "client_key, or at these entries of kubeconfig"
                )
        return RESTClientObject(self.configuration).pool_manager

    @property
    def groups(self):
        """The groups as which everything is done."""
        return tuple(self._params.get("impersonate_groups") or ())

    @property
    def host(self):
        """The address of the server."""
        return self.configuration.host.rstrip("/")

    def authorization(self):
        """Return the headers that say who asks; a token that has expired is renewed by its plugin."""
        found = dict(self.headers)
        for setting in self.configuration.auth_settings().values():
            if setting["in"] == "header" and setting["value"]:
                found[setting["key"]] = setting["value"]
        return found

    def _credentials(self):
        given = self._params
        return given.get("api_key") or given.get("username") or given.get("client_cert")

    def _own_headers(self):
        found = {"User-Agent": "hostcraft.linux"}
        if self._params.get("username"):
            from urllib3.util import make_headers  # type: ignore[import-not-found]

            found.update(make_headers(basic_auth="{username}:{password}".format(**self._params)))
        if self._params.get("impersonate_user"):
            found["Impersonate-User"] = self._params["impersonate_user"]
        return found

    def _load(self, configuration):
        """Fill the configuration from kubeconfig, or from what a pod is given."""
        given, context = self._params.get("kubeconfig"), self._params.get("context")
        more = {"context": context, "client_configuration": configuration}
        persist = bool(self._params.get("persist_config"))
        try:
            if isinstance(given, dict):
                self._config.load_kube_config_from_dict(given, persist_config=False, **more)
                return
            place = given or os.environ.get("KUBECONFIG") or self._config.KUBE_CONFIG_DEFAULT_LOCATION
            files = [os.path.expanduser(one) for one in str(place).split(os.pathsep) if one]
            if given or context or any(os.path.exists(one) for one in files):
                self._config.load_kube_config(os.pathsep.join(files), persist_config=persist, **more)
            elif not self._params.get("host"):
                self._config.load_incluster_config(client_configuration=configuration)
        except Exception as error:  # the package raises whatever its parsers and plugins do
            where = "the given kubeconfig" if isinstance(given, dict) else given or "kubeconfig"
            raise ReconcileError(
                f"No way to the cluster from {where}: {str(error) or type(error).__name__}. "
                "Give 'kubeconfig' (and 'context'), or 'host' with 'api_key' or 'client_cert'"
            ) from error


def _package():
    try:
        from kubernetes import client, config  # type: ignore[import-not-found]
    except ImportError as error:
        raise ReconcileError(
            f"The Python package 'kubernetes' is missing for {sys.executable} on this host ({error}). Install "
            "python3-kubernetes (Debian, Ubuntu, Fedora, EPEL) or 'pip install kubernetes'; or let "
            "ansible_python_interpreter name a Python that has it"
        ) from error
    return client, config


def _given(params, name):
    """Return an option, else what the environment says of it.

    :raises ReconcileError: a variable is to say yes or no, and says something else.
    """
    value, spec = params[name], AUTH["argument_spec"][name]
    if value is not None:
        return value
    if spec["type"] == "dict":
        found = {one: os.environ.get(f"{PREFIX}{name}_{one}".upper()) for one in spec["options"]}
        return found if any(found.values()) else None
    variables = [f"{PREFIX}{one}".upper() for one in (name, *spec.get("aliases", ()))]
    variable = next((one for one in variables if os.environ.get(one)), None)
    if variable is None:
        return None
    said = os.environ[variable]
    if spec["type"] == "bool":
        return _yes_or_no(variable, said)
    if spec["type"] == "list":
        return [one.strip() for one in said.split(",") if one.strip()]
    return said


def _yes_or_no(variable, said):
    word = said.strip().lower()
    if word not in TRUE + FALSE:
        # Whether a certificate is verified is not to be guessed.
        raise ReconcileError(f"{variable}: {said!r} is neither yes nor no; give 'true' or 'false'")
    return word in TRUE
