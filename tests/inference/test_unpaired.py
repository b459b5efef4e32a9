"""Tables of the same patients with replicates of their own, against a vector and the one table."""

from __future__ import annotations

import numpy as np
import pytest
from factories.decide import unpaired_vectors

from harness.base.errors import DataError
from harness.inference.crossed_t import crossed_weighted_t
from harness.inference.unpaired import unpaired_t


def test_the_vector_that_was_computed_independently() -> None:
    one, other = unpaired_vectors()
    found = unpaired_t([other, -one])
    assert found.mean == pytest.approx(0.01030666667, abs=5e-12)
    assert found.standard_error == pytest.approx(0.003837163304, abs=5e-13)
    assert found.critical_value(0.05) == pytest.approx(2.632571997, abs=5e-10)
    assert found.weights == pytest.approx((0.04174372288, 0.5945927834, 0.3636634937), abs=5e-11)


def test_one_table_is_the_crossed_procedure() -> None:
    rng = np.random.default_rng(3)
    for spread in ((0.02, 0.0), (0.0, 0.02), (0.01, 0.01)):
        table = 0.01 + spread[0] * rng.normal(size=(12, 1)) + spread[1] * rng.normal(size=(1, 6))
        table = table + 0.005 * rng.normal(size=(12, 6))
        alone, crossed = unpaired_t([table]), crossed_weighted_t(table)
        assert alone.mean == pytest.approx(crossed.mean)
        assert alone.interval() == pytest.approx(crossed.interval_95)


def test_tables_of_other_patients_are_refused() -> None:
    with pytest.raises(DataError, match=r"same patients and 2 or more replicates each, but got"):
        unpaired_t([np.zeros((4, 3)), np.zeros((5, 3))])
    with pytest.raises(DataError, match=r"\(4, 1\)"):
        unpaired_t([np.zeros((4, 1))])
