"""Ways to break the elements of a DICOM file, each drawn from a random generator, in place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from dicom_tree import (
    ITEM,
    ITEM_END,
    SEQUENCE_END,
    UNDEFINED,
    Element,
    Tree,
    encode,
    every,
    mark,
    named,
)
from numpy.random import Generator

PATIENT_NAME, PATIENT_ID = 0x00100010, 0x00100020
ROWS, COLUMNS, FRAMES, POINTS = 0x00280010, 0x00280011, 0x00280008, 0x30060046
COORDINATES, CONTOURS, REGIONS, DRAWN = 0x30060050, 0x30060040, 0x30060020, 0x30060039
ROI_NUMBER, ROI_NAME, DRAWN_NUMBER = 0x30060022, 0x30060026, 0x30060084
POSITION, ORIENTATION, SPACING, THICKNESS = 0x00200032, 0x00200037, 0x00280030, 0x00180050
SLOPE, INTERCEPT, PIXELS, CHARACTERS = 0x00281053, 0x00281052, 0x7FE00010, 0x00080005
UNTRUSTED = {THICKNESS, 0x00201041, 0x00200013, POINTS, 0x30060048, 0x30060002, PATIENT_NAME}
"""Slice thickness, location and number; numbers of points and contours; labels."""

NUMBERS = [
    b"nan", b"inf", b"-inf", b"1e308", b"-1e308", b"1e300", b"1e-320", b"1e-12", b"", b" ", b"0",
    b"-0.9765625", b"99999999999999999999", b"1,5", b"0x10", b"soon", b"\xff\xfe", b"\\\\", b"1_0",
    b"-1", b"1e9", b"3\\3\\3", b"1e20",
]  # fmt: skip
VRS = [b"SQ", b"UN", b"OW", b"US", b"FD", b"DS", b"IS", b"PN", b"UI", b"AT", b"UT", b"ZZ", b"\0\1"]
NAMES = [
    b"", b"\0\0", b"two\r\nlines\n", b"x" * 20_000,
    b"\x1b$B!!\x1b(B", b"\xff\xfe\xfd", b"../../etc",
    b"\xe2\x80\xa8\xe2\x80\xae", b"'; \"quoted\"", b"[a-z", b"\\".join([b"many"] * 50),
]  # fmt: skip
CHARSETS = [
    b"ISO_IR 192", b"ISO_IR 100", b"ISO 2022 IR 87", b"\\ISO 2022 IR 149", b"GB18030", b"latin",
    b"",
    b"ISO_IR 999", b"\xff", b"ISO 2022 IR 6\\ISO 2022 IR 58", b"utf8\\utf16\\utf32", b"rot13",
    b"hex",
]  # fmt: skip


def one(random: Generator, choices: Sequence[Any]) -> Any:
    return choices[random.integers(len(choices))]


def _any(random: Generator, tree: Tree, *tags: int) -> Element | None:
    """Some element of these tags (of all tags but who the patient is), most from the top levels."""
    kept = [e for _, e in every(tree) if (e.tag in tags if tags else e.tag not in _WHO)]
    return one(random, kept) if kept else None


_WHO = (PATIENT_NAME, PATIENT_ID)


def drop(random: Generator, tree: Tree) -> None:
    for _ in range(random.integers(1, 4)):
        holder, element = one(random, list(every(tree)))
        holder.remove(element)


def drop_at_the_top(random: Generator, tree: Tree) -> None:
    tree.remove(one(random, tree))


def swap(random: Generator, tree: Tree) -> None:
    one, other = _any(random, tree), _any(random, tree)
    if one and other:
        one.value, other.value = other.value, one.value


def swap_values_and_representations(random: Generator, tree: Tree) -> None:
    one, other = _any(random, tree), _any(random, tree)
    if one and other:
        one.value, one.vr, other.value, other.vr = other.value, other.vr, one.value, one.vr


def wrong_representation(random: Generator, tree: Tree) -> None:
    if element := _any(random, tree):
        element.vr = one(random, VRS)


def wrong_length(random: Generator, tree: Tree) -> None:
    if element := _any(random, tree):
        true = len(element.value)
        lies = [0, 1, true + 1, true + 2, max(true - 2, 0), 10**6, 2**31 - 1, 2**32 - 2, 2**32 - 1]
        element.length = one(random, lies)


def empty_value(random: Generator, tree: Tree) -> None:
    if element := _any(random, tree):
        element.value = b""


def odd_number(random: Generator, tree: Tree) -> None:
    """One of the numbers of a geometry, of pixels or of an ROI."""
    tags = (POSITION, ORIENTATION, SPACING, SLOPE, INTERCEPT, ROI_NUMBER, DRAWN_NUMBER, COORDINATES)
    if element := _any(random, tree, *tags, THICKNESS):
        _put_number(random, element, one(random, NUMBERS))


def odd_coordinates(random: Generator, tree: Tree) -> None:
    for _ in range(random.integers(1, 8)):
        if element := _any(random, tree, COORDINATES):
            _put_number(random, element, one(random, NUMBERS))


def _put_number(random: Generator, element: Element, number: bytes) -> None:
    """In place of one of its numbers, or of all."""
    parts = bytes(element.value).split(b"\\")
    if random.random() < 0.3:
        parts = [number] * len(parts)
    else:
        parts[random.integers(len(parts))] = number
    element.value = b"\\".join(parts)


def huge_count(random: Generator, tree: Tree) -> None:
    for tag in (ROWS, COLUMNS):
        for element in named(tree, tag):
            if random.random() < 0.7:
                count = one(random, [65535, 65535, 30000, 20000, 8192, 0, 1])
                element.value = count.to_bytes(2, "little")
    for element in named(tree, POINTS):
        element.value = b"2147483647"
    if random.random() < 0.5:
        tree.append(Element(FRAMES, b"IS", b"2147483647"))
        tree.sort(key=lambda element: element.tag)


def scaled_geometry(random: Generator, tree: Tree) -> None:
    """Far, tiny, huge, negative or skewed, with well-formed numbers."""
    if element := _any(random, tree, POSITION, ORIENTATION, SPACING):
        try:
            values = np.array(bytes(element.value).split(b"\\"), np.float64)
        except ValueError:
            return
        factor = one(random, [-1, 0, 1e-9, 1e-4, 0.5, 1.001, 2, 1e4, 1e9, 1e200])
        chosen = random.random(len(values)) < 0.5
        element.value = _text(np.where(chosen, values * factor, values))


def far_contours(random: Generator, tree: Tree) -> None:
    factor = one(random, [1e2, 1e4, 1e6, 1e9, 1e30, 1e200, 1e300])
    axes = random.random(3) < 0.6
    for element in named(tree, COORDINATES):
        points = _points(element)
        if len(points) and random.random() < 0.7:
            element.value = _text(np.where(axes, points * factor, points))


def many_points(random: Generator, tree: Tree) -> None:
    """A contour of up to a million points: a circle, to and fro, noise, or one place."""
    if not (element := _any(random, tree, COORDINATES)) or not len(points := _points(element)):
        return
    count = one(random, [10_000, 100_000, 1_000_000])
    centre, reach = points.mean(0), np.ptp(points, axis=0) + 1e-3
    turn = np.linspace(0, 2 * np.pi, count)
    shape = random.integers(4)
    if shape == 0:
        plane = np.column_stack([np.cos(turn), np.sin(turn)])
    elif shape == 1:
        plane = np.column_stack([np.arange(count) % 2, np.arange(count) % 2 * 300.0])
    elif shape == 2:
        plane = np.round(random.normal(size=(count, 2)), 3)
    else:
        plane = np.zeros((count, 2))
    made = np.column_stack([centre[0] + plane[:, 0] * reach[0], centre[1] + plane[:, 1] * reach[1]])
    flat = [f"{x:.3f}\\{y:.3f}\\{centre[2]:.3f}" for x, y in made]
    element.value = "\\".join(flat).encode()


def _points(element: Element) -> np.ndarray:
    try:
        return np.array(bytes(element.value).split(b"\\"), np.float64).reshape(-1, 3)
    except ValueError:
        return np.empty((0, 3))


def _text(values: np.ndarray) -> bytes:
    return "\\".join(f"{value:.9g}" for value in values.ravel()).encode()


def nested(random: Generator, tree: Tree) -> None:
    """A sequence inside itself, again and again."""
    tag = one(random, [REGIONS, DRAWN, CONTOURS, 0x30060010, 0x00081140, 0x00091001])
    undefined = random.random() < 0.5
    body = b""
    for _ in range(one(random, [20, 200, 700, 3000])):
        if undefined:
            body = mark(ITEM, UNDEFINED) + body + mark(ITEM_END, 0) + mark(SEQUENCE_END, 0)
        else:
            body = mark(ITEM, len(body)) + body
        body = encode([Element(tag, b"SQ", body, undefined)])
    _replace(tree, Element(tag, b"SQ", mark(ITEM, len(body)) + body))


def _replace(tree: Tree, element: Element) -> None:
    tree[:] = [other for other in tree if other.tag != element.tag] + [element]
    tree.sort(key=lambda other: other.tag)


def empty_sequence(random: Generator, tree: Tree) -> None:
    found = [element for _, element in every(tree) if element.vr == b"SQ"]
    if found:
        element = one(random, found)
        element.value = [] if random.random() < 0.5 else [[]]


def many_items(random: Generator, tree: Tree) -> None:
    found = [e for _, e in every(tree) if e.vr == b"SQ" and isinstance(e.value, list) and e.value]
    if found:
        element = one(random, found)
        items = element.value
        size = max(len(encode(items[0])), 1)
        times = min(one(random, [10, 300, 5000]), 2_000_000 // size)
        element.value = items + items[:1] * times


def doubled_element(random: Generator, tree: Tree) -> None:
    holder, element = one(random, list(every(tree)))
    other = Element(element.tag, element.vr, one(random, [element.value, b"", b"1"]))
    holder.insert(holder.index(element) + random.integers(2), other)


def same_roi_number(random: Generator, tree: Tree) -> None:
    """Several regions under one number, and their contours too."""
    number = one(random, [b"1", b"2", b"-1", b"0"])
    for tag in (ROI_NUMBER, DRAWN_NUMBER):
        for element in named(tree, tag):
            element.value = number


def odd_name(random: Generator, tree: Tree) -> None:
    if element := _any(random, tree, ROI_NAME, 0x00080016, 0x0020000E, 0x300600B6, 0x30060042):
        name = one(random, NAMES)
        element.value = name + bytes(element.value) if random.random() < 0.5 else name


def odd_characters(random: Generator, tree: Tree) -> None:
    _replace(tree, Element(CHARACTERS, b"CS", one(random, CHARSETS)))
    if random.random() < 0.7 and (element := _any(random, tree, ROI_NAME)):
        element.value = bytes(element.value) + random.bytes(12)


def untrusted(random: Generator, tree: Tree) -> None:
    """What the reader says it does not trust: dropped, or another value."""
    for holder, element in list(every(tree)):
        if element.tag in UNTRUSTED and isinstance(element.value, bytes):
            if random.random() < 0.5:
                holder.remove(element)
            else:
                element.value = one(random, NUMBERS)


def undefined_lengths(random: Generator, tree: Tree) -> None:
    for _, element in every(tree):
        element.undefined = isinstance(element.value, list) and random.random() < 0.7


def private_sequence(random: Generator, tree: Tree) -> None:
    """Unknown private elements of undefined length, at any place."""
    inner = [Element(0x00110010, b"LO", b"MAKER"), Element(0x00111001, b"UN", random.bytes(8))]
    for group in (0x0009, 0x0011, 0x3007):
        vr = b"UN" if random.random() < 0.5 else b"SQ"
        tree.append(Element(group << 16 | 0x10, b"LO", b"MAKER"))
        tree.append(Element(group << 16 | 0x1001, vr, [inner, []], undefined=vr == b"SQ"))
    tree.sort(key=lambda element: element.tag)


TREE: list[Callable[[Generator, Tree], None]] = [
    drop, drop_at_the_top, swap, swap_values_and_representations, wrong_representation,
    wrong_length, wrong_length, empty_value, odd_number, odd_number, odd_coordinates, huge_count,
    scaled_geometry, scaled_geometry, far_contours, many_points, nested, empty_sequence, many_items,
    doubled_element, same_roi_number, odd_name, odd_characters, untrusted, undefined_lengths,
    private_sequence,
]  # fmt: skip
