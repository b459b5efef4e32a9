"""Stored pixels to Hounsfield units, in every encoding that can be written here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gdcm
import numpy as np
import pytest
from factories.dicom import compress, open_series, placed, save, save_series, series_datasets
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from harness.base.errors import DataError
from harness.data.dicom.series import LEAST_HU, read_hu
from harness.data.dicom.walk import walk
from harness.data.sources.volumes.grids import hounsfield

SHAPE = (3, 16, 24)
AFFINE = placed(SHAPE)
HU = np.random.default_rng(5).integers(-1000, 3000, SHAPE)
HU[:, 4:9, 3:20] = np.arange(17) * 7  # something to compress
HU.setflags(write=False)


def hu_of(folder: Path) -> NDArray[np.int16]:
    return read_hu(open_series(walk(folder, folder.parent / "private")))


def stored(folder: Path, change: Callable[[int, Dataset], None]) -> NDArray[np.int16]:
    """Write the series with every data set changed, and read it."""
    datasets = series_datasets(HU, AFFINE)
    for index, dataset in enumerate(datasets):
        change(index, dataset)
    save_series(datasets, folder / "in")
    return hu_of(folder / "in")


def test_slope_and_intercept_are_those_of_each_slice(tmp_path: Path) -> None:
    def change(index: int, dataset: Dataset) -> None:
        dataset.RescaleSlope, dataset.RescaleIntercept = index + 1, -1024 - 10 * index

    expected = [(HU[i] + 1024) * (i + 1) - 1024 - 10 * i for i in range(3)]
    assert np.array_equal(stored(tmp_path, change), np.clip(expected, -1024, 32767))


def test_fractions_are_rounded(tmp_path: Path) -> None:
    def change(_: int, dataset: Dataset) -> None:
        dataset.RescaleSlope, dataset.RescaleIntercept = "0.25", "-1000.3"

    expected = np.clip(np.rint((HU + 1024) * 0.25 - 1000.3), -1024, None)
    assert np.array_equal(stored(tmp_path, change), expected)


def test_without_a_rescale_stored_values_are_hu_where_there_is_air(tmp_path: Path) -> None:
    def change(index: int, dataset: Dataset) -> None:
        del dataset.RescaleSlope, dataset.RescaleIntercept
        dataset.PixelRepresentation = 1
        dataset.PixelData = HU[index].astype("<i2").tobytes()

    assert np.array_equal(stored(tmp_path, change), HU)
    assert open_series(walk(tmp_path / "in", None)).notes == (
        "its files do not say how stored values become HU; they are taken as they are",
    )


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("identity", [False, True])
def test_without_a_rescale_and_without_air_they_are_none(
    tmp_path: Path, identity: bool, signed: bool
) -> None:
    """The sentence of the same scan as NIfTI."""

    def change(_: int, dataset: Dataset) -> None:
        del dataset.RescaleSlope, dataset.RescaleIntercept
        dataset.PixelRepresentation = int(signed)
        if identity:
            dataset.RescaleSlope, dataset.RescaleIntercept = 1, 0

    with pytest.raises(DataError) as caught:
        stored(tmp_path, change)
    with pytest.raises(DataError) as of_nifti:
        hounsfield(HU + 1024)
    assert str(caught.value) == str(of_nifti.value)
    assert str(caught.value).startswith("values must be HU, with air below -200, but got 24 to")


@pytest.mark.parametrize("signed", [False, True])
def test_a_part_of_a_body_without_air_is_believed_where_its_files_say_how(
    tmp_path: Path, signed: bool
) -> None:
    def change(index: int, dataset: Dataset) -> None:
        offset = 0 if signed else 1024
        dataset.PixelRepresentation, dataset.RescaleIntercept = int(signed), -offset
        dataset.PixelData = (np.clip(HU[index], -90, 300) + offset).astype("<i2").tobytes()

    assert np.array_equal(stored(tmp_path, change), np.clip(HU, -90, 300))


def test_files_that_do_not_say_how_among_others_that_do_are_refused(tmp_path: Path) -> None:
    datasets = series_datasets(HU, AFFINE)
    del datasets[1].RescaleIntercept
    for index, dataset in enumerate(datasets):
        save(dataset, tmp_path / "in" / f"{index}.dcm")
    with pytest.raises(DataError, match="how stored values become HU, but file 2 does not"):
        hu_of(tmp_path / "in")


@pytest.mark.parametrize(("unit", "said"), [("HU", ()), ("ED", ("ED",)), ("Jane", ("unknown",))])
def test_values_of_another_type_are_said(tmp_path: Path, unit: str, said: tuple[str, ...]) -> None:
    def change(_: int, dataset: Dataset) -> None:
        dataset.RescaleType = unit

    stored(tmp_path, change)
    notes = open_series(walk(tmp_path / "in", None)).notes
    wanted = tuple(
        f"its files say that values are no HU but of type {word}; export the CT" for word in said
    )
    assert notes == wanted


def test_signed_pixels(tmp_path: Path) -> None:
    def change(index: int, dataset: Dataset) -> None:
        dataset.PixelRepresentation, dataset.RescaleIntercept = 1, 0
        dataset.PixelData = HU[index].astype("<i2").tobytes()

    assert np.array_equal(stored(tmp_path, change), HU)


def test_twelve_signed_bits(tmp_path: Path) -> None:
    narrow = np.clip(HU, -2048, 2047)

    def change(index: int, dataset: Dataset) -> None:
        dataset.PixelRepresentation, dataset.RescaleIntercept = 1, 0
        dataset.BitsStored, dataset.HighBit = 12, 11
        dataset.PixelData = narrow[index].astype("<i2").tobytes()

    assert np.array_equal(stored(tmp_path, change), narrow)


def test_eight_bits(tmp_path: Path) -> None:
    grey = np.clip(HU, 0, 255)

    def change(index: int, dataset: Dataset) -> None:
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
        dataset.RescaleIntercept = -100
        dataset.PixelData = grey[index].astype("u1").tobytes()
        dataset["PixelData"].VR = "OB"

    assert np.array_equal(stored(tmp_path, change), grey - 100)


@pytest.mark.parametrize("signed", [False, True])
def test_padding_and_all_below_is_the_least_value(tmp_path: Path, signed: bool) -> None:
    def change(index: int, dataset: Dataset) -> None:
        pixels = HU[index] + (0 if signed else 1024)
        padding = -2000 if signed else 4095
        pixels[:2] = padding
        dataset.PixelRepresentation = int(signed)
        dataset.RescaleIntercept = 0 if signed else -1024
        dataset.add_new(0x00280120, "SS" if signed else "US", padding)
        dataset.PixelData = pixels.astype("<i2" if signed else "<u2").tobytes()

    found = stored(tmp_path, change)
    assert (found[:, :2] == LEAST_HU).all()
    assert np.array_equal(found[:, 2:], HU[:, 2:])


def test_values_below_air_are_raised_to_it(tmp_path: Path) -> None:
    """GE writes -2000 or -3024 outside the field of view without saying so."""

    def change(index: int, dataset: Dataset) -> None:
        dataset.PixelRepresentation, dataset.RescaleIntercept = 1, 0
        pixels = HU[index].copy()
        pixels[:2] = -3024
        dataset.PixelData = pixels.astype("<i2").tobytes()

    assert (stored(tmp_path, change)[:, :2] == LEAST_HU).all()


def native(dataset: Dataset, big: bool) -> Dataset:
    if big:
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
    return dataset


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
    ],
    ids=["implicit", "explicit", "big endian", "deflated"],
)
def test_uncompressed_syntaxes(tmp_path: Path, syntax: str) -> None:
    for index, dataset in enumerate(series_datasets(HU, AFFINE)):
        save(native(dataset, syntax == ExplicitVRBigEndian), tmp_path / "in" / f"{index}", syntax)
    assert np.array_equal(hu_of(tmp_path / "in"), HU)


@pytest.mark.parametrize(
    ("implicit", "little"),
    [(True, True), (False, True), (False, False)],
    ids=["implicit", "explicit", "big endian"],
)
def test_files_without_preamble_and_meta_data(tmp_path: Path, implicit: bool, little: bool) -> None:
    (tmp_path / "in").mkdir()
    for index, dataset in enumerate(series_datasets(HU, AFFINE)):
        native(dataset, not little).save_as(
            tmp_path / "in" / f"{index}", implicit_vr=implicit, little_endian=little
        )
    assert np.array_equal(hu_of(tmp_path / "in"), HU)


def test_run_lengths(tmp_path: Path) -> None:
    for index, dataset in enumerate(series_datasets(HU, AFFINE)):
        path = save(dataset, tmp_path / "in" / f"{index}.dcm")
        dataset.compress(RLELossless)
        dataset.save_as(path)
    assert np.array_equal(hu_of(tmp_path / "in"), HU)


@pytest.mark.parametrize(
    "syntax",
    [
        gdcm.TransferSyntax.JPEGLosslessProcess14,
        gdcm.TransferSyntax.JPEGLosslessProcess14_1,
        gdcm.TransferSyntax.JPEGLSLossless,
        gdcm.TransferSyntax.JPEG2000Lossless,
        gdcm.TransferSyntax.RLELossless,
    ],
    ids=["JPEG lossless", "JPEG lossless, first order", "JPEG-LS", "JPEG 2000", "RLE"],
)
@pytest.mark.parametrize("signed", [False, True])
def test_lossless_compression(tmp_path: Path, syntax: int, signed: bool) -> None:
    """Encoded by GDCM."""

    def change(index: int, dataset: Dataset) -> None:
        if signed:
            dataset.PixelRepresentation, dataset.RescaleIntercept = 1, 0
            dataset.PixelData = HU[index].astype("<i2").tobytes()

    datasets = series_datasets(HU, AFFINE)
    for index, dataset in enumerate(datasets):
        change(index, dataset)
        plain = save(dataset, tmp_path / "plain" / f"{index}.dcm")
        compress(plain, tmp_path / "in" / f"{index}.dcm", syntax)
    assert np.array_equal(hu_of(tmp_path / "in"), HU)


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: d.__delattr__("PixelData"),
        lambda d: setattr(d, "PixelData", d.PixelData[:100]),
        lambda d: setattr(d, "BitsAllocated", 7),
    ],
    ids=["no pixels", "too few pixels", "seven bits"],
)
def test_pixels_that_do_not_decode_are_one_sentence(
    tmp_path: Path, damage: Callable[[Dataset], None]
) -> None:
    datasets = series_datasets(HU, AFFINE)
    damage(datasets[1])
    for index, dataset in enumerate(datasets):
        save(dataset, tmp_path / "in" / f"{index}.dcm")
    with pytest.raises(DataError, match="but those of file 2 do not") as caught:
        hu_of(tmp_path / "in")
    assert str(caught.value).startswith("pixels of every slice must decode")
    assert str(caught.value).endswith("export the series again")


def test_a_classic_file_of_several_frames_is_refused(tmp_path: Path) -> None:
    datasets = series_datasets(HU, AFFINE)
    datasets[1].NumberOfFrames = 4
    for index, dataset in enumerate(datasets):
        save(dataset, tmp_path / "in" / f"{index}.dcm")
    with pytest.raises(DataError) as caught:
        hu_of(tmp_path / "in")
    assert str(caught.value) == (
        "every frame of a file must give its position, but file 2 has 4 frames and gives 1; "
        "convert it to one file a slice"
    )


SIGNS = pytest.mark.parametrize("signed", [False, True])
CODECS = {
    "none": None,
    "RLE": gdcm.TransferSyntax.RLELossless,
    "JPEG lossless": gdcm.TransferSyntax.JPEGLosslessProcess14_1,
    "JPEG-LS": gdcm.TransferSyntax.JPEGLSLossless,
    "JPEG 2000": gdcm.TransferSyntax.JPEG2000Lossless,
}


@SIGNS
@pytest.mark.parametrize("codec", CODECS)
def test_bits_beside_the_stored_ones_are_none_of_the_value(
    tmp_path: Path, codec: str, signed: bool
) -> None:
    """An overlay in the four bits above twelve. Codecs are told of sixteen, as old archives do."""
    narrow = np.clip(HU, -1024, 2047 if signed else 3000)
    overlay = np.random.default_rng(1).integers(0, 16, SHAPE) << 12
    for index, dataset in enumerate(series_datasets(narrow, AFFINE)):
        values = narrow[index] + (0 if signed else 1024)
        cells = (values & 0x0FFF) | overlay[index]
        dataset.PixelData = cells.astype("<u2").tobytes()
        if signed:
            dataset.PixelRepresentation, dataset.RescaleIntercept = 1, 0
        path = tmp_path / "in" / f"{index}.dcm"
        if CODECS[codec] is None:
            dataset.BitsStored, dataset.HighBit = 12, 11
            save(dataset, path)
            continue
        plain = save(dataset, tmp_path / "plain" / f"{index}.dcm")
        compress(plain, path, CODECS[codec])
        packed = dcmread(path)
        packed.BitsStored, packed.HighBit = 12, 11
        packed.save_as(path)
    assert np.array_equal(hu_of(tmp_path / "in"), narrow)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"BitsStored": 12, "HighBit": 15}, "BitsStored and HighBit contradict each other"),
        ({"RescaleSlope": 0}, "RescaleSlope is no number that can be meant"),
    ],
)
def test_pixels_that_may_be_read_in_two_ways_are_refused(
    tmp_path: Path, change: dict[str, int], why: str
) -> None:
    datasets = series_datasets(HU, AFFINE)
    for dataset in datasets:
        for keyword, value in change.items():
            setattr(dataset, keyword, value)
    save_series(datasets, tmp_path / "in")
    with pytest.raises(DataError) as caught:
        hu_of(tmp_path / "in")
    assert f"do not ({why}); export the series again" in str(caught.value)


def test_padding_is_a_range_where_it_has_a_limit(tmp_path: Path) -> None:
    def change(index: int, dataset: Dataset) -> None:
        dataset.PixelRepresentation, dataset.RescaleIntercept = 1, 0
        pixels = HU[index].copy()
        pixels[0], pixels[1], pixels[2] = 30000, 29000, 30001
        dataset.PixelData = pixels.astype("<i2").tobytes()
        dataset.add_new(0x00280120, "SS", 30000)
        dataset.add_new(0x00280121, "SS", 28000)

    found = stored(tmp_path, change)
    assert (found[:, :2] == LEAST_HU).all()
    assert (found[:, 2] == 30001).all()
    assert np.array_equal(found[:, 3:], HU[:, 3:])


@pytest.mark.parametrize(("vr", "value"), [("US", 35536), ("SS", -30000), ("IS", "-30000")])
def test_padding_of_the_wrong_sign_is_the_same_cell(tmp_path: Path, vr: str, value: object) -> None:
    """Signed pixels of -30000: as unsigned, 65536 - 30000. A slope that makes them bright."""

    def change(index: int, dataset: Dataset) -> None:
        dataset.PixelRepresentation = 1
        dataset.RescaleSlope, dataset.RescaleIntercept = -1, 0
        pixels = -HU[index]
        pixels[:2] = -30000
        dataset.PixelData = pixels.astype("<i2").tobytes()
        dataset.add_new(0x00280120, vr, value)

    found = stored(tmp_path, change)
    assert (found[:, :2] == LEAST_HU).all()
    assert np.array_equal(found[:, 2:], HU[:, 2:])


def test_padding_of_more_bits_than_are_stored(tmp_path: Path) -> None:
    narrow = np.clip(HU, -1000, 3000)

    def change(index: int, dataset: Dataset) -> None:
        cells = narrow[index] + 1024
        cells[:2] = 63536  # -2000; the twelve stored bits alone would be 2096
        dataset.PixelData = cells.astype("<u2").tobytes()
        dataset.BitsStored, dataset.HighBit = 12, 11
        dataset.add_new(0x00280120, "US", 63536)

    found = stored(tmp_path, change)
    assert (found[:, :2] == LEAST_HU).all()
    assert np.array_equal(found[:, 2:], narrow[:, 2:])
