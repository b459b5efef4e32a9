"""Patient-aware KID against loops, a closed form for Gaussians; FID's interval; real_baselines;
and how often the intervals cover."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.base.errors import DataError
from harness.metrics.fidelity.by_patient import (
    FLOORS,
    fid_with_interval,
    kid_by_patient,
    real_baselines,
)
from harness.metrics.fidelity.kid_fid import fid, kid
from harness.metrics.fidelity.prdc import prdc
from harness.metrics.score import Score

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


def test_fid_has_its_canonical_value_and_an_interval_by_deletion() -> None:
    rng = np.random.default_rng(7)
    x, y = rng.normal(size=(30, 4)), rng.normal(0.5, 1, size=(28, 4))
    owners, fake_owners = np.arange(30) % 6, np.arange(28) % 5
    found = fid_with_interval(x, y, owners, fake_owners)
    assert found.value == fid(x, y).value
    real = [fid(x[owners != gone], y).value for gone in range(6)]
    fake = [fid(x, y[fake_owners != gone]).value for gone in range(5)]
    assert found.interval is not None
    # t quantile of 4 degrees of freedom, from a printed table.
    half = 2.776445 * math.sqrt(5 * np.var(real) + 4 * np.var(fake))
    assert found.interval[1] - found.value == pytest.approx(half, rel=1e-6)
    assert found.interval[0] == pytest.approx(max(0.0, found.value - half))
    assert found.units == "6 patients, 5 patients"


def test_fid_with_interval_keeps_its_caveats() -> None:
    rng = np.random.default_rng(8)
    x, y = rng.normal(size=(20, 30)), rng.normal(size=(20, 30))
    found = fid_with_interval(x, y, np.arange(20) % 2)
    assert found.interval is None
    assert found.note == (
        "20 images for 30 features: biased upwards, compare at equal n only; "
        "fewer than 3 groups on a side: no interval"
    )
    few = fid_with_interval(x[:1], y, ["a"])
    assert math.isnan(few.value)
    assert few.note == "needs 2 images on each side, but got 1 and 20"
    lonely = fid_with_interval(x[:3], y[:3], ["a", "b", "c"])
    assert lonely.interval is not None
    with pytest.raises(DataError, match="but got 2 labels for 20 images"):
        fid_with_interval(x, y, ["a", "b"])


def test_floors_compare_disjoint_patients_at_equal_n() -> None:
    rng = np.random.default_rng(5)
    x, owners = patients_of_slices(rng)
    found = real_baselines(x, owners, 40, rng)
    assert tuple(found) == FLOORS
    for baseline in found.values():
        assert (baseline.n, baseline.patients, len(baseline.values)) == (80, 20, 40)
        assert baseline.note is None
    # Both halves hold near copies: the canonical score is inflated, the other is about zero.
    canonical, by_patient = found["kid"].values, found["kid_by_patient"].values
    assert canonical.min() > by_patient.max() - 0.5
    assert canonical.mean() > by_patient.mean() + 0.1
    assert abs(by_patient.mean()) < 0.15
    # Slices of other patients lie outside the balls that a patient's own slices fill.
    assert found["precision"].values.mean() < 0.9
    assert real_baselines(x, owners, 3, rng, n=50)["fid"].n == 50
    summary = found["kid"].summary()
    assert (summary["n"], summary["patients"], summary["note"]) == (80, 20, None)
    assert summary["p95"] == pytest.approx(np.quantile(canonical, 0.95))
    assert summary["p05"] == pytest.approx(np.quantile(canonical, 0.05))


def test_floors_are_the_scores_of_the_halves() -> None:
    rng = np.random.default_rng(9)
    x, owners = rng.normal(size=(40, D)), np.repeat(np.arange(4), 10)
    found = real_baselines(x, owners, 1, np.random.default_rng(0), k=3)
    splits = [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]
    matches = 0
    for chosen in splits:
        left = np.isin(owners, chosen)
        a, b, p, q = x[left], x[~left], owners[left], owners[~left]
        expected = {name: score.value for name, score in prdc(a, b, 3).items()}
        expected["kid"], expected["fid"] = kid(a, b).value, fid(a, b).value
        expected["kid_by_patient"] = kid_by_patient(a, b, p, q).value
        got = {name: float(baseline.values[0]) for name, baseline in found.items()}
        matches += got == pytest.approx(expected)
    assert matches == 1


def test_floors_are_repeatable_and_need_four_patients() -> None:
    x, owners = patients_of_slices(np.random.default_rng(6))
    a, b = (real_baselines(x, owners, 5, np.random.default_rng(9)) for _ in range(2))
    for name in FLOORS:
        np.testing.assert_array_equal(a[name].values, b[name].values)
    few = real_baselines(x[:24], owners[:24], 5, np.random.default_rng(9))["recall"]
    assert few.note == "needs 4 patients, 2 a side, but got 3"
    assert few.summary()["mean"] is None
    small = real_baselines(x, owners, 2, np.random.default_rng(9), n=5)
    assert small["density"].note == "needs more than k = 5 images a side, but got 5"
    assert small["density"].summary()["p95"] is None
    assert small["fid"].note == "5 images for 8 features: biased upwards, compare at equal n only"
    assert math.isfinite(small["kid"].values.mean())
    broken = real_baselines(np.full((160, D), np.nan), owners, 2, np.random.default_rng(9))
    assert broken["kid"].note == "features are not finite"
    with pytest.raises(DataError, match="but got repeats 0, n None and k 5"):
        real_baselines(x, owners, 0, np.random.default_rng(9))


SIMULATED = 300


def scores_of_one_draw(rng: np.random.Generator, shift: float) -> dict[str, Score]:
    x, owners = patients_of_slices(rng)
    y = rng.normal(shift, 1, size=(160, D))
    found = {"kid_by_patient": kid_by_patient(x, y, owners), "fid": fid_with_interval(x, y, owners)}
    return found | prdc(x, y, patients=owners)


@pytest.mark.slow
@pytest.mark.parametrize("shift", [0.0, 0.3, 0.6])
def test_how_often_the_intervals_cover(shift: float) -> None:
    """KID has a true value; the others' bias depends on n, and so does the value to be covered."""
    rng = np.random.default_rng(11)
    draws = [scores_of_one_draw(rng, shift) for _ in range(SIMULATED)]
    covered = {}
    print(f"\nshift {shift}: 20 patients x 8 slices, 160 synthetic, {SIMULATED} draws")
    for name in draws[0]:
        scores = [draw[name] for draw in draws]
        values = np.array([score.value for score in scores])
        truth = gaussian_kid(shift) if name == "kid_by_patient" else float(values.mean())
        ends = [score.interval for score in scores if score.interval is not None]
        inside = [low <= truth <= high for low, high in ends]
        covered[name] = np.mean(inside)
        half = np.mean([(high - low) / 2 for low, high in ends])
        print(
            f"{name:26s} target {truth:7.4f} mean {values.mean():7.4f} sd {values.std(ddof=1):.4f} "
            f"half width {half:.4f} without {SIMULATED - len(ends):3d} covered {covered[name]:.3f}"
        )
    assert min(covered.values()) >= 0.9
