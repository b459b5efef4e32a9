"""Figures of a comparison: the arms' means, and the paired differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from harness.base.text import MINUS, counted
from harness.config.measures import DICE, Measure
from harness.figures.style import (
    BLUE,
    FULL_WIDTH,
    GREEN,
    GREY,
    INK,
    colour_of,
    new_figure,
    short_name,
    spread,
    styled,
)
from harness.inference.arm_summary import ArmMean
from harness.inference.effect import Effect
from harness.inference.table import Table

ROOM = 0.32
"""Dots stay so close to the middle of their row, in rows; the rest is for the labels."""
LABEL = 56
"""So many letters of the axis' label fit on a line."""

FEW_DOTS = 60
"""Beyond, dots are drawn smaller."""


@dataclass(frozen=True)
class PairedDots:
    """Differences of two arms.

    Attributes:
        patients, replicates: names beside `patient_means`, `replicate_means`.
        margin: the smallest difference that matters, in the unit of the measure.
        mean: grand mean; interval_95, interval_90: None where no interval is allowed.
        measured: what differs; its worst patient and replicate are named.
    """

    baseline: str
    candidate: str
    patients: Sequence[str]
    patient_means: Sequence[float]
    replicates: Sequence[str]
    replicate_means: Sequence[float]
    margin: float
    mean: float
    interval_95: tuple[float, float] | None = None
    interval_90: tuple[float, float] | None = None
    measured: Measure = DICE

    @classmethod
    def of(cls, table: Table, effect: Effect) -> PairedDots:
        """Those of one comparison in a table."""
        cells, about = table.difference(effect.baseline, effect.candidate), effect.judged
        return cls(
            baseline=effect.baseline,
            candidate=effect.candidate,
            patients=table.patients,
            patient_means=mean_over(cells, 1).tolist(),
            replicates=[str(name) for name in table.replicates],
            replicate_means=mean_over(cells, 0).tolist(),
            margin=effect.margin,
            mean=about.mean,
            interval_95=about.interval_95,
            interval_90=about.interval_90,
            measured=effect.measured,
        )


def mean_over(cells: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Means along an axis; NaN where any cell is missing (a mean of fewer is another mean)."""
    return np.asarray(cells.mean(axis=axis)) if cells.size else np.array([])


@styled
def arm_means(
    arms: Sequence[ArmMean],
    patients: int,
    observers: float | None = None,
    measured: Measure = DICE,
) -> Figure:
    """Mean of each arm (upright line) with a dot per replicate and its 95 % interval (bar).

    A replicate without a mean (NaN) is left out.

    `observers`: inter-observer Dice on such scans, drawn as a dotted line.
    """
    figure, axes = new_figure(FULL_WIDTH, 1.2 + 0.42 * len(arms))
    if observers is not None:
        axes.axvline(observers, color=INK, linewidth=0.9, linestyle=":", zorder=1)
        axes.annotate(
            f"inter-observer {observers:.2f}", (observers, -0.72), (-3, 0), fontsize=8,
            textcoords="offset points", ha="right", va="top", color="#555555",
        )  # fmt: skip
    means = np.array([v for arm in arms for v in arm.replicate_means], dtype=float)
    means = means[np.isfinite(means)]
    near = float(np.ptp(means)) / 50 if len(means) else 0.0  # dots closer than that would touch
    for place, arm in enumerate(arms):
        values = np.asarray(arm.replicate_means, dtype=float)
        kept = values[np.isfinite(values)]
        colour = colour_of(arm.arm, place)
        axes.axhline(place, color="#eeeeee", linewidth=0.8, zorder=0)
        if not len(kept):
            continue
        axes.plot(
            kept, place + np.array(spread(kept, 0.13, near)), "o", color=colour, markersize=5.5,
            alpha=0.85, markeredgecolor="white", markeredgewidth=0.5,
        )  # fmt: skip
        if arm.interval_95 is not None:
            axes.hlines(place, *arm.interval_95, color=INK, linewidth=1.0, alpha=0.7, zorder=1)
        axes.vlines(kept.mean(), place - 0.32, place + 0.32, color=INK, linewidth=1.6)
        axes.annotate(
            f"{kept.mean():.{measured.digits}f}", (kept.mean(), place - 0.32), (0, 1.5),
            textcoords="offset points", ha="center", va="bottom", fontsize=8.5,
        )  # fmt: skip
    axes.set_yticks(range(len(arms)), [arm.arm for arm in arms])
    axes.set_ylim(len(arms) - 0.45, -0.75)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    count = max((len(arm.replicate_means) for arm in arms), default=0)
    people = counted(patients, "patient")
    axes.set_xlabel(f"test {measured.axis}, mean of {people}; a dot per replicate ({count})")
    return figure


@styled
def paired_differences(dots: PairedDots) -> Figure:
    """A dot per patient and per replicate on one axis, with 0, the margin and the interval."""
    figure, axes = new_figure(FULL_WIDTH, 2.9)
    low, high = _limits(dots)
    axes.axvspan(-dots.margin, dots.margin, color="#ececec", zorder=0)
    axes.axvline(0, color=INK, linewidth=0.9, zorder=1)
    axes.set_xlim(low, high)
    axes.set_ylim(2.55, -0.72)
    near = (high - low) / 60
    for place, (values, names, colour) in enumerate(
        ((dots.patient_means, dots.patients, BLUE), (dots.replicate_means, dots.replicates, GREEN))
    ):
        top = _row(axes, place, values, near, colour)
        if len(names) > 1:
            _name_worst(axes, top, values, names, dots.measured)
    _estimate(axes, dots)
    axes.set_yticks(
        range(3),
        [
            f"patients ({len(dots.patient_means)})",
            f"replicates ({len(dots.replicate_means)})",
            "mean; thin: 95 %,\nthick: 90 % interval" if dots.interval_95 else "mean (no interval)",
        ],
    )
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    what = f"{dots.candidate} {MINUS} {dots.baseline}, test {dots.measured.words}"
    axes.set_xlabel(on_a_line(what, f"(grey: within {dots.margin:g})"))
    return figure


def on_a_line(what: str, read: str) -> str:
    """A label of the axis: what it shows, and how it is read, below where both are too long."""
    return f"{what}{' ' if len(what) + len(read) < LABEL else chr(10)}{read}"


def _limits(dots: PairedDots) -> tuple[float, float]:
    values = [*dots.patient_means, *dots.replicate_means, *(dots.interval_95 or ()), dots.mean]
    finite = [v for v in values if np.isfinite(v)] + [-1.3 * dots.margin, 1.3 * dots.margin]
    low, high = min(finite), max(finite)
    room = 0.06 * (high - low)
    return low - room, high + room


def _row(axes: Axes, place: int, values: Sequence[float], near: float, colour: str) -> float:
    """Dots that stay within their row, however many; the height of the uppermost."""
    array = np.asarray(values, dtype=float)
    kept = array[np.isfinite(array)]
    offsets = np.array(spread(kept, 0.11, near))
    most = float(np.abs(offsets).max(initial=0.0))
    size = 5.5 * min(1.0, max(0.5, (FEW_DOTS / max(len(kept), 1)) ** 0.4))
    heights = place + offsets * (ROOM / max(most, ROOM))
    axes.plot(
        kept, heights, "o", color=colour, markersize=size, alpha=0.8, markeredgecolor="white",
        markeredgewidth=size / 11,
    )  # fmt: skip
    return float(heights.min(initial=place))


def _name_worst(
    axes: Axes, top: float, values: Sequence[float], names: Sequence[str], measured: Measure
) -> None:
    """The worst one's name, above its row and written towards the middle of the axes."""
    array = np.asarray(values, dtype=float)
    if not np.isfinite(array).any():
        return
    worst = int(np.nanargmax(measured.loss(1.0) * array))
    side = "left" if array[worst] <= sum(axes.get_xlim()) / 2 else "right"
    axes.annotate(
        short_name(names[worst]), (array[worst], top), (0, 4.5), textcoords="offset points",
        ha=side, va="bottom", fontsize=8, color="#555555",
    )  # fmt: skip


def _estimate(axes: Axes, dots: PairedDots) -> None:
    if not np.isfinite(dots.mean):
        return
    if dots.interval_95:
        axes.hlines(2, *dots.interval_95, color=INK, linewidth=1.6)
    if dots.interval_90:
        axes.hlines(2, *dots.interval_90, color=INK, linewidth=4.2)
    axes.plot([dots.mean], [2], "D", color="white", markeredgecolor=INK, markersize=7)
    axes.annotate(
        dots.measured.signed(dots.mean), (dots.mean, 2), (0, 8),
        textcoords="offset points", ha="center", va="bottom", fontsize=9,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
    )  # fmt: skip


@styled
def difference_map(
    differences: NDArray[np.float64],
    patients: Sequence[str],
    replicates: Sequence[str],
    what: str,
    measured: Measure = DICE,
) -> Figure:
    """Differences (patients, replicates) as a heat map, symmetric about 0; NaN is grey."""
    rows, columns = differences.shape
    label = what.replace(f" {MINUS} ", f"\n{MINUS} ", 1)  # one line would be longer than few rows
    figure, axes = new_figure(min(FULL_WIDTH, 2.8 + 0.45 * columns), max(2.6, 1.1 + 0.2 * rows))
    finite = np.abs(differences[np.isfinite(differences)])
    bound = float(finite.max()) if len(finite) and finite.max() > 0 else 1.0
    cells = axes.pcolormesh(
        np.ma.masked_invalid(differences), cmap="PuOr", vmin=-bound, vmax=bound,
        edgecolors="white", linewidth=0.5,
    )  # fmt: skip
    axes.set_xticks(np.arange(columns) + 0.5, list(replicates))
    axes.set_yticks(np.arange(rows) + 0.5, [short_name(p) for p in patients])
    axes.invert_yaxis()
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(cells, ax=axes, label=f"test {measured.words}, {label}")
    bar.outline.set_visible(False)  # type: ignore[operator]
    axes.set_xlabel("replicate")
    axes.set_facecolor(GREY if np.isnan(differences).any() else "white")
    axes.tick_params(axis="both", length=0, labelsize=8)
    axes.tick_params(axis="x", rotation=0 if columns <= 6 else 90)
    return figure
