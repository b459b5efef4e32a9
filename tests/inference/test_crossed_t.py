"""The crossed weighted-t: a published test vector, an ANOVA oracle, calibration, guards, words."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from harness.base.errors import DataError
from harness.inference.crossed_t import (
    Inference,
    critical_value,
    crossed_weighted_t,
    mean_squares,
)
from harness.inference.verdict_text import verdict


def vector() -> np.ndarray:
    p, r = np.meshgrid(range(10), range(5), indexing="ij")
    return (
        0.012
        + 0.003 * ((7 * p + 3) % 11 - 5)
        + 0.004 * (2 * r % 5 - 2)
        + 0.002 * ((3 * p + 5 * r + p * r) % 7 - 3)
    )


def six(value: float) -> str:
    return f"{value:.6g}"


def test_the_published_vector_to_every_printed_digit() -> None:
    found = crossed_weighted_t(vector())
    squares = mean_squares(vector())
    assert found.components is not None
    assert found.interval_95 is not None
    assert found.interval_90 is not None
    assert six(found.mean) == "0.01272"
    assert six(squares.patients) == "0.000450853"
    assert six(squares.replicates) == "0.00060632"
    assert six(squares.residual) == "1.08089e-05"
    assert found.weight == pytest.approx(0.426471, abs=5e-7)
    assert found.standard_error == pytest.approx(0.00457464, abs=5e-9)
    assert critical_value(0.05, 0.426471, 10, 5) == pytest.approx(2.55712, abs=5e-6)
    assert found.interval_95 == pytest.approx((0.00102212, 0.0244179), abs=5e-8)
    assert found.interval_90 == pytest.approx((0.00355039, 0.0218896), abs=5e-8)
    assert found.p == pytest.approx(0.0382412, abs=5e-8)
    assert found.components.patient == pytest.approx(0.00938131, abs=5e-9)
    assert found.components.replicate == pytest.approx(0.00771694, abs=5e-9)
    assert found.components.residual == pytest.approx(0.00328769, abs=5e-9)
    assert (found.status, found.note) == ("verdict", None)


def test_mean_squares_add_up_to_the_total_sum_of_squares() -> None:
    table = np.random.default_rng(1).normal(size=(7, 4))
    squares = mean_squares(table)
    parts = 6 * squares.patients + 3 * squares.replicates + 18 * squares.residual
    assert parts == pytest.approx(((table - table.mean()) ** 2).sum())
    # With two replicates, the residual is half the variance of the patients' differences.
    two = table[:, :2]
    assert mean_squares(two).residual == pytest.approx(np.var(two[:, 0] - two[:, 1], ddof=1) / 2)


def test_without_a_replicate_effect_it_is_the_t_test_over_patient_means() -> None:
    rng = np.random.default_rng(2)
    patients = rng.normal(0.02, 0.03, size=12)
    table = np.repeat(patients[:, None], 6, axis=1)
    found = crossed_weighted_t(table)
    oracle = stats.ttest_1samp(patients, 0.0)
    assert found.weight == pytest.approx(1.0, abs=1e-12)
    assert found.p == pytest.approx(float(oracle.pvalue), rel=1e-9)
    low, high = oracle.confidence_interval(0.95)
    assert found.interval_95 == pytest.approx((low, high))


def test_without_a_patient_effect_it_is_the_t_test_over_replicate_means() -> None:
    replicates = np.random.default_rng(3).normal(0.0, 0.02, size=8)
    found = crossed_weighted_t(np.repeat(replicates[None, :], 15, axis=0))
    assert found.weight == pytest.approx(0.0, abs=1e-12)
    assert found.p == pytest.approx(float(stats.ttest_1samp(replicates, 0.0).pvalue), rel=1e-9)


def test_p_agrees_with_the_interval_and_with_its_own_critical_value() -> None:
    rng = np.random.default_rng(4)
    for _ in range(200):
        table = rng.normal(0.01, 0.02, (12, 1)) + rng.normal(0, 0.01, (1, 6))
        found = crossed_weighted_t(table + rng.normal(0, 0.02, (12, 6)))
        assert found.interval_95 is not None
        assert found.p is not None
        assert found.weight is not None
        assert found.standard_error is not None
        excludes = not found.interval_95[0] <= 0 <= found.interval_95[1]
        assert (found.p < 0.05) == excludes
        ratio = abs(found.mean) / found.standard_error
        assert critical_value(found.p, found.weight, 12, 6) == pytest.approx(ratio, rel=1e-9)


def test_swapping_the_arms_mirrors_everything() -> None:
    a, b = crossed_weighted_t(vector()), crossed_weighted_t(-vector())
    assert a.interval_95 is not None
    assert b.interval_95 is not None
    assert b.mean == pytest.approx(-a.mean)
    assert b.interval_95 == pytest.approx((-a.interval_95[1], -a.interval_95[0]))
    assert b.p == pytest.approx(a.p)


def test_extreme_tables_give_a_p_between_0_and_1() -> None:
    rng = np.random.default_rng(5)
    tiny = crossed_weighted_t(1.0 + 1e-9 * rng.normal(size=(10, 5)))
    assert tiny.p is not None
    assert 0.0 < tiny.p < 1e-20
    symmetric = np.tile([[0.01, -0.01]], (10, 3))
    assert crossed_weighted_t(symmetric).p == 1.0


def test_equal_cells_have_no_interval_and_no_verdict() -> None:
    found = crossed_weighted_t(np.full((12, 6), 0.1))
    assert found.mean == pytest.approx(0.1)
    assert (found.interval_95, found.p) == (None, None)
    assert found.note == "all cells are equal: there is no spread to make an interval from"
    assert verdict(found, 0.01) is None


@pytest.mark.parametrize(
    ("shape", "status"),
    [
        ((4, 9), "cells only"),
        ((30, 2), "cells only"),
        ((30, 1), "cells only"),
        ((5, 3), "pilot"),
        ((9, 9), "pilot"),
        ((30, 4), "pilot"),
        ((10, 5), "verdict"),
    ],
)
def test_guard(shape: tuple[int, int], status: str) -> None:
    table = np.random.default_rng(0).normal(1.0, 0.01, size=shape)
    found = crossed_weighted_t(table)
    assert found.status == status
    assert (found.interval_95 is None) == (status == "cells only")
    assert (verdict(found, 0.01) is None) == (status != "verdict")
    assert (found.note is None) == (status == "verdict")


def test_guard_names_the_numbers_needed() -> None:
    few = crossed_weighted_t(np.zeros((4, 6)))
    assert few.note == (
        "an interval needs at least 5 patients and 3 replicates, "
        "but got 4 patients and 6 replicates"
    )
    with pytest.raises(DataError, match="table patients x replicates, but got shape \\(5,\\)"):
        crossed_weighted_t(np.zeros(5))


@pytest.mark.parametrize(
    "sds", [(0.04, 0.005, 0.01), (0.01, 0.03, 0.01), (0.02, 0.0, 0.02), (0.02, 0.015, 0.02)]
)
def test_true_nulls_are_rejected_about_five_times_in_a_hundred(
    sds: tuple[float, float, float],
) -> None:
    """Published 3.1-5.4 % for these at 20 x 5 (6,000 repeats); 600 here: sd 0.9 points."""
    rng = np.random.default_rng(7)
    rejected = 0
    for _ in range(600):
        table = (
            rng.normal(0, sds[0], (20, 1))
            + rng.normal(0, sds[1], (1, 5))
            + rng.normal(0, sds[2], (20, 5))
        )
        p = crossed_weighted_t(table).p
        rejected += p is not None and p < 0.05
    assert 0.012 <= rejected / 600 <= 0.08


def made(wide: tuple[float, float], narrow: tuple[float, float]) -> Inference:
    return Inference("verdict", 20, 5, sum(wide) / 2, wide, narrow)


@pytest.mark.parametrize(
    ("wide", "narrow", "word"),
    [
        ((0.005, 0.035), (0.008, 0.032), "helps"),
        ((0.001, 0.009), (0.002, 0.008), "helps, by less than the margin"),
        ((-0.035, -0.005), (-0.032, -0.008), "harms"),
        ((-0.009, -0.001), (-0.008, -0.002), "harms, by less than the margin"),
        ((-0.011, 0.008), (-0.009, 0.006), "no useful effect"),
        ((-0.02, 0.03), (-0.015, 0.025), "undecided"),
        ((0.0, 0.03), (0.003, 0.028), "undecided"),
        ((-0.012, 0.012), (-0.01, 0.01), "undecided"),
    ],
)
def test_words(wide: tuple[float, float], narrow: tuple[float, float], word: str) -> None:
    assert verdict(made(wide, narrow), 0.01) == word


def ten(values: tuple[float, float] | None) -> list[str]:
    """As many digits as were published."""
    assert values is not None
    return [f"{value:.10g}" for value in values]


@pytest.mark.parametrize(
    ("table", "p", "equivalence", "wide", "narrow", "word"),
    [
        (
            vector(),
            ("0.03824120868", "0.114723626"),
            ("0.7115077944", "1"),
            ["-0.003394628858", "0.02883462886"],
            ["-0.0005359701232", "0.02597597012"],
            "undecided",
        ),
        (
            0.5 * vector(),
            ("0.03824120868", "0.114723626"),
            ("0.08535646723", "0.2560694017"),
            ["-0.001697314429", "0.01441731443"],
            ["-0.0002679850616", "0.01298798506"],
            "undecided",
        ),
        (
            0.3 * (vector() - 0.012),
            ("0.8808296722", "1"),
            ("0.0004549803052", "0.001364940916"),
            ["-0.004618388657", "0.005050388657"],
            ["-0.003760791037", "0.004192791037"],
            "no useful effect",
        ),
    ],
)
def test_three_secondaries_to_every_published_digit(
    table: np.ndarray,
    p: tuple[str, str],
    equivalence: tuple[str, str],
    wide: list[str],
    narrow: list[str],
    word: str,
) -> None:
    alone = crossed_weighted_t(table)
    found = alone.among(3)
    both = alone.p_equivalence(0.01)
    assert both is not None
    assert (f"{alone.p:.10g}", f"{found.p:.10g}") == p
    assert (f"{both:.10g}", f"{min(1.0, 3 * both):.10g}") == equivalence
    assert ten(found.interval_95) == wide
    assert ten(found.interval_90) == narrow
    assert verdict(found, 0.01) == word
    assert alone.among(1) == alone


def test_words_of_several_agree_with_their_adjusted_p() -> None:
    rng = np.random.default_rng(6)
    seen = set()
    for mean in np.linspace(-0.012, 0.012, 120):
        alone = crossed_weighted_t(rng.normal(mean, rng.choice([0.004, 0.02]), (12, 6)))
        for k in (1, 4):
            word = verdict(alone.among(k), 0.01)
            both = alone.p_equivalence(0.01)
            assert word is not None
            assert alone.p is not None
            assert both is not None
            seen.add(word)
            assert word.startswith(("helps", "harms")) == (k * alone.p < 0.05)
            assert ("margin" in word or word == "no useful effect") == (k * both < 0.05)
    assert len(seen) == 6


def test_without_an_interval_several_comparisons_change_nothing() -> None:
    for table in (np.zeros((4, 6)), np.full((12, 6), 0.1)):
        found = crossed_weighted_t(table)
        assert found.among(4) == found
        assert found.p_equivalence(0.01) is None
