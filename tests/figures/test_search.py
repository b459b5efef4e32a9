"""What figures of a search show: every trial at its mean, the best so far, shares, the chosen."""

from __future__ import annotations

from typing import Any

import pytest
from matplotlib.axes import Axes

from harness.figures.axes import SearchAxis
from harness.figures.search import history, importance, objective_by_batch, slices
from harness.figures.style import BLUE, INK, RED
from harness.figures.trials import TrialDot


def trial(number: int, *values: float | None, **changes: Any) -> TrialDot:
    settings = {"batch_size": 12, "learning_rate": 2e-4, "epochs": 30}
    return TrialDot(number, seed_values=values, **{**settings, **changes})


TRIALS = [
    trial(0, 0.4, 0.6, batch_size=6, params={"loss": "bce"}),
    trial(1, 0.2, 0.3, params={"loss": "hinge"}, chosen=True),
    trial(2, 0.3, 0.4, params={"loss": "hinge"}),
    trial(3, 9.0, None, failed=True, params={"loss": "bce"}),
]


def marks(axes: Axes, marker: str, **look: Any) -> list[tuple[float, float]]:
    return [
        (float(line.get_xdata()[0]), pytest.approx(float(line.get_ydata()[0])))
        for line in axes.lines
        if line.get_marker() == marker
        and all(getattr(line, f"get_{name}")() == value for name, value in look.items())
    ]


def test_history_has_every_trial_and_the_best_so_far() -> None:
    (axes,) = history(TRIALS, "minimize", "KID").axes
    assert marks(axes, "o", color=BLUE) == [(0, 0.5), (1, 0.25), (2, 0.35)]
    assert marks(axes, "o", markersize=12) == [(1, 0.25)]  # the ring of the chosen one
    assert marks(axes, "x", color=RED) == [(3, 0.985)]  # beyond the axis: at its edge
    (best,) = [line for line in axes.lines if line.get_drawstyle() == "steps-post"]
    assert (list(best.get_xdata()), list(best.get_ydata())) == ([0, 1, 3], [0.5, 0.25, 0.25])
    assert best.get_color() == INK
    seeds = [bars.get_segments()[0][:, 1].tolist() for bars in axes.collections]
    assert seeds == [[0.4, 0.6], [0.2, 0.3], [0.3, 0.4]]


def test_the_most_important_axis_is_on_top() -> None:
    (axes,) = importance({"width": 0.25, "rate": 0.7, "beta": 0.05}, "importance (%)").axes
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([5, 25, 70])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["beta", "width", "rate"]
    assert [text.get_text() for text in axes.texts] == ["5", "25", "70"]


def test_a_slice_has_each_trial_at_its_setting() -> None:
    panels = slices(TRIALS, [SearchAxis.listed("loss", ["bce", "hinge"])], "KID").axes
    shown = marks(panels[0], "o", color=BLUE)
    assert [(round(place), value) for place, value in shown] == [(0, 0.5), (1, 0.25), (1, 0.35)]
    assert [label.get_text() for label in panels[0].get_xticklabels()] == ["bce", "hinge"]


def test_trials_of_one_batch_size_stand_side_by_side() -> None:
    (axes,) = objective_by_batch(TRIALS, "KID").axes
    shown = marks(axes, "o", color=BLUE)
    assert [value for _, value in shown] == [0.5, 0.25, 0.35]
    places = [place for place, _ in shown]
    assert places[0] == 0
    assert [round(place) for place in places] == [0, 1, 1]
    assert places[1] < places[2]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["6", "12"]
