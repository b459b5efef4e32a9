"""Arms and the paired difference of two of them, against a dose or the number of patients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.base.text import MINUS
from harness.config.measures import DICE, Measure
from harness.figures.style import INK, PANEL_SIZE, colour_of, new_figure, styled
from harness.inference.arm_summary import ArmMean
from harness.inference.dose import Dose


@styled
def dose_arms(doses: Sequence[Dose], axis: str, measured: Measure = DICE) -> Figure:
    """Test means of the arms by dose, with 95 % intervals.

    The declared dose is filled, others are open. Levels stand side by side at equal steps.
    """
    figure, axes = new_figure(*PANEL_SIZE)
    every = list(zip(*(dose.arms for dose in doses), strict=True))
    for place, means in enumerate(every):
        name, shift = means[0].arm, 0.16 * (place - (len(every) - 1) / 2)
        _series(axes, shift, means, doses, colour_of(name, place), name)
    axes.set_ylabel(f"test {measured.axis}")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)  # clear of every bar
    _levels(axes, doses, axis)
    return figure


@styled
def dose_difference(
    doses: Sequence[Dose], axis: str, margin: float, measured: Measure = DICE
) -> Figure:
    """Paired difference of the arms by dose, with 95 % intervals, 0 and the margin."""
    figure, axes = new_figure(*PANEL_SIZE)
    axes.axhspan(-margin, margin, color="#ececec", zorder=0)
    axes.axhline(0, color=INK, linewidth=0.9, zorder=1)
    _series(axes, 0.0, doses, doses, INK, None)
    pair = f"{doses[0].candidate.arm} {MINUS} {doses[0].baseline.arm}"
    axes.set_ylabel(f"{pair}, test {measured.words}")
    _levels(axes, doses, axis)
    return figure


def _levels(axes: Axes, doses: Sequence[Dose], axis: str) -> None:
    axes.set_xticks(range(len(doses)), [f"{dose.value:g}" for dose in doses])
    axes.set_xlim(-0.5, len(doses) - 0.5)
    axes.set_xlabel(axis)


def _series(
    axes: Axes,
    shift: float,
    means: Sequence[ArmMean | Dose],
    doses: Sequence[Dose],
    colour: str,
    label: str | None,
) -> None:
    places = np.arange(len(doses)) + shift
    values = [entry.mean for entry in means]
    axes.plot(places, values, color=colour, linewidth=1.0, alpha=0.5, label=label)
    for place, entry, dose in zip(places, means, doses, strict=True):
        if entry.interval_95 is not None:
            axes.vlines(place, *entry.interval_95, color=colour, linewidth=1.4)
        face = colour if dose.declared else "white"
        axes.plot(
            [place], [entry.mean], "o", markersize=6, markerfacecolor=face, markeredgecolor=colour
        )
