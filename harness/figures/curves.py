"""Curves of trainings: thin lines for each, a thick one for their median."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from harness.figures.style import (
    BLUE,
    GREY,
    ORANGE,
    PANEL_SIZE,
    colour_of,
    new_figure,
    plain_log,
    styled,
)
from harness.figures.trials import LOG_FROM


@dataclass(frozen=True)
class Curve:
    """One training's values by step (epoch or update), ascending."""

    steps: Sequence[float]
    values: Sequence[float]


def median_curve(curves: Sequence[Curve]) -> Curve:
    """Median at each step over the curves that have a finite value there."""
    found: dict[float, list[float]] = {}
    for curve in curves:
        for step, value in zip(curve.steps, curve.values, strict=True):
            if np.isfinite(value):
                found.setdefault(step, []).append(value)
    steps = sorted(found)
    return Curve(steps, [float(np.median(found[step])) for step in steps])


@styled
def losses(curves: Mapping[str, Sequence[Curve]], xlabel: str, ylabel: str) -> Figure:
    """Losses by epoch: a colour per loss name; logarithmic where they span much."""
    figure, axes = new_figure(*PANEL_SIZE)
    colours = (BLUE, ORANGE, GREY)
    for place, (name, group) in enumerate(curves.items()):
        _group(axes, group, colours[place % len(colours)], name)
    values = np.array([v for group in curves.values() for c in group for v in c.values])
    values = values[np.isfinite(values)]
    if len(values) and values.min() > 0 and values.max() / values.min() >= LOG_FROM:
        axes.set_yscale("log")
        plain_log(axes.yaxis)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    return _finish(figure, axes, xlabel, ylabel, legend=len(curves) > 1)


@styled
def quality(best: Sequence[Curve], others: Sequence[Curve], ylabel: str) -> Figure:
    """A score by epoch: the chosen trial's seeds (thin) and median (thick), other trials grey."""
    figure, axes = new_figure(*PANEL_SIZE)
    for place, curve in enumerate(others):
        axes.plot(
            curve.steps, curve.values, color="#c4c4c4", linewidth=0.7, zorder=1,
            label="other trials" if not place else None,
        )  # fmt: skip
    _group(axes, best, BLUE, "chosen trial", markers=True)
    steps = [s for curve in (*best, *others) for s in curve.steps]
    if steps and min(steps) > 0 and max(steps) / min(steps) >= LOG_FROM:
        axes.set_xscale("log")
        plain_log(axes.xaxis)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    return _finish(figure, axes, "epoch", ylabel, legend=bool(others))


@styled
def by_arm(curves: Mapping[str, Sequence[Curve]], ylabel: str) -> Figure:
    """A value against updates, a colour per arm."""
    figure, axes = new_figure(*PANEL_SIZE)
    for place, (arm, group) in enumerate(curves.items()):
        _group(axes, group, colour_of(arm, place), arm)
    return _finish(figure, axes, "updates", ylabel, legend=True)


def _group(
    axes: Axes, curves: Sequence[Curve], colour: str, label: str, markers: bool = False
) -> None:
    if len(curves) > 1:
        for curve in curves:
            axes.plot(curve.steps, curve.values, color=colour, linewidth=0.6, alpha=0.4)
    middle = median_curve(curves)
    few = markers or len(middle.steps) == 1
    axes.plot(
        middle.steps, middle.values, color=colour, linewidth=1.8, label=label,
        marker="o" if few else "", markersize=3.5,
    )  # fmt: skip


def _finish(figure: Figure, axes: Axes, xlabel: str, ylabel: str, legend: bool) -> Figure:
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.grid(axis="y")
    if legend:
        axes.legend(loc="best", handlelength=1.4)
    return figure
