"""Each arm by itself: the interval is that of the shipped procedure on the arm's own cells."""

from __future__ import annotations

import numpy as np
import pytest

from harness.inference.arm_summary import arm_means
from harness.inference.table import Cell, Table


def table(patients: int, replicates: int) -> Table:
    return Table(
        Cell(f"p{p:02d}", r, arm, 0.6 + 0.01 * p + 0.002 * r + shift)
        for p in range(patients)
        for r in range(replicates)
        for arm, shift in (("none", 0.0), ("gan", 0.05))
    )


def test_means_and_replicates_of_each_arm() -> None:
    first, second = arm_means(table(10, 5))
    assert (first.arm, second.arm) == ("none", "gan")
    assert first.mean == pytest.approx(0.6 + 0.045 + 0.004)
    assert second.mean - first.mean == pytest.approx(0.05)
    assert np.diff(first.replicate_means) == pytest.approx([0.002] * 4)


def test_the_interval_is_symmetric_and_wider_than_either_t_of_means() -> None:
    """Without residuals T = MSP + MSR; patients of step 0.01: sd of their means 0.030277."""
    (first, _) = arm_means(table(10, 5))
    assert first.interval_95 is not None
    low, high = first.interval_95
    assert (low + high) / 2 == pytest.approx(first.mean)
    patients, replicates = (
        np.var(np.arange(10) * 0.01, ddof=1),
        np.var(np.arange(5) * 0.002, ddof=1),
    )
    error = np.sqrt(patients / 10 + replicates / 5)
    weight = 5 * patients / (5 * patients + 10 * replicates)
    assert (high - low) / 2 == pytest.approx(error * (weight * 2.262157 + (1 - weight) * 2.776445))


def test_too_few_cells_have_no_interval() -> None:
    assert arm_means(table(4, 5))[0].interval_95 is None
    assert arm_means(table(10, 2))[0].interval_95 is None


def test_a_cell_that_lacks_moves_no_additive_mean() -> None:
    full = table(10, 5)
    holed = Table(c for c in full.cells if (c.patient, c.replicate, c.arm) != ("p09", 4, "none"))
    (whole, _), (first, second) = arm_means(full), arm_means(holed)
    assert first.mean == pytest.approx(whole.mean, abs=1e-12)
    assert first.interval_95 == pytest.approx(whole.interval_95, abs=1e-3)
    assert first.replicate_means[4] == pytest.approx(0.6 + 0.04 + 0.008), "of the nine there are"
    assert second.interval_95 is not None
