#!/usr/bin/env python
"""Make harness/report/observers.json: how well two human observers agree on a parotid.

    python scripts/observers.py FOLDER

FOLDER is a clone of github.com/google-deepmind/tcia-ct-scan-dataset (or a part of it: masks of the
parotids suffice), with nrrds/{test,validation}/{oncologist,radiographer}/SCAN/segmentations/.
Needs SimpleITK (in the dev extra). Takes about a minute and ends with the same file every time.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.errors import DataError
from harness.base.files import write_json
from harness.metrics.segmentation.measures import Spacing, Value, dice, hd95_mm, patient_value
from harness.report.observers import TABLE, ObserverAgreement

AS_SCANNED_MM = 0.98
STEPS_MM = (AS_SCANNED_MM, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0)
STRUCTURES = ("Parotid-Lt", "Parotid-Rt")
OBSERVERS = ("oncologist", "radiographer")
# One patient who was scanned twice: the scans' names differ in their last letter only.
TWICE = "0522c0727"

PROVENANCE = {
    "measured": (
        "agreement of two observers on the parotids, in 3D on one grid; a patient's value is the "
        "mean of the sides, and of the scans of a patient scanned twice"
    ),
    "observers": (
        "the data set's masks 'oncologist' (drawn by a radiographer, arbitrated by a second and "
        "by a radiation oncologist: its authors' reference) and 'radiographer'; the nearest pair "
        "has Dice 0.98, so some may share a first draft, and agreement may be flattered"
    ),
    "resampling": (
        "first line: masks as scanned, pixels of 0.94-1.27 mm, median 0.98; other lines: sampled "
        "(nearest voxel) at the centres of a coarser grid that starts at the first voxel, rows and "
        "columns at spacing_mm; slices always as scanned (2.5 mm)"
    ),
    "source": (
        "TCIA Test & Validation Radiotherapy CT Planning Scan Dataset, "
        "https://github.com/google-deepmind/tcia-ct-scan-dataset; Nikolov et al., "
        "arXiv:1809.04430; scans from TCGA-HNSC and Head-Neck Cetuximab (TCIA)"
    ),
    "licence": "CC BY 4.0 (the masks); this table is derived from them",
    "made_by": "scripts/observers.py",
}

Mask = NDArray[np.bool_]


def read_mask(path: Path) -> tuple[Mask, Spacing]:
    """A mask, slices x rows x columns, and its spacing in mm in the same order."""
    import SimpleITK

    image = SimpleITK.ReadImage(str(path))
    columns, rows, slices = image.GetSpacing()
    return SimpleITK.GetArrayFromImage(image) > 0, (slices, rows, columns)


def coarser(mask: Mask, spacing_mm: Spacing, step_mm: float) -> tuple[Mask, Spacing]:
    """The mask at the voxel centres of a grid of `step_mm` in rows and columns, slices as they are.

    This is what contouring on the coarser grid gives where a voxel belongs to the structure if its
    centre does. The first step leaves the mask as it was scanned.
    """
    if step_mm == AS_SCANNED_MM:
        return mask, spacing_mm
    rows, columns = (_nearest(mask.shape[axis], spacing_mm[axis], step_mm) for axis in (1, 2))
    return mask[:, rows][:, :, columns], (spacing_mm[0], step_mm, step_mm)


def _nearest(length: int, size_mm: float, step_mm: float) -> NDArray[np.intp]:
    places = np.arange(0.0, (length - 1) * size_mm + 1e-9, step_mm) / size_mm
    return np.floor(places + 0.5).astype(np.intp)


def scans(folder: Path) -> Iterator[tuple[str, Path, Path]]:
    """Patient and both observers' folders of every scan that has both parotids of both."""
    for one in sorted(folder.glob(f"nrrds/*/{OBSERVERS[0]}/*/segmentations")):
        other = Path(str(one).replace(OBSERVERS[0], OBSERVERS[1]))
        if all((where / f"{name}.nrrd").is_file() for where in (one, other) for name in STRUCTURES):
            name = one.parent.name
            yield (TWICE if name.startswith(TWICE) else name), one, other


def agreement(one: Path, other: Path, steps: Sequence[float]) -> dict[float, tuple[float, float]]:
    """Dice and HD95 of one scan, mean of the sides, by step."""
    sides: dict[float, dict[str, tuple[Value, Value]]] = {step: {} for step in steps}
    for name in STRUCTURES:
        (first, spacing), (second, _) = (
            read_mask(where / f"{name}.nrrd") for where in (one, other)
        )
        for step in steps:
            (a, grid), (b, _) = coarser(first, spacing, step), coarser(second, spacing, step)
            sides[step][name] = dice(a, b), hd95_mm(a, b, grid)
    return {step: _mean(found) for step, found in sides.items()}


def _mean(sides: Mapping[str, tuple[Value, Value]]) -> tuple[float, float]:
    dices, distances = (
        patient_value({name: values[place] for name, values in sides.items()}) for place in (0, 1)
    )
    return dices.value, distances.value


def line(step: float, patients: list[tuple[float, float]]) -> ObserverAgreement:
    """A row of the table from the patients' values."""
    dices, distances = zip(*patients, strict=True)
    return ObserverAgreement(
        spacing_mm=step,
        patients=len(patients),
        dice_mean=round(statistics.fmean(dices), 4),
        dice_sd=round(statistics.stdev(dices), 4),
        dice_min=round(min(dices), 4),
        hd95_mean_mm=round(statistics.fmean(distances), 3),
        hd95_sd_mm=round(statistics.stdev(distances), 3),
        hd95_min_mm=round(min(distances), 3),
        hd95_max_mm=round(max(distances), 3),
    )


def make(folder: Path, steps: Sequence[float] = STEPS_MM) -> dict[str, Any]:
    """The table as it is shipped, with a line per step.

    Raises:
        DataError: the folder holds no scan with both parotids of both observers.
    """
    found: dict[str, list[dict[float, tuple[float, float]]]] = {}
    for patient, one, other in scans(folder):
        found.setdefault(patient, []).append(agreement(one, other, steps))
    if len(found) < 2:
        raise DataError(
            "the folder must hold nrrds/ with both parotids of two observers, but got "
            f"{len(found)} such patients; clone the data set with git lfs and name its folder"
        )
    lines = []
    for step in steps:
        patients = [
            tuple(np.mean([scan[step] for scan in of_one], axis=0).tolist())
            for of_one in found.values()
        ]
        lines.append(asdict(line(step, patients)))
    counted = {"patients": len(found), "scans": sum(map(len, found.values()))}
    return {**PROVENANCE, **counted, "lines": lines}


def main() -> None:
    parser = argparse.ArgumentParser(description="make the table of inter-observer agreement")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--output", type=Path, default=TABLE)
    asked = parser.parse_args()
    write_json(asked.output, make(asked.folder))


if __name__ == "__main__":
    main()
