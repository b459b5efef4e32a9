"""A CT series as a volume."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.data.bounds import check_voxels
from harness.data.dicom.geometry import Grid
from harness.data.dicom.pixels import read_pixels
from harness.data.dicom.slices import Slice, listed, no_slices, read_slices
from harness.data.dicom.stacks import Stack, split
from harness.data.dicom.uneven import even_mask, even_volume
from harness.data.dicom.walk import Header
from harness.data.scan import check_hu

LEAST_HU = -1024
BYTES_PER_VOXEL = 5  # of values, their canonical copy and a mask
UNITS = ("HU", "US", "OD", "ED", "EDW", "Z_EFF", "HU_MOD", "PCT", "MGML")  # of the standard


@dataclass(frozen=True)
class Series:
    """Slices of one series that make a volume.

    Attributes:
        uid: series instance UID.
        slices: foot of the normal first, at their true places.
        planes: where these lie and contours are drawn.
        grid: where the voxels of the volume lie; other than `planes` where steps are uneven.
        repeats: slices left out because they are copies of another (same position and pixels).
        cut: numbers of files too small for their pixels, where these are not compressed.
        images: SOP instance UIDs of its files, copies too, and of what they were converted from;
            `walk.frame_name` of the frames of a file that has several.
        frame: frame of reference UID of its files, "" where none gives one.
        notes: what a reader should know of how it was read, in words.
    """

    uid: str
    slices: tuple[Slice, ...]
    planes: Grid
    grid: Grid
    repeats: int = 0
    cut: tuple[int, ...] = ()
    images: frozenset[str] = frozenset()
    frame: str = ""
    notes: tuple[str, ...] = ()

    @property
    def headers(self) -> tuple[Header, ...]:
        """The file of each slice."""
        return tuple(entry.header for entry in self.slices)

    def to_grid(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """A mask drawn on `planes` as one of `grid`."""
        return mask if self.planes is self.grid else even_mask(mask, self.planes, self.grid)


Opened = tuple[list[Header], Series | None, str]
"""Files of a stack of slices, its series, and in words why there is none where there is none."""


def all_series(headers: Sequence[Header]) -> Iterator[Opened]:
    """Every stack of slices: one of each series, or more where one UID holds several."""
    grouped: dict[tuple[str, str, str], list[Header]] = {}
    for header in headers:
        grouped.setdefault((header.patient, header.kind, header.series), []).append(header)
    for files in grouped.values():
        try:
            stacks, placeless = _stacks(files)
        except DataError as error:
            yield files, None, str(error)
            continue
        for stack in stacks:
            own = list({entry.header.path: entry.header for entry in stack.slices}.values())
            try:
                series = _series(stack)
                if files[0].kind == "ct" and not all(entry.rescaled for entry in series.slices):
                    read_hu(series)  # which looks whether they can be HU
            except DataError as error:
                yield own, None, str(error)
            else:
                yield own, series, ""
        if placeless:
            names = listed([header.number for header in placeless])
            words = "no place in a body or in colour, as reports are; left out"
            yield placeless, None, f"{names}: {words}"


def _stacks(files: Sequence[Header]) -> tuple[list[Stack], list[Header]]:
    """Stacks of one series, and files beside them that are none.

    Raises:
        DataError: files lack geometry, or the stacks, uneven or none, lack what may be those files.
    """
    slices, placeless = read_slices(files)
    stacks = split(slices, LEAST_HU)
    whole = any(stack.grid is not None for stack in stacks)
    if placeless and not (whole and all(s.grid is None or s.grid.levels is None for s in stacks)):
        raise no_slices(placeless)
    return stacks, placeless


def _series(stack: Stack) -> Series:
    """Raises a `DataError` where a stack makes no volume."""
    if stack.grid is None:
        raise DataError(stack.words)
    grid = stack.grid.even()
    check_voxels(grid.shape, BYTES_PER_VOXEL, "the volume of a series")
    first = stack.slices[0].header
    notes = [stack.words, _of_steps(stack.grid, grid), *(_of_units(stack.kept, first.kind))]
    return Series(
        first.series,
        stack.kept,
        stack.grid,
        grid,
        len(stack.slices) - len(stack.kept),
        _cut(stack.kept),
        frozenset(uid for e in stack.slices for uid in (*e.names, e.source)) - {""},
        _frame(stack.kept),
        tuple(note for note in notes if note),
    )


def _cut(slices: Sequence[Slice]) -> tuple[int, ...]:
    short = (entry for entry in slices if entry.header.size < entry.plane.least_bytes)
    return tuple(dict.fromkeys(entry.header.number for entry in short))


def _frame(slices: Sequence[Slice]) -> str:
    """The one frame of reference of a series, "" where no file gives one."""
    firsts = {entry.header.frame: entry.header.number for entry in reversed(slices)}
    firsts.pop("", None)
    if len(firsts) > 1:
        raise DataError(
            f"a series must have one frame of reference, but got {len(firsts)}, as "
            f"{listed(sorted(firsts.values()))} say; export the series again"
        )
    return next(iter(firsts), "")


def _of_steps(planes: Grid, grid: Grid) -> str:
    if planes is grid:
        return ""
    steps, step = planes.steps_mm(), np.linalg.norm(grid.affine[:3, 0])
    return f"slices {steps.min():.3g} to {steps.max():.3g} mm apart are brought to {step:.3g} mm"


def _of_units(slices: Sequence[Slice], kind: str) -> Iterator[str]:
    """What the files of a CT say of their values, where it is not HU.

    Raises:
        DataError: some say how stored values become HU and some do not.
    """
    if kind != "ct":
        return
    bare = [entry.header.number for entry in slices if not entry.rescaled]
    if 0 < len(set(bare)) < len({entry.header.number for entry in slices}):
        raise DataError(
            "all slices of a series must say how stored values become HU, but "
            f"{listed(bare)} {'does' if len(set(bare)) == 1 else 'do'} not; export the series again"
        )
    if bare:
        yield "its files do not say how stored values become HU; they are taken as they are"
    units = sorted({entry.unit if entry.unit in UNITS else "unknown" for entry in slices} - {"HU"})
    if units:
        yield f"its files say that values are no HU but of type {', '.join(units)}; export the CT"


def read_hu(series: Series, least: int = LEAST_HU) -> NDArray[np.int16]:
    """Hounsfield units (slices, rows, columns) on the grid, padding and below as `least`.

    Raises:
        DataError: pixels of a file cannot be decoded, or those of a CT can be no HU.
    """
    volume = np.empty(series.planes.shape, np.int16)
    order = sorted(range(len(series.slices)), key=lambda k: _place(series.slices[k]))
    pixels = read_pixels([series.slices[index] for index in order], least)
    for index, values in zip(order, pixels, strict=True):
        volume[index] = values
    if series.slices[0].header.kind == "ct":
        said = all(entry.rescaled for entry in series.slices)
        changed = any(entry.changed for entry in series.slices)
        check_hu(volume, said and (changed or bool(volume.min() < 0)))
    if series.planes is series.grid:
        return volume
    return even_volume(volume, series.planes, series.grid)


def _place(entry: Slice) -> tuple[int, int]:
    return entry.header.number, entry.frame
