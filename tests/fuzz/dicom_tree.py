"""A DICOM data set as a tree of raw elements, written without any check.

pydicom refuses to write most of what a broken file can hold; here lengths may lie, representations
may be wrong and sequences may nest to any depth.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import ExplicitVRLittleEndian

LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"UC", b"UN", b"UR", b"UT", b"SV", b"UV"}
UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = (0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD)


@dataclass
class Element:
    """One element.

    Attributes:
        tag: group and element, e.g. 0x00100020.
        vr: two letters.
        value: bytes, or the items of a sequence.
        undefined: write the sequence and its items with undefined length.
        length: the length to write, whatever is true; None writes the true one.
    """

    tag: int
    vr: bytes
    value: bytes | list[Tree]
    undefined: bool = False
    length: int | None = None


Tree = list[Element]


def tree_of(dataset: Dataset) -> Tree:
    """All elements of a data set, which keeps defined lengths alone; group 2 is not part of it."""
    _define_lengths(dataset)
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = False, True
    write_dataset(buffer, Dataset(dataset))
    return _parse(buffer.getvalue())


def _define_lengths(dataset: Dataset) -> None:
    for element in dataset:
        if element.VR == "SQ":
            element.is_undefined_length = element.value.is_undefined_length = False
            for item in element.value:
                item.is_undefined_length_sequence_item = False
                _define_lengths(item)


def _parse(content: bytes) -> Tree:
    tree: Tree = []
    at = 0
    while at < len(content):
        group, number, vr = struct.unpack_from("<HH2s", content, at)
        wide = vr in LONG
        [length] = struct.unpack_from("<I" if wide else "<H", content, at + (8 if wide else 6))
        at += 12 if wide else 8
        value = content[at : at + length]
        at += length
        tree.append(Element(group << 16 | number, vr, _items(value) if vr == b"SQ" else value))
        if length == UNDEFINED:  # compressed pixels, which are last; with the mark of their end
            tree[-1].length = length
    return tree


def _items(content: bytes) -> list[Tree]:
    items, at = [], 0
    while at < len(content):
        [length] = struct.unpack_from("<I", content, at + 4)
        items.append(_parse(content[at + 8 : at + 8 + length]))
        at += 8 + length
    return items


def encode(tree: Tree) -> bytes:
    """Explicit VR, little endian."""
    return b"".join(_element(element) for element in tree)


def _element(element: Element) -> bytes:
    if isinstance(element.value, bytes):
        body = element.value + b" " * (len(element.value) % 2)
    else:
        body = b"".join(_item(encode(item), element.undefined) for item in element.value)
        body += mark(SEQUENCE_END, 0) if element.undefined else b""
    length = len(body) if element.length is None else element.length
    if element.undefined:
        length = UNDEFINED
    vr = element.vr
    if vr not in LONG and len(body) > 0xFFFF:
        vr = b"UN"  # as writers do that cannot state the length
    head = struct.pack("<HH2s", element.tag >> 16, element.tag & 0xFFFF, vr)
    if vr in LONG:
        return head + struct.pack("<HI", 0, length & UNDEFINED) + body
    return head + struct.pack("<H", length & 0xFFFF) + body


def _item(body: bytes, undefined: bool) -> bytes:
    if undefined:
        return mark(ITEM, UNDEFINED) + body + mark(ITEM_END, 0)
    return mark(ITEM, len(body)) + body


def mark(tag: int, length: int) -> bytes:
    """The head of an item, or the end of an item or sequence."""
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, length)


def file_of(body: bytes, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """A file: preamble, file meta information with this transfer syntax, then the body."""
    name = syntax.encode()
    meta = encode([Element(0x00020010, b"UI", name + b"\0" * (len(name) % 2))])
    length = encode([Element(0x00020000, b"UL", struct.pack("<I", len(meta)))])
    return b"\0" * 128 + b"DICM" + length + meta + body


def every(tree: Tree) -> Iterator[tuple[Tree, Element]]:
    """Each element of a tree at any depth, with the list that holds it."""
    for element in tree:
        yield tree, element
        if isinstance(element.value, list):
            for item in element.value:
                yield from every(item)


def named(tree: Tree, tag: int) -> list[Element]:
    """All elements of a tag, at any depth."""
    return [element for _, element in every(tree) if element.tag == tag]
