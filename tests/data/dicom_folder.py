"""Small folders of DICOM files, and what the source reads in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from factories.dicom import (
    placed,
    rectangle,
    uid,
)
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from harness.config.data import DEFAULT_PATTERNS
from harness.data.scan import Excluded, Scan
from harness.data.sources.dicom import DicomFolder

SHAPE = (6, 30, 40)

AFFINE = placed(SHAPE)

STRUCTURES = ("parotid_left", "parotid_right")

LEFT = rectangle(AFFINE, 2, (10.5, 20.5), (25.5, 35.5))

RIGHT = rectangle(AFFINE, 3, (10.5, 20.5), (5.5, 12.5))

BOTH = {"Parotid_L": [LEFT], "Parotid_R": [RIGHT]}


def volume(value: int = 40, shape: tuple[int, int, int] = SHAPE) -> NDArray[np.int64]:
    made = np.full(shape, -1000)
    made[:, 4:-4, 4:-4] = value
    return made


def renumber(datasets: Sequence[Dataset], series: int, frame: str | None = None) -> list[Dataset]:
    """The same slices as another series of the same study."""
    for index, dataset in enumerate(datasets):
        dataset.SeriesInstanceUID = uid(1, 1, series)
        dataset.SOPInstanceUID = uid(1, 1, series, index)
        if frame is not None:
            dataset.FrameOfReferenceUID = frame
    return list(datasets)


def belonging(datasets: Sequence[Dataset], patient: str) -> list[Dataset]:
    for dataset in datasets:
        dataset.PatientID = patient
    return list(datasets)


def source(
    root: Path, structures: Sequence[str] = STRUCTURES, patterns: Mapping[str, Any] | None = None
) -> DicomFolder:
    chosen = DEFAULT_PATTERNS if patterns is None else patterns
    return DicomFolder(root, structures, chosen, root.parent / "private")


def read_all(folder: DicomFolder) -> list[Scan | Excluded]:
    return [folder.read(reference) for reference in folder.patients()]


def only(root: Path, **options: Any) -> Scan:
    [scan] = read_all(source(root, **options))
    assert isinstance(scan, Scan), scan
    return scan


def reason(root: Path, **options: Any) -> str:
    [found] = read_all(source(root, **options))
    assert isinstance(found, Excluded), found
    return found.reason
