"""Which voxel centres closed rings enclose: edges cross rows, and voxels beyond them are toggled.

Rings are (n, 2), row and column in voxels. A centre on an edge belongs to the side of higher
indices.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.data.dicom.geometry import Vector

DECIMALS = 4  # of a voxel
AT_ONCE = 2**20  # crossings of edges and rows computed at once; bounds the memory

Whole = NDArray[np.int64]


@dataclass(frozen=True)
class _Edges:
    """Edges that cross rows: ends (n, 4), downwards; the rows crossed; whose they are; 1 where the
    ring runs down them, else -1."""

    ends: Vector
    first: Whole
    last: Whole
    ring: Whole
    sign: Whole


def fill(
    rings: Sequence[Vector], slices: Sequence[int], shape: tuple[int, int, int]
) -> tuple[NDArray[np.bool_], Whole]:
    """Even-odd over all rings at once.

    Args:
        slices: of each ring.

    Returns:
        The mask; and for each ring the sum of `winding`, which but for its sign is the number of
        voxels that it encloses if it does not cross itself.
    """
    mask, sums = np.zeros(shape, np.bool_), np.zeros(len(rings), np.int64)
    edges = _edges(rings, shape[1])
    if not len(edges.ends):
        return mask, sums
    levels = np.asarray(slices, np.int64)[edges.ring]
    for part in _parts(edges):
        count, rows, columns = _crossings(edges, part, shape[2])
        reach = np.add.reduceat(columns, np.cumsum(count) - count) * edges.sign[part]
        sums += np.bincount(edges.ring[part], reach, len(rings)).astype(np.int64)
        voxels = (np.repeat(levels[part] * shape[1], count) + rows) * shape[2] + columns
        np.bitwise_xor.at(mask.reshape(-1), voxels[columns < shape[2]], True)
    left = max(math.floor(edges.ends[:, [1, 3]].min()) - 1, 0)
    box = mask[levels.min() : levels.max() + 1, edges.first.min() : edges.last.max(), left:]
    np.bitwise_xor.accumulate(box, axis=2, out=box)
    return mask, sums


def winding(ring: Vector, shape: tuple[int, int]) -> Whole:
    """How often a ring goes around each voxel centre of a slice; backwards is less than 0."""
    turns = np.zeros(shape, np.int64)
    edges = _edges([ring], shape[0])
    for part in _parts(edges):
        count, rows, columns = _crossings(edges, part, shape[1])
        inside = columns < shape[1]
        turned = -np.repeat(edges.sign[part], count)
        np.add.at(turns, (rows[inside], columns[inside]), turned[inside])
    return np.cumsum(turns, axis=1)


def boxes_of(rings: Sequence[Vector], shape: tuple[int, ...]) -> Whole:
    """(n, 4): first row and column of the voxels that each ring may enclose, and those after."""
    if not rings:
        return np.empty((0, 4), np.int64)
    points, counts = np.concatenate(rings), [len(ring) for ring in rings]
    starts = np.cumsum([0, *counts[:-1]])
    low, high = (of.reduceat(np.ceil(points), starts) for of in (np.minimum, np.maximum))
    ends = [np.clip(of, 0, shape[-2:]) for of in (low, high)]
    return np.hstack(ends).astype(np.int64)


def within(box: Whole) -> tuple[slice, slice]:
    """Rows and columns of one of `boxes_of`."""
    top, left, bottom, right = box.tolist()
    return slice(top, bottom), slice(left, right)


def enclosed(ring: Vector, box: Whole) -> NDArray[np.bool_]:
    """Which voxels of its box a ring encloses, even-odd."""
    rows, columns = (box[2:] - box[:2]).tolist()
    return fill([ring - box[:2]], [0], (1, rows, columns))[0][0]


def _edges(rings: Sequence[Vector], rows: int) -> _Edges:
    counts = np.array([len(ring) for ring in rings], np.int64)
    points = np.concatenate([np.empty((0, 2)), *rings])
    following = np.arange(1, len(points) + 1)
    following[np.cumsum(counts) - 1] -= counts
    edges = np.hstack([points, points[following]])
    owner = np.repeat(np.arange(len(rings)), counts)
    upward = edges[:, 0] > edges[:, 2]
    edges[upward] = edges[upward][:, [2, 3, 0, 1]]
    first, last = np.clip(np.ceil(edges[:, [0, 2]]), 0, rows).astype(np.int64).T
    crossing = last > first
    sign = np.where(upward, -1, 1)
    return _Edges(*(of[crossing] for of in (edges, first, last, owner, sign)))


def _parts(edges: _Edges) -> Iterator[slice]:
    """Edges in parts that cross about `AT_ONCE` rows each."""
    ends = np.cumsum(edges.last - edges.first)
    starts = np.flatnonzero(np.diff(ends // AT_ONCE, prepend=0))
    borders = [0, *(starts + 1).tolist(), len(ends)]
    return (slice(a, b) for a, b in itertools.pairwise(borders) if a < b)


def _crossings(edges: _Edges, part: slice, width: int) -> tuple[Whole, Whole, Whole]:
    """How many rows each edge of the part crosses; of each crossing the row and the first voxel at
    or after it, `width` where there is none."""
    first, count = edges.first[part], (edges.last - edges.first)[part]
    rows = np.repeat(first - np.cumsum(count) + count, count)
    rows += np.arange(len(rows))
    top, left, bottom, right = np.repeat(edges.ends[part].T, count, axis=1)
    crossing = left + (rows - top) * (right - left) / (bottom - top)
    columns = np.clip(np.ceil(np.round(crossing, DECIMALS + 2)), 0, width)
    return count, rows, columns.astype(np.int64)
