"""Dose-response: two arms and their paired difference against a dose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.figures.style import INK, MINUS, PANEL_SIZE, colour_of, new_figure, styled

Interval = tuple[float, float] | None


@dataclass(frozen=True)
class DosePoint:
    """One level: each arm's mean with its interval, and the mean paired difference with its own."""

    value: float
    declared: bool
    baseline: float
    baseline95: Interval
    candidate: float
    candidate95: Interval
    difference: float
    difference95: Interval


@styled
def dose_arms(points: Sequence[DosePoint], baseline: str, candidate: str, axis: str) -> Figure:
    """Test Dice of both arms by dose, with 95 % intervals.

    The declared dose is filled, others are open. Levels stand side by side at equal steps.
    """
    figure, axes = new_figure(*PANEL_SIZE)
    for place, (name, values, bars) in enumerate(
        (
            (baseline, [p.baseline for p in points], [p.baseline95 for p in points]),
            (candidate, [p.candidate for p in points], [p.candidate95 for p in points]),
        )
    ):
        _series(axes, 0.16 * place - 0.08, values, bars, points, colour_of(name, place), name)
    axes.set_ylabel("test Dice (0 to 1)")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)  # clear of every bar
    _levels(axes, points, axis)
    return figure


@styled
def dose_difference(
    points: Sequence[DosePoint], baseline: str, candidate: str, axis: str, margin: float
) -> Figure:
    """Paired difference of the arms by dose, with 95 % intervals, 0 and the margin."""
    figure, axes = new_figure(*PANEL_SIZE)
    axes.axhspan(-margin, margin, color="#ececec", zorder=0)
    axes.axhline(0, color=INK, linewidth=0.9, zorder=1)
    values, bars = [p.difference for p in points], [p.difference95 for p in points]
    _series(axes, 0.0, values, bars, points, INK, None)
    axes.set_ylabel(f"{candidate} {MINUS} {baseline}, test Dice")
    _levels(axes, points, axis)
    return figure


def _levels(axes: Axes, points: Sequence[DosePoint], axis: str) -> None:
    axes.set_xticks(range(len(points)), [f"{point.value:g}" for point in points])
    axes.set_xlim(-0.5, len(points) - 0.5)
    axes.set_xlabel(axis)


def _series(
    axes: Axes,
    shift: float,
    values: Sequence[float],
    bars: Sequence[Interval],
    points: Sequence[DosePoint],
    colour: str,
    label: str | None,
) -> None:
    places = np.arange(len(points)) + shift
    axes.plot(places, values, color=colour, linewidth=1.0, alpha=0.5, label=label)
    for place, value, bar, point in zip(places, values, bars, points, strict=True):
        if bar is not None:
            axes.vlines(place, *bar, color=colour, linewidth=1.4)
        face = colour if point.declared else "white"
        axes.plot([place], [value], "o", markersize=6, markerfacecolor=face, markeredgecolor=colour)
