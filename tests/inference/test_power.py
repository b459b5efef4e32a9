"""Planning against the published table, and against simulated power."""

from __future__ import annotations

import numpy as np
import pytest

from harness.base.errors import DataError
from harness.inference.crossed_t import VarianceComponents, crossed_weighted_t
from harness.inference.power import (
    collapse_rate_left_open,
    equivalence_in_reach,
    patients_needed,
    replicates_needed,
    smallest_detectable_effect,
)

MIXED = VarianceComponents(0.02, 0.015, 0.02)
PATIENT = VarianceComponents(0.04, 0.005, 0.01)
REPLICATE = VarianceComponents(0.01, 0.03, 0.01)


@pytest.mark.parametrize(
    ("spread", "replicates", "published"),
    [
        (MIXED, 3, (0.051, 0.048, 0.047, 0.047)),
        (MIXED, 5, (0.033, 0.029, 0.027, 0.026)),
        (MIXED, 8, (0.027, 0.022, 0.021, 0.019)),
        (MIXED, 10, (0.026, 0.020, 0.019, 0.017)),
        (PATIENT, 5, (0.041, 0.028, 0.023, 0.018)),
        (REPLICATE, 5, (0.051, 0.050, 0.050, 0.050)),
        (REPLICATE, 10, (0.032, 0.031, 0.030, 0.030)),
    ],
)
def test_the_published_detectable_effects(
    spread: VarianceComponents, replicates: int, published: tuple[float, ...]
) -> None:
    found = [smallest_detectable_effect(spread, p, replicates) for p in (10, 20, 30, 50)]
    assert found == pytest.approx(published, abs=0.00055)


def test_simulated_power_at_the_named_effect() -> None:
    """Published .77-.81; 500 repeats: sd 0.018."""
    effect = smallest_detectable_effect(MIXED, 20, 8)
    rng = np.random.default_rng(11)
    seen = 0
    for _ in range(500):
        table = effect + rng.normal(0, 0.02, (20, 1)) + rng.normal(0, 0.015, (1, 8))
        p = crossed_weighted_t(table + rng.normal(0, 0.02, (20, 8))).p
        seen += p is not None and p < 0.05
    assert 0.72 <= seen / 500 <= 0.86


def test_needed_numbers_are_the_first_that_suffice() -> None:
    needed = patients_needed(MIXED, 10, 0.02)
    assert needed is not None
    assert smallest_detectable_effect(MIXED, needed, 10) <= 0.02
    assert smallest_detectable_effect(MIXED, needed - 1, 10) > 0.02
    more = replicates_needed(MIXED, 20, 0.02)
    assert more is not None
    assert smallest_detectable_effect(MIXED, 20, more) <= 0.02
    assert smallest_detectable_effect(MIXED, 20, more - 1) > 0.02
    assert patients_needed(REPLICATE, 5, 0.01) is None


def test_equivalence_from_the_replicates_part_alone() -> None:
    alone = VarianceComponents(0.0, 0.015, 0.0)
    assert not equivalence_in_reach(alone, 1000, 20, 0.01)
    assert equivalence_in_reach(alone, 1000, 21, 0.01)


def test_clean_replicates_leave_a_collapse_rate_open() -> None:
    assert collapse_rate_left_open(5) == pytest.approx(0.45, abs=0.005)
    assert collapse_rate_left_open(10) == pytest.approx(0.26, abs=0.005)


def test_a_design_of_one_is_refused() -> None:
    with pytest.raises(DataError, match="2 patients and 2 replicates, but got 20 and 1"):
        smallest_detectable_effect(MIXED, 20, 1)
