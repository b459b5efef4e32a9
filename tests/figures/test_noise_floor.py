"""The answer above its contrasts: one axis that far rows do not widen."""

from __future__ import annotations

import math

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from harness.figures.contrasts import noise_floor
from harness.figures.style import style
from harness.inference.contrasts import Contrast, Group
from harness.inference.crossed_t import Inference


def about(mean: float, half: float | None = 0.004) -> Inference:
    wide = None if half is None else (mean - half, mean + half)
    return Inference("verdict", 12, 5, mean, wide)


def drawn(primary: Inference, *rows: tuple[Group, str, Inference]) -> Figure:
    contrasts = [Contrast(group, name, "", (), found) for group, name, found in rows]
    figure = noise_floor("traditional+gan - traditional", primary, contrasts, 0.01)
    with style():
        figure.canvas.draw()
    return figure


def test_each_row_has_its_mean_interval_and_number() -> None:
    figure = drawn(
        about(0.012),
        ("control", "duplicate - traditional", about(0.0035, 0.006)),
        ("factorial", "interaction", about(-0.0021)),
    )
    axes = figure.axes[0]
    lines = [line for line in axes.lines if len(line.get_xdata()) == 1]
    assert [line.get_marker() for line in lines] == ["D", "o", "o"]
    assert [float(line.get_xdata()[0]) for line in lines] == [0.012, 0.0035, -0.0021]
    bars = [bar for bar in axes.collections if isinstance(bar, LineCollection)]
    ends = np.array([bar.get_segments()[0][:, 0] for bar in bars])
    assert ends == pytest.approx(np.array([(0.008, 0.016), (-0.0025, 0.0095), (-0.0061, 0.0019)]))
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels[1:] == ["duplicate \u2212 traditional", "interaction"]
    texts = [text.get_text() for text in axes.texts]
    assert {"+0.0120", "+0.0035", "\u22120.0021", "controls"} <= set(texts)


def test_nothing_overlaps_or_leaves_the_figure() -> None:
    rows: list[tuple[Group, str, Inference]] = [
        ("control", f"traditional+nothing{n} - traditional", about(0.002 * n)) for n in range(4)
    ]
    figure = drawn(about(0.012), *rows, ("stage", "real-mask - traditional", about(0.001)))
    axes = figure.axes[0]
    boxes = [text.get_window_extent() for text in (*axes.texts, *axes.get_yticklabels())]
    for index, box in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert not any(box.overlaps(other) for other in boxes[:index])


@pytest.mark.parametrize(("mean", "mark"), [(-0.3, "<"), (0.3, ">")])
def test_a_far_row_is_an_arrow_and_leaves_the_axis_as_it_is(mean: float, mark: str) -> None:
    plain = drawn(about(0.012), ("control", "duplicate - traditional", about(0.001)))
    far = drawn(
        about(0.012),
        ("control", "duplicate - traditional", about(0.001)),
        ("control", "shuffled - traditional", about(mean)),
    )
    assert far.axes[0].get_xlim() == plain.axes[0].get_xlim()
    (arrow,) = [line for line in far.axes[0].lines if line.get_marker() == mark]
    low, high = far.axes[0].get_xlim()
    assert low < arrow.get_xdata()[0] < high


def test_rows_without_interval_or_mean_are_drawn_as_far_as_they_go() -> None:
    figure = drawn(
        about(0.012, None),
        ("control", "duplicate - traditional", about(math.nan, None)),
        ("control", "oracle - traditional", about(0.01, None)),
    )
    marks = [line.get_marker() for line in figure.axes[0].lines if len(line.get_xdata()) == 1]
    assert marks == ["D", "o"]
    assert not [c for c in figure.axes[0].collections if isinstance(c, LineCollection)]
    assert drawn(about(math.nan, None), ("control", "a - b", about(0.01))).axes[0].get_xlim()[0] < 0


def test_long_names_leave_room_for_the_axis() -> None:
    contrasts = [Contrast("control", "duplicate - traditional", "", (), about(0.001))]
    name = "traditional+gan:added - traditional+nothing"
    figure = noise_floor(name, about(0.012), contrasts, 0.01)
    with style():
        figure.canvas.draw()
    axes = figure.axes[0]
    assert axes.get_window_extent().width > figure.bbox.width / 2
    first, second = [label.get_window_extent() for label in axes.get_yticklabels()]
    assert not first.overlaps(second)
