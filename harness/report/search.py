"""What a stage's search shows: figures of it, and a grid of samples over its settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from harness.base.text import counted
from harness.config.axes import AxisConfig
from harness.config.data import CropConfig
from harness.figures.axes import SearchAxis
from harness.figures.cells import Cells, make_cells
from harness.figures.parallel import parallel
from harness.figures.search import history, importance, pareto_front, slices
from harness.figures.settings_grid import settings_grid
from harness.figures.trials import TrialDot
from harness.jobs.folder import WorkFolder
from harness.metrics.records import axis_name, title_of
from harness.report.grids import last_samples
from harness.report.results import scored_with, trial_dot, trial_runs
from harness.sweep.importance import Importance, search_axes
from harness.sweep.importance import importance as find_importance
from harness.sweep.plan import SweepPlan


@dataclass(frozen=True)
class Drawing:
    """One figure of a search.

    Attributes:
        stem: name of its file.
        figure: None where it is not drawn; the caption says why.
    """

    stem: str
    figure: Figure | None
    alt: str
    caption: str


def beyond_words(dots: Sequence[TrialDot]) -> str:
    """What a cross on the edge of the axes means, where there can be one; with a space before."""
    there = any(dot.failed for dot in dots)
    return " A red cross on the edge lies beyond it, or gave no number." if there else ""


def told_dots(sweep: SweepPlan) -> list[TrialDot]:
    """The sweep's told trials, by number."""
    return [trial_dot(run, sweep) for run in sweep.trials if run.trial.value is not None]


def _front(sweep: SweepPlan, dots: Sequence[TrialDot], label: str) -> Drawing:
    values: dict[str, dict[int, float]] = {}
    for run in sweep.trials:
        for name, mean in run.trial.further.items():
            values.setdefault(axis_name(name), {})[run.trial.number] = mean
    return Drawing(
        "front",
        pareto_front(dots, values, sweep.front, label),
        f"Pareto front, {sweep.stage} stage",
        f"{counted(len(sweep.front), 'trial')} that no other one beats in every objective; the one "
        "that is best in the first objective is chosen.",
    )


def draw_search(sweep: SweepPlan, space: Mapping[str, AxisConfig]) -> list[Drawing]:
    """History, importance, slices and parallel coordinates; [] before the first told trial."""
    dots = told_dots(sweep)
    if not dots:
        return []
    axes = search_axes(sweep, space)
    label = axis_name(sweep.objective, *scored_with(sweep))
    stage = f"{sweep.stage} stage"
    seeds = counted(len(sweep.trials[0].seeds), "seed")
    drawn = [
        Drawing(
            "history",
            history(dots, sweep.direction, label),
            f"Optimisation history, {stage}",
            f"Each trial's mean over {seeds} (bar: its seeds) in the order of the trials."
            + beyond_words(dots),
        ),
        _importance(find_importance(sweep, space), stage),
    ]
    if sweep.front:
        drawn.append(_front(sweep, dots, label))
    if axes:
        drawn += [
            Drawing(
                "slices",
                slices(dots, axes, label),
                f"Objective along each axis, {stage}",
                "The objective against each setting that the search varied." + beyond_words(dots),
            ),
            Drawing(
                "parallel",
                parallel(dots, axes, sweep.direction, axis_name(sweep.objective)),
                f"Parallel coordinates, {stage}",
                "A line per trial through its settings to its objective.",
            ),
        ]
    return drawn


def _importance(found: Importance, stage: str) -> Drawing:
    alt = f"Parameter importance, {stage}"
    if found.why:
        return Drawing("importance", None, alt, found.why)
    shares = {SearchAxis(path).name: share for path, share in found.shares.items()}
    return Drawing(
        "importance",
        importance(shares, "importance (%)"),
        alt,
        f"How differently the best {found.best} of {found.of} trials without a failed seed lie "
        "along each axis from all of them (PED-ANOVA). It says where good trials are, not that "
        "a setting is the cause.",
    )


def draw_settings(
    work: WorkFolder, crop: CropConfig, sweep: SweepPlan, space: Mapping[str, AxisConfig]
) -> Drawing | None:
    """Newest samples of seed 0 over two settings; None where the search varied none, or nothing
    was drawn yet."""
    dots = told_dots(sweep)
    cells = make_cells(dots, search_axes(sweep, space))
    if cells is None:
        return None
    runs = {run.trial.number: trial_runs(run)[0] for run in sweep.trials if run.seeds}

    def load(trial: TrialDot) -> NDArray[np.uint8] | None:
        return last_samples(work, crop, runs[trial.number])

    if not any(load(trial) is not None for trial in cells.shown.values()):
        return None
    name = title_of(sweep.objective)
    return Drawing(
        "samples-by-setting",
        settings_grid(cells, load, name),
        f"Samples by setting, {sweep.stage} stage",
        _grid_words(cells, dots),
    )


def _grid_words(cells: Cells, dots: Sequence[TrialDot]) -> str:
    caption = f"Newest samples of seed 0 by {cells.across.name}"
    caption += f" (columns) and {cells.down.name} (rows)" if cells.down else ""
    caption += "; below, the mean over the seeds. "
    if any(count > 1 for count in cells.counts.values()):
        caption += (
            "Of several trials in a cell the chosen one is shown, else the one nearest to its "
            "middle, the longest of these. "
        )
    frames = []
    if any(dot.chosen for dot in dots):
        frames.append("a blue frame is the chosen trial")
    if any(dot.failed for dot in dots):
        frames.append("a red one has a seed that failed")
    caption += f"{' and '.join(frames)}. ".capitalize() if frames else ""
    if cells.left_out:
        caption += f"{counted(cells.left_out, 'trial')} outside of the grid. "
    return caption.strip()
