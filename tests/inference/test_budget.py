"""Whether updates suffice: the gain of doubling them, against the margin."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from harness.base.errors import RuleError
from harness.config.measures import MEASURES
from harness.inference.budget import judge_budget
from harness.inference.table import Cell, Table

ARMS = ("traditional", "traditional+gan")


def tables(gain: float, spread: float, patients: int = 8, seeds: int = 3) -> dict[float, Table]:
    """Both arms gain `gain` by doubling; patients differ by `spread` in what they gain."""
    rng = np.random.default_rng(0)
    noise = spread * rng.standard_normal((2, patients, seeds))
    noise -= noise.mean(axis=(1, 2), keepdims=True)
    found = {}
    for factor, level in ((0.5, 0.0), (1.0, 0.7), (2.0, 0.7 + gain)):
        found[factor] = Table(
            Cell(f"p{p}", s, arm, level + (factor == 2) * noise[a, p, s])
            for a, arm in enumerate(ARMS)
            for p in range(patients)
            for s in range(seeds)
        )
    return found


def test_a_small_certain_gain_suffices_and_a_large_one_does_not() -> None:
    flat, rising = (judge_budget(tables(gain, 0.002), 400, 0.01) for gain in (0.001, 0.02))
    assert (flat.sufficient, flat.words) == (True, "")
    assert not rising.sufficient
    assert all(arm in rising.words for arm in ARMS)
    [arm, _] = flat.arms
    assert arm.updates == (200, 400, 800)
    assert arm.means == pytest.approx((0.0, 0.7, 0.701))


def test_an_uncertain_gain_was_not_shown_to_be_small() -> None:
    found = judge_budget(tables(0.0, 0.05), 400, 0.01)
    assert found.arms[0].doubling.mean == pytest.approx(0)
    assert not found.sufficient


def test_the_bound_is_one_sided_at_5_percent() -> None:
    """Where patients are all that varies, the interval is Student's t over their means."""
    by_patient = np.array([0.001, 0.004, -0.002, 0.003, 0.000, 0.002])
    cells = {
        f: Table(
            Cell(f"p{p}", s, "traditional", 0.6 + (f == 2) * by_patient[p])
            for p in range(6)
            for s in range(3)
        )
        for f in (0.5, 1.0, 2.0)
    }
    upper = by_patient.mean() + stats.t.ppf(0.95, 5) * stats.sem(by_patient)
    [arm] = judge_budget(cells, 100, upper * 1.0001).arms
    assert arm.doubling.interval_90 is not None
    assert arm.doubling.interval_90[1] == pytest.approx(upper, rel=1e-9)
    assert judge_budget(cells, 100, upper * 1.0001).sufficient
    assert not judge_budget(cells, 100, upper * 0.9999).sufficient


def test_too_few_patients_show_nothing() -> None:
    found = judge_budget(tables(0.0, 0.001, patients=3), 400, 0.01)
    assert not found.sufficient
    assert "5 patients" in found.words


def test_every_budget_must_be_there() -> None:
    with pytest.raises(RuleError, match="judged at"):
        judge_budget({1.0: tables(0, 0.1)[1.0]}, 400, 0.01)


def test_a_distance_gains_by_falling() -> None:
    """The same tables as millimetres: what falls by more than the margin does not suffice."""
    hd95 = MEASURES["hd95_mm"]
    falling, rising, flat = (
        judge_budget(tables(change, 0.05), 400, 1.0, hd95) for change in (-2.0, 2.0, -0.2)
    )
    assert (falling.sufficient, rising.sufficient, flat.sufficient) == (False, True, True)
    assert falling.arms[0].doubling.mean == pytest.approx(-2.0)
    assert "twice the updates change validation HD95 in mm by \u22122.0" in falling.words
