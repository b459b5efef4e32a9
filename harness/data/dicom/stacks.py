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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from harness.base.errors import DataError
from harness.base.text import counted
from harness.data.dicom.geometry import SAME_PLACE_MM, Grid, make_grid
from harness.data.dicom.pixels import read_pixels
from harness.data.dicom.slices import PARTING, Slice, listed

MOST_TOGETHER = 3  # attributes that part a series together
_Content = dict[int, bytes]
"""Digest of a slice's pixels by its `id`, where another slice shares its position."""


@dataclass(frozen=True)
class Stack:
    """Slices that belong together.

    Attributes:
        slices: all, with copies.
        kept: without copies, foot of the normal first; () where they make no grid.
        grid: theirs; None where they make none.
        words: why there is none, else what a reader should know.
    """

    slices: tuple[Slice, ...]
    kept: tuple[Slice, ...]
    grid: Grid | None
    words: str = ""


def split(slices: Sequence[Slice], least: int) -> Iterator[Stack]:
    """The stacks of one series.

    Args:
        least: as of `read_pixels`; slices at one position are compared by their pixels.
    """
    groups: list[list[Slice]] = []
    for entry in slices:
        group = next((g for g in groups if g[0].plane.is_like(entry.plane)), None)
        groups.append([entry]) if group is None else group.append(entry)
    most = max(map(len, groups))
    for group in groups:
        if len(group) == 1 < most:
            files = listed([group[0].header.number])
            yield Stack(
                tuple(group),
                (),
                None,
                f"{files} differs in orientation, size or pixel spacing from the other "
                f"{len(slices) - 1} slices of its series, as a scout does, and is left out",
            )
        else:
            yield from _of_one_kind(group, least)


def _of_one_kind(slices: Sequence[Slice], least: int) -> Iterator[Stack]:
    try:
        content = _contents(slices, least)
    except DataError as error:
        yield Stack(tuple(slices), (), None, str(error))
        return
    whole = _stack(slices, content)
    if whole.grid is not None and whole.grid.levels is None:
        yield whole
        return
    for even in (True, False):
        if not even and whole.grid is not None:
            break
        parts, names = _parts(slices, content, even)
        if parts:
            yield from (_described(part, len(slices), len(parts), names) for part in parts)
            return
    yield whole


def _described(part: Stack, slices: int, parts: int, names: Sequence[str]) -> Stack:
    words = (
        f"its series holds {slices} slices of {parts} stacks, told apart by "
        f"{' and '.join(names)}; this is the stack of {counted(len(part.slices), 'slice')} from "
        f"{listed([part.slices[0].header.number])}"
    )
    return Stack(part.slices, part.kept, part.grid, words)


def _stack(slices: Sequence[Slice], content: _Content) -> Stack:
    """Slices as one stack, copies dropped."""
    kept: list[Slice] = []
    for place in _places(slices):
        kept += {content.get(id(entry), b""): entry for entry in reversed(place)}.values()
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
        found[id(entry)] = digest.digest()
    return found


def _parts(
    slices: Sequence[Slice], content: _Content, even: bool
) -> tuple[list[Stack], tuple[str, ...]]:
    """Stacks and the attributes that part them; none where no attributes do."""
    telling = [name for name in PARTING if len({entry.parting[name] for entry in slices}) > 1]
    for count in range(1, MOST_TOGETHER + 1):
        for names in combinations(telling, count):
            groups: dict[tuple[str, ...], list[Slice]] = {}
            for entry in slices:
                groups.setdefault(tuple(entry.parting[name] for name in names), []).append(entry)
            if not _among_one_another(list(groups.values())):
                continue
            parts = [_stack(group, content) for group in groups.values()]
            grids = [part.grid for part in parts if part.grid is not None]
            if len(grids) == len(parts) and not (even and any(grid.levels for grid in grids)):
                return parts, names
    return [], ()


def _among_one_another(groups: Sequence[Sequence[Slice]]) -> bool:
    """Whether each part overlaps the others along the normal, all being linked so."""
    levels = [[entry.plane.level for entry in group] for group in groups]
    top = -float("inf")
    for first, last in sorted((min(each), max(each)) for each in levels):
        if top > -float("inf") and first > top + SAME_PLACE_MM:
            return False
        top = max(top, last)
    return len(groups) > 1
