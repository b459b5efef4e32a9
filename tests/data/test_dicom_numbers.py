"""Numbers under another VR, with decimal commas, or not for sure."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from factories.dicom import open_series, placed, save, series_datasets
from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from harness.base.errors import DataError
from harness.data.dicom.numbers import numbers, whole
from harness.data.dicom.series import read_hu
from harness.data.dicom.walk import walk

SHAPE = (3, 6, 9)
AFFINE = placed(SHAPE, (2.5, 0.5, 0.5), origin=(-20.5, -30.25, 100.5))
HU = np.random.default_rng(3).integers(-1000, 2000, SHAPE)
TAGS = {"PixelSpacing": 0x00280030, "ImagePositionPatient": 0x00200032, "Rows": 0x00280010}


def raw(keyword: str, vr: str | None, value: bytes) -> Dataset:
    """A data set with one element as it comes from a file."""
    made = Dataset()
    tag = Tag(TAGS[keyword])
    made[tag] = RawDataElement(tag, vr, len(value), value, 0, vr is None, True)
    return made


@pytest.mark.parametrize(
    ("vr", "value", "wanted"),
    [
        ("DS", b"2.5\\2.5 ", (2.5, 2.5)),
        ("DS", b"2,5\\2,5 ", (2.5, 2.5)),
        ("DS", b" 0,977\\.977 ", (0.977, 0.977)),
        ("DS", b"-2,5e-1\\+1E1", (-0.25, 10)),
        ("LO", b"2.5\\2.5", (2.5, 2.5)),
        ("SH", b"2,5\\3", (2.5, 3)),
        ("UN", b"2.5\\2.5\0", (2.5, 2.5)),
        (None, b"2.5\\2,5", (2.5, 2.5)),
        ("FD", struct.pack("<2d", 2.5, 2.25), (2.5, 2.25)),
        ("FL", struct.pack("<2f", 2.5, 2.25), (2.5, 2.25)),
        ("US", struct.pack("<2H", 2, 3), (2, 3)),
        ("DS", b"1,234.5\\1", None),  # thousands, or a slip
        ("DS", b"1.234,5\\1", None),
        ("DS", b"2,5,2,5", None),
        ("DS", b"2.5 2.5", None),
        ("DS", b"nan\\1", None),
        ("DS", b"1e999\\1", None),
        ("DS", b"1_0\\1", None),
        ("DS", b"2.5\\", None),
        ("DS", b"", None),
        ("FD", b"abc", None),
    ],
)
def test_values_of_an_element(
    vr: str | None, value: bytes, wanted: tuple[float, ...] | None
) -> None:
    assert numbers(raw("PixelSpacing", vr, value), "PixelSpacing") == wanted


@pytest.mark.parametrize(
    ("vr", "value"),
    [("US", b"\x05\0"), ("UL", b"\x05\0\0\0"), ("IS", b"5 "), ("DS", b"5.0 "), ("UN", b"\x05\0")],
)
def test_a_whole_number(vr: str, value: bytes) -> None:
    assert whole(raw("Rows", vr, value), "Rows") == 5


def test_a_rescale_of_thousands_may_be_two_numbers() -> None:
    """-1.024, or minus a thousand and twenty-four."""
    made = raw("PixelSpacing", "DS", b"-1,024")
    tag = Tag(0x00281052)
    made[tag] = made.get_item("PixelSpacing")._replace(tag=tag)
    assert numbers(made, "RescaleIntercept") is None
    assert numbers(made, "PixelSpacing") == (-1.024,)


def test_what_is_missing_or_set_in_memory() -> None:
    made = Dataset()
    assert numbers(made, "PixelSpacing") is None
    made.PixelSpacing = [1.5, 2]
    assert numbers(made, "PixelSpacing") == (1.5, 2)
    made.PixelSpacing = None
    assert numbers(made, "PixelSpacing") is None


def commas(dataset: Dataset, path: Path) -> None:
    """Every decimal string of a slice's geometry and rescale with a comma for its point."""
    dataset.RescaleSlope, dataset.RescaleIntercept = "1.0", "-1024.0"
    save(dataset, path)
    file = bytearray(path.read_bytes())
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing",
                    "RescaleSlope", "RescaleIntercept", "SliceThickness"):  # fmt: skip
        element = dcmread(path).get_item(keyword)
        start, end = element.value_tell, element.value_tell + element.length
        file[start:end] = file[start:end].replace(b".", b",")
    path.write_bytes(file)
    assert b"-20,5" in file


def other_vrs(dataset: Dataset, path: Path) -> None:
    """Places as doubles, spacing as a long string, sizes as decimal text and as long words."""
    position = [float(value) for value in dataset.ImagePositionPatient]
    spacing = [str(value) for value in dataset.PixelSpacing]
    turn = "\\".join(str(value) for value in dataset.ImageOrientationPatient).encode()
    rows, columns = dataset.Rows, dataset.Columns
    for keyword in ("ImagePositionPatient", "PixelSpacing", "ImageOrientationPatient", "Rows",
                    "Columns", "BitsStored", "RescaleIntercept"):  # fmt: skip
        delattr(dataset, keyword)
    dataset.add_new(0x00200032, "FD", position)
    dataset.add_new(0x00280030, "LO", spacing)
    dataset.add_new(0x00200037, "UN", turn)
    dataset.add_new(0x00280010, "IS", str(rows))
    dataset.add_new(0x00280011, "UL", columns)
    dataset.add_new(0x00280101, "IS", "16")
    dataset.add_new(0x00281052, "LO", "-1024,0")
    save(dataset, path)


def implicit(dataset: Dataset, path: Path) -> None:
    save(dataset, path, ImplicitVRLittleEndian)


@pytest.mark.parametrize("write", [commas, other_vrs, implicit])
def test_a_series_of_odd_numbers_is_the_same(
    tmp_path: Path, write: Callable[[Dataset, Path], None]
) -> None:
    for index, dataset in enumerate(series_datasets(HU, AFFINE)):
        (tmp_path / "in").mkdir(exist_ok=True)
        write(dataset, tmp_path / "in" / f"{index}.dcm")
    series = open_series(walk(tmp_path / "in", None))
    assert series.grid.affine == pytest.approx(AFFINE)
    assert (series.notes, series.cut) == ((), ())
    assert np.array_equal(read_hu(series), HU)


def test_numbers_that_may_be_two_are_refused_with_their_file(tmp_path: Path) -> None:
    for index, dataset in enumerate(series_datasets(HU, AFFINE)):
        path = save(dataset, tmp_path / "in" / f"{index}.dcm", ExplicitVRLittleEndian)
        path.write_bytes(path.read_bytes().replace(b"0.500000\\0.500000", b"0,5,0000\\0,500000"))
    with pytest.raises(DataError, match="size, but file 1, file 2, file 3 do not; export"):
        open_series(walk(tmp_path / "in", None))
