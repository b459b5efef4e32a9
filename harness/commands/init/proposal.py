"""Window and pixel size for the chosen structures, from a few patients' CT."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.console import Console
from harness.base.errors import DataError
from harness.base.text import first_of
from harness.commands.init.look import Person, named
from harness.commands.init.targets import Target
from harness.config.data import CropConfig, DataConfig
from harness.data.scan import Excluded, Scan
from harness.work.prepare.sources import make_source

MOST_READ = 5
MARGIN_MM = 8.0
"""About a structure: what is looked at around it, and the room that it gets in the mask crop."""
LEAST_WIDTH_HU = 400
"""The usual window of soft tissue."""
DEFAULT_SPACING_MM = 1.0
PERCENTILES = (1, 99)
STRAY = 0.001
REACH_HU = (-1000, 3000)


@dataclass(frozen=True)
class Measured:
    """A patient's structures: 1st and 99th percentile of HU inside, and in the box about them; the
    longest edge in the plane, mm, without the outermost `STRAY` of its voxels."""

    inside: tuple[float, float]
    around: tuple[float, float]
    extent_mm: float


@dataclass(frozen=True)
class Proposal:
    """What suits the structures.

    Attributes:
        patients: how many were read.
        inside: medians over them of the percentiles inside, HU.
        extent_mm: the longest edge of a structure in the plane.
        excluded: where each patient lies that was tried and cannot be used, and why, in words.
    """

    patients: int
    inside: tuple[float, float]
    window_hu: tuple[int, int]
    extent_mm: float
    spacing_mm: float
    excluded: tuple[str, ...] = ()


def propose(
    data: DataConfig, target: Target, files: Sequence[str], work: Path, console: Console
) -> Proposal:
    """Read the CT of at most `MOST_READ` patients, spread over all that have the structures.

    Args:
        files: names of the files by number.
        work: folder where `look` kept its pseudonyms, which are needed again.

    Raises:
        DataError: none of them can be read.
    """
    measured: list[Measured] = []
    excluded: list[str] = []
    with console.progress() as progress:
        progress.start("read", f"read the CT of at most {MOST_READ} patients")
        source = make_source(data, work)
        # Again: what a reference says may depend on the settings, as with label maps.
        references = {reference.patient: reference for reference in source.patients()}
        for person in _spread(target.people):
            scan = source.read(references[person.reference.patient])
            if isinstance(scan, Excluded):
                excluded.append(f"'{person.place}': {named(scan.reason, files)}")
            else:
                measured.append(measure(scan))
            progress.update("read", len(measured), f"of {MOST_READ}")
            if len(measured) == MOST_READ:
                break
        progress.finish("read", f"{len(measured)} read")
    if not measured:
        reasons = first_of(list(dict.fromkeys(excluded)), MOST_READ)
        raise DataError(
            f"{target.words} must be readable in someone, but is not: {reasons}; name another one "
            "with --structures, or mend these files"
        )
    return _proposal(measured, excluded)


def _spread(people: Sequence[Person]) -> list[Person]:
    """All, those first that lie evenly among them."""
    first = dict.fromkeys(np.linspace(0, len(people) - 1, MOST_READ).round().astype(int).tolist())
    rest = [index for index in range(len(people)) if index not in first]
    return [people[index] for index in (*first, *rest)]


def measure(scan: Scan) -> Measured:
    """Of all structures of a scan together."""
    inside, around, extents = [], [], []
    for mask in scan.masks.values():
        ends = [_span(mask.sum(others)) for others in ((1, 2), (0, 2), (0, 1))]
        room = (0, *(math.ceil(MARGIN_MM / size) for size in scan.spacing_mm[1:]))
        box = (slice(max(0, a - r), b + r + 1) for (a, b), r in zip(ends, room, strict=True))
        inside.append(scan.hu[mask])
        around.append(scan.hu[tuple(box)].ravel())
        edges = zip(ends[1:], scan.spacing_mm[1:], strict=True)
        extents += [float(last - first + 1) * size for (first, last), size in edges]
    return Measured(_ends(inside), _ends(around), max(extents))


def _span(voxels: NDArray[np.int_]) -> tuple[int, int]:
    """First and last place along an axis but for the `STRAY` share at either end: a contour that
    slipped to another place would else make the crop of everyone."""
    share = np.cumsum(voxels) / voxels.sum()
    first, last = np.searchsorted(share, (STRAY, 1 - STRAY))
    return int(first), int(last)


def _ends(values: Sequence[NDArray[Any]]) -> tuple[float, float]:
    low, high = np.percentile(np.clip(np.concatenate(values), *REACH_HU), PERCENTILES)
    return float(low), float(high)


def window(inside: tuple[float, float], around: tuple[float, float]) -> tuple[int, int]:
    """From what is inside, half as much again on either side as far as that is around, at least
    `LEAST_WIDTH_HU` wide, outwards to full tens."""
    low, high = inside
    more = (high - low) / 2
    low, high = max(low - more, min(low, around[0])), min(high + more, max(high, around[1]))
    lacking = max(0.0, LEAST_WIDTH_HU - (high - low)) / 2
    low = max(math.floor((low - lacking) / 10) * 10, REACH_HU[0])
    high = max(math.ceil((high + lacking) / 10) * 10, low + LEAST_WIDTH_HU)
    return low, high


def spacing(needed_mm: float) -> float:
    """Pixel size at which the mask crop holds so much: the usual one, else coarser by tenths."""
    return max(DEFAULT_SPACING_MM, math.ceil(10 * needed_mm / CropConfig().mask_px) / 10)


def _proposal(measured: Sequence[Measured], excluded: Sequence[str]) -> Proposal:
    inside, around = (
        tuple(float(end) for end in np.median([getattr(m, which) for m in measured], axis=0))
        for which in ("inside", "around")
    )
    extent = max(entry.extent_mm for entry in measured)
    return Proposal(
        len(measured),
        (inside[0], inside[1]),
        window((inside[0], inside[1]), (around[0], around[1])),
        extent,
        spacing(extent + 2 * MARGIN_MM),
        tuple(excluded),
    )
