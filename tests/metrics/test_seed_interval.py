"""The interval over seeds is Student's, as scipy has it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from harness.metrics.score import seeds_interval


@pytest.mark.parametrize("n", [3, 4, 10])
def test_it_is_that_of_a_t_test_of_one_sample(n: int) -> None:
    values = np.random.default_rng(n).normal(2, 5, n)
    wide = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert seeds_interval(values.tolist()) == pytest.approx((wide.low, wide.high))


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0], [1.0, 2.0, math.nan]])
def test_there_is_none_of_too_few_or_without_a_value(values: list[float]) -> None:
    assert seeds_interval(values) is None
