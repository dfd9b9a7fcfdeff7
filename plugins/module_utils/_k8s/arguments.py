# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options by which a cluster is reached; they are called as in kubernetes.core.

Private to the collection; not a public interface.
"""

AUTH = dict(
    argument_spec=dict(
        kubeconfig=dict(type="raw"),
        context=dict(type="str"),
        host=dict(type="str"),
        api_key=dict(type="str", no_log=True),
        username=dict(type="str"),
        password=dict(type="str", no_log=True),
        client_cert=dict(type="path", aliases=["cert_file"]),
        client_key=dict(type="path", aliases=["key_file"], no_log=False),
        ca_cert=dict(type="path", aliases=["ssl_ca_cert"]),
        validate_certs=dict(type="bool", aliases=["verify_ssl"]),
        proxy=dict(type="str"),
        no_proxy=dict(type="str"),
        proxy_headers=dict(
            type="dict",
            options=dict(
                proxy_basic_auth=dict(type="str", no_log=True),
                basic_auth=dict(type="str", no_log=True),
                user_agent=dict(type="str"),
            ),
        ),
        persist_config=dict(type="bool"),
        impersonate_user=dict(type="str"),
        impersonate_groups=dict(type="list", elements="str"),
    ),
    required_together=[("username", "password"), ("client_cert", "client_key")],
)
