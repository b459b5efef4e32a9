"""Pixels of a slice as Hounsfield units."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import pixel_array
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from harness.base.errors import DataError
from harness.data.dicom.numbers import is_given, normalise, number, numbers, whole
from harness.data.dicom.slices import Slice, groups_of, holder
from harness.data.dicom.walk import quietly, read

_WHOLE = (
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "NumberOfFrames",
)


def read_pixels(slices: Sequence[Slice], least: int) -> Iterator[NDArray[np.int16]]:
    """Hounsfield units (rows, columns) of each slice, padding and below as `least`.

    Raises:
        DataError: pixels of a file cannot be decoded.
    """
    opened, dataset = "", None
    for entry in slices:
        try:
            if entry.header.path != opened:  # frames of one file come one after another
                opened, dataset = entry.header.path, _opened(Path(entry.header.path))
            if dataset is None:
                raise ValueError("unreadable")
            yield _hounsfield(dataset, entry, least)
        except Exception as error:
            why = str(error) if isinstance(error, _Odd) else type(error).__name__
            raise DataError(
                f"pixels of every slice must decode, but those of file {entry.header.number} do "
                f"not ({why}); export the series again"
            ) from error


class _Odd(Exception):
    """Why pixels cannot be used, in words that quote nothing."""


@quietly()
def _opened(path: Path) -> Dataset | None:
    dataset = read(path, pixels=True)
    if dataset is not None:
        _name_syntax(dataset)
        normalise(dataset, _WHOLE)
    return dataset


@quietly()
def _hounsfield(dataset: Dataset, entry: Slice, least: int) -> NDArray[np.int16]:
    cells = pixel_array(dataset, index=entry.frame, raw=True, correct_unused_bits=False)
    if cells.shape != entry.plane.shape:
        raise _Odd("they are not of one colour and the size that its header says")
    stored = _stored(dataset, cells)
    groups = groups_of(dataset, entry.frame)
    slope = _rescale(groups, "RescaleSlope", 1.0)
    intercept = _rescale(groups, "RescaleIntercept", 0.0)
    if slope == 1 and intercept.is_integer():
        hu = stored.astype(np.int32) + int(intercept)
    else:
        hu = np.rint(stored.astype(np.float64) * slope + intercept)
    hu[_padding(groups, cells, stored)] = least
    return np.clip(hu, least, np.iinfo(np.int16).max).astype(np.int16)


def _rescale(groups: Sequence[Dataset], keyword: str, default: float) -> float:
    place = holder(groups, keyword)
    if not is_given(place, keyword):
        return default
    value = number(place, keyword)
    if value is None or (value == 0 and keyword == "RescaleSlope"):
        raise _Odd(f"{keyword} is no number that can be meant")
    return value


def _stored(dataset: Dataset, cells: NDArray[Any]) -> NDArray[Any]:
    """Cells without the bits above the stored ones (overlays lie there), the sign carried on.

    Codecs hand over the stored bits at the foot of a cell, whatever `HighBit` says of the file.
    """
    allocated = cells.dtype.itemsize * 8
    bits = whole(dataset, "BitsStored") or allocated
    syntax = dataset.file_meta.TransferSyntaxUID
    as_written = not syntax.is_compressed or syntax == RLELossless
    high = whole(dataset, "HighBit") if as_written else None
    if bits > allocated or (high is not None and bits <= high < allocated):
        raise _Odd("BitsStored and HighBit contradict each other")
    above = allocated - bits
    return (cells << above) >> above if above else cells


def _padding(
    groups: Sequence[Dataset], cells: NDArray[Any], stored: NDArray[Any]
) -> NDArray[np.bool_]:
    """Where cells hold the padding value, or lie in its range; the sign of its VR is not trusted.

    The value may need more bits than are stored.
    """
    dataset = groups[-1]
    first = numbers(dataset, "PixelPaddingValue")
    if first is None or not float(first[0]).is_integer():
        return np.zeros(stored.shape, np.bool_)
    last = whole(dataset, "PixelPaddingRangeLimit")
    limits = int(first[0]), int(first[0]) if last is None else last
    ends = [_as_cell(value, cells) for value in limits]
    return np.any([(min(ends) <= each) & (each <= max(ends)) for each in (cells, stored)], axis=0)


def _as_cell(value: int, cells: NDArray[Any]) -> int:
    """A number of as many bits as a cell, in its signedness."""
    bits = cells.dtype.itemsize * 8
    value %= 2**bits
    return value - 2**bits if cells.dtype.kind == "i" and value >= 2 ** (bits - 1) else value


def _name_syntax(dataset: Dataset) -> None:
    """A file without file meta is not compressed; its syntax is the one it was parsed with."""
    if not hasattr(dataset, "file_meta"):
        dataset.file_meta = FileMetaDataset()
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
