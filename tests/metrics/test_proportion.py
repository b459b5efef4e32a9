"""Wilson's interval against scipy and worked values."""

from __future__ import annotations

import pytest
from scipy.stats import binomtest

from harness.base.errors import DataError
from harness.metrics.proportion import wilson


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (0, 20), (7, 20), (20, 20), (3, 1000)])
def test_equals_scipy(k: int, n: int, level: float) -> None:
    oracle = binomtest(k, n).proportion_ci(level, method="wilson")
    assert wilson(k, n, level) == pytest.approx((oracle.low, oracle.high), rel=1e-12, abs=1e-15)


def test_by_hand() -> None:
    # z = 1.96; none of 10: 0 to z^2 / (n + z^2) = 3.8415 / 13.8415.
    assert wilson(0, 10) == pytest.approx((0.0, 0.27753), abs=1e-5)
    # 5 of 10: a half, and half a width of z / (2 sqrt(n + z^2)) = 1.96 / (2 x 3.72041).
    low, high = wilson(5, 10)
    assert (low, high) == pytest.approx((0.5 - 0.26341, 0.5 + 0.26341), abs=1e-5)


def test_no_share_without_trials() -> None:
    for k, n in ((0, 0), (3, 2), (-1, 5)):
        with pytest.raises(DataError, match=f"0 to n successes, but got {k} of {n}"):
            wilson(k, n)
    with pytest.raises(DataError, match="level must lie between 0 and 1, but got 95"):
        wilson(1, 2, 95)
