"""What the figures of a comparison show: dots in their row, names inside the axes, true values."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from harness.config.arms import arm_of
from harness.config.measures import MEASURES
from harness.figures.arms import ROOM, PairedDots, arm_means, difference_map, paired_differences
from harness.figures.style import style
from harness.inference.arm_summary import ArmMean


def drawn(patients: np.ndarray, replicates: np.ndarray, lower: bool = False) -> Figure:
    figure = paired_differences(
        PairedDots(
            baseline="traditional",
            candidate="traditional+gan",
            patients=[f"a patient with a long name {n}"[-22:] for n in range(len(patients))],
            patient_means=patients.tolist(),
            replicates=[str(n) for n in range(len(replicates))],
            replicate_means=replicates.tolist(),
            margin=0.01,
            mean=float(np.nanmean(patients)),
            interval_95=(0.0, 0.03),
            interval_90=(0.005, 0.025),
            measured=MEASURES["hd95_mm" if lower else "dice"],
        )
    )
    with style():
        figure.canvas.draw()
    return figure


def heights(figure: Figure, count: int) -> np.ndarray:
    """Of a row's dots, the row being known by their number."""
    dots = [
        np.asarray(line.get_ydata()) for line in figure.axes[0].lines if line.get_marker() == "o"
    ]
    (found,) = (row for row in dots if len(row) == count)
    return found


@pytest.mark.parametrize("patients", [2, 30, 100, 300, 1000])
@pytest.mark.parametrize("equal", [False, True])
@pytest.mark.parametrize("lower", [False, True])
def test_many_dots_stay_in_their_row(patients: int, equal: bool, lower: bool) -> None:
    rng = np.random.default_rng(patients)
    values = np.full(patients, 0.015) if equal else rng.normal(0.015, 0.02, patients)
    figure = drawn(values, rng.normal(0.015, 0.004, 60), lower)
    assert np.abs(heights(figure, patients) - 0).max() <= ROOM + 1e-12
    assert np.abs(heights(figure, 60) - 1).max() <= ROOM + 1e-12
    axes = figure.axes[0]
    box = axes.get_window_extent()
    assert len(axes.texts) == 3  # both of the worst, and the mean
    for text in axes.texts:
        extent = text.get_window_extent()
        assert box.x0 <= extent.x0 < extent.x1 <= box.x1
        assert box.y0 <= extent.y0 < extent.y1 <= box.y1
    dots = axes.transData.transform([(0, heights(figure, 60).max())])[0][1]
    assert axes.texts[2].get_window_extent().y1 < dots  # the next row's label is clear of them


def test_few_dots_are_where_they_were() -> None:
    figure = drawn(np.array([0.01, 0.01, 0.01]), np.array([0.01, 0.02]))
    assert sorted(heights(figure, 3)) == pytest.approx([-0.11, 0.0, 0.11])


def test_the_worst_is_the_highest_where_lower_is_better() -> None:
    values, replicates = np.array([0.0, np.nan, 0.03, 0.01]), np.array([0.02, 0.01])
    named = [text.get_text() for text in drawn(values, replicates).axes[0].texts]
    assert [name[-2:] for name in named[:2]] == [" 0", "1"]
    named = [text.get_text() for text in drawn(values, replicates, lower=True).axes[0].texts]
    assert [name[-2:] for name in named[:2]] == [" 2", "0"]


def test_thin_and_thick_are_explained() -> None:
    labels = [
        label.get_text() for label in drawn(np.zeros(3), np.zeros(2)).axes[0].get_yticklabels()
    ]
    assert labels == ["patients (3)", "replicates (2)", "mean; thin: 95 %,\nthick: 90 % interval"]


def test_an_arm_has_a_dot_per_replicate_its_mean_and_its_interval() -> None:
    arms = [
        ArmMean("traditional", float("nan"), (0.65, 0.79), (0.70, 0.74, float("nan"))),
        ArmMean("gan", 0.7, None, (0.6, 0.8, 0.7)),
    ]
    (axes,) = arm_means(arms, 12, 0.86).axes
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [sorted(line.get_xdata()) for line in dots] == [[0.70, 0.74], [0.6, 0.7, 0.8]]
    assert [line.get_color() for line in dots] == [
        arm_of("traditional").colour,
        arm_of("gan").colour,
    ]
    lines = [segment.tolist() for bars in axes.collections for segment in bars.get_segments()]
    bar, first, second = lines
    assert np.allclose(bar, [[0.65, 0], [0.79, 0]])  # the second arm has no interval
    assert np.allclose([ends[0] for ends in first + second], [0.72, 0.72, 0.7, 0.7])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["traditional", "gan"]
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["inter-observer 0.86", "0.720", "0.700"]
    assert axes.get_xlabel() == "test Dice (0 to 1), mean of 12 patients; a dot per replicate (3)"


@pytest.mark.parametrize("rows", [1, 5, 40])
def test_a_map_is_symmetric_about_0_and_its_label_is_whole(rows: int) -> None:
    differences = np.linspace(-0.02, 0.01, rows * 5).reshape(rows, 5)
    names = [f"p{n}" for n in range(rows)]
    what = "pretrain-finetune \u2212 traditional+gan"
    figure = difference_map(differences, names, list("abcde"), what)
    with style():
        figure.canvas.draw()
    axes, bar = figure.axes
    mesh = axes.collections[0]
    np.testing.assert_array_equal(mesh.get_array().ravel(), differences.ravel())
    assert mesh.get_clim() == (-0.02, 0.02)
    assert [label.get_text() for label in axes.get_yticklabels()] == names
    extent = bar.yaxis.label.get_window_extent()
    assert 0 <= extent.y0 < extent.y1 <= figure.bbox.height
    assert extent.x1 <= figure.bbox.width
