"""What figures of trainings and of doses show: each curve, medians, bars, colours by arm."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex

from harness.config.arms import arm_of
from harness.figures.curves import Curve, by_arm, losses, quality
from harness.figures.dose import dose_arms, dose_difference
from harness.figures.style import BLUE
from harness.inference.arm_summary import ArmMean
from harness.inference.dose import Dose


def test_each_training_is_thin_and_their_median_thick_in_the_arms_colour() -> None:
    curves = {
        "gan": [Curve([10, 20], [0.1, 0.5]), Curve([10, 20], [0.3, 0.7])],
        "none": [Curve([10, 20], [0.2, 0.4])],
    }
    (axes,) = by_arm(curves, "Dice").axes
    drawn = [(line.get_ydata().tolist(), line.get_linewidth()) for line in axes.lines]
    assert [values for values, width in drawn if width < 1] == [[0.1, 0.5], [0.3, 0.7]]
    thick = [line for line in axes.lines if line.get_linewidth() > 1]
    assert [line.get_label() for line in thick] == ["gan", "none"]
    assert [line.get_color() for line in thick] == [arm_of("gan").colour, arm_of("none").colour]
    np.testing.assert_allclose(thick[0].get_ydata(), [0.2, 0.6])


@pytest.mark.parametrize(("last", "scale"), [(0.06, "linear"), (0.05, "log"), (0.0, "linear")])
def test_losses_over_a_factor_of_20_are_logarithmic(last: float, scale: str) -> None:
    (axes,) = losses({"L1": [Curve([1, 2], [1.0, last])]}, "epoch", "L1").axes
    assert axes.get_yscale() == scale


def test_the_chosen_trial_stands_out_of_the_others() -> None:
    best, others = [Curve([1, 2], [0.3, 0.1])], [Curve([1, 2], [0.5, n]) for n in (0.2, 0.4)]
    (axes,) = quality(best, others, "KID").axes
    blue = [line for line in axes.lines if line.get_color() == BLUE]
    assert [list(line.get_ydata()) for line in blue] == [[0.3, 0.1]]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "other trials", "chosen trial",
    ]  # fmt: skip


def mean(arm: str, value: float, *ends: float) -> ArmMean:
    return ArmMean(arm, value, (ends[0], ends[1]) if ends else None, ())


DOSES = [
    Dose("patients", 5, False, mean("traditional", 0.6, 0.55, 0.65), mean("gan", 0.7), 0.1,
         (0.02, 0.18)),
    Dose("patients", 20, True, mean("traditional", 0.8, 0.75, 0.85), mean("gan", 0.81, 0.8, 0.82),
         0.01, None),
]  # fmt: skip


def test_doses_stand_with_their_intervals_and_the_declared_one_is_filled() -> None:
    (axes,) = dose_arms(DOSES, "training patients").axes
    marks = [line for line in axes.lines if line.get_marker() == "o"]
    assert [line.get_ydata() for line in marks] == [[0.6], [0.8], [0.7], [0.81]]
    assert [line.get_markerfacecolor() == "white" for line in marks] == [True, False] * 2
    edges = [line.get_markeredgecolor() for line in marks]
    assert edges == [arm_of("traditional").colour] * 2 + [arm_of("gan").colour] * 2
    bars = [bars.get_segments()[0][:, 1].tolist() for bars in axes.collections]
    assert bars == [[0.55, 0.65], [0.75, 0.85], [0.8, 0.82]]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["5", "20"]


def test_the_difference_by_dose_is_that_of_the_doses() -> None:
    (axes,) = dose_difference(DOSES, "training patients", 0.01).axes
    assert [line.get_ydata() for line in axes.lines if line.get_marker() == "o"] == [[0.1], [0.01]]
    (band,) = axes.patches
    assert (band.get_y(), band.get_height()) == (-0.01, 0.02)
    assert to_hex(band.get_facecolor()) == "#ececec"
    assert axes.get_ylabel() == "gan \u2212 traditional, test Dice"
