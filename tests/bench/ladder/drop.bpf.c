// SPDX-FileCopyrightText: hostcraft.linux contributors
// SPDX-License-Identifier: GPL-3.0-or-later
//
// The rule of the ladder, UDP to port 1234 of 198.18.0.12, for XDP and for tc(8), and the least that XDP can do.

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>

#define SECTION(name) __attribute__((section(name), used))

struct frame {
	struct ethhdr ethernet;
	struct iphdr ip;
	struct udphdr udp;
} __attribute__((packed, aligned(2)));

static inline int unwanted(const struct frame *frame, const void *end)
{
	return (const void *)(frame + 1) <= end && frame->ethernet.h_proto == __builtin_bswap16(ETH_P_IP) &&
	       frame->ip.ihl == 5 && !(frame->ip.frag_off & __builtin_bswap16(0x1fff)) &&
	       frame->ip.protocol == IPPROTO_UDP && frame->ip.daddr == __builtin_bswap32(0xc612000c) &&
	       frame->udp.dest == __builtin_bswap16(1234);
}

SECTION("xdp") int drop(struct xdp_md *context)
{
	return unwanted((void *)(long)context->data, (void *)(long)context->data_end) ? XDP_DROP : XDP_PASS;
}

SECTION("tc") int shoot(struct __sk_buff *context)
{
	return unwanted((void *)(long)context->data, (void *)(long)context->data_end) ? TC_ACT_SHOT : TC_ACT_OK;
}

SECTION("xdp.bare") int bare(struct xdp_md *context __attribute__((unused)))
{
	return XDP_DROP;
}
