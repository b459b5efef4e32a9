"""Had a curve flattened? Hand-worked."""

from __future__ import annotations

import math

import pytest

from harness.inference.budget import at_budget, late_rise


def test_the_late_rise_is_the_last_fifth_against_the_fifth_before() -> None:
    curve = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.70, 0.72, 0.75, 0.79]
    assert late_rise([curve]) == pytest.approx(0.77 - 0.71)
    assert late_rise([curve, [0.5] * 10]) == pytest.approx(0.03)


def test_a_rise_above_the_margin_is_at_budget_and_a_fall_is_not() -> None:
    assert at_budget([[0.1, 0.2, 0.3, 0.40, 0.42]], 0.01)
    assert not at_budget([[0.1, 0.2, 0.3, 0.40, 0.405]], 0.01)
    assert not at_budget([[0.1, 0.2, 0.3, 0.42, 0.40]], 0.01)


def test_curves_that_say_nothing_are_left_out() -> None:
    assert math.isnan(late_rise([[], [0.1, 0.9], [math.nan] * 10]))
    assert not at_budget([[math.nan] * 10], 0.01)
    assert late_rise([[math.nan] * 10, [0, 0, 0, 0, 1]]) == pytest.approx(1.0)
