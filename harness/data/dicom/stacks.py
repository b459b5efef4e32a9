"""Which slices of one series UID make a volume together: its stacks, parted no more than needed.

Slices that make an even grid are one stack, whatever their headers say: many scanners number one
volume by several acquisitions. Slices that differ in orientation, size or pixel spacing are always
parted. Others are parted where two share a position with other pixels, or where their steps are
uneven, by the first attribute of `PARTING`, or the first two or three, under which every part has
positions of its own, makes a grid, and lies among the others: parts that follow one another along
the body are one volume.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.base.errors import DataError
from harness.data.dicom.geometry import NEARLY, SAME_PLACE_MM, Grid, make_grid
from harness.data.dicom.pixels import read_pixels
from harness.data.dicom.slices import PARTING, Slice, listed, read_parting

MOST_TOGETHER = 3  # attributes that part a series together
_Content = dict[Slice, bytes]
"""Digest of a slice's pixels, where another slice shares its position."""
_Values = dict[Slice, dict[str, str]]
"""A slice's values of `PARTING`."""


@dataclass(frozen=True)
class Stack:
    """Slices that belong together.

    Attributes:
        slices: all, with copies.
        kept: without copies, foot of the normal first; () where they make no grid.
        grid: theirs; None where they make none.
        words: why there is none, else what a reader should know.
        told_by: attributes that tell it from others like it.
    """

    slices: tuple[Slice, ...]
    kept: tuple[Slice, ...]
    grid: Grid | None
    words: str = ""
    told_by: tuple[str, ...] = ()


def split(slices: Sequence[Slice], least: int) -> list[Stack]:
    """The stacks of one series.

    Args:
        least: as of `read_pixels`; slices at one position are compared by their pixels.
    """
    groups: list[list[Slice]] = []
    for entry in slices:
        group = next((g for g in groups if g[0].plane.is_like(entry.plane)), None)
        groups.append([entry]) if group is None else group.append(entry)
    beside = ("orientation, size or pixel spacing",) if sum(len(g) > 1 for g in groups) > 1 else ()
    most = max(groups, key=len)
    lone = [group[0] for group in groups if len(group) == 1 < len(most)]
    found = [
        _told(stack, len(slices), (*beside, *stack.told_by))
        for group in groups
        if len(group) > 1 or not lone
        for stack in _of_one_kind(group, least)
    ]
    even = all(stack.grid is not None and stack.grid.levels is None for stack in found)
    odd = _of_one_volume(groups) or [e for e in lone if not even and _may_be_missing(e, most[0])]
    if odd:
        words = (
            "all slices of a series must have one orientation, size and pixel spacing, but "
            f"{listed([entry.header.number for entry in odd])} differ from the others; "
            "export the series again"
        )
        return [Stack(tuple(slices), (), None, words)]
    return found + [_lone(entry, len(slices)) for entry in lone]


def _of_one_volume(groups: Sequence[Sequence[Slice]]) -> list[Slice]:
    """First slices of groups that are turned too little against another to be of two volumes."""
    firsts = [group[0] for group in groups]
    return [
        entry
        for index, entry in enumerate(firsts)
        if any(entry.plane.is_like(other.plane, NEARLY) for other in firsts[:index])
    ]


def _may_be_missing(entry: Slice, other: Slice) -> bool:
    """Whether a slice by itself may fill a gap between others: it lies parallel to them."""
    normals = [np.cross(e.plane.along_columns, e.plane.along_rows) for e in (entry, other)]
    return bool(abs(normals[0] @ normals[1]) > 1 - NEARLY)


def _lone(entry: Slice, slices: int) -> Stack:
    words = (
        f"{listed([entry.header.number])} differs in orientation, size or pixel spacing from the "
        f"other {slices - 1} slices of its series, as a scout does, and is left out"
    )
    return Stack((entry,), (), None, words)


def _told(stack: Stack, slices: int, names: Sequence[str]) -> Stack:
    """A stack with the words that it is not all of its series, where it is not."""
    if stack.grid is None or not names:
        return stack
    words = (
        f"of the {slices} slices of its series, told apart by {' and '.join(names)}, this stack "
        f"has {len(stack.slices)}, {listed([stack.slices[0].header.number])} among them"
    )
    return replace(stack, words=words)


def _of_one_kind(slices: Sequence[Slice], least: int) -> Sequence[Stack]:
    try:
        content = _contents(slices, least)
    except DataError as error:
        return [Stack(tuple(slices), (), None, str(error))]
    whole = _stack(slices, content)
    if whole.grid is not None and whole.grid.levels is None:
        return [whole]
    values = dict(zip(slices, read_parting(slices), strict=True))
    for even in (True, False) if whole.grid is None else (True,):
        for depth in range(1, MOST_TOGETHER + 1):
            parts = _parts(slices, values, content, even, depth)
            if parts:
                return parts
    return [whole]


def _stack(slices: Sequence[Slice], content: _Content) -> Stack:
    """Slices as one stack, copies dropped."""
    kept: list[Slice] = []
    for place in _places(slices):
        kept += {content.get(entry, b""): entry for entry in reversed(place)}.values()
    try:
        grid = make_grid([entry.plane for entry in kept])
    except DataError as error:
        return Stack(tuple(slices), (), None, str(error))
    return Stack(tuple(slices), tuple(kept[index] for index in grid.order), grid)


def _places(slices: Sequence[Slice]) -> list[list[Slice]]:
    """Slices by position, the lowest first."""
    places: list[list[Slice]] = []
    last = -float("inf")
    for entry in sorted(slices, key=lambda entry: entry.plane.level):
        if entry.plane.level - last < SAME_PLACE_MM:
            places[-1].append(entry)
        else:
            places.append([entry])
        last = entry.plane.level
    return places


def _contents(slices: Sequence[Slice], least: int) -> _Content:
    """Raises a `DataError` where pixels that must be compared cannot be decoded."""
    shared = [entry for place in _places(slices) if len(place) > 1 for entry in place]
    shared.sort(key=lambda entry: (entry.header.number, entry.frame))
    found: _Content = {}
    for entry, pixels in zip(shared, read_pixels(shared, least), strict=True):
        digest = hashlib.sha256(pixels.tobytes())
        digest.update(entry.plane.position.round(2).tobytes())  # beside another, it is no copy
        found[entry] = digest.digest()
    return found


def _parts(
    slices: Sequence[Slice], values: _Values, content: _Content, even: bool, depth: int
) -> list[Stack]:
    """The parts of slices by `depth` of their `values`, one inside the other; none where no
    attributes make stacks of them."""
    for name in PARTING:
        groups: dict[str, list[Slice]] = {}
        for entry in slices:
            groups.setdefault(values[entry][name], []).append(entry)
        if len(groups) < 2 or not _among_one_another(list(groups.values())):
            continue
        parts = [_part(group, values, content, even, depth) for group in groups.values()]
        if all(parts):
            return [
                replace(stack, told_by=(name, *stack.told_by)) for part in parts for stack in part
            ]
    return []


def _part(
    slices: Sequence[Slice], values: _Values, content: _Content, even: bool, depth: int
) -> list[Stack]:
    """Slices as one stack, or as the parts of what else tells them apart."""
    own = _stack(slices, content)
    if own.grid is not None and not (even and own.grid.levels):
        return [own]
    return _parts(slices, values, content, even, depth - 1) if depth > 1 else []


def _among_one_another(groups: Sequence[Sequence[Slice]]) -> bool:
    """Whether each part overlaps the others along the normal, all being linked so."""
    levels = [[entry.plane.level for entry in group] for group in groups]
    top = -float("inf")
    for first, last in sorted((min(each), max(each)) for each in levels):
        if top > -float("inf") and first > top + SAME_PLACE_MM:
            return False
        top = max(top, last)
    return True
