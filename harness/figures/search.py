"""Figures of a search: how it went, what mattered, the objective along each axis, the front."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from harness.figures.axes import SearchAxis
from harness.figures.style import (
    BLUE,
    FULL_WIDTH,
    GREY,
    INK,
    PANEL_SIZE,
    RED,
    new_figure,
    new_panels,
    plain_log,
    short_name,
    styled,
)
from harness.figures.trials import TrialDot, ValueAxis, best_so_far, draw, legend

SLICES_A_ROW = 3
_SLICE_HEIGHT = 2.5
_MARKERS = ("o", "s", "^", "D", "v", "P", "h", "<")
_FRONT_WIDTH, _FRONT_HEIGHT = 3.0, 2.9
_FRONT_MARKS: dict[str, dict[str, Any]] = {
    "on the front": {"color": BLUE, "marker": "o"},
    "beaten": {"color": GREY, "marker": "o", "markerfacecolor": "none"},
    "failed seed": {"color": RED, "marker": "x"},
    "chosen": {"color": INK, "marker": "o", "markerfacecolor": "none", "markersize": 11},
}


@styled
def history(trials: Sequence[TrialDot], direction: str, ylabel: str) -> Figure:
    """Objective by trial number, with the best so far among trials without a failed seed."""
    figure, axes = new_figure(PANEL_SIZE[0], PANEL_SIZE[1] + 0.35)
    view = ValueAxis.of(trials)
    for trial in trials:
        draw(axes, trial, trial.number, view)
    best = best_so_far(trials, direction)
    if best:
        last = max(trial.number for trial in trials)
        numbers, values = zip(*best, (last, best[-1][1]), strict=True)
        axes.step(numbers, values, where="post", color=INK, linewidth=1.2, zorder=2)
    view.set(axes, ylabel)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel("trial (line: best so far)")
    axes.set_xlim(-0.7, max([trial.number for trial in trials] or [0]) + 0.7)
    _legend(figure, trials, columns=2)
    return figure


@styled
def importance(shares: Mapping[str, float], xlabel: str) -> Figure:
    """A bar per axis, the most important one on top.

    Args:
        shares: share of all importance by axis in words; they sum to 1.
    """
    figure, axes = new_figure(PANEL_SIZE[0], 0.8 + 0.36 * max(len(shares), 2))
    ordered = sorted(shares.items(), key=lambda entry: entry[1])
    places = range(len(ordered))
    axes.barh(places, [100 * share for _, share in ordered], color=BLUE, height=0.62)
    for place, (_, share) in enumerate(ordered):
        axes.annotate(
            f"{100 * share:.0f}", (100 * share, place), (4, 0), textcoords="offset points",
            va="center", fontsize=8.5,
        )  # fmt: skip
    axes.set_yticks(places, [short_name(name) for name, _ in ordered])
    axes.set_xlim(0, 108 * max([share for _, share in ordered] or [1.0]) or 100)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(xlabel)
    axes.grid(axis="x")
    return figure


@styled
def slices(trials: Sequence[TrialDot], axes: Sequence[SearchAxis], ylabel: str) -> Figure:
    """The objective against each axis of the space, a panel each, all with one scale."""
    columns = min(max(len(axes), 1), SLICES_A_ROW)
    rows = max(1, -(-len(axes) // SLICES_A_ROW))
    width = FULL_WIDTH + 1.2 * (columns > 2)
    figure, panels = new_panels((width, 0.5 + rows * _SLICE_HEIGHT), rows, columns)
    view = ValueAxis.of(trials)
    for index, panel in enumerate(panels.flat):
        if index < len(axes):
            _slice(panel, trials, axes[index], view, "" if index % columns else ylabel)
        else:
            panel.set_axis_off()
    _legend(figure, trials, columns=4)
    return figure


def _slice(
    panel: Axes, trials: Sequence[TrialDot], axis: SearchAxis, view: ValueAxis, ylabel: str
) -> None:
    groups: dict[float, list[TrialDot]] = {}
    for trial in trials:
        place = axis.place(trial.params.get(axis.path))
        if place is not None:
            groups.setdefault(place, []).append(trial)
    width = 1 / max(len(axis.values) - 1, 1) if axis.values else 0.0
    for place, mates in groups.items():
        step = min(0.1 * width, 0.7 * width / len(mates))
        for index, trial in enumerate(mates):
            draw(panel, trial, place + step * (index - (len(mates) - 1) / 2), view)
    view.set(panel, ylabel)
    panel.tick_params(axis="y", labelleft=bool(ylabel))
    ticks = axis.ticks(4)
    panel.tick_params(axis="x", labelsize=9 if len(ticks) < 6 else 7)
    panel.set_xticks([place for place, _ in ticks], [short_name(text, 12) for _, text in ticks])
    room = 0.45 * width if axis.values else 0.06
    panel.set_xlim(-room, 1 + room)
    panel.set_xlabel(short_name(axis.name, 30) + (" (log scale)" if axis.log else ""))


def _legend(figure: Figure, trials: Sequence[TrialDot], columns: int) -> None:
    figure.legend(
        handles=legend(trials), loc="outside lower center", ncols=columns, handletextpad=0.2,
        columnspacing=1.2,
    )  # fmt: skip


CROWDED = 10
"""Values of an axis from which on they stand askew."""
AXES = ("batch size", "learning rate", "epochs")


@styled
def objective_by_batch(trials: Sequence[TrialDot], ylabel: str) -> Figure:
    """Objective by batch size, or by what differs where that does not: colour is the learning rate,
    marker the epochs, a bar the seeds."""
    figure, axes = new_figure(FULL_WIDTH, 3.7)
    axis = swept_axis(trials)
    batches = sorted({_at(axis, trial) for trial in trials})
    lengths = sorted({trial.epochs for trial in trials})
    norm = _rate_norm(trials)
    varied = axis != "learning rate" and len({trial.learning_rate for trial in trials}) > 1
    colours = matplotlib.colormaps["viridis"]
    view = ValueAxis.of(trials)
    for trial in trials:
        mates = [other for other in trials if _at(axis, other) == _at(axis, trial)]
        place = batches.index(_at(axis, trial)) + _aside(trial, mates)
        marker = _MARKERS[lengths.index(trial.epochs) % len(_MARKERS)]
        colour = colours(norm(trial.learning_rate)) if varied else BLUE
        draw(axes, trial, place, view, marker, colour)
    view.set(axes, ylabel)
    digits = 2 if axis == "learning rate" else 6
    axes.set_xticks(range(len(batches)), [f"{b:.{digits}g}" for b in batches])
    axes.tick_params(axis="x", rotation=45 if len(batches) > CROWDED else 0)
    axes.set_xlim(-0.6, len(batches) - 0.4)
    axes.set_xlabel("batch size (images)" if axis == "batch size" else axis)
    if varied:
        mappable = matplotlib.cm.ScalarMappable(norm, colours)
        bar = figure.colorbar(mappable, ax=axes, label="learning rate", fraction=0.05, pad=0.02)
        plain_log(bar.ax.yaxis)
    figure.legend(
        handles=_lengths_legend(trials, lengths),
        loc="outside lower center",
        ncols=4,
        handletextpad=0.2,
    )
    return figure


def _rate_norm(trials: Sequence[TrialDot]) -> LogNorm:
    rates = [trial.learning_rate for trial in trials]
    low, high = min(rates), max(rates)
    return LogNorm(low, high) if low < high else LogNorm(low / 2, high * 2)


def swept_axis(trials: Sequence[TrialDot]) -> str:
    """What `objective_by_batch` draws against: the first of `AXES` in which trials differ."""
    return next((a for a in AXES if len({_at(a, trial) for trial in trials}) > 1), AXES[0])


def _at(axis: str, trial: TrialDot) -> float:
    return float(getattr(trial, axis.replace(" ", "_")))


def _aside(trial: TrialDot, alike: Sequence[TrialDot]) -> float:
    """Trials of one place stand side by side, in their order."""
    mates = sorted(t.number for t in alike)
    step = min(0.16, 0.7 / max(len(mates), 1))
    return step * (mates.index(trial.number) - (len(mates) - 1) / 2)


def _lengths_legend(trials: Sequence[TrialDot], lengths: Sequence[int]) -> list[Line2D]:
    markers = [
        Line2D([], [], marker=_MARKERS[i % len(_MARKERS)], color=GREY, linestyle="", label=text)
        for i, text in enumerate(f"{n} epochs" for n in lengths)
    ]
    return markers + legend(trials, GREY)[1:]


@styled
def pareto_front(
    trials: Sequence[TrialDot],
    further: Mapping[str, Mapping[int, float]],
    front: Collection[int],
    ylabel: str,
) -> Figure:
    """A panel for each further objective; trials on the front are filled, the chosen one is ringed.

    Args:
        further: values by trial number, by the objective's name in words.
        front: numbers of the trials on the front, of all objectives at once: a panel shows two of
            them, so its points need not lie on one line.
        ylabel: the first objective.
    """
    count = max(len(further), 1)
    figure, panels = new_panels((1.0 + _FRONT_WIDTH * count, _FRONT_HEIGHT), 1, count, sharey=True)
    for axes, (name, values) in zip(panels[0], further.items(), strict=True):
        for trial in trials:
            if trial.number not in values or not trial.numbers:
                continue
            kind = "on the front" if trial.number in front else "beaten"
            marks = ["failed seed"] if trial.failed else [kind]
            for mark in [*marks, "chosen"] if trial.chosen else marks:
                axes.plot(values[trial.number], trial.mean, linestyle="none", **_FRONT_MARKS[mark])
        axes.set_xlabel(name)
    panels[0, 0].set_ylabel(ylabel)
    lines = [
        Line2D([], [], linestyle="none", label=label, **how) for label, how in _FRONT_MARKS.items()
    ]
    figure.legend(handles=lines, loc="outside lower center", ncols=4, frameon=False)
    return figure
