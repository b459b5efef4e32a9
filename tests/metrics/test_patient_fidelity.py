"""Patient-aware KID against loops, a closed form for Gaussians, and its interval's coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.base.errors import DataError
from harness.metrics.fidelity import kid
from harness.metrics.patient_fidelity import kid_by_patient, kid_floor

D = 8


def gaussian_kid(shift: float, d: int = D) -> float:
    """Squared MMD of N(0, I) and N(shift, I) for the kernel (x.y / d + 1)^3, by moments."""

    def third(mean: float, variance: float, skew: float) -> float:
        return (1 + mean) ** 3 + 3 * (1 + mean) * variance + skew

    same = third(0.0, 1 / d, 0.0)
    moved = third(shift**2, (1 + 2 * shift**2) / d, 6 * shift**2 / d**2)
    across = third(0.0, (1 + shift**2) / d, 0.0)
    return same + moved - 2 * across


def patients_of_slices(
    rng: np.random.Generator, patients: int = 20, slices: int = 8
) -> tuple[np.ndarray, np.ndarray]:
    """Features of N(0, I) where 81 % of the variance is the patient's own."""
    owners = np.repeat(np.arange(patients), slices)
    own = rng.normal(size=(patients, D))[owners]
    return 0.9 * own + math.sqrt(0.19) * rng.normal(size=(len(owners), D)), owners


def test_by_the_definition_written_as_loops() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(7, 3)), rng.normal(0.5, 1, size=(5, 3))
    owners = ["b", "a", "a", "c", "b", "b", "c"]

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / 3 + 1) ** 3)

    def value(rows: list[int], columns: list[int]) -> float:
        xx = [k(x[i], x[j]) for i in rows for j in rows if owners[i] != owners[j]]
        yy = [k(y[i], y[j]) for i in columns for j in columns if i != j]
        xy = [k(x[i], y[j]) for i in rows for j in columns]
        return float(np.mean(xx) + np.mean(yy) - 2 * np.mean(xy))

    everything, all_y = list(range(7)), list(range(5))
    found = kid_by_patient(x, y, owners)
    assert found.value == pytest.approx(value(everything, all_y))
    real = [value([i for i in everything if owners[i] != gone], all_y) for gone in "abc"]
    fake = [value(everything, [j for j in all_y if j != gone]) for gone in all_y]
    variance = 2 * np.var(real) + 4 * np.var(fake)
    assert found.interval is not None
    # t quantile of 2 degrees of freedom, from a printed table.
    assert found.interval[1] - found.value == pytest.approx(4.302653 * math.sqrt(variance))
    assert found.units == "3 patients, 5 blocks"


def test_one_image_a_patient_is_the_canonical_score() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(30, D)), rng.normal(0.2, 1, size=(40, D))
    found = kid_by_patient(x, y, list(range(30)))
    assert found.value == pytest.approx(kid(x, y).value, rel=1e-12)


def test_copies_within_patients_do_not_inflate_it() -> None:
    rng = np.random.default_rng(2)
    canonical, aware = [], []
    for _ in range(60):
        x, owners = patients_of_slices(rng)
        y = rng.normal(size=(160, D))
        canonical.append(kid(x, y).value)
        aware.append(kid_by_patient(x, y, owners).value)
    error = np.std(aware) / math.sqrt(60)
    assert abs(np.mean(aware)) < 3 * error
    assert np.mean(canonical) > 10 * error


@pytest.mark.parametrize("shift", [0.0, 0.3, 0.6])
def test_its_interval_covers_the_truth(shift: float) -> None:
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(150):
        x, owners = patients_of_slices(rng)
        found = kid_by_patient(x, rng.normal(shift, 1, size=(160, D)), owners)
        assert found.interval is not None
        covered += found.interval[0] <= gaussian_kid(shift) <= found.interval[1]
    assert covered / 150 >= 0.89


def test_few_patients() -> None:
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(12, D)), rng.normal(size=(12, D))
    one = kid_by_patient(x, y, ["a"] * 12)
    assert math.isnan(one.value)
    assert one.note == "needs 2 patients, but got 1"
    two = kid_by_patient(x, y, ["a"] * 6 + ["b"] * 6)
    assert math.isfinite(two.value)
    assert two.interval is None
    assert two.note == "fewer than 3 groups on a side: no interval"
    with pytest.raises(DataError, match="but got 3 labels for 12 images"):
        kid_by_patient(x, y, ["a", "b", "c"])


def test_the_floor_compares_disjoint_patients_at_equal_n() -> None:
    rng = np.random.default_rng(5)
    x, owners = patients_of_slices(rng)
    floor = kid_floor(x, owners, 40, rng)
    assert (floor.n, floor.patients, len(floor.canonical)) == (80, 20, 40)
    # Both halves hold near copies: the canonical score is inflated, the other is about zero.
    assert floor.canonical.min() > floor.by_patient.max() - 0.5
    assert floor.canonical.mean() > floor.by_patient.mean() + 0.1
    assert abs(floor.by_patient.mean()) < 0.15
    assert kid_floor(x, owners, 3, rng, n=50).n == 50
    summary = floor.summary()
    assert summary["n"] == 80
    assert summary["canonical_p95"] == pytest.approx(np.quantile(floor.canonical, 0.95))


def test_the_floor_is_repeatable_and_needs_four_patients() -> None:
    x, owners = patients_of_slices(np.random.default_rng(6))
    a, b = (kid_floor(x, owners, 5, np.random.default_rng(9)) for _ in range(2))
    np.testing.assert_array_equal(a.canonical, b.canonical)
    few = kid_floor(x[:24], owners[:24], 5, np.random.default_rng(9))
    assert few.note == "needs 4 patients, 2 a side, but got 3"
    assert few.summary()["canonical_mean"] is None
