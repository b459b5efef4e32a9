"""A CT series as a volume."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from harness.base.errors import DataError
from harness.base.text import first_of
from harness.data.dicom.geometry import Grid, Plane, make_grid
from harness.data.dicom.walk import Header, quietly, read

LEAST_HU = -1024
MOST_NAMED = 5  # files that one sentence names
MOST_SIDE = 8192  # rows or columns of a slice
MOST_BYTES = 8 * 10**9  # of the volume of a series
FARTHEST_MM = 1e6  # of a position from the origin
PIXEL_MM = (1e-3, 1e3)  # least and largest pixel spacing and slice thickness
_TAGS = [
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "Rows",
    "Columns",
    "SliceThickness",
    "BitsAllocated",
]
_PLAIN = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)


@dataclass(frozen=True)
class Series:
    """Files of one series and the grid that they make.

    Attributes:
        uid: series instance UID.
        headers: one per slice of the grid, foot of the normal first.
        grid: where the voxels lie.
        repeats: files left out because they are copies of another (same SOP instance UID, same
            position).
        cut: numbers of files too small for their pixels, where these are not compressed.
        frame: frame of reference UID of its files, "" where none gives one.
        notes: what a reader should know of how it was read, in words.
    """

    uid: str
    headers: tuple[Header, ...]
    grid: Grid
    repeats: int = 0
    cut: tuple[int, ...] = ()
    frame: str = ""
    notes: tuple[str, ...] = ()

    @property
    def images(self) -> frozenset[str]:
        """SOP instance UIDs of its files."""
        return frozenset(header.sop for header in self.headers) - {""}


@quietly()
def open_series(headers: Sequence[Header]) -> Series:
    """Geometry of a series from the headers of its slices.

    Raises:
        DataError: a slice lacks its geometry, the slices make no regular grid, or one that is too
            large for memory.
    """
    distinct: dict[tuple[str, bytes], tuple[Header, Plane]] = {}
    for header in headers:
        plane = _plane(header)
        distinct.setdefault((header.sop or header.path, plane.position.tobytes()), (header, plane))
    kept, planes = zip(*distinct.values(), strict=True)
    grid = make_grid(planes)
    _check_size(grid)
    ordered = tuple(kept[index] for index in grid.order)
    pairs = zip(kept, planes, strict=True)
    cut = tuple(header.number for header, plane in pairs if header.size < plane.least_bytes)
    repeats = len(headers) - len(kept)
    return Series(headers[0].series, ordered, grid, repeats, cut, _frame(ordered))


Stack = tuple[list[Header], Series | None, str]


def all_series(headers: Sequence[Header]) -> Iterator[Stack]:
    """Slices of each series, the series, and in words why there is none where there is none."""
    grouped: dict[tuple[str, str, str], list[Header]] = {}
    for header in headers:
        grouped.setdefault((header.patient, header.kind, header.series), []).append(header)
    for slices in grouped.values():
        try:
            yield slices, open_series(slices), ""
        except DataError as error:
            yield slices, None, str(error)


def _frame(headers: Sequence[Header]) -> str:
    """The one frame of reference of a series, "" where no file gives one."""
    firsts: dict[str, Header] = {}
    for header in headers:
        if header.frame:
            firsts.setdefault(header.frame, header)
    if len(firsts) > 1:
        files = first_of([f"file {header.number}" for header in firsts.values()], MOST_NAMED)
        raise DataError(
            f"a series must have one frame of reference, but got {len(firsts)}, as {files} say; "
            "export the series again"
        )
    return next(iter(firsts), "")


def _check_size(grid: Grid) -> None:
    size = 2 * math.prod(grid.shape)
    if size > MOST_BYTES:
        raise DataError(
            f"the volume of a series must have at most {MOST_BYTES / 1e9:.0f} GB, but got "
            f"{' x '.join(map(str, grid.shape))} voxels of {size / 1e9:.1f} GB; leave it out"
        )


def _plane(header: Header) -> Plane:
    dataset = read(Path(header.path), _TAGS)
    try:
        plane = _parsed(dataset)
    except Exception as error:
        raise DataError(
            "every slice must give its position, orientation, pixel spacing and size, but "
            f"file {header.number} does not"
        ) from error
    if not all(1 <= side <= MOST_SIDE for side in plane.shape):
        raise DataError(
            f"every slice must have 1 to {MOST_SIDE} rows and columns, but file {header.number} "
            f"says {plane.shape[0]} x {plane.shape[1]}; export the series again"
        )
    return plane


def _parsed(dataset: Dataset | None) -> Plane:
    if dataset is None:
        raise ValueError("unreadable")
    turn = np.array([float(value) for value in dataset.ImageOrientationPatient], np.float64)
    position = np.array([float(value) for value in dataset.ImagePositionPatient], np.float64)
    spacing = float(dataset.PixelSpacing[0]), float(dataset.PixelSpacing[1])
    sound = np.isfinite([*turn, *position, *spacing]).all() and np.abs(position).max() < FARTHEST_MM
    sound = sound and PIXEL_MM[0] <= min(spacing) <= max(spacing) <= PIXEL_MM[1]
    if turn.shape != (6,) or position.shape != (3,) or not sound:
        raise ValueError("geometry")
    columns, rows = turn[:3], turn[3:]
    if not np.allclose([columns @ columns, rows @ rows, columns @ rows], [1, 1, 0], atol=1e-3):
        raise ValueError("orientation")
    return Plane(
        position,
        columns / np.linalg.norm(columns),
        rows / np.linalg.norm(rows),
        spacing,
        (int(dataset.Rows), int(dataset.Columns)),
        _thickness(dataset),
        _least_bytes(dataset),
    )


def _least_bytes(dataset: Dataset) -> int:
    """What the pixels of a slice take in its file; 0 where they are compressed or nothing says."""
    syntax = getattr(dataset, "file_meta", {}).get("TransferSyntaxUID", ImplicitVRLittleEndian)
    bits = dataset.get("BitsAllocated")
    if not isinstance(bits, int) or syntax not in _PLAIN:
        return 0
    return int(dataset.Rows) * int(dataset.Columns) * bits // 8


def _thickness(dataset: Dataset) -> float | None:
    """None where it is missing or no positive number."""
    try:
        value = float(dataset.get("SliceThickness") or 0)
    except (ValueError, TypeError):
        return None
    return value if PIXEL_MM[0] <= value <= PIXEL_MM[1] else None


@quietly()
def read_hu(series: Series, least: int = LEAST_HU) -> NDArray[np.int16]:
    """Hounsfield units (slices, rows, columns) in grid order, padding and below as `least`.

    Raises:
        DataError: pixels of a file cannot be decoded.
    """
    volume = np.empty(series.grid.shape, np.int16)
    for index, header in enumerate(series.headers):
        try:
            volume[index] = _slice(Path(header.path), series.grid.shape[1:], least)
        except Exception as error:
            raise DataError(
                f"pixels of every slice must decode, but those of file {header.number} do not "
                f"({type(error).__name__}); export the series again"
            ) from error
    return volume


def _slice(path: Path, shape: tuple[int, ...], least: int) -> NDArray[np.int16]:
    dataset = read(path, pixels=True)
    if dataset is None:
        raise ValueError("unreadable")
    _name_syntax(dataset)
    stored = dataset.pixel_array
    if stored.shape != shape:
        raise ValueError("shape")
    slope = float(dataset.get("RescaleSlope", 1) or 1)
    intercept = float(dataset.get("RescaleIntercept", 0) or 0)
    if not np.isfinite([slope, intercept]).all():
        raise ValueError("rescale")
    if slope == 1 and intercept.is_integer():
        hu = stored.astype(np.int32) + int(intercept)
    else:
        hu = np.rint(stored.astype(np.float64) * slope + intercept)
    padding = dataset.get("PixelPaddingValue")
    if isinstance(padding, int):
        hu[stored == padding] = least
    return np.clip(hu, least, np.iinfo(np.int16).max).astype(np.int16)


def _name_syntax(dataset: Dataset) -> None:
    """A file without file meta is not compressed; its syntax is the one it was parsed with."""
    if not hasattr(dataset, "file_meta"):
        dataset.file_meta = FileMetaDataset()
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
