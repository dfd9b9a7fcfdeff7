# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How modules reach a Kubernetes cluster, for their documentation."""


class ModuleDocFragment:
    """Documentation that modules share; private to the collection."""

    DOCUMENTATION = r"""
options:
  kubeconfig:
    description:
      - Path of a kubeconfig file, several joined by colons, or its content as a dictionary. Else
        E(K8S_AUTH_KUBECONFIG), E(KUBECONFIG), C(~/.kube/config), and at last what a pod is given by its service
        account.
      - All that the Python package understands is used, such as exec plugins, client certificates and C(proxy-url).
    type: raw
  context:
    description: The context of kubeconfig; else its current one.
    type: str
  host:
    description: URL of the API server, instead of the one in kubeconfig.
    type: str
  api_key:
    description: A bearer token.
    type: str
  username:
    description: Name for basic authentication, which only a proxy in front of the server may still know.
    type: str
  password:
    description: The password that belongs to O(username).
    type: str
  client_cert:
    description: Path of a client certificate.
    type: path
    aliases: [cert_file]
  client_key:
    description: Path of its key.
    type: path
    aliases: [key_file]
  ca_cert:
    description: Path of the certificate authority of the server.
    type: path
    aliases: [ssl_ca_cert]
  validate_certs:
    description: Whether the certificate of the server is verified. It is unless kubeconfig says otherwise.
    type: bool
    aliases: [verify_ssl]
  proxy:
    description: URL of an HTTP or SOCKS proxy.
    type: str
  no_proxy:
    description: Hosts that are reached without it, separated by commas.
    type: str
  proxy_headers:
    description: What the proxy is told.
    type: dict
    suboptions:
      proxy_basic_auth:
        description: Name and password for the proxy, separated by a colon.
        type: str
      basic_auth:
        description: Name and password for basic authentication, separated by a colon.
        type: str
      user_agent:
        description: Name of the program.
        type: str
  persist_config:
    description: Whether a token that was refreshed (OIDC) is written back to kubeconfig.
    type: bool
  impersonate_user:
    description: The user as whom everything is done.
    type: str
  impersonate_groups:
    description: The groups as which everything is done.
    type: list
    elements: str
attributes:
  action_group:
    description: Use V(group/hostcraft.linux.k8s) in C(module_defaults) to set the options of the connection.
    support: full
    membership:
      - hostcraft.linux.k8s
notes:
  - The options for the connection can be given as variables of the environment as well, as for the modules of
    kubernetes.core. They are called after the options or their aliases, E(K8S_AUTH_HOST), E(K8S_AUTH_VERIFY_SSL) and so
    on, groups with commas between them, and of O(proxy_headers) each has its own, such as
    E(K8S_AUTH_PROXY_HEADERS_USER_AGENT).
"""

    PACKAGE = r"""
options: {}
requirements:
  - Python package kubernetes (python3-kubernetes) where the module runs, best on the controller
"""
