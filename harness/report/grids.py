"""Sample grids of trainings: over the epochs of one, and the last ones of several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.config.data import CropConfig
from harness.figures.pictures import corner, read_picture, tiles_of
from harness.jobs.folder import WorkFolder
from harness.report.data import ReportData
from harness.report.picture_budget import Picture, PictureBudget
from harness.report.results import Run, evenly, sample_grids
from harness.training.pictures import grid

# How much of a grid is shown: the setting of its tiles' edge, columns and rows. A mask grid has
# 8 x 8 samples, an image grid rows of two examples, each mask, truth and prediction:
# of a validation patient, then of a training patient.
SHOWN = {"samples": ("mask_px", 4, 4), "mask-truth-prediction": ("frame_px", 6, 1)}
PICTURE_BYTES = 34_000
ALL_SEEDS_BYTES = 180_000


def by_epoch(data: ReportData, run: Run, budget: PictureBudget, most: int) -> list[Picture]:
    """The same samples at up to `most` epochs of one training, evenly spread over its grids."""
    grids = sample_grids(data.work, run)
    picked = [grids[place] for place in evenly(len(grids), most)] if grids else []
    return [_picture(data, path, f"epoch {epoch}", budget, PICTURE_BYTES) for epoch, path in picked]


def per_seed(data: ReportData, runs: Sequence[Run], budget: PictureBudget) -> list[Picture]:
    """The last grid of each training, side by side."""
    pictures = []
    most = min(PICTURE_BYTES, ALL_SEEDS_BYTES // max(len(runs), 1))
    for run in runs:
        grids = sample_grids(data.work, run)
        if grids:
            epoch, path = grids[-1]
            pictures.append(_picture(data, path, f"{run.name}, epoch {epoch}", budget, most))
    return pictures


def last_samples(work: WorkFolder, crop: CropConfig, run: Run) -> NDArray[np.uint8] | None:
    """The samples alone (no masks and truths) of a training's last grid."""
    grids = sample_grids(work, run)
    if not grids:
        return None
    path = grids[-1][1]
    if _shown(path) == SHOWN["samples"]:
        return _corner(path, crop)
    made = tiles_of(read_picture(path), crop.frame_px)[2::3]
    return grid(made, min(len(made), 4)) if len(made) else None


def _picture(
    data: ReportData, path: Path, caption: str, budget: PictureBudget, most: int
) -> Picture:
    samples = _corner(path, data.experiment.data.crop)
    return budget.image(samples, f"Samples, {caption}", caption, most)


def _shown(path: Path) -> tuple[str, int, int]:
    return SHOWN[path.stem.rpartition("-")[0]]


def _corner(path: Path, crop: CropConfig) -> NDArray[np.uint8]:
    edge, columns, rows = _shown(path)
    return corner(read_picture(path), getattr(crop, edge), columns, rows)
