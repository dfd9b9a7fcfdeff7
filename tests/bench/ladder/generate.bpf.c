// SPDX-FileCopyrightText: hostcraft.linux contributors
// SPDX-License-Identifier: GPL-3.0-or-later
//
// The load: each run gives the frame a random source in 10.0.0.0/8 and a random source port, and sends it to IFINDEX.
// Run by BPF_PROG_RUN with live frames (Documentation/bpf/bpf_prog_run.rst), which keeps the rest of the frame.

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/udp.h>

static unsigned int (*random)(void) = (void *)BPF_FUNC_get_prandom_u32;
static long (*redirect)(unsigned int ifindex, unsigned long long flags) = (void *)BPF_FUNC_redirect;

struct frame {
	struct ethhdr ethernet;
	struct iphdr ip;
	struct udphdr udp;
} __attribute__((packed, aligned(2)));

__attribute__((section("xdp"), used)) int generate(struct xdp_md *context)
{
	struct frame *frame = (void *)(long)context->data;
	unsigned short *words = (void *)&frame->ip;
	unsigned int sum = 0;

	if ((void *)(frame + 1) > (void *)(long)context->data_end)
		return XDP_ABORTED;
	frame->ip.saddr = __builtin_bswap32(10u << 24 | (random() & 0xffffff));
	frame->udp.source = random();
	frame->ip.check = 0;
#pragma unroll
	for (int i = 0; i < 10; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	frame->ip.check = ~(sum + (sum >> 16));
	return redirect(IFINDEX, 0);
}
