"""A CT series as a volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from harness.base.errors import DataError
from harness.data.dicom.geometry import Grid, Plane, make_grid
from harness.data.dicom.walk import Header, quietly, read

LEAST_HU = -1024
_TAGS = [
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "Rows",
    "Columns",
    "SliceThickness",
]


@dataclass(frozen=True)
class Series:
    """Files of one series and the grid that they make.

    Attributes:
        uid: series instance UID.
        headers: one per slice of the grid, foot of the normal first.
        grid: where the voxels lie.
        repeats: files left out because they are copies of another (same SOP instance UID, same
            position).
    """

    uid: str
    headers: tuple[Header, ...]
    grid: Grid
    repeats: int = 0


@quietly()
def open_series(headers: Sequence[Header]) -> Series:
    """Geometry of a series from the headers of its slices.

    Raises:
        DataError: a slice lacks its geometry, or the slices make no regular grid.
    """
    distinct: dict[tuple[str, bytes], tuple[Header, Plane]] = {}
    for header in headers:
        plane = _plane(header)
        distinct.setdefault((header.sop or header.path, plane.position.tobytes()), (header, plane))
    kept, planes = zip(*distinct.values(), strict=True)
    grid = make_grid(planes)
    ordered = tuple(kept[index] for index in grid.order)
    return Series(headers[0].series, ordered, grid, len(headers) - len(kept))


def _plane(header: Header) -> Plane:
    dataset = read(Path(header.path), _TAGS)
    try:
        return _parsed(dataset)
    except Exception as error:
        raise DataError(
            "every CT slice must give its position, orientation, pixel spacing and size, but "
            f"file {header.number} does not"
        ) from error


def _parsed(dataset: Dataset | None) -> Plane:
    if dataset is None:
        raise ValueError("unreadable")
    turn = np.array([float(value) for value in dataset.ImageOrientationPatient], np.float64)
    position = np.array([float(value) for value in dataset.ImagePositionPatient], np.float64)
    spacing = float(dataset.PixelSpacing[0]), float(dataset.PixelSpacing[1])
    sound = np.isfinite([*turn, *position, *spacing]).all() and min(spacing) > 0
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
    )


def _thickness(dataset: Dataset) -> float | None:
    """None where it is missing or no positive number."""
    try:
        value = float(dataset.get("SliceThickness") or 0)
    except (ValueError, TypeError):
        return None
    return value if 0 < value < np.inf else None


@quietly()
def read_hu(series: Series) -> NDArray[np.int16]:
    """Hounsfield units (slices, rows, columns) in grid order, padding and below as -1024.

    Raises:
        DataError: pixels of a file cannot be decoded.
    """
    volume = np.empty(series.grid.shape, np.int16)
    for index, header in enumerate(series.headers):
        try:
            volume[index] = _slice(Path(header.path), series.grid.shape[1:])
        except Exception as error:
            raise DataError(
                f"pixels of every CT slice must decode, but those of file {header.number} do not "
                f"({type(error).__name__}); export the series again"
            ) from error
    return volume


def _slice(path: Path, shape: tuple[int, ...]) -> NDArray[np.int16]:
    dataset = pydicom.dcmread(path, force=True)
    _name_syntax(dataset)
    stored = dataset.pixel_array
    if stored.shape != shape:
        raise ValueError("shape")
    slope = float(dataset.get("RescaleSlope", 1) or 1)
    hu = stored.astype(np.float64) * slope + float(dataset.get("RescaleIntercept", 0) or 0)
    padding = dataset.get("PixelPaddingValue")
    if isinstance(padding, int):
        hu[stored == padding] = LEAST_HU
    return np.clip(np.rint(hu), LEAST_HU, np.iinfo(np.int16).max).astype(np.int16)


def _name_syntax(dataset: Dataset) -> None:
    """A file without file meta is not compressed; its syntax is the one it was parsed with."""
    if not hasattr(dataset, "file_meta"):
        dataset.file_meta = FileMetaDataset()
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
