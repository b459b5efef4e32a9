"""Figures of a sweep: what the objective depends on, and how the search went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from harness.figures.style import (
    BLUE,
    FULL_WIDTH,
    GREY,
    INK,
    PANEL_SIZE,
    RED,
    new_figure,
    plain_log,
    styled,
)

_MARKERS = ("o", "s", "^", "D", "v", "P", "h", "<")


@dataclass(frozen=True)
class TrialDot:
    """One trial.

    Attributes:
        seed_values: the objective of each seed; None where it is missing or not finite.
        failed: a seed failed to converge (or gave no number): the trial cannot be chosen.
    """

    number: int
    batch_size: int
    learning_rate: float
    epochs: int
    seed_values: Sequence[float | None]
    failed: bool = False
    chosen: bool = False

    @property
    def mean(self) -> float:
        """Mean of the seeds that have a number; NaN without any."""
        numbers = [v for v in self.seed_values if v is not None and np.isfinite(v)]
        return float(np.mean(numbers)) if numbers else float("nan")


@styled
def objective_by_batch(trials: Sequence[TrialDot], ylabel: str) -> Figure:
    """Objective by batch size: colour is the learning rate, marker the epochs, a bar the seeds."""
    figure, axes = new_figure(FULL_WIDTH, 3.7)
    batches = sorted({trial.batch_size for trial in trials})
    lengths = sorted({trial.epochs for trial in trials})
    norm = _rate_norm(trials)
    varied = len({trial.learning_rate for trial in trials}) > 1
    colours = matplotlib.colormaps["viridis"]
    for trial in trials:
        place = batches.index(trial.batch_size) + _aside(trial, trials)
        marker = _MARKERS[lengths.index(trial.epochs) % len(_MARKERS)]
        _dot(axes, trial, place, marker, colours(norm(trial.learning_rate)) if varied else BLUE)
    _value_axis(axes, trials, ylabel)
    axes.set_xticks(range(len(batches)), [str(b) for b in batches])
    axes.set_xlim(-0.6, len(batches) - 0.4)
    axes.set_xlabel("batch size (images)")
    if varied:
        mappable = matplotlib.cm.ScalarMappable(norm, colours)
        bar = figure.colorbar(mappable, ax=axes, label="learning rate", fraction=0.05, pad=0.02)
        plain_log(bar.ax.yaxis)
    figure.legend(
        handles=_legend(trials, lengths), loc="outside lower center", ncols=4, handletextpad=0.2
    )
    return figure


@styled
def history(trials: Sequence[TrialDot], direction: str, ylabel: str) -> Figure:
    """Objective by trial number, with the best so far among trials without a failed seed."""
    figure, axes = new_figure(*PANEL_SIZE)
    ordered = sorted(trials, key=lambda trial: trial.number)
    for trial in ordered:
        _dot(axes, trial, trial.number, "o", GREY)
    sound = [t for t in ordered if not t.failed and np.isfinite(t.mean)]
    if sound:
        pick = np.minimum if direction == "minimize" else np.maximum
        best = pick.accumulate([t.mean for t in sound])
        numbers = [t.number for t in sound] + [ordered[-1].number]
        axes.step(numbers, [*best, best[-1]], where="post", color=INK, linewidth=1.4)
    _value_axis(axes, trials, ylabel)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("trial (line: best so far)")
    return figure


def _rate_norm(trials: Sequence[TrialDot]) -> LogNorm:
    rates = [trial.learning_rate for trial in trials]
    low, high = min(rates), max(rates)
    return LogNorm(low, high) if low < high else LogNorm(low / 2, high * 2)


def _aside(trial: TrialDot, trials: Sequence[TrialDot]) -> float:
    """Trials of one batch size stand side by side, in their order."""
    mates = sorted(t.number for t in trials if t.batch_size == trial.batch_size)
    step = min(0.16, 0.7 / max(len(mates), 1))
    return step * (mates.index(trial.number) - (len(mates) - 1) / 2)


def _dot(axes: Axes, trial: TrialDot, place: float, marker: str, colour: Any) -> None:
    numbers = [v for v in trial.seed_values if v is not None and np.isfinite(v)]
    if not numbers:
        # No seed gave a number: the trial is shown on the upper edge of the axes.
        axes.plot(
            [place], [0.985], "x", color=RED, markersize=6.5, markeredgewidth=1.8,
            transform=axes.get_xaxis_transform(), clip_on=False,
        )  # fmt: skip
        return
    axes.vlines(place, min(numbers), max(numbers), color="#bbbbbb", linewidth=1.1, zorder=1)
    if trial.failed:
        axes.plot([place], [trial.mean], "x", color=RED, markersize=6.5, markeredgewidth=1.8)
        return
    if trial.chosen:
        axes.plot([place], [trial.mean], "o", color="none", markeredgecolor=INK, markersize=13)
    axes.plot(
        [place], [trial.mean], marker, color=colour, markersize=6.5, markeredgecolor="white",
        markeredgewidth=0.5, zorder=3,
    )  # fmt: skip


def _value_axis(axes: Axes, trials: Sequence[TrialDot], ylabel: str) -> None:
    values = [v for t in trials for v in t.seed_values if v is not None and np.isfinite(v)]
    if values and min(values) > 0 and max(values) / min(values) >= 20:
        axes.set_yscale("log")
        plain_log(axes.yaxis)
    axes.set_ylabel(ylabel)
    axes.grid(axis="y")


def _legend(trials: Sequence[TrialDot], lengths: Sequence[int]) -> list[Line2D]:
    handles = [
        Line2D(
            [],
            [],
            marker=_MARKERS[i % len(_MARKERS)],
            color=GREY,
            linestyle="",
            label=f"{n} epochs",
        )
        for i, n in enumerate(lengths)
    ]
    if any(trial.chosen for trial in trials):
        handles.append(
            Line2D(
                [],
                [],
                marker="o",
                color="none",
                markeredgecolor=INK,
                markersize=11,
                linestyle="",
                label="chosen",
            )
        )
    if any(trial.failed for trial in trials):
        handles.append(
            Line2D(
                [],
                [],
                marker="x",
                color=RED,
                markeredgewidth=1.8,
                linestyle="",
                label="a seed failed",
            )
        )
    return handles
