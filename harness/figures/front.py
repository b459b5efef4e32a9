"""The Pareto front of a search with several objectives: the first one against each further one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from harness.figures.style import BLUE, GREY, INK, RED, styled
from harness.figures.trials import TrialDot

_PANEL_WIDTH, _HEIGHT = 3.0, 2.9


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
    figure = Figure(figsize=(1.0 + _PANEL_WIDTH * count, _HEIGHT), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, count, squeeze=False, sharey=True)[0]
    for axes, (name, values) in zip(panels, further.items(), strict=True):
        for trial in trials:
            if trial.number not in values or not trial.numbers:
                continue
            place = values[trial.number], trial.mean
            if trial.failed:
                axes.plot(*place, "x", color=RED, markersize=6)
                continue
            on_front = trial.number in front
            axes.plot(
                *place,
                "o",
                color=BLUE if on_front else GREY,
                markerfacecolor=BLUE if on_front else "none",
                markersize=6,
            )
            if trial.chosen:
                axes.plot(*place, "o", color=INK, markerfacecolor="none", markersize=11)
        axes.set_xlabel(name)
    panels[0].set_ylabel(ylabel)
    marks: dict[str, dict[str, Any]] = {
        "on the front": {"color": BLUE, "marker": "o"},
        "beaten": {"color": GREY, "marker": "o", "markerfacecolor": "none"},
        "failed seed": {"color": RED, "marker": "x"},
        "chosen": {"color": INK, "marker": "o", "markerfacecolor": "none", "markersize": 10},
    }
    lines = [Line2D([], [], linestyle="none", label=label, **how) for label, how in marks.items()]
    figure.legend(handles=lines, loc="outside lower center", ncols=4, frameon=False)
    return figure
