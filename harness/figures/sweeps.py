"""The objective of a sweep by batch size, learning rate and epochs at once."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from harness.figures.style import BLUE, FULL_WIDTH, GREY, new_figure, plain_log, styled
from harness.figures.trials import TrialDot, ValueAxis, draw, legend

_MARKERS = ("o", "s", "^", "D", "v", "P", "h", "<")


@styled
def objective_by_batch(trials: Sequence[TrialDot], ylabel: str) -> Figure:
    """Objective by batch size: colour is the learning rate, marker the epochs, a bar the seeds."""
    figure, axes = new_figure(FULL_WIDTH, 3.7)
    batches = sorted({trial.batch_size for trial in trials})
    lengths = sorted({trial.epochs for trial in trials})
    norm = _rate_norm(trials)
    varied = len({trial.learning_rate for trial in trials}) > 1
    colours = matplotlib.colormaps["viridis"]
    view = ValueAxis.of(trials)
    for trial in trials:
        place = batches.index(trial.batch_size) + _aside(trial, trials)
        marker = _MARKERS[lengths.index(trial.epochs) % len(_MARKERS)]
        colour = colours(norm(trial.learning_rate)) if varied else BLUE
        draw(axes, trial, place, view, marker, colour)
    view.set(axes, ylabel)
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


def _rate_norm(trials: Sequence[TrialDot]) -> LogNorm:
    rates = [trial.learning_rate for trial in trials]
    low, high = min(rates), max(rates)
    return LogNorm(low, high) if low < high else LogNorm(low / 2, high * 2)


def _aside(trial: TrialDot, trials: Sequence[TrialDot]) -> float:
    """Trials of one batch size stand side by side, in their order."""
    mates = sorted(t.number for t in trials if t.batch_size == trial.batch_size)
    step = min(0.16, 0.7 / max(len(mates), 1))
    return step * (mates.index(trial.number) - (len(mates) - 1) / 2)


def _legend(trials: Sequence[TrialDot], lengths: Sequence[int]) -> list[Line2D]:
    markers = [
        Line2D([], [], marker=_MARKERS[i % len(_MARKERS)], color=GREY, linestyle="", label=text)
        for i, text in enumerate(f"{n} epochs" for n in lengths)
    ]
    return markers + legend(trials, GREY)[1:]
