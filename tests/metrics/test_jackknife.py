"""The jackknife against variances known in closed form, and against KID's fast one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.base.errors import DataError
from harness.metrics.fidelity.by_patient import kid_by_patient
from harness.metrics.fidelity.jackknife import (
    groups_of,
    jackknife,
    score_with_interval,
    units_of,
)
from harness.metrics.fidelity.kid_fid import cubic_kernel


def test_of_a_difference_of_means_it_is_the_textbook_variance() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=15), rng.normal(size=20)
    value, variance = jackknife(
        lambda a, b: x[a].mean() - y[b].mean(), groups_of(15, range(15)), groups_of(20, None)
    )
    assert value == pytest.approx(x.mean() - y.mean())
    assert variance == pytest.approx(x.var(ddof=1) / 15 + y.var(ddof=1) / 20)


def test_of_equal_groups_it_is_the_variance_of_their_means() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(6, 4)), rng.normal(size=(3, 20))
    owners = np.repeat(list("fbcade"), 4)
    # Block b of 20 holds the images b, b + 20, b + 40.
    _, variance = jackknife(
        lambda a, b: np.array([x.ravel()[a].mean(), y.ravel()[b].mean()]),
        groups_of(24, owners),
        groups_of(60, None),
    )
    expected = x.mean(axis=1).var(ddof=1) / 6, y.mean(axis=0).var(ddof=1) / 20
    assert variance == pytest.approx(expected)


def test_kid_by_patient_is_this_jackknife() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(40, 5)), rng.normal(0.4, 1, size=(50, 5))
    owners = rng.integers(0, 7, 40)

    def statistic(a: np.ndarray, b: np.ndarray) -> float:
        other = owners[a][:, None] != owners[a][None, :]
        not_self = ~np.eye(len(b), dtype=bool)
        within = cubic_kernel(x[a], x[a])[other].mean() + cubic_kernel(y[b], y[b])[not_self].mean()
        return float(within - 2 * cubic_kernel(x[a], y[b]).mean())

    groups = groups_of(40, owners), groups_of(50, None)
    value, variance = map(float, jackknife(statistic, *groups))
    expected = score_with_interval(value, variance, 7, 40, units_of(*groups))
    found = kid_by_patient(x, y, owners)
    assert found.value == pytest.approx(expected.value)
    assert found.interval == pytest.approx(expected.interval)
    assert found.units == expected.units == "7 patients, 20 blocks"


def test_two_groups_allow_no_variance() -> None:
    groups = groups_of(8, list("aaaabbbb")), groups_of(30, None)
    value, variance = map(float, jackknife(lambda a, b: 3.0, *groups))
    assert value == 3.0
    assert math.isnan(variance)
    score = score_with_interval(value, variance, 2, 8, "x", "biased")
    assert score.interval is None
    assert score.note == "biased; fewer than 3 groups on a side: no interval"


def test_the_interval() -> None:
    # t quantile of 4 degrees of freedom, from a printed table.
    found = score_with_interval(0.9, 0.01, 5, 40, "u", bounds=(0.0, 1.0))
    assert found.interval == pytest.approx((0.9 - 0.27764, 1.0), abs=1e-5)
    none = score_with_interval(1.0, 0.0, 5, 40, "u")
    assert (none.interval, none.note) == (None, "no deletion changes the value: no interval")
    unknown = score_with_interval(1.0, math.nan, 5, 40, "u")
    assert unknown.note == "a set without one group is too small: no interval"


def test_groups() -> None:
    assert groups_of(3, None).count == 3
    named = groups_of(4, ["b", "a", "b", "c"])
    assert named.codes.tolist() == [1, 0, 1, 2]
    assert units_of(named, groups_of(45, None)) == "3 patients, 20 blocks"
    sizes = np.bincount(groups_of(45, None).codes)
    assert (len(sizes), sizes.min(), sizes.max()) == (20, 2, 3)
    with pytest.raises(DataError, match="per synthetic image, but got 2 labels for 3 images"):
        groups_of(3, ["a", "b"], "synthetic")
