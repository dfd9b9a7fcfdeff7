// SPDX-FileCopyrightText: hostcraft.linux contributors
// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Which rule does a frame meet first, and does that rule drop it?
 *
 * A rule is a bit of a 64-bit mask. Each condition (source, port, ...) has a table that says which rules' condition
 * the frame meets; the masks are intersected, and the lowest bit left is the first rule that matches. So the time
 * depends on how many kinds of conditions are used and hardly on how many rules and prefixes there are.
 *
 * A frame that meets first a rule with no condition but its source is settled by the source, and the other tables
 * are not looked at: long lists of sources are what attacks are dropped by.
 *
 * The tables are filled by plugins/module_utils/_xdp/tables.py, and plugins/module_utils/_xdp/reference.py says the
 * same in plain Python. Constants and maps are put into the instructions by the loader, which needs neither libbpf nor
 * BTF: `python3 -m tests.tools.bpf` writes the instructions to plugins/module_utils/_xdp/program.py.
 */

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

/* include/uapi/linux/bpf.h */
struct xdp_md {
	u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex;
};
enum { XDP_DROP = 1, XDP_PASS = 2 };
static void *(*const lookup)(const void *map, const void *key) = (void *)1;
static long (*const update)(const void *map, const void *key, const void *value, u64 flags) = (void *)2;
static u32 (*const prandom)(void) = (void *)7;

#define SECTION(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))
#define MAP(name) u32 name SECTION("maps")

/*
 * A constant that the loader writes into the instruction. It is volatile so that each use has an instruction of its
 * own: old verifiers forget what they know of a number that was spilled to the stack.
 */
#define CONSTANT(number)                                                                      \
	({                                                                                    \
		u64 value;                                                                    \
		asm volatile("%0 = %1 ll" : "=r"(value) : "i"(0x4843000000000000ULL + number)); \
		value;                                                                        \
	})
/* The same numbers as in tables.py. */
enum {
	ALL,
	USES,
	SOURCE_ANY,
	DESTINATION_ANY,
	PROTOCOL_ANY,
	SOURCE_PORT_ANY,
	DESTINATION_PORT_ANY,
	ICMP_ANY,
	TCP_FLAGS_ANY,
	VLAN_ANY,
	WHOLE,
	FIRST_FRAGMENT,
	LATER_FRAGMENT,
	SETTLED,
};
enum {
	SOURCE = 1 << 0,
	DESTINATION = 1 << 1,
	PROTOCOL = 1 << 2,
	SOURCE_PORT = 1 << 3,
	DESTINATION_PORT = 1 << 4,
	ICMP = 1 << 5,
	TCP_FLAGS = 1 << 6,
	VLAN = 1 << 7,
	FRAGMENT = 1 << 8,
	SOURCE_BLOCKS = 1 << 9,
	SOURCE_HOSTS = 1 << 10,
	SOURCE_PREFIXES = 1 << 11,
	SOURCE_SIX = 1 << 12,
	DESTINATION_BLOCKS = 1 << 13,
	DESTINATION_HOSTS = 1 << 14,
	DESTINATION_PREFIXES = 1 << 15,
	DESTINATION_SIX = 1 << 16,
};
#define IF_USED(bits) if (CONSTANT(USES) & (bits))

MAP(verdicts);
MAP(counters);
MAP(samples);
MAP(scratch);
MAP(protocols);
MAP(source_ports);
MAP(destination_ports);
MAP(icmp_types);
MAP(tcp_flags);
MAP(vlans);
MAP(source_blocks);
MAP(source_classes);
MAP(source_hosts);
MAP(source_prefixes);
MAP(source_six);
MAP(destination_blocks);
MAP(destination_classes);
MAP(destination_hosts);
MAP(destination_prefixes);
MAP(destination_six);

struct verdict {
	u32 drop;
	u32 slot; /* of the counters */
	u32 sample; /* record the source of a frame with the probability sample / 2^32 */
	u32 unused;
};
struct counter {
	u64 packets, bytes;
};
struct prefix4 {
	u32 length, address;
};
struct prefix6 {
	u32 length;
	u8 address[16];
};

/* Where the walk along the extension headers stands. */
struct walk {
	u32 offset, protocol, part, opaque;
};

#define NO_RULE 128 /* the counter of frames that no rule matched */
#define LONGER 255 /* class of a /24 in which there are longer prefixes */
#define MOST_EXTENSIONS 8 /* IPv6 extension headers that are walked */
#define MOST_OFFSET 0x7fff /* of a header in a frame; more than eight longest headers take */

INLINE u16 net16(const u8 *at) { return __builtin_bswap16(*(const u16 *)at); }

INLINE u64 mask_at(const void *map, u32 index)
{
	u64 *mask = lookup(map, &index);

	return mask ? *mask : 0;
}

INLINE void count(u32 slot, u64 bytes)
{
	struct counter *counter = lookup(&counters, &slot);

	if (counter) {
		counter->packets++;
		counter->bytes += bytes;
	}
}

INLINE int no_rule(u64 bytes)
{
	count(NO_RULE, bytes);
	return XDP_PASS;
}

/* The rules whose IPv4 prefixes include an address (in network order): DIR-24-8 with classes, or a trie alone. */
#define ADDRESS4(SIDE, side, address)                                                     \
	({                                                                                \
		u64 found = 0, *mask = 0;                                                 \
		u32 number = __builtin_bswap32(address), class = LONGER, key = number >> 11; \
		IF_USED(SIDE##_BLOCKS)                                                    \
		{                                                                         \
			u8 *classes = lookup(&side##_blocks, &key);                       \
			class = classes ? classes[(number >> 8) & 7] : 0;                 \
		}                                                                         \
		if (class == LONGER) {                                                    \
			IF_USED(SIDE##_HOSTS)                                             \
			{                                                                 \
				key = address;                                            \
				mask = lookup(&side##_hosts, &key);                       \
			}                                                                 \
			if (!mask) {                                                      \
				IF_USED(SIDE##_PREFIXES)                                  \
				{                                                         \
					struct prefix4 whole = { 32, address };           \
					mask = lookup(&side##_prefixes, &whole);          \
				}                                                         \
			}                                                                 \
			if (mask)                                                         \
				found = *mask;                                            \
		} else if (class) {                                                       \
			found = mask_at(&side##_classes, class);                          \
		}                                                                         \
		found;                                                                    \
	})

#define ADDRESS6(SIDE, side, at)                                          \
	({                                                                \
		u64 found = 0;                                            \
		IF_USED(SIDE##_SIX)                                       \
		{                                                         \
			struct prefix6 whole = { .length = 128 };         \
			__builtin_memcpy(whole.address, at, 16);          \
			u64 *mask = lookup(&side##_six, &whole);          \
			if (mask)                                         \
				found = *mask;                            \
		}                                                         \
		found;                                                    \
	})

INLINE void sample(const u8 *ip, int six)
{
	u64 one = 1, *seen;
	struct {
		u64 high;
		u32 low[2];
	} address = { 0 };

	if (six) {
		__builtin_memcpy(&address, ip + 8, 16);
	} else {
		address.low[0] = __builtin_bswap32(0xffff); /* RFC 4291, 2.5.5.2: IPv4-mapped */
		__builtin_memcpy(&address.low[1], ip + 12, 4);
	}
	seen = lookup(&samples, &address);
	if (seen)
		__sync_fetch_and_add(seen, 1);
	else
		update(&samples, &address, &one, 0);
}

INLINE int is_extension(u32 protocol)
{
	/* RFC 8200, section 4: hop-by-hop options, routing, fragment and destination options; RFC 4302: AH. */
	return protocol == 0 || protocol == 43 || protocol == 44 || protocol == 51 || protocol == 60;
}

/*
 * Walk along the extension headers; tells whether it could. The state is kept in a map, where the verifier does not
 * follow it: so all ways through one header look alike to it, and it need not try all combinations of eight headers.
 */
INLINE int walked(u8 *data, u8 *end, struct walk *result)
{
	u32 zero = 0;
	volatile struct walk *walk = lookup(&scratch, &zero);

	if (!walk)
		return 0;
	walk->offset = result->offset;
	walk->protocol = result->protocol;
	walk->part = walk->opaque = 0;
#pragma unroll
	for (int header = 0; header < MOST_EXTENSIONS; header++) {
		u32 kind = walk->protocol, offset = walk->offset & MOST_OFFSET, length;
		u8 *at = data + offset;

		if (!is_extension(kind))
			break;
		if (at + 8 > end) {
			walk->opaque = 1;
			break;
		}
		walk->protocol = at[0];
		length = at[1];
		if (kind == 44) {
			/* An atomic fragment (RFC 6946), offset 0 and no more, is a whole packet. */
			u32 fragment = net16(at + 2);

			walk->offset = offset + 8;
			if (fragment & 0xfff8) {
				walk->part = 2;
				walk->opaque = 1;
				break;
			}
			if (fragment & 1)
				walk->part = 1;
		} else if (kind == 51) {
			walk->offset = offset + (length + 2) * 4;
		} else {
			walk->offset = offset + (length + 1) * 8;
		}
	}
	result->offset = walk->offset;
	result->protocol = walk->protocol;
	result->part = walk->part;
	result->opaque = walk->opaque;
	return 1;
}

SECTION("xdp")
int xdp_drop(struct xdp_md *context)
{
	u8 *data = (u8 *)(long)context->data, *end = (u8 *)(long)context->data_end, *ip = data + 14, *next;
	u64 bytes = end - data, rules = CONSTANT(ALL);
	/* opaque: there is no transport header to be read. part: 0 whole packet, 1 first fragment, 2 later fragment. */
	u32 vlan = 0, protocol, opaque = 0, part = 0, first;
	struct verdict *verdict;
	u16 type;
	int six;

	if (ip > end)
		return no_rule(bytes);
	type = net16(data + 12);
#pragma unroll
	for (int tag = 0; tag < 2; tag++) {
		if (type != 0x8100 && type != 0x88a8)
			break;
		if (ip + 4 > end)
			return no_rule(bytes);
		/* VLAN 0 carries a priority and no VLAN; Linux looks at the next tag then. */
		if (!vlan)
			vlan = net16(ip) & 0xfff;
		type = net16(ip + 2);
		ip += 4;
	}

	if (type == 0x0800) {
		u32 length, fragment;

		if (ip + 20 > end)
			return no_rule(bytes);
		length = (ip[0] & 15) * 4;
		if (ip[0] >> 4 != 4 || length < 20)
			return no_rule(bytes);
		six = 0;
		IF_USED(SOURCE)
			rules &= CONSTANT(SOURCE_ANY) | ADDRESS4(SOURCE, source, *(u32 *)(ip + 12));
		if (!rules)
			return no_rule(bytes);
		if (rules & -rules & CONSTANT(SETTLED))
			goto matched;
		IF_USED(DESTINATION)
			rules &= CONSTANT(DESTINATION_ANY) | ADDRESS4(DESTINATION, destination, *(u32 *)(ip + 16));
		protocol = ip[9];
		fragment = net16(ip + 6);
		if (fragment & 0x1fff)
			opaque = part = 2;
		else if (fragment & 0x2000)
			part = 1;
		next = ip + length;
	} else if (type == 0x86dd) {
		if (ip + 40 > end || ip[0] >> 4 != 6)
			return no_rule(bytes);
		six = 1;
		IF_USED(SOURCE)
			rules &= CONSTANT(SOURCE_ANY) | ADDRESS6(SOURCE, source, ip + 8);
		if (!rules)
			return no_rule(bytes);
		if (rules & -rules & CONSTANT(SETTLED))
			goto matched;
		IF_USED(DESTINATION)
			rules &= CONSTANT(DESTINATION_ANY) | ADDRESS6(DESTINATION, destination, ip + 24);
		protocol = ip[6];
		next = ip + 40;
		IF_USED(PROTOCOL | SOURCE_PORT | DESTINATION_PORT | ICMP | TCP_FLAGS | FRAGMENT)
		{
			struct walk walk = { .offset = next - data, .protocol = protocol };

			if (is_extension(protocol) && walked(data, end, &walk)) {
				protocol = walk.protocol;
				part = walk.part;
				opaque = walk.opaque;
				next = data + (walk.offset & MOST_OFFSET);
			}
		}
	} else {
		return no_rule(bytes);
	}
	if (!rules)
		return no_rule(bytes);

	IF_USED(FRAGMENT)
		rules &= part == 0 ? CONSTANT(WHOLE) : part == 1 ? CONSTANT(FIRST_FRAGMENT) : CONSTANT(LATER_FRAGMENT);
	IF_USED(VLAN)
		rules &= CONSTANT(VLAN_ANY) | mask_at(&vlans, vlan);
	IF_USED(PROTOCOL)
		rules &= CONSTANT(PROTOCOL_ANY) | mask_at(&protocols, protocol);
	IF_USED(SOURCE_PORT | DESTINATION_PORT)
	{
		u64 from = CONSTANT(SOURCE_PORT_ANY), to = CONSTANT(DESTINATION_PORT_ANY);
		int has_ports = protocol == 6 || protocol == 17 || protocol == 33 || protocol == 132 || protocol == 136;

		if (has_ports && !opaque && next + 4 <= end) {
			IF_USED(SOURCE_PORT)
				from |= mask_at(&source_ports, net16(next));
			IF_USED(DESTINATION_PORT)
				to |= mask_at(&destination_ports, net16(next + 2));
		}
		rules &= from & to;
	}
	IF_USED(ICMP)
	{
		u64 found = CONSTANT(ICMP_ANY);

		if (protocol == (six ? 58 : 1) && !opaque && next + 1 <= end)
			found |= mask_at(&icmp_types, next[0] | six << 8);
		rules &= found;
	}
	IF_USED(TCP_FLAGS)
	{
		u64 found = CONSTANT(TCP_FLAGS_ANY);

		if (protocol == 6 && !opaque && next + 14 <= end)
			found |= mask_at(&tcp_flags, next[13]);
		rules &= found;
	}
	if (!rules)
		return no_rule(bytes);

matched:
	/* The lowest bit times a de Bruijn sequence tells in its highest six bits which bit it is. */
	first = ((rules & -rules) * 0x03f79d71b4cb0a89ULL) >> 58;
	verdict = lookup(&verdicts, &first);
	if (!verdict)
		return XDP_PASS;
	count(verdict->slot, bytes);
	if (verdict->drop && verdict->sample && prandom() <= verdict->sample)
		sample(ip, six);
	return verdict->drop ? XDP_DROP : XDP_PASS;
}
