// SPDX-FileCopyrightText: hostcraft.linux contributors
// SPDX-License-Identifier: GPL-3.0-or-later
//
// Gives the packet a random source inside one of COUNT prefixes of LENGTH bits, and goes on with the program under test.
// Many sources, as attacks have them: of a single one all that is looked up would stay in the processor's first cache.

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>

static unsigned int (*random)(void) = (void *)BPF_FUNC_get_prandom_u32;
static long (*tail_call)(void *context, void *map, unsigned int index) = (void *)BPF_FUNC_tail_call;
unsigned int under_test __attribute__((section("maps"))); // the array that has it as its first entry

__attribute__((section("xdp"), used)) int prelude(struct xdp_md *context)
{
	struct iphdr *ip = (void *)(long)context->data + sizeof(struct ethhdr);
	unsigned int number = random(), prefix, address;

	if ((void *)(ip + 1) > (void *)(long)context->data_end)
		return XDP_ABORTED;
	// The upper bits choose the prefix, the lower ones the address in it.
	prefix = FIRST + (number >> (32 - LENGTH) & (COUNT - 1)) * FACTOR;
	address = prefix << (32 - LENGTH) | (number & ((1u << (32 - LENGTH)) - 1));
	ip->saddr = __builtin_bswap32(address);
	tail_call(context, &under_test, 0);
	return XDP_ABORTED; // there was no program to go on with
}
