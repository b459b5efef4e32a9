"""A dataset's folder in nnU-Net's format.

DatasetNNN_NAME/
    imagesTr/CASE_0000.nii.gz, labelsTr/CASE.nii.gz     training patients and generated pairs
    imagesTs, labelsTs      validation patients
    imagesTest, labelsTest  test patients, where the test was opened
    splits_final.json       folds of the training patients
    cases.csv               a row per case: whose it is, structure, slice, fold
    dataset.json            written last
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import ConfigError
from harness.base.files import csv_text, write_json, write_text
from harness.commands.export.cases import ExportCase, in_hu, label_map
from harness.data.volume_files import write_volume

ENDING = ".nii.gz"
SLICE_MM = 999.0
"""Depth of the one slice: nnU-Net's own mark of a direction with nothing to look at."""

COLUMNS = ("case", "set", "patient", "structure", "slice", "mirrored", "fold")


def free_place(output: Path, name: str) -> Path:
    """Where a dataset of that name goes below `output`.

    Raises:
        ConfigError: the place is taken, or nnU-Net would find two datasets of one number.
    """
    number, place = name.split("_")[0], output / name
    if output.name.startswith("Dataset") and "_" in output.name:
        raise ConfigError(
            "--output must be the folder that nnU-Net calls nnUNet_raw, in which the dataset gets "
            f"a folder of its own, but got '{output}'; name the folder above it"
        )
    if output.exists() and not output.is_dir():
        raise ConfigError(f"--output must be a folder, but got the file '{output}'; name another")
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise ConfigError(
            f"an export needs a new or empty folder, but got '{place}', which is neither; name "
            "another --output or --dataset-id"
        )
    others = sorted(found.name for found in output.glob(f"{number}_*") if found != place)
    if others:
        raise ConfigError(
            f"a dataset number stands for one dataset, but got {number[7:]}, which "
            f"'{others[0]}' has in '{output}'; name another --dataset-id"
        )
    return place


class CaseWriter:
    """Writes cases into a dataset's folder and keeps their list.

    Args:
        folder: the dataset's.
        meta: meta data of the store that the cases are from.
        progress: is told how many cases are written.
    """

    def __init__(
        self, folder: Path, meta: Mapping[str, Any], progress: Callable[[int], None]
    ) -> None:
        self.folder = folder
        self.rows: list[tuple[object, ...]] = []
        self.overlaps = 0
        self._window: tuple[float, float] = tuple(meta["window_hu"])
        self._affine = flat_affine(meta["spacing_mm"])
        self._progress = progress

    def write(
        self, group: str, what: str, cases: Iterable[ExportCase], folds: Mapping[str, int]
    ) -> dict[str, str]:
        """Write cases as a group of nnU-Net's.

        Args:
            group: "Tr", "Ts" or "Test".
            what: what `cases.csv` calls them.
            folds: fold by patient digest.

        Returns:
            Patient digest by case, empty for generated pairs.
        """
        written = {}
        for case in cases:
            image = self.folder / f"images{group}" / f"{case.name}_0000{ENDING}"
            label = self.folder / f"labels{group}" / f"{case.name}{ENDING}"
            write_volume(image, in_hu(case.ct, self._window)[None], self._affine)
            write_volume(label, label_map(case.masks)[None], self._affine)
            self.overlaps += int((case.masks.sum(axis=0) > 1).sum())
            about = case.name, what, case.patient, case.structure, case.slice, case.mirrored
            self.rows.append((*about, folds.get(case.digest, "")))
            self._progress(len(self.rows))
            written[case.name] = case.digest
        return written

    def finish(self, splits: Sequence[Mapping[str, Any]], dataset: Mapping[str, Any]) -> None:
        """Write the folds, the list of cases and, last, `dataset.json`."""
        write_text(self.folder / "cases.csv", csv_text(COLUMNS, self.rows))
        write_json(self.folder / "splits_final.json", list(splits))
        write_json(self.folder / "dataset.json", dict(dataset))


def flat_affine(spacing_mm: float) -> NDArray[np.float64]:
    """(slice, row, column, 1) -> LPS mm of a frame: rows to the back, columns to the left."""
    affine = np.eye(4)
    affine[:3, :3] = [[0, 0, spacing_mm], [0, spacing_mm, 0], [SLICE_MM, 0, 0]]
    return affine
