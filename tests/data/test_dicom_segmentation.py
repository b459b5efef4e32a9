"""DICOM segmentations: what of a frame's values is inside, and which images they are of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dicom_folder import AFFINE, SHAPE, only, volume
from factories.dicom import save, save_series, series_datasets, uid
from numpy.typing import NDArray
from pydicom.dataset import Dataset

LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"
SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
NAMES = {1: "Parotid_L", 2: "Parotid_R"}


def item(**elements: Any) -> Dataset:
    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


def segmentation(
    kind: str,
    frames: Sequence[tuple[int, int, NDArray[np.uint8]]],
    names: Mapping[int, str] = NAMES,
    **more: Any,
) -> Dataset:
    """Frames (slice, segment or 0, values) of one byte a pixel on the grid of `dicom_folder`."""
    made = series_datasets(volume(), AFFINE)[0]
    for keyword in ("ImagePositionPatient", "RescaleSlope", "RescaleIntercept"):
        delattr(made, keyword)
    made.SOPClassUID = LABEL_MAP if kind == "LABELMAP" else SEGMENTATION
    made.SOPInstanceUID, made.SeriesInstanceUID, made.Modality = uid(5, 1), uid(5), "SEG"
    made.SegmentationType, made.NumberOfFrames = kind, len(frames)
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 8, 8, 7, 0
    made.SegmentSequence = [item(SegmentNumber=n, SegmentLabel=name) for n, name in names.items()]
    made.PerFrameFunctionalGroupsSequence = []
    for level, segment, _ in frames:
        place = [f"{value:.6f}" for value in AFFINE[:3, 3] + level * AFFINE[:3, 0]]
        group = item(PlanePositionSequence=[item(ImagePositionPatient=place)])
        if segment:
            group.SegmentIdentificationSequence = [item(ReferencedSegmentNumber=segment)]
        made.PerFrameFunctionalGroupsSequence.append(group)
    made.SharedFunctionalGroupsSequence = [Dataset()]
    made.PixelData = np.stack([values for *_, values in frames]).tobytes()
    made["PixelData"].VR = "OB"
    for keyword, value in more.items():
        setattr(made, keyword, value)
    return made


def values(**rows: int) -> NDArray[np.uint8]:
    """A frame whose columns 10 to 19 have one value for each row that is named r4, r5, ..."""
    made = np.zeros(SHAPE[1:], np.uint8)
    for row, value in rows.items():
        made[int(row[1:]), 10:20] = value
    return made


@pytest.mark.parametrize("most", [1, 100, 200, 255])
def test_half_and_more_of_the_most_is_inside(root: Path, most: int) -> None:
    """Twice a value may be more than a byte holds."""
    save_series(series_datasets(volume(), AFFINE), root / "ct")
    half, under = -(-most // 2), (most - 1) // 2
    frame = values(r4=under, r5=half, r6=most, r7=most, r8=max(most - 1, half), r9=under)
    dataset = segmentation("FRACTIONAL", [(2, 1, frame)], MaximumFractionalValue=most)
    save(dataset, root / "seg.dcm")
    scan = only(root)
    assert np.argwhere(scan.masks["parotid_left"].any(2))[:, 1].tolist() == [5, 6, 7, 8]
    assert int(scan.masks["parotid_left"].sum()) == 40


def test_labels_of_no_segment_are_counted(root: Path) -> None:
    save_series(series_datasets(volume(), AFFINE), root / "ct")
    frames = [(2, 0, values(r4=1, r5=1, r6=7)), (3, 0, values(r4=1, r6=7))]
    save(segmentation("LABELMAP", frames), root / "seg.dcm")
    scan = only(root)
    assert int(scan.masks["parotid_left"].sum()) == 30
    assert "1 label of no segment left out" in scan.notes
