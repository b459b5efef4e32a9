"""Enhanced CT: many frames in one file, with functional groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gdcm
import numpy as np
import pytest
import SimpleITK
from dicom_folder import AFFINE, BOTH, SHAPE, STRUCTURES, only, volume
from factories.dicom import (
    compress,
    open_series,
    placed,
    save,
    save_series,
    series_datasets,
    structure_dataset,
    uid,
)
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage

from harness.data.dicom.series import Series, all_series, read_hu
from harness.data.dicom.walk import walk

HU = np.random.default_rng(3).integers(-1000, 2000, (7, 6, 9))
GEOMETRY = placed(HU.shape, (2.5, 0.8, 1.2))


def item(**elements: Any) -> Dataset:
    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


def enhanced(
    slices: Sequence[Dataset],
    content: Callable[[int], Dataset] = lambda _: Dataset(),
    rescale: Callable[[int], float] | None = None,
) -> Dataset:
    """One file of the slices; `rescale` gives every frame an intercept of its own."""
    made = Dataset()
    made.update(slices[0])
    made.SOPClassUID, made.SOPInstanceUID = EnhancedCTImageStorage, uid(4, len(slices))
    for keyword in (
        "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness",
        "RescaleSlope", "RescaleIntercept",
    ):  # fmt: skip
        delattr(made, keyword)
    shared, frames = Dataset(), []
    first = slices[0]
    shared.PlaneOrientationSequence = [item(ImageOrientationPatient=first.ImageOrientationPatient)]
    measures = item(PixelSpacing=first.PixelSpacing, SliceThickness=first.SliceThickness)
    shared.PixelMeasuresSequence = [measures]
    if rescale is None:
        values = item(RescaleSlope=1, RescaleIntercept=-1024, RescaleType="HU")
        shared.PixelValueTransformationSequence = [values]
    for index, entry in enumerate(slices):
        frame = Dataset()
        position = item(ImagePositionPatient=entry.ImagePositionPatient)
        frame.PlanePositionSequence = [position]
        frame.FrameContentSequence = [content(index)]
        if rescale is not None:
            values = item(RescaleSlope=2, RescaleIntercept=rescale(index), RescaleType="HU")
            frame.PixelValueTransformationSequence = [values]
        frames.append(frame)
    made.SharedFunctionalGroupsSequence = [shared]
    made.PerFrameFunctionalGroupsSequence = frames
    made.NumberOfFrames = len(slices)
    made.PixelData = b"".join(entry.PixelData for entry in slices)
    made["PixelData"].VR = "OW"
    return made


def slices_of(hu: NDArray[np.int64] = HU) -> list[Dataset]:
    return series_datasets(hu, GEOMETRY)


def frames_of(sop: str, count: int) -> set[str]:
    """What a structure set may call a file of many frames."""
    return {sop, *(f"{sop}#{number}" for number in range(1, count + 1))}


def opened(folder: Path, *datasets: Dataset) -> Series:
    save_series(datasets, folder / "in")
    return open_series(walk(folder / "in", None))


@pytest.mark.parametrize("storage", [EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage])
def test_frames_in_any_order_are_a_volume(tmp_path: Path, storage: str) -> None:
    dataset = enhanced([slices_of()[index] for index in (3, 0, 6, 1, 5, 2, 4)])
    dataset.SOPClassUID = storage
    series = opened(tmp_path, dataset)
    assert np.array_equal(read_hu(series), HU)
    assert series.grid.affine == pytest.approx(GEOMETRY, abs=1e-5)
    assert (series.images, series.frame, series.notes) == (frames_of(uid(4, 7), 7), uid(1, 9), ())


def test_places_are_those_of_another_library(tmp_path: Path) -> None:
    series = opened(tmp_path, enhanced(slices_of()))
    [path] = (tmp_path / "in").iterdir()
    image = SimpleITK.ReadImage(str(path))
    assert np.array_equal(SimpleITK.GetArrayFromImage(image), read_hu(series))
    voxel = (4, 5, 6)  # column, row, slice
    place = image.TransformIndexToPhysicalPoint(voxel)
    assert series.grid.indices(np.array([place]))[0] == pytest.approx(voxel[::-1], abs=1e-4)


def test_a_frames_own_rescale(tmp_path: Path) -> None:
    series = opened(tmp_path, enhanced(slices_of(), rescale=lambda index: -2048 - 10 * index))
    wanted = (HU + 1024) * 2 - 2048 - 10 * np.arange(7)[:, None, None]
    assert np.array_equal(read_hu(series), np.clip(wanted, -1024, None))


@pytest.mark.parametrize(
    "tell",
    [
        lambda phase: item(TemporalPositionIndex=phase),
        lambda phase: item(StackID=str(phase)),
        lambda phase: item(FrameAcquisitionNumber=phase),
    ],
    ids=["time", "stack", "acquisition"],
)
def test_two_volumes_in_one_file_are_two(tmp_path: Path, tell: Callable[[int], Dataset]) -> None:
    both = [
        entry for pair in zip(slices_of(), slices_of(HU[:, ::-1]), strict=True) for entry in pair
    ]
    dataset = enhanced(both, lambda index: tell(1 + index % 2))
    save_series([dataset], tmp_path / "in")
    first, second = [series for _, series, _ in all_series(walk(tmp_path / "in", None))]
    assert np.array_equal(read_hu(first), HU)
    assert np.array_equal(read_hu(second), HU[:, ::-1])
    assert "told apart by" in first.notes[0]


def test_a_volume_in_two_files(tmp_path: Path) -> None:
    slices = slices_of()
    series = opened(tmp_path, enhanced(slices[::2]), enhanced(slices[1::2]))
    assert np.array_equal(read_hu(series), HU)
    assert series.images == frames_of(uid(4, 4), 4) | frames_of(uid(4, 3), 3)


def test_a_copy_of_the_file_is_a_repeat(tmp_path: Path) -> None:
    dataset = enhanced(slices_of())
    save(dataset, tmp_path / "in" / "again" / "copy.dcm")
    series = opened(tmp_path, dataset)
    assert series.repeats == 7
    assert np.array_equal(read_hu(series), HU)


@pytest.mark.parametrize(
    "syntax",
    [gdcm.TransferSyntax.JPEGLSLossless, gdcm.TransferSyntax.RLELossless],
    ids=["JPEG-LS", "RLE"],
)
def test_compressed_frames(tmp_path: Path, syntax: int) -> None:
    plain = save(enhanced(slices_of()), tmp_path / "plain.dcm")
    compress(plain, tmp_path / "in" / "ct.dcm", syntax)
    assert np.array_equal(read_hu(open_series(walk(tmp_path / "in", None))), HU)


def test_images_that_it_was_converted_from_are_its_own(tmp_path: Path) -> None:
    """A structure set goes on naming the classic files."""
    dataset = enhanced(slices_of())
    dataset.SOPClassUID = LegacyConvertedEnhancedCTImageStorage
    for index, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        source = item(ReferencedSOPInstanceUID=uid(6, index))
        frame.ConversionSourceAttributesSequence = [source]
    images = opened(tmp_path, dataset).images
    assert images == frames_of(uid(4, 7), 7) | {uid(6, index) for index in range(7)}


def lacking(keyword: str) -> Callable[[Dataset], None]:
    def change(dataset: Dataset) -> None:
        delattr(dataset.PerFrameFunctionalGroupsSequence[2], keyword)

    return change


def fewer(dataset: Dataset) -> None:
    del dataset.PerFrameFunctionalGroupsSequence[5:]


def many(dataset: Dataset) -> None:
    dataset.NumberOfFrames = 2**31 - 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lacking("PlanePositionSequence"), "size, but file 1 does not; export the series again"),
        (fewer, "must give its position, but file 1 has 7 frames and gives 5; convert it"),
        (many, "must give its position, but file 1 has 2147483647 frames and gives 7; convert it"),
    ],
)
def test_frames_that_cannot_be_placed_are_refused(
    tmp_path: Path, change: Callable[[Dataset], None], sentence: str
) -> None:
    dataset = enhanced(slices_of())
    change(dataset)
    save_series([dataset], tmp_path / "in")
    [(_, series, reason)] = all_series(walk(tmp_path / "in", None))
    assert series is None
    assert sentence in reason


def test_contours_are_drawn_on_it(root: Path) -> None:
    save(enhanced(series_datasets(volume(), AFFINE)), root / "ct.dcm")
    save(structure_dataset(BOTH, images=[uid(4, SHAPE[0])], series=uid(1, 1, 1)), root / "rs.dcm")
    scan = only(root)
    assert np.array_equal(scan.hu, volume())
    assert {name: int(scan.masks[name].sum()) for name in STRUCTURES} == {
        "parotid_left": 100,
        "parotid_right": 70,
    }


@pytest.mark.parametrize("phase", [0, 1])
def test_the_frames_that_contours_name_tell_which_volume_of_a_file(root: Path, phase: int) -> None:
    """Both volumes lie in one file, at the same places."""
    parts = [series_datasets(volume(value), AFFINE) for value in (30, 70)]
    stacks = [item(StackID=str(number)) for number in (1, 2)]
    count = SHAPE[0]
    save(enhanced([*parts[0], *parts[1]], lambda n: stacks[n // count]), root / "ct.dcm")
    dataset = structure_dataset(BOTH, images=[uid(4, 2 * count)], series=uid(1, 1, 1))
    for drawn, level in zip(dataset.ROIContourSequence, (2, 3), strict=True):
        frame = item(ReferencedSOPInstanceUID=uid(4, 2 * count))
        frame.ReferencedFrameNumber = phase * count + level + 1
        drawn.ContourSequence[0].ContourImageSequence = [frame]
    save(dataset, root / "rs.dcm")
    assert only(root).hu.max() == (30, 70)[phase]
