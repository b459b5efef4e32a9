"""Parallel coordinates: a line per trial through its settings to its objective."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator

from harness.figures.axes import SearchAxis, value_words
from harness.figures.style import FULL_WIDTH, INK, RED, new_figure, short_name, styled
from harness.figures.trials import TrialDot, ValueAxis

# Below every axis: trials that do not have it.
ABSENT = -0.1
# Trials of one listed value stand side by side within this much of the axis.
_SPREAD = 0.05
_CROWD = 30


def paths(
    trials: Sequence[TrialDot], axes: Sequence[SearchAxis], view: ValueAxis
) -> list[list[float]]:
    """Of each trial, its height on every axis and on that of the objective, 0 to 1.

    Lines through one listed value would hide each other: they cross it side by side, in the order
    of their objective, within a small part of the axis. A setting that a trial lacks is `ABSENT`.
    """
    ranks = np.argsort(np.argsort([view.place(t.mean) for t in trials], kind="stable"))
    spread = _SPREAD * min(1.0, len(trials) / _CROWD)
    aside = spread * (ranks / max(len(trials) - 1, 1) - 0.5)
    found = []
    for trial, shift in zip(trials, aside, strict=True):
        heights = []
        for axis in axes:
            place = axis.place(trial.params.get(axis.path))
            moved = float(shift) if axis.values else 0.0
            heights.append(ABSENT if place is None else place + moved)
        found.append([*heights, view.place(trial.mean)])
    return found


@styled
def parallel(
    trials: Sequence[TrialDot], axes: Sequence[SearchAxis], direction: str, ylabel: str
) -> Figure:
    """Every trial as a line; the better, the darker; red and broken where a seed failed."""
    figure, panel = new_figure(FULL_WIDTH + 0.6, 3.4)
    view = ValueAxis.of(trials)
    better = 1.0 if direction == "minimize" else -1.0
    colours = matplotlib.colormaps["viridis"]
    lines = list(zip(trials, paths(trials, axes, view), strict=True))
    for trial, heights in sorted(lines, key=lambda line: _depth(line[0], better)):
        goodness = heights[-1] if better > 0 else 1 - heights[-1]
        _line(panel, trial, heights, colours(0.92 * goodness), crowded=len(trials) > 25)
    missing = any(height == ABSENT for _, heights in lines for height in heights)
    for index, axis in enumerate(axes):
        scale = "\n(log scale)" if axis.log else ""
        _axis(panel, index, axis.ticks(5), short_name(axis.name) + scale)
    _axis(panel, len(axes), _value_ticks(view), ylabel.replace(" (", "\n(", 1), right=True)
    panel.set_xlim(-0.3, len(axes) + 0.3)
    panel.set_ylim(-0.14 if missing else -0.04, 1.04)
    panel.set_axis_off()
    if missing:
        panel.text(-0.06, ABSENT, "not set", ha="right", va="center", fontsize=8)
    figure.legend(
        handles=_legend(trials), loc="outside lower center", ncols=4, handlelength=1.6,
        columnspacing=1.2,
    )  # fmt: skip
    return figure


def _depth(trial: TrialDot, better: float) -> tuple[bool, bool, float]:
    """What is drawn later lies above: the chosen trial, then good ones; failed ones below."""
    mean = trial.mean if np.isfinite(trial.mean) else np.inf
    return trial.chosen, not trial.failed, -better * mean


def _line(
    panel: Axes, trial: TrialDot, heights: Sequence[float], colour: Any, crowded: bool
) -> None:
    places = range(len(heights))
    if trial.chosen:
        panel.plot(places, heights, color="white", linewidth=4.6)
        panel.plot(places, heights, color=INK, linewidth=2.4)
    elif trial.failed:
        panel.plot(places, heights, color=RED, linewidth=0.9, linestyle=(0, (4, 3)), alpha=0.75)
    else:
        thin = trial.checkpoint_of is not None or trial.pruned
        width = (0.9 if crowded else 1.5) * (0.6 if thin else 1.0)
        panel.plot(places, heights, color=colour, linewidth=width, alpha=0.85)


def _axis(
    panel: Axes, index: int, ticks: Sequence[tuple[float, str]], title: str, right: bool = False
) -> None:
    beside, ha = (0.03, "left") if right else (-0.03, "right")
    panel.vlines(index, 0, 1, color="#555555", linewidth=1.0, zorder=5)
    for height, text in ticks:
        panel.plot([index - 0.015, index + 0.015], [height] * 2, color="#555555", zorder=5)
        panel.text(
            index + beside, height, short_name(text, 12), ha=ha, va="center", fontsize=8.5,
            zorder=6, bbox={"facecolor": "white", "alpha": 0.8, "pad": 0.8, "edgecolor": "none"},
        )  # fmt: skip
    panel.annotate(
        title, (index, 1), (0, 10), textcoords="offset points", ha="center", va="bottom", fontsize=9
    )


def _value_ticks(view: ValueAxis) -> list[tuple[float, str]]:
    locator = LogLocator(subs=(1.0, 2.0, 5.0)) if view.log else MaxNLocator(4)
    found = [float(v) for v in locator.tick_values(view.low, view.high)]
    shown = [v for v in found if view.low <= v <= view.high]
    return [(view.place(v), value_words(v)) for v in shown[:: -(-len(shown) // 7) or 1]]


def _legend(trials: Sequence[TrialDot]) -> list[Line2D]:
    colours = matplotlib.colormaps["viridis"]
    handles = [
        Line2D([], [], color=colours(0.05), linewidth=1.6, label="better"),
        Line2D([], [], color=colours(0.87), linewidth=1.6, label="worse"),
    ]
    if any(trial.chosen for trial in trials):
        handles.append(Line2D([], [], color=INK, linewidth=2.4, label="chosen"))
    if any(trial.failed for trial in trials):
        handles.append(Line2D([], [], color=RED, linestyle=(0, (4, 3)), label="a seed failed"))
    return handles
