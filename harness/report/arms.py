"""The arms: means, every replicate, the worst patient, all cells, curves of the segmenters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from harness.base.files import read_json
from harness.base.text import counted, duration, interval, number
from harness.config.arms import arm_of
from harness.config.experiment import network_of
from harness.config.measures import DICE, Measure
from harness.data.pairs.framing import in_plane_spacing
from harness.data.pairs.store import Store
from harness.figures import arms as figures
from harness.figures.curves import by_arm
from harness.inference.arm_summary import ArmCost, ArmMean, arm_means
from harness.inference.failures import FAILED, ArmFailures
from harness.inference.table import Table
from harness.report.data import ReportData
from harness.report.observers import ObserverAgreement, observer_agreement
from harness.report.picture_budget import Picture, PictureBudget
from harness.report.results import Run, checkpoint, curves
from harness.work.slots import Exposure

# More cells than this are left to scores.csv.
MOST_CELLS = 4000


@dataclass(frozen=True)
class ArmLine:
    """One arm's row: means of test patients; `failures` in words."""

    summary: ArmMean
    words: str
    interval: str
    sd_patients: float
    worst_patient: str
    worst_value: float
    missing: int
    validation: str
    failures: str
    cost: str
    exposure: Exposure | None = None
    rows: tuple[tuple[str, tuple[float, ...], float], ...] = ()


@dataclass(frozen=True)
class Arms:
    """The section; `lines` is empty before the test was scored."""

    lines: list[ArmLine]
    patients: int
    replicates: tuple[int | str, ...]
    pictures: list[Picture] = field(default_factory=list)
    cells_left_out: bool = False


def make_arms(data: ReportData, budget: PictureBudget) -> Arms:
    """Tables and figures of the arms; curves alone while the test is closed."""
    table = data.table
    if table is None or not table.cells:
        return Arms([], 0, (), _curves(data, budget))
    left_out = len(table.cells) > MOST_CELLS
    summaries = arm_means(table)
    lines = [_line(data, table, summary, not left_out) for summary in summaries]
    pictures = [_means(data, summaries, len(table.patients), budget), *_curves(data, budget)]
    return Arms(lines, len(table.patients), table.replicates, pictures, left_out)


def _means(
    data: ReportData, summaries: Sequence[ArmMean], patients: int, budget: PictureBudget
) -> Picture:
    caption = (
        f"Test {data.measured.words} of each arm, mean of {counted(patients, 'patient')}: a dot "
        "per replicate, the upright line is the mean over replicates, the bar its 95 % interval "
        "(patients and replicates both random). Arms share patients, seeds and real pairs, so the "
        "paired differences above say more than whether two bars overlap."
    )
    observers = _observers(data)
    if observers is not None:
        caption += (
            f" Dotted: inter-observer Dice of parotids, {observers.dice_mean:.2f} "
            f"(sd {observers.dice_sd:.2f}, {observers.patients} other patients, pixels of "
            f"{observers.spacing_mm:g} mm, the nearest in the table)."
        )
    agreed = observers.dice_mean if observers else None
    figure = figures.arm_means(summaries, patients, agreed, data.measured)
    return budget.figure(figure, f"Mean {data.measured.words} per arm", caption)


def _line(data: ReportData, table: Table, summary: ArmMean, with_cells: bool) -> ArmLine:
    arm = summary.arm
    cells = table.values(arm)
    by_patient = figures.mean_over(cells, 1)
    finite = by_patient[np.isfinite(by_patient)]
    worst = int(np.nanargmax(data.measured.loss(1.0) * by_patient)) if len(finite) else -1
    rows = tuple(
        (patient, tuple(cells[place].tolist()), float(by_patient[place]))
        for place, patient in enumerate(table.patients)
    )
    return ArmLine(
        summary=summary,
        words=arm_of(arm).words,
        interval=interval(summary.interval_95, data.measured.digits, number),
        sd_patients=float(finite.std(ddof=1)) if len(finite) > 1 else float("nan"),
        worst_patient=table.patients[worst] if worst >= 0 else "",
        worst_value=float(by_patient[worst]) if worst >= 0 else float("nan"),
        missing=int(np.isnan(cells).sum()),
        validation=_validation(data, arm),
        failures="".join(
            failure_words(entry, data.measured)
            for entry in data.failures
            if entry.arm == arm and entry.failed
        ),
        cost="".join(cost_words(cost) for cost in data.costs if cost.arm == arm),
        exposure=data.exposures.get(arm),
        rows=rows if with_cells else (),
    )


def _observers(data: ReportData) -> ObserverAgreement | None:
    """Inter-observer Dice on scans of this pixel size; known of parotids alone."""
    if data.store is None or data.measured != DICE:
        return None
    if not all("parotid" in name for name in data.experiment.data.structures):
        return None
    affines = [
        np.asarray(read_json(record.folder / "scan.json")["affine"], np.float64)
        for record in Store.open(data.store).scans("validation")
    ]
    if not affines or data.experiment.data.source == "phantom":
        return None
    sizes = [math.sqrt(np.prod(in_plane_spacing(affine))) for affine in affines]
    return observer_agreement(float(np.median(sizes)))


def failure_words(entry: ArmFailures, measured: Measure) -> str:
    """Failures of an arm that has some, and its worst patients."""
    empty = f", {entry.words(entry.empty)} empty" if entry.empty else ""
    return (
        f"{FAILED}: {entry.words(entry.failed)}{empty}; worst tenth of patients "
        f"{measured.number(entry.worst_tenth)}"
    )


def cost_words(cost: ArmCost) -> str:
    """Compute and tuning of an arm."""
    words = duration(cost.segmenter_seconds)
    if cost.generator_seconds:
        words += f" + {duration(cost.generator_seconds)} of generators"
    if cost.settings_tried:
        words += f", {counted(cost.settings_tried, 'setting')} of them tried"
    if cost.candidates:
        words += f", segmenter chosen among {counted(cost.candidates, 'setting')}"
    return words


def _segmenters(data: ReportData, arm: str) -> list[Run]:
    if data.comparison is None:
        return []
    return [
        Run(f"replicate {replicate.seed}", replicate.segmenters[arm], replicate.epochs[arm])
        for replicate in data.comparison.replicates
        if arm in replicate.segmenters
    ]


def _validation(data: ReportData, arm: str) -> str:
    """Mean validation Dice of the arm's trained segmenters, with how many there are."""
    found = [checkpoint(data.work, r).get("validation_dice") for r in _segmenters(data, arm)]
    values = [float(v) for v in found if v is not None]
    return number(float(np.mean(values))) if values else number(None)


def _curves(data: ReportData, budget: PictureBudget) -> list[Picture]:
    if data.comparison is None:
        return []
    arms: tuple[str, ...] = data.experiment.arms
    per_epoch = data.experiment.segmentation.updates_per_epoch
    pictures = []
    shows = [("validation/dice", "validation Dice (0 to 1)", "Validation Dice")]
    for axis, words in network_of(data.experiment, "segmentation").losses.items():
        shows += [(f"train/{n}", f"{word}: {axis}", f"{word}: {axis}") for n, word in words.items()]
    for name, label, what in shows:
        groups = {arm: curves(data.work, _segmenters(data, arm), name, per_epoch) for arm in arms}
        shown = {arm: group for arm, group in groups.items() if group}
        if shown:
            caption = f"{what} against updates: median (thick) and each replicate (thin)."
            pictures.append(budget.figure(by_arm(shown, label), what, caption))
    return pictures
