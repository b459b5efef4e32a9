"""Planted copies are found, honest generators are left in peace, and the test is exact."""

from __future__ import annotations

import json
import math
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from harness.base.errors import DataError
from harness.metrics.memorisation.neighbours import Neighbours, neighbours
from harness.metrics.memorisation.permutation_test import judge_memorisation
from harness.metrics.memorisation.result import Memorisation, fewest_recognisable
from harness.metrics.score import share_interval

D, SLICES = 32, 8
FLIP = np.where(np.arange(D) % 2, 1.0, -1.0)


def planted(
    rng: np.random.Generator,
    copied: int = 0,
    noise: float = 0.0,
    sizes: tuple[int, int, int] = (20, 10, 100),
    mirror: bool = False,
    sources: int | None = None,
) -> Neighbours:
    """Gaussian patients of 8 slices; `copied` synthetic images copy training slices.

    The others are slices of patients that nobody has seen. `sources` limits the copied patients.
    """
    n_t, n_h, m = sizes

    def real(count: int) -> np.ndarray:
        own = np.repeat(rng.normal(size=(count, D)), SLICES, axis=0)
        return own + 0.3 * rng.normal(size=own.shape)

    t, h = real(n_t), real(n_h)
    made = rng.normal(size=(m, D)) + 0.3 * rng.normal(size=(m, D))
    rows = rng.integers(0, SLICES * (n_t if sources is None else sources), copied)
    made[:copied] = t[rows] * (FLIP if mirror else 1.0) + noise * rng.normal(size=(copied, D))
    flipped = (t * FLIP, h * FLIP) if mirror else (None, None)
    owners = np.repeat(np.arange(n_t + n_h), SLICES)
    return neighbours(t, owners[: len(t)], h, owners[len(t) :], made, *flipped)


def judge(near: Neighbours, seed: int = 0, **options: float) -> Memorisation:
    options = {"permutations": 200, "alpha": 0.05, **options}
    return judge_memorisation(near, np.random.default_rng(seed), **options)  # type: ignore[arg-type]


def rate(repeats: int, **options: object) -> tuple[int, tuple[float, float]]:
    """How often "memorised" is said, with its interval."""
    found = 0
    for seed in range(repeats):
        rng = np.random.default_rng([17, seed])
        near = planted(rng, **options)  # type: ignore[arg-type]
        found += judge_memorisation(near, rng, 200, alpha=0.05).verdict == "memorised"
    return found, share_interval(found, repeats)


@pytest.mark.parametrize(
    "options",
    [
        {"copied": 100},
        {"copied": 100, "noise": 0.3},
        {"copied": 50, "noise": 0.1},
        {"copied": 20},
        {"copied": 20, "noise": 0.1, "mirror": True},
    ],
)
def test_copies_are_found(options: dict[str, object]) -> None:
    found, _ = rate(4, **options)
    assert found == 4


def test_honest_generators_are_left_in_peace() -> None:
    found, interval = rate(15)
    assert interval[0] < 0.05, f"{found} of 15"


def test_what_is_said_of_copies() -> None:
    near = planted(np.random.default_rng(1), 100)
    found = judge(near)
    assert found.verdict == "memorised"
    assert f"p = {found.p:.3f}, below {found.alpha:g}; " in found.sentence
    assert found.p == pytest.approx(1 / 201)
    assert found.copy_rate.score.value == 1.0
    assert found.copy_rate.score.interval == share_interval(100, 100)
    assert found.authenticity.score.value == 0.0
    assert found.authenticity.null_point < found.authenticity.null_mean
    assert found.privacy_loss.score.value > found.privacy_loss.null_point
    assert found.closer_share.score.value > found.closer_share.null_point
    for one in (found.privacy_loss, found.authenticity, found.closer_share, found.closeness):
        assert one.p < 0.05
    assert "copy rate 100.0 % of 100 images (95 % interval 96.3 to 100.0 %)" in found.sentence
    assert f"nearer than {found.threshold:.4g}, the 1 % point" in str(found.copy_rate.score.note)
    assert "80 held-out images" in str(found.copy_rate.score.note)


def test_what_is_said_of_honest_images() -> None:
    found = judge(planted(np.random.default_rng(2)))
    assert found.verdict == "no memorisation seen"
    assert f"p = {found.p:.3f}, not below {found.alpha:g}; " in found.sentence
    assert found.p > 0.05
    assert f"fewer than {found.fewest_patients} patients" in found.sentence
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["verdict"] == found.verdict
    assert plain["copy_rate"]["value"] == found.copy_rate.score.value
    assert plain["copy_rate"]["null_mean"] == found.copy_rate.null_mean
    assert (plain["patients"], plain["heldout"]) == (20, 10)


def test_mirrored_copies_need_mirrored_features() -> None:
    near = planted(np.random.default_rng(3), 100, mirror=True)
    assert judge(near).copy_rate.score.value == 1.0


def test_the_verdict_depends_on_the_seed_alone() -> None:
    near = planted(np.random.default_rng(4), 5)
    assert judge(near, 1) == judge(near, 1)


def test_p_is_that_of_all_assignments() -> None:
    """4 + 3 patients, one image each, all copied: 1 of 35 assignments reaches the observed one."""
    rng = np.random.default_rng(5)
    t, h = rng.normal(size=(4, D)), rng.normal(size=(3, D))
    found = judge(neighbours(t, "abcd", h, "xyz", t), permutations=1500)
    assert found.p == pytest.approx(1 / 35, abs=0.015)
    assert found.verdict == "memorised"


def test_p_values_of_honest_generators_are_valid_even_for_few_patients() -> None:
    p = []
    for seed in range(60):
        rng = np.random.default_rng([23, seed])
        p.append(
            judge_memorisation(planted(rng, sizes=(5, 4, 20)), rng, permutations=40, alpha=0.05).p
        )
    for level in (0.05, 0.2, 0.5):
        count = int((np.array(p) <= level).sum())
        assert share_interval(count, len(p), 0.999)[0] < level


def test_fewest_recognisable_by_enumeration() -> None:
    for n_t, n_h in ((4, 3), (6, 4), (5, 5)):
        assignments = list(combinations(range(n_t + n_h), n_t))
        for k in range(1, n_t + 1):
            share = np.mean([set(range(k)) <= set(chosen) for chosen in assignments])
            if share < 0.05:
                break
        assert fewest_recognisable(n_t, n_h, 0.05) == (k if share < 0.05 else None)
    assert fewest_recognisable(3, 3, 0.05) is None  # 1 of 20 is not below 0.05


@pytest.mark.parametrize("sizes", [(20, 2, 30), (3, 3, 30), (12, 1, 30)])
def test_too_few_patients_are_undecided(sizes: tuple[int, int, int]) -> None:
    found = judge(planted(np.random.default_rng(6), 30, sizes=sizes))
    assert found.verdict == "undecided: too few held-out patients"
    assert found.copy_rate.score.value == 1.0
    assert f"{sizes[0]} training and {sizes[1]} held-out patients" in found.sentence


def test_copies_of_few_patients_are_not_called_clean() -> None:
    words = []
    for seed in range(6):
        found = judge(planted(np.random.default_rng(seed), 40, sources=3))
        assert found.fewest_patients == 7
        words.append(found.verdict)
        if found.verdict == "undecided: copies of too few patients":
            assert "look at the closest pairs" in found.sentence
    assert "no memorisation seen" not in words
    assert "undecided: copies of too few patients" in words


def test_what_cannot_be_computed_has_a_reason() -> None:
    found = judge(planted(np.random.default_rng(8), sizes=(12, 1, 30)))
    assert math.isnan(found.privacy_loss.score.value)
    assert math.isnan(found.privacy_loss.p)
    assert found.privacy_loss.score.note == (
        "needs 2 patients on each side and 2 images, but got 12, 1 and 30"
    )
    assert math.isnan(found.accuracy_heldout.value)
    assert found.to_dict()["privacy_loss"]["null_mean"] is None
    single = judge(planted(np.random.default_rng(9), sizes=(1, 12, 1)))
    assert math.isnan(single.authenticity.score.value)
    assert single.authenticity.score.note == "needs 2 training patients, but got 1"


def test_refuses_without_heldout_patients() -> None:
    with pytest.raises(DataError, match="but got no held-out images"):
        neighbours(np.eye(4), "abcd", np.empty((0, 4)), [], np.eye(4))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"permutations": 19}, "at least 20 permutations, but got 19"),
        ({"alpha": 1.0}, "alpha must lie between 0 and 1, but got 1"),
    ],
)
def test_parameters_out_of_range_are_named(options: dict[str, float], words: str) -> None:
    near = planted(np.random.default_rng(0), sizes=(4, 3, 10))
    with pytest.raises(DataError, match=words):
        judge(near, **options)


def test_patients_that_look_the_same_are_refused() -> None:
    same = np.ones((4, 3))
    with pytest.raises(DataError, match="different patients must differ"):
        judge(neighbours(same, "abcd", same, "wxyz", same))


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(20, 10, 100), (40, 20, 100), (40, 20, 300)])
def test_rates_on_gaussian_patients(sizes: tuple[int, int, int]) -> None:
    """At most 5 % false alarms; at least 95 % of planted copies found. Prints the rates."""
    m = sizes[2]
    for share, noise in ((0.0, 0.0), (0.1, 0.0), (0.2, 0.1), (0.2, 0.3), (0.5, 0.1), (1.0, 0.3)):
        copied = round(share * m)
        found, interval = rate(100, copied=copied, noise=noise, sizes=sizes)
        print(f"{sizes} share {share} noise {noise}: {found} of 100, {interval}")
        if copied == 0:
            assert interval[0] < 0.05
        elif copied >= 20:
            assert interval[1] > 0.95


@pytest.mark.parametrize("level", [0.9, 0.95, 0.999])
def test_the_interval_of_a_share_is_that_of_scipy(level: float) -> None:
    for n in (1, 2, 7, 60, 10_000):
        for count in sorted({0, 1, n // 3, n - 1, n}):
            ends = stats.binomtest(count, n).proportion_ci(level, "wilson")
            assert share_interval(count, n, level) == pytest.approx(tuple(ends), abs=1e-14)
