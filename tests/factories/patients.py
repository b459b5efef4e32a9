"""Folders of several DICOM patients: tissue in air, and boxes of other HU with contours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from factories.dicom import placed, rectangle, save, save_series, series_datasets, structure_dataset
from pydicom.dataset import Dataset

SHAPE = (18, 64, 64)
AFFINE = placed(SHAPE, (3.0, 3.0, 3.0))
TISSUE_HU, BOX_HU = 20, -20
Box = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
GLANDS: Mapping[str, Box] = {
    "Parotid_L": ((6, 11), (26, 37), (40, 49)),
    "Parotid_R": ((6, 11), (26, 37), (12, 21)),
}
"""Slices, rows and columns of each, both ends included."""


def write_patients(root: Path, patients: Sequence[Mapping[str, Box]], hu: int = BOX_HU) -> Path:
    """A folder for each patient, with the regions that it is given, else with `GLANDS`."""
    for number, boxes in enumerate(patients, 1):
        regions = dict(boxes) or dict(GLANDS)
        volume = np.full(SHAPE, -1000)
        row, column = np.mgrid[: SHAPE[1], : SHAPE[2]]
        volume[:, ((row - 32) / 26) ** 2 + ((column - 32) / 30) ** 2 < 1] = TISSUE_HU + number
        contours = {}
        for name, (slices, rows, columns) in regions.items():
            volume[tuple(slice(a, b + 1) for a, b in (slices, rows, columns))] = hu
            ends = [(a - 0.5, b + 0.5) for a, b in (rows, columns)]
            contours[name] = [
                rectangle(AFFINE, level, *ends) for level in range(slices[0], slices[1] + 1)
            ]
        datasets = series_datasets(volume, AFFINE)
        datasets, sets = series_datasets(volume, AFFINE), structure_dataset(contours)
        for dataset in (*datasets, sets):
            _rename(dataset, number)
        save_series(datasets, root / f"p{number:02d}")
        save(sets, root / f"p{number:02d}" / "rs.dcm")
    return root


def _rename(dataset: Dataset, number: int) -> None:
    """As files of patient `number`; the set and the slices share a frame of reference."""
    dataset.PatientID = f"P{number}"
    for element in dataset.iterall():
        if element.keyword.endswith("InstanceUID") or "FrameOfReferenceUID" in element.keyword:
            element.value = f"{element.value}.{number}"
