"""The Pareto front of a search with several objectives: the first one against each further one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from harness.figures.style import BLUE, GREY, INK, RED, new_panels, styled
from harness.figures.trials import TrialDot

_PANEL_WIDTH, _HEIGHT = 3.0, 2.9
_MARKS: dict[str, dict[str, Any]] = {
    "on the front": {"color": BLUE, "marker": "o"},
    "beaten": {"color": GREY, "marker": "o", "markerfacecolor": "none"},
    "failed seed": {"color": RED, "marker": "x"},
    "chosen": {"color": INK, "marker": "o", "markerfacecolor": "none", "markersize": 11},
}


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
    figure, panels = new_panels((1.0 + _PANEL_WIDTH * count, _HEIGHT), 1, count, sharey=True)
    for axes, (name, values) in zip(panels[0], further.items(), strict=True):
        for trial in trials:
            if trial.number not in values or not trial.numbers:
                continue
            kind = "on the front" if trial.number in front else "beaten"
            marks = ["failed seed"] if trial.failed else [kind]
            for mark in [*marks, "chosen"] if trial.chosen else marks:
                axes.plot(values[trial.number], trial.mean, linestyle="none", **_MARKS[mark])
        axes.set_xlabel(name)
    panels[0, 0].set_ylabel(ylabel)
    lines = [Line2D([], [], linestyle="none", label=label, **how) for label, how in _MARKS.items()]
    figure.legend(handles=lines, loc="outside lower center", ncols=4, frameon=False)
    return figure
