"""What one measure does not tell of the segmentations: the others, volumes, empty ones."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from harness.base.text import counted, interval, number, signed
from harness.inference.crossed_t import Inference
from harness.inference.table import Table
from harness.metrics.segmentation.calibration import CALIBRATION
from harness.report.data import ReportData
from harness.report.results import measured_tables

COLUMNS = {
    "dice": ("Dice", number, 1, 3),
    "surface_dice": ("surface Dice", number, 1, 3),
    "hd95_mm": ("HD95 (mm)", number, 1, 1),
    "surface_distance_mm": ("mean surface distance (mm)", number, 1, 1),
    "volume_error_ml": ("absolute volume error (ml)", number, 1, 1),
    "volume_error": ("volume error (%)", signed, 100, 0),
    "ece": ("ECE", number, 1, 4),
    "brier": ("Brier score", number, 1, 4),
}
"""Title, how a number is shown, its factor and decimals, by measure."""


@dataclass(frozen=True)
class MeasureLine:
    """One arm's row of a structure: (mean, interval or "") by column."""

    arm: str
    values: list[tuple[str, str]]
    empty: str


@dataclass(frozen=True)
class Measures:
    """The section: lines by structure; `notes` say why an interval is not there."""

    columns: tuple[str, ...] = tuple(title for title, *_ in COLUMNS.values())
    structures: list[tuple[str, list[MeasureLine]]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def make_measures(data: ReportData) -> Measures:
    """Means over patients and replicates; empty before the test evaluation."""
    if data.comparison is None or data.table is None:
        return Measures()
    tables = measured_tables(data.work, data.comparison.tests, data.table.cohorts)
    if len(tables) == 2:  # the mean of one structure is that structure
        del tables["mean"]
    reasons: dict[str, list[str]] = {}
    structures = []
    for structure, measures in tables.items():
        if measures:
            name = "mean of each patient's structures" if structure == "mean" else structure
            title = f"{name}, {counted(len(measures['dice'].patients), 'patient')}"
            lines = [_line(measures, arm, name, reasons) for arm in measures["dice"].arms]
            structures.append((title, lines))
    return Measures(structures=structures, notes=_notes(reasons))


def _line(
    measures: dict[str, Table], arm: str, structure: str, reasons: dict[str, list[str]]
) -> MeasureLine:
    values = []
    for name, (title, *_) in COLUMNS.items():
        of_arm = measures[name].values(arm)
        if name in CALIBRATION and np.isnan(of_arm).all():
            values.append(("no probabilities", ""))
            continue
        result = measures[name].infer(of_arm)
        values.append(_value(result, name))
        if result.note and result.interval_95 is None:
            reasons.setdefault(result.note, []).append(f"{title} of {structure} under {arm}")
    predicted = measures["predicted_ml"].values(arm)
    empty, cells = int((predicted == 0).sum()), int(np.isfinite(predicted).sum())
    return MeasureLine(arm, values, f"{empty} of {cells}")


def _value(result: Inference, name: str) -> tuple[str, str]:
    _, show, factor, digits = COLUMNS[name]
    ends = result.interval_95
    scaled = ends and (factor * ends[0], factor * ends[1])
    return show(factor * result.mean, digits), interval(scaled, digits, show) if scaled else ""


def _notes(reasons: dict[str, list[str]]) -> list[str]:
    """Each reason once, with what it is the reason of where there are several."""
    if len(reasons) == 1:
        return [f"No interval: {reason}." for reason in reasons]
    return [f"No interval: {reason} ({'; '.join(whats)})." for reason, whats in reasons.items()]
