"""What an arm is worth in real patients: where the curve is met, its interval, and its coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.inference.learning_curve import worth
from harness.inference.table import Cell, Table

Values = NDArray[np.float64]


def table(**arms: Values) -> Table:
    return Table(
        Cell(f"p{p}", r, arm, float(value))
        for arm, values in arms.items()
        for (p, r), value in np.ndenumerate(values)
    )


def flat(level: float, replicates: int = 4, patients: int = 12, seed: int = 0) -> Values:
    rng = np.random.default_rng(seed + int(1000 * level))
    noise = rng.normal(0, 0.001, (patients, replicates))
    return np.asarray(level + noise - noise.mean(), np.float64)


def test_where_the_curve_is_met_between_its_points() -> None:
    """0.55 lies half way from 0.5 at 5 to 0.6 at 20 patients: at 10, by the logarithm."""
    (found,) = worth({5: table(a=flat(0.5), b=flat(0.55)), 20: table(a=flat(0.6))}, "a", "b")
    assert found.worth == pytest.approx(10.0, rel=1e-3)
    assert found.interval_95 is not None
    assert 9 < found.interval_95[0] < 10 < found.interval_95[1] < 11
    assert found.sentence.startswith("b from 5 real patients is worth a from 10.0 (95 % interval ")


def test_beyond_the_curve_is_said_so() -> None:
    tables = {5: table(a=flat(0.5), b=flat(0.4)), 20: table(a=flat(0.6), b=flat(0.7))}
    low, high = worth(tables, "a", "b")
    assert (low.worth, low.interval_95) == (-math.inf, (-math.inf, -math.inf))
    assert low.sentence.endswith("is worth a from 5 or fewer (95 % interval 5 or fewer)")
    assert high.sentence.endswith("is worth a from 20 or more (95 % interval 20 or more)")
    assert high.to_dict()["interval_95"] == [None, None]


def test_of_distances_a_curve_that_falls_learns() -> None:
    tables = {5: table(a=flat(8.0), b=flat(6.0)), 20: table(a=flat(4.0))}
    (found,) = worth(tables, "a", "b", lower_is_better=True)
    assert found.worth == pytest.approx(10.0, rel=1e-3)


def test_few_trainings_give_no_interval() -> None:
    (found,) = worth({5: table(a=flat(0.5), b=flat(0.55)), 20: table(a=flat(0.6, 2))}, "a", "b")
    assert found.interval_95 is None
    assert found.sentence.endswith("(no interval)")


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    """Truth known by construction; patients, cohorts of every size and residuals drawn anew."""
    rng, sizes, trials = np.random.default_rng(12), (5, 10, 20), 200
    truth, missed = 8.0, 0

    def arm(level: float, patients: Values, cohorts: Values) -> Values:
        return level + patients + cohorts + rng.normal(0, 0.02, (len(patients), cohorts.shape[1]))

    def level_at(size: float) -> float:
        return 0.5 + 0.05 * math.log2(size / 5)

    for _ in range(trials):
        hard = rng.normal(0, 0.05, (20, 1))
        tables = {}
        for size, count in zip(sizes, (8, 6, 5), strict=True):
            own = rng.normal(0, 0.01, (1, count))
            arms = {"a": arm(level_at(size), hard, own)}
            if size == 5:
                arms["b"] = arm(level_at(truth), hard + rng.normal(0, 0.01, (20, 1)), own)
            tables[size] = table(**arms)
        (found,) = worth(tables, "a", "b")
        assert found.interval_95 is not None
        missed += not found.interval_95[0] <= truth <= found.interval_95[1]
    assert missed / trials < 0.05 + 3 * math.sqrt(0.05 * 0.95 / trials)
    assert missed / trials > 0.005  # an interval that never misses says nothing
