# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declarations under a name: what a capture has unless it is said otherwise. Pure.

Private to the collection; not a public interface.
"""

# What istio-iptables sets up for a sidecar by default, and the ports that Istio's injector leaves out (15090 metrics,
# 15021 health, 15020 agent); 15008 is the tunnel's, which the proxy takes by itself. 127.0.0.6 and ::6 is where Envoy
# sends from what it passes on to the application. Istio's own table is 133, its mark 1337 without a mask.
ISTIO_SIDECAR = {
    "inbound": {
        "mode": "redirect",
        "port": 15006,
        "protocols": ["tcp"],
        "exclude_ports": ["15008", "15020", "15021", "15090"],
        "exclude_sources": ["127.0.0.6/32", "::6/128"],
        "hairpin": True,
    },
    "outbound": {"mode": "redirect", "port": 15001, "protocols": ["tcp"]},
    "proxy": {"uids": ["1337"], "gids": ["1337"]},
    "mark": "0x539/0xffffffff",
    "table": 133,
    "priority": 133,
    "ssh_ports": ["22"],
}
PRESETS = {"istio_sidecar": ISTIO_SIDECAR}
DEFAULTS = {
    "families": ["ipv4", "ipv6"],
    "on_proxy_down": "drop",
    "allow_loop": False,
    "mark": "0x539/0xfff",
    "table": 133,
    "priority": 133,
    "ssh_ports": ["22"],
    "proxy": {},
}
SIDE_DEFAULTS = {"protocols": ["tcp"]}


def completed(entry):
    """Return the options of a capture with those of its preset, and the defaults, where nothing is given.

    A list that is given replaces that of the preset. A side that the preset has stays, with what is given of it.
    """
    given = _given(entry)
    whole = _under(given, _under(PRESETS.get(given.get("preset"), {}), DEFAULTS))
    for side in ("inbound", "outbound"):
        if side in whole:
            whole[side] = _under(whole[side], SIDE_DEFAULTS)
    return whole


def _given(value):
    if isinstance(value, dict):
        return {key: _given(one) for key, one in value.items() if one is not None}
    return value


def _under(given, preset):
    found = dict(preset, **given)
    for key, value in preset.items():
        if isinstance(value, dict) and isinstance(given.get(key), dict):
            found[key] = _under(given[key], value)
    return found
