# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compile the XDP program into the module_utils: ``python3 -m tests.tools.bpf [--check]``.

With ``--check`` nothing is written; it fails when the committed instructions are not what the source compiles to.
"""

import argparse
import base64
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from tests.tools import packages

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src/bpf/xdp_drop.c"
GENERATED = ROOT / "plugins/module_utils/_xdp/program.py"
# Version 14 is Debian 12's; another one may well emit other instructions. The oldest instruction set that has
# "jump if lower" (v2) is understood by Linux 4.14 and newer.
COMPILER = "clang-14"
OPTIONS = ("-target", "bpf", "-mcpu=v2", "-O2", "-Wall", "-Wextra", "-Werror")
LOAD64 = 0x18  # BPF_LD | BPF_IMM | BPF_DW, which takes two instructions
CONSTANT = 0x4843000000000000  # as in the source
R_BPF_64_64 = 1
TEMPLATE = '''# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The instructions of src/bpf/xdp_drop.c. Made by ``python3 -m tests.tools.bpf``; not to be changed by hand.

Private to the collection; not a public interface.
"""

# The indexes of the instructions into which the loader puts the descriptor of a map, or a constant.
MAPS = (
{maps}
)
CONSTANTS = (
{constants}
)
# Little-endian instructions of eight bytes each, in base64.
INSTRUCTIONS = """
{text}
"""
'''


class Section(NamedTuple):
    """A section of an ELF file (elf(5), Elf64_Shdr): name, type, content, and the section that it is about."""

    name: str
    kind: int
    content: bytes
    link: int
    info: int


def compiled(source: Path = SOURCE) -> bytes:
    """Return the ELF object of a source. Raises ``CalledProcessError``; the compiler has said why."""
    with tempfile.TemporaryDirectory() as directory:
        output = Path(directory) / "object"
        # The name of the directory must not get into the result.
        subprocess.run(
            [COMPILER, *OPTIONS, "-c", source.name, "-o", output], cwd=source.parent, timeout=120, check=True
        )
        return output.read_bytes()


def sections(elf: bytes) -> list[Section]:
    """Return the sections of a 64-bit little-endian ELF file."""
    (start,) = struct.unpack_from("<Q", elf, 40)
    size, number, names = struct.unpack_from("<HHH", elf, 58)
    heads = [struct.unpack_from("<IIQQQQIIQQ", elf, start + size * index) for index in range(number)]
    bodies = [elf[head[4] : head[4] + head[5]] for head in heads]
    return [
        Section(_text(bodies[names], head[0]), head[1], body, head[6], head[7])
        for head, body in zip(heads, bodies, strict=True)
    ]


def _text(table: bytes, offset: int) -> str:
    return table[offset : table.index(b"\0", offset)].decode()


def parts(elf: bytes) -> tuple[bytes, list[tuple[int, str]], list[tuple[int, int]]]:
    """Return the instructions, where which map and where which constant is to be put.

    Raises ``ValueError`` for a relocation that the loader knows nothing of.
    """
    found = sections(elf)
    index = next(number for number, section in enumerate(found) if section.name == "xdp")
    code = found[index].content
    symbols = next(section for section in found if section.name == ".symtab")
    names = found[symbols.link].content
    maps = []
    for section in found:
        if section.name != ".relxdp":
            continue
        for offset, info in struct.iter_unpack("<QQ", section.content):
            name, _info, _other, where = struct.unpack_from("<IBBH", symbols.content, 24 * (info >> 32))
            if info & 0xFFFFFFFF != R_BPF_64_64 or found[where].name != "maps":
                raise ValueError(f"relocation {info:#x} at {offset:#x} is not of a map")
            maps.append((offset // 8, _text(names, name)))
    constants = []
    for number in range(len(code) // 8):
        low, high = struct.unpack_from("<i4xI", code, 8 * number + 4) if 8 * number + 16 <= len(code) else (0, 0)
        value = (high << 32) | (low & 0xFFFFFFFF)
        if code[8 * number] == LOAD64 and value >> 32 == CONSTANT >> 32:
            constants.append((number, value - CONSTANT))
    return code, sorted(maps), constants


def rendered(elf: bytes) -> str:
    """Return the text of the generated file."""
    code, maps, constants = parts(elf)
    text = base64.b64encode(code).decode()
    return TEMPLATE.format(
        maps="\n".join(f'    ({index}, "{name}"),' for index, name in maps),
        constants="\n".join(f"    ({index}, {number})," for index, number in constants),
        text="\n".join(text[start : start + 100] for start in range(0, len(text), 100)),
    )


def main() -> int:
    """Write the generated file, or compare it; return the exit status."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.tools.bpf", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    options = parser.parse_args()
    packages.install()
    text = rendered(compiled())
    if not options.check:
        GENERATED.write_text(text)
        return 0
    if GENERATED.read_text() != text:
        print(f"{GENERATED} is not what {SOURCE} compiles to: run python3 -m tests.tools.bpf and commit the result")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
