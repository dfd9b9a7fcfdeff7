# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random rules, and frames as somebody would make them who wants to get past the rules."""

import itertools

from ansible_collections.hostcraft.linux.plugins.module_utils._xdp.model import Prefixes, Rule

PROTOCOLS = (1, 6, 17, 33, 47, 50, 58, 132, 136)
PORTS = (0, 1, 22, 53, 80, 443, 1023, 1024, 65535)
EXTENSIONS = (0, 43, 44, 51, 60)
# Few bits that differ, so that prefixes contain each other and addresses fall into them.
LENGTHS4 = (0, 1, 8, 12, 16, 20, 23, 24, 24, 25, 27, 28, 31, 32, 32)
LENGTHS6 = (0, 3, 16, 32, 48, 63, 64, 65, 96, 127, 128)


def address4(random):
    return random.choice((10, 10, 10, 192)) << 24 | random.choice((0, 1, 128)) << 16 | random.getrandbits(10)


def address6(random):
    return 0x20010DB8 << 96 | random.getrandbits(2) << 64 | random.getrandbits(5) << 60 | random.getrandbits(3)


def prefixes(random, many=False):
    four, six = set(), set()
    for _number in range(100 if many else random.randint(0, 4)):
        length = random.choice(LENGTHS4)
        four.add((address4(random) >> 32 - length << 32 - length) << 6 | length)
    for _number in range(random.randint(0, 4)):
        length = random.choice(LENGTHS6)
        six.add((address6(random) >> 128 - length << 128 - length) << 8 | length)
    return Prefixes(tuple(sorted(four)), tuple(sorted(six)))


def ranges(random, numbers, most):
    found = []
    for _number in range(random.randint(1, 3)):
        first = random.choice(numbers)
        found.append((first, min(most, first + random.choice((0, 0, 1, 500)))))
    return tuple(found)


def rule(random, name):
    """Return a rule with some of all conditions."""
    chosen = {}
    if random.random() < 0.5:
        chosen["source"] = prefixes(random)
    if random.random() < 0.3:
        chosen["destination"] = prefixes(random)
    if random.random() < 0.5:
        chosen["protocols"] = frozenset(random.sample(PROTOCOLS, random.randint(1, 3)))
    if random.random() < 0.2:
        chosen["source_ports"] = ranges(random, PORTS, 65535)
    if random.random() < 0.3:
        chosen["destination_ports"] = ranges(random, PORTS, 65535)
    if random.random() < 0.15:
        chosen["protocols"] = frozenset([random.choice((1, 58))])
        chosen["icmp_types"] = frozenset(random.sample((0, 3, 8, 128, 129, 135), 2))
    if random.random() < 0.15:
        mask = random.getrandbits(6)
        chosen["tcp_flags"] = (mask, mask & random.getrandbits(6))
    if random.random() < 0.15:
        chosen["vlans"] = ranges(random, (0, 1, 100, 4094), 4095)
    if random.random() < 0.15:
        chosen["parts"] = frozenset(random.sample((0, 1, 2), random.randint(1, 2)))
    return Rule(name, random.random() < 0.7, **chosen)


def transport(random, protocol):
    """Return a transport header, or what is left of one."""
    ports = random.choice(PORTS).to_bytes(2, "big") + random.choice(PORTS).to_bytes(2, "big")
    if protocol in (1, 58):
        content = bytes([random.choice((0, 3, 8, 128, 129, 135)), 0]) + bytes(6)
    elif protocol == 6:
        content = ports + bytes(8) + bytes([0x50, random.getrandbits(8)]) + bytes(6)
    else:
        content = ports + bytes(8)
    return content if random.random() < 0.85 else content[: random.randint(0, len(content))]


def extension(random, kind, following):
    """Return an IPv6 extension header; some of them claim to be longer than the frame."""
    if kind == 44:
        offset = random.choice((0, 0, 1, 8, 9, 0xFFF8))
        return bytes([following, random.getrandbits(8)]) + offset.to_bytes(2, "big") + bytes(4)
    if kind == 51:
        units = random.choice((1, 4, 4, 5))
        return bytes([following, units]) + bytes(4 * (units + 2) - 2)
    units = random.choice((0, 0, 1, 3, 255)) if random.random() < 0.9 else random.getrandbits(8)
    return bytes([following, units]) + bytes(min(8 * (units + 1) - 2, 64))


def ipv4(random):
    protocol, words = random.choice(PROTOCOLS), random.choice((5, 5, 5, 6, 8, 15, 4))
    offset = random.choice((0, 0, 0, 0x4000, 0x2000, 0x2001, 1, 0x1FFF, 0x8000))
    version = 4 if random.random() < 0.97 else random.getrandbits(4)
    header = bytes([version << 4 | words, 0]) + bytes(4) + offset.to_bytes(2, "big") + bytes([64, protocol, 0, 0])
    header += address4(random).to_bytes(4, "big") + address4(random).to_bytes(4, "big")
    return header + random.randbytes(max(0, 4 * words - 20)) + transport(random, protocol)


def ipv6(random):
    chain = [random.choice(EXTENSIONS) for _number in range(random.choice((0, 0, 0, 1, 2, 3, 7, 8, 9, 10)))]
    chain.append(random.choice(PROTOCOLS))
    version = 6 if random.random() < 0.97 else random.getrandbits(4)
    header = bytes([version << 4, 0, 0, 0, 0, 0, chain[0], 64])
    header += address6(random).to_bytes(16, "big") + address6(random).to_bytes(16, "big")
    for kind, following in itertools.pairwise(chain):
        header += extension(random, kind, following)
    return header + transport(random, chain[-1])


def frame(random):
    """Return a frame of at least the 14 bytes that the kernel's test run asks for."""
    tags = b""
    for _number in range(random.choice((0, 0, 0, 1, 1, 2, 3))):
        tag = random.choice((0x8100, 0x88A8, 0x9100 if random.random() < 0.2 else 0x8100))
        tags += tag.to_bytes(2, "big") + (random.choice((0, 0, 1, 100, 4094)) | random.getrandbits(3) << 13).to_bytes(
            2, "big"
        )
    kind, content = random.choice(((0x0800, ipv4), (0x0800, ipv4), (0x86DD, ipv6), (0x86DD, ipv6), (0x0806, ipv4)))
    whole = random.randbytes(12) + tags + kind.to_bytes(2, "big") + content(random)
    if random.random() < 0.1:
        whole = whole[: random.randint(14, len(whole))]
    return whole[:3000]
