"""The arms: mean Dice, every replicate, the worst patient, all cells, curves of the U-Nets."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from harness.figures.arms import ArmDots, arm_means
from harness.figures.curves import by_arm
from harness.report.answer import mean_over
from harness.report.data import ReportData
from harness.report.formats import counted, number
from harness.report.ink import Ink, Picture
from harness.report.readings import Run, curves, readout

# What an arm does, in a few words.
ARM_WORDS = {
    "none": "real pairs only, no augmentation",
    "traditional": "real pairs, ordinary augmentation",
    "gan": "half synthetic pairs, no augmentation",
    "traditional+gan": "half synthetic pairs, ordinary augmentation",
    "duplicate": "as traditional, other draws: how much chance alone does",
}
# More cells than this are left to scores.csv.
MOST_CELLS = 4000


@dataclass(frozen=True)
class ArmLine:
    """One arm's row: means of test Dice over patients."""

    name: str
    words: str
    mean: float
    sd_patients: float
    replicate_means: tuple[float, ...]
    worst_patient: str
    worst_value: float
    missing: int
    validation: str
    rows: tuple[tuple[str, tuple[float, ...], float], ...] = ()


@dataclass(frozen=True)
class Arms:
    """The section; `lines` is empty before the test was scored."""

    lines: list[ArmLine]
    patients: int
    replicates: tuple[int | str, ...]
    pictures: list[Picture] = field(default_factory=list)
    cells_left_out: bool = False


def make_arms(data: ReportData, ink: Ink) -> Arms:
    """Tables and figures of the arms; curves alone while the test is closed."""
    lines: list[ArmLine] = []
    pictures: list[Picture] = []
    patients, left_out = 0, False
    replicates: tuple[int | str, ...] = ()
    if data.table is not None and data.table.cells:
        table = data.table
        patients, replicates = len(table.patients), table.replicates
        left_out = len(table.cells) > MOST_CELLS
        lines = [_line(data, arm, not left_out) for arm in table.arms]
        dots = [ArmDots(line.name, line.replicate_means) for line in lines]
        caption = (
            f"Test Dice of each arm, mean of {counted(patients, 'patient')}: a dot per replicate, "
            "the line is the mean over replicates. Arms are compared within a replicate (same "
            "seeds, same real pairs), so the differences above say more than this spread."
        )
        pictures.append(ink.figure(arm_means(dots, patients), "Mean Dice per arm", caption))
    pictures += _curves(data, ink)
    return Arms(lines, patients, replicates, pictures, left_out)


def _line(data: ReportData, arm: str, with_cells: bool) -> ArmLine:
    assert data.table is not None
    table = data.table
    cells = table.values(arm)
    by_patient, by_replicate = mean_over(cells, 1), mean_over(cells, 0)
    finite = by_patient[np.isfinite(by_patient)]
    worst = int(np.nanargmin(by_patient)) if len(finite) else -1
    rows = tuple(
        (patient, tuple(cells[place].tolist()), float(by_patient[place]))
        for place, patient in enumerate(table.patients)
    )
    return ArmLine(
        name=arm,
        words=ARM_WORDS.get(arm, ""),
        mean=float(cells.mean()),
        sd_patients=float(finite.std(ddof=1)) if len(finite) > 1 else float("nan"),
        replicate_means=tuple(by_replicate.tolist()),
        worst_patient=table.patients[worst] if worst >= 0 else "",
        worst_value=float(by_patient[worst]) if worst >= 0 else float("nan"),
        missing=int(np.isnan(cells).sum()),
        validation=_validation(data, arm),
        rows=rows if with_cells else (),
    )


def _segmenters(data: ReportData, arm: str) -> list[Run]:
    if data.comparison is None:
        return []
    epochs = data.comparison.segmenter_epochs
    return [
        Run(f"replicate {chain.seed}", chain.segmenters[arm], epochs)
        for chain in data.comparison.chains
        if arm in chain.segmenters
    ]


def _validation(data: ReportData, arm: str) -> str:
    """Mean validation Dice of the arm's trained segmenters, with how many there are."""
    found = [readout(data.work, r).get("validation_dice") for r in _segmenters(data, arm)]
    values = [float(v) for v in found if v is not None]
    return number(float(np.mean(values))) if values else number(None)


def _curves(data: ReportData, ink: Ink) -> list[Picture]:
    if data.comparison is None:
        return []
    arms: tuple[str, ...] = data.experiment.arms
    per_epoch = data.experiment.segmentation.updates_per_epoch
    pictures = []
    for name, label, what in (
        ("segmentation/validation_dice", "validation Dice (0 to 1)", "Validation Dice"),
        ("train/loss", "training loss (Dice + cross-entropy)", "Training loss of the U-Net"),
    ):
        groups = {arm: curves(data.work, _segmenters(data, arm), name, per_epoch) for arm in arms}
        shown = {arm: group for arm, group in groups.items() if group}
        if shown:
            caption = f"{what} against updates: median (thick) and each replicate (thin)."
            pictures.append(ink.figure(by_arm(shown, label), what, caption))
    return pictures
