"""Ways to break the bytes of a DICOM file, and the choice among all ways.

`HARMLESS` leave the meaning as it is: the reader must find the same masks. `LOSSY` take something
away: whatever masks are still found must be those of the intact file.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

from dicom_element_mutations import COORDINATES, PIXELS, TREE, one
from dicom_tree import Element, Tree, encode, file_of
from numpy.random import Generator
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLosslessSV1,
    RLELossless,
)


def flipped(random: Generator, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(random.integers(1, 60)):
        changed[random.integers(len(changed))] ^= 1 << random.integers(8)
    return bytes(changed)


def flipped_early(random: Generator, content: bytes) -> bytes:
    return flipped(random, content[:1500]) + content[1500:]


def overwritten(random: Generator, content: bytes) -> bytes:
    start, length = random.integers(len(content)), int(random.integers(1, 400))
    noise = random.bytes(length) if random.random() < 0.7 else b"\xff" * length
    return content[:start] + noise + content[start + length :]


def lengthened(random: Generator, content: bytes) -> bytes:
    start = random.integers(len(content))
    return content[:start] + random.bytes(int(random.integers(1, 400))) + content[start:]


def shortened(random: Generator, content: bytes) -> bytes:
    start = random.integers(len(content))
    return content[:start] + content[start + int(random.integers(1, 400)) :]


def cut(random: Generator, content: bytes) -> bytes:
    return content[: random.integers(len(content))]


def cut_near_the_end(random: Generator, content: bytes) -> bytes:
    return content[: -int(random.integers(1, min(300, len(content))))]


def empty(_: Generator, __: bytes) -> bytes:
    return b""


def line_ends(random: Generator, content: bytes) -> bytes:
    if random.random() < 0.5:
        return content.replace(b"\n", b"\r\n")
    return content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def without_meta(random: Generator, content: bytes) -> bytes:
    return content[132:] if random.random() < 0.5 else content[:128] + content[200:]


def repeated(_: Generator, content: bytes) -> bytes:
    return content + content


def other_syntax(random: Generator, content: bytes) -> bytes:
    syntaxes = [
        ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, RLELossless,
        JPEGLosslessSV1, "1.2.840.10008.1.2.8.1", "1.2.3", "",
    ]  # fmt: skip
    return file_of(content[content.index(b"\x08\0", 140) :], str(one(random, syntaxes)))


BYTES: list[Callable[[Generator, bytes], bytes]] = [
    flipped, flipped, flipped_early, overwritten, lengthened, shortened, cut, cut, cut_near_the_end,
    empty, line_ends, without_meta, repeated, other_syntax,
]  # fmt: skip


def deflated(_: Generator, tree: Tree) -> bytes:
    return file_of(_deflate(encode(tree)), DeflatedExplicitVRLittleEndian)


def deflated_and_cut(random: Generator, tree: Tree) -> bytes:
    content = deflated(random, tree)
    return content[: -int(random.integers(1, len(content) // 2))]


def deflated_bomb(random: Generator, tree: Tree) -> bytes:
    """A payload of zeros, a thousand times as large as the file: in an element, or after all."""
    size = one(random, [300_000_000, 3_000_000_000])
    head = encode(tree)
    if random.random() < 0.7:
        tag = one(random, [PIXELS + 0x20, 0x00090001, COORDINATES])
        head += encode([Element(tag, b"OB", b"", length=size)])
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    start = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    zeros = packer.compress(bytes(10_000_000)) + packer.flush(zlib.Z_FULL_FLUSH)
    body = start + zeros * (size // 10_000_000) + packer.flush()
    return file_of(body, DeflatedExplicitVRLittleEndian)


def _deflate(content: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


HARMLESS = {"untrusted", "undefined_lengths", "private_sequence", "deflated"}
LOSSY = {"cut", "cut_near_the_end", "empty", "deflated_and_cut", "same_roi_number"}

PACKED: list[Callable[[Generator, Tree], bytes]] = [deflated, deflated_and_cut, deflated_bomb]


def mutate(random: Generator, content: bytes, tree: Tree, syntax: str) -> tuple[str, bytes]:
    """A name and a broken file.

    Args:
        content: the intact file.
        tree: its elements, of the caller's own.
        syntax: what the elements are written with.
    """
    chosen = random.random()
    if chosen < 0.3:
        change = one(random, BYTES)
        return change.__name__, change(random, content)
    if chosen < 0.34 and syntax == ExplicitVRLittleEndian:
        pack = one(random, PACKED)
        return pack.__name__, pack(random, tree)
    changes = [one(random, TREE) for _ in range(2 if random.random() < 0.15 else 1)]
    for step in changes:
        if tree:
            step(random, tree)
    return " + ".join(step.__name__ for step in changes), file_of(encode(tree), syntax)
