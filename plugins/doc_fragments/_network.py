# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of ``bond_vlan_bridge``."""


class ModuleDocFragment:
    """Documentation that modules share; private to the collection."""

    DOCUMENTATION = r"""
options:
  bonds:
    description: Bonds. The options are those of the kernel's bonding driver, and are checked against the mode.
    type: list
    elements: dict
    suboptions:
      name:
        description: Its name.
        type: str
        required: true
      mode:
        description: How the ports work together. A bond that is made without it has V(balance-rr).
        type: str
        choices: [balance-rr, active-backup, balance-xor, broadcast, 802.3ad, balance-tlb, balance-alb]
      miimon:
        description: Milliseconds between two looks at the links of the ports.
        type: int
      updelay:
        description: Milliseconds before a port that came up is used; a multiple of O(bonds[].miimon).
        type: int
      downdelay:
        description: Milliseconds before a port that went down is given up; a multiple of O(bonds[].miimon).
        type: int
      arp_interval:
        description: Milliseconds between two ARP questions; excludes O(bonds[].miimon).
        type: int
      arp_ip_target:
        description: Addresses that are asked for.
        type: list
        elements: str
      arp_validate:
        description: Which ports' ARP answers are looked at.
        type: str
        choices: [none, active, backup, all, filter, filter_active, filter_backup]
      arp_all_targets:
        description: Whether one answering target is enough.
        type: str
        choices: [any, all]
      lacp_rate:
        description: How often the partner is asked to speak. Changing it takes the bond down for a moment.
        type: str
        choices: [slow, fast]
      ad_select:
        description: How an aggregator is chosen. Changing it takes the bond down for a moment.
        type: str
        choices: [stable, bandwidth, count]
      ad_actor_sys_prio:
        description: The system priority that is told to the partner.
        type: int
      ad_user_port_key:
        description: The upper ten bits of the port key.
        type: int
      min_links:
        description: How many links must be up for the bond to be.
        type: int
      xmit_hash_policy:
        description: What decides which port a packet leaves by.
        type: str
        choices: [layer2, layer3+4, layer2+3, encap2+3, encap3+4, vlan+srcmac]
      primary:
        description: The port that is used while it works.
        type: str
      primary_reselect:
        description: When the primary port is taken back.
        type: str
        choices: [always, better, failure]
      fail_over_mac:
        description:
          - Which address the bond has. Changing it releases and enslaves the ports again.
          - With V(active) it is that of the active port; no O(bonds[].mac) can be given then.
        type: str
        choices: [none, active, follow]
      num_grat_arp:
        description: How many gratuitous ARPs are sent after a failover.
        type: int
      resend_igmp:
        description: How many IGMP reports are sent after a failover.
        type: int
      packets_per_slave:
        description: How many packets leave by a port before the next one's turn.
        type: int
      tlb_dynamic_lb:
        description: Whether flows move to less loaded ports.
        type: bool
      lp_interval:
        description: Seconds between two learning packets.
        type: int
      all_slaves_active:
        description: Whether duplicate frames on idle ports are taken.
        type: bool
      ports: &ports
        description:
          - Names of the links that are to be its ports. Other ports stay, unless O(purge=true), since a bridge also has
            ports that come and go with virtual machines.
        type: list
        elements: str
      bridge_port: &bridge_port
        description: What it is to the bridge that it is a port of.
        type: dict
        suboptions:
          cost:
            description: The cost of the path through it.
            type: int
          priority:
            description: Its priority in the spanning tree.
            type: int
          hairpin:
            description: Whether a frame may leave by the port that it came in by.
            type: bool
          pvid:
            description:
              - The VLAN of what comes in without a tag, and what leaves without one; V(0) for none. Where the bridge
                has O(bridges[].vlan_filtering).
            type: int
          vids:
            description: All other VLANs that pass, with their tags; numbers, and ranges such as V(200-210).
            type: list
            elements: str
      state: &state
        description: Whether the link is to be there.
        type: str
        choices: [present, absent]
        default: present
      mtu: &mtu
        description: The largest packet, in bytes. That of a VLAN cannot be above its parent's.
        type: int
      mac: &mac
        description: The hardware address. Given for a bond, it does not depend on the order of its ports.
        type: str
      addresses: &addresses
        description:
          - All configured addresses of the link with their prefixes, such as V(192.0.2.1/24). Others are removed,
            except those that the kernel or a server gave it.
        type: list
        elements: str
      gateway: &gateway
        description: The IPv4 default gateway.
        type: str
      gateway6: &gateway6
        description: The IPv6 default gateway.
        type: str
      routes: &routes
        description:
          - All static routes out of the link, beside the gateways. Where a gateway or a route is given, others are
            removed.
        type: list
        elements: dict
        suboptions:
          to:
            description: The prefix.
            type: str
            required: true
          via:
            description: The next hop.
            type: str
          metric:
            description: The metric; the smaller one wins.
            type: int
          table:
            description: The routing table.
            type: int
      rules: &rules
        description:
          - All rules of policy routing (C(ip-rule(8))) that belong to the link; others of it are removed. The kernel
            has rules for the whole host. Unless it is declared, a rule is that of the link that its packets come in by,
            or that has the address they come from, or that alone has routes in its table.
        type: list
        elements: dict
        suboptions:
          priority:
            description: Its place among the rules, from 1 to 32765; the smaller one is asked first.
            type: int
            required: true
          table:
            description: The number of the routing table where the way is looked up.
            type: int
            required: true
          from:
            description: Which packets, by the prefix of their source. Without it, those of any.
            type: str
          to:
            description: Which packets, by the prefix of their destination.
            type: str
          iif:
            description: Which packets, by the link that they come in by.
            type: str
          fwmark:
            description: Which packets, by the mark that the packet filter gave them; with a mask, V(0x10/0xff).
            type: str
          family:
            description: The family of a rule without a prefix.
            type: str
            choices: [ipv4, ipv6]
      dns: &dns
        description:
          - Name servers that are used while the link is up. Those of IPv4 come before those of IPv6.
          - NetworkManager takes them only for a link with addresses of their family. Not with O(backend=runtime).
        type: list
        elements: str
      dns_search: &dns_search
        description: Domains in which a name without a dot is looked up. Not with O(backend=runtime).
        type: list
        elements: str
      dhcp4: &dhcp4
        description:
          - Whether a DHCP server is asked for an IPv4 address. With NetworkManager the link may have configured ones
            besides, with the initscripts not. Not with O(backend=runtime), which starts no client.
        type: bool
      ipv6: &ipv6
        description:
          - How the link does IPv6. V(disabled), not at all. V(manual), by what is configured here and its link-local
            address; no router is heeded. V(auto), also by what routers advertise. V(dhcp), also by a DHCPv6 server.
          - V(disabled) is not possible where the initscripts keep the link, nor V(dhcp) with O(backend=runtime).
        type: str
        choices: [disabled, manual, auto, dhcp]
  vlans:
    description: VLANs.
    type: list
    elements: dict
    suboptions:
      name:
        description: Its name; without it, C(parent.id).
        type: str
      parent:
        description: The link that it is on. A port of an Open vSwitch bridge can be one.
        type: str
      id:
        description: The VLAN id, from 1 to 4094.
        type: int
      protocol:
        description: The tag. A VLAN that is made without it has V(802.1Q).
        type: str
        choices: [802.1Q, 802.1ad]
      reorder_headers:
        description: Whether the tag is taken off before the packet is seen.
        type: bool
      gvrp:
        description: Whether the VLAN is announced by GVRP.
        type: bool
      mvrp:
        description: Whether the VLAN is announced by MVRP.
        type: bool
      loose_binding:
        description: Whether it stays up while its parent is down.
        type: bool
      ingress_qos_map:
        description: Which packet priority a priority of the tag becomes.
        type: dict
      egress_qos_map:
        description:
          - Which priority of the tag a packet priority becomes.
          - NetworkManager 1.42 loses entries of this map and of O(vlans[].ingress_qos_map). What it does not take is
            found, and the task fails and puts back what was there before.
        type: dict
      bridge_port: *bridge_port
      state: *state
      mtu: *mtu
      mac: *mac
      addresses: *addresses
      gateway: *gateway
      gateway6: *gateway6
      routes: *routes
      rules: *rules
      dns: *dns
      dns_search: *dns_search
      dhcp4: *dhcp4
      ipv6: *ipv6
  bridges:
    description: Bridges.
    type: list
    elements: dict
    suboptions:
      name:
        description: Its name.
        type: str
        required: true
      stp:
        description: Whether it speaks the spanning tree protocol.
        type: bool
      forward_delay:
        description: Seconds that a port listens and learns before it forwards.
        type: int
      hello_time:
        description: Seconds between two hello packets.
        type: int
      max_age:
        description: Seconds after which the root's word is forgotten.
        type: int
      ageing_time:
        description: Seconds after which an address is forgotten.
        type: int
      priority:
        description: Its priority in the spanning tree; the smallest becomes root.
        type: int
      vlan_filtering:
        description: Whether it heeds VLAN tags.
        type: bool
      vlan_default_pvid:
        description:
          - The VLAN that ports are in without a tag unless they are told otherwise, V(1) at first; V(0) for none.
            NetworkManager puts also ports with a O(nics[].bridge_port.pvid) of their own into it, unless it is V(0).
        type: int
      pvid:
        description: The VLAN that the bridge itself, as a link of the host, is in without a tag; V(0) for none.
        type: int
      vids:
        description: All other VLANs that the bridge itself is in; VLANs of the host on the bridge need theirs here.
        type: list
        elements: str
      multicast_snooping:
        description: Whether it listens who wants which multicast group.
        type: bool
      ports: *ports
      state: *state
      mtu: *mtu
      mac: *mac
      addresses: *addresses
      gateway: *gateway
      gateway6: *gateway6
      routes: *routes
      rules: *rules
      dns: *dns
      dns_search: *dns_search
      dhcp4: *dhcp4
      ipv6: *ipv6
  nics:
    description: NICs, and other links that are there, by name.
    type: list
    elements: dict
    suboptions:
      name:
        description: Its name.
        type: str
        required: true
      bridge_port: *bridge_port
      mtu: *mtu
      mac: *mac
      addresses: *addresses
      gateway: *gateway
      gateway6: *gateway6
      routes: *routes
      rules: *rules
      dns: *dns
      dns_search: *dns_search
      dhcp4: *dhcp4
      ipv6: *ipv6
  backend:
    description:
      - What keeps the configuration. V(auto) is whoever keeps the named links, and what they are on, today; where some
        are kept by one and some by another, the task fails and names them. It does not go by the distribution.
      - V(networkmanager) writes profiles and activates them, or reapplies them in place.
      - V(ifcfg) writes the files of the initscripts in C(/etc/sysconfig/network-scripts) and changes the running kernel
        in place; only who is to get its address by DHCP is restarted through them. It is chosen for links whose files
        have C(NM_CONTROLLED=no), and where NetworkManager does not run and the initscripts are installed.
      - V(runtime) changes the running kernel only; the next boot brings back what the host is configured for.
    type: str
    choices: [auto, networkmanager, ifcfg, runtime]
    default: auto
  purge:
    description: Release the ports of the named bonds and bridges that are not listed.
    type: bool
    default: false
"""
