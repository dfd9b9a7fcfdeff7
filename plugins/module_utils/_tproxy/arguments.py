# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of ``tproxy``. Defaults that a preset may change are applied in ``declare.py``.

Private to the collection; not a public interface.
"""

TEXTS = dict(type="list", elements="str")
SIDE = dict(
    mode=dict(type="str", choices=["redirect", "tproxy"]),
    port=dict(type="int"),
    protocols=dict(type="list", elements="str", choices=["tcp", "udp"]),
    ports=TEXTS,
    exclude_ports=TEXTS,
    interfaces=TEXTS,
    exclude_interfaces=TEXTS,
    cidrs=TEXTS,
    exclude_cidrs=TEXTS,
)
INBOUND = dict(
    SIDE,
    exclude_sources=TEXTS,
    destinations=dict(type="str", choices=["all", "local", "forwarded"]),
    hairpin=dict(type="bool"),
)
PROXY = dict(uids=TEXTS, gids=TEXTS, marks=TEXTS, cgroups=TEXTS)
CAPTURE = dict(
    name=dict(type="str", required=True),
    state=dict(type="str", choices=["present", "absent"], default="present"),
    netns=dict(type="str"),
    preset=dict(type="str", choices=["istio_sidecar"]),
    families=dict(type="list", elements="str", choices=["ipv4", "ipv6"]),
    inbound=dict(type="dict", options=INBOUND),
    outbound=dict(type="dict", options=SIDE),
    dns=dict(type="dict", options=dict(port=dict(type="int"), servers=TEXTS)),
    proxy=dict(type="dict", options=PROXY),
    allow_loop=dict(type="bool"),
    on_proxy_down=dict(type="str", choices=["drop", "bypass"]),
    mark=dict(type="str"),
    table=dict(type="int"),
    priority=dict(type="int"),
    ssh_ports=TEXTS,
)
ARGUMENTS = dict(
    argument_spec=dict(
        captures=dict(type="list", elements="dict", required=True, options=CAPTURE),
        backend=dict(
            type="str", choices=["auto", "nftables", "iptables", "iptables_nft", "iptables_legacy"], default="auto"
        ),
        set_sysctls=dict(type="bool", default=False),
        save=dict(type="path"),
    )
)
