"""Simulated comparisons: the fast path against the shipped one, reference figures, error, power."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from benchmarks.inference import (
    CASES,
    MARGIN,
    SETTINGS,
    UNKNOWN,
    Row,
    compared,
    normal_rate,
    reference,
    shape_rate,
)
from benchmarks.simulated_tables import SHAPES, draw, wilcoxon_on_one_replicate
from scipy import stats

from harness.base.errors import DataError
from harness.inference.crossed_t import (
    VarianceComponents,
    components_of,
    crossed_weighted_t,
    mean_squares,
)
from harness.inference.power import smallest_detectable_effect
from harness.inference.simulation import (
    BOUNDED,
    NO_VERDICT,
    bounded,
    count,
    count_tables,
    excludes_zero,
    from_mean_squares,
    monte_carlo_error,
    summarise,
    words_of,
)
from harness.inference.verdict_text import verdict

ALLOWED = 0.06
"""Of true nulls, wherever a verdict is given; two Monte-Carlo errors come on top."""


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


# --- the fast path is the shipped procedure -------------------------------------------------


@pytest.mark.parametrize(("patients", "replicates"), [(10, 5), (23, 6), (12, 9), (7, 4), (5, 3)])
@pytest.mark.parametrize("shape", ["normal", "collapsing replicates", BOUNDED])
def test_many_tables_at_once_are_judged_as_one_at_a_time(
    shape: str, patients: int, replicates: int
) -> None:
    size = patients, replicates
    tables = np.concatenate(
        [
            draw(shape, spread, *size, 12, rng(place), effect)
            for place, spread in enumerate((*CASES.values(), VarianceComponents(0.0, 0.0, 0.01)))
            for effect in (0.0, 0.004, -0.004, 0.03, -0.03)
        ]
    )
    found = summarise(tables)
    margin = 0.015
    words, excluded = words_of(found, margin), excludes_zero(found)
    for i, table in enumerate(tables):
        one = crossed_weighted_t(table)
        assert one.interval_95 is not None
        assert words[i] == (verdict(one, margin) or NO_VERDICT)
        assert excluded[i] == (not one.interval_95[0] <= 0 <= one.interval_95[1])
        squares = mean_squares(table)
        assert found.mean[i] == pytest.approx(one.mean, rel=1e-12)
        assert found.by_patient[i] == pytest.approx(squares.patients, rel=1e-12)
        assert found.by_replicate[i] == pytest.approx(squares.replicates, rel=1e-12)
        assert found.residual[i] == pytest.approx(squares.residual, rel=1e-12)
    if shape == "normal" and patients >= 10:
        assert len(set(words)) == 6  # no word goes untried


def test_tables_without_spread_or_of_too_few_get_no_verdict() -> None:
    equal = count(summarise(np.full((3, 12, 6), 0.5)), MARGIN)
    assert (equal.excluding_zero, equal.words) == (0, Counter({NO_VERDICT: 3}))
    few = count(summarise(draw("normal", CASES["mixed"], 9, 5, 50, rng(), 0.3)), MARGIN)
    assert (few.excluding_zero, few.words) == (50, Counter({NO_VERDICT: 50}))


def test_tables_drawn_in_parts_are_all_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.inference.simulation.CELLS_AT_A_TIME", 700)
    asked: list[int] = []

    def drawn(n: int) -> np.ndarray:
        asked.append(n)
        return draw("normal", CASES["mixed"], 10, 5, n, rng(len(asked)))

    found = count_tables(drawn, 10, 5, 45, MARGIN)
    assert asked == [14, 14, 14, 3]
    assert found.repeats == sum(found.words.values()) == 45


# --- what is drawn --------------------------------------------------------------------------


@pytest.mark.parametrize("spread", CASES.values(), ids=list(CASES))
def test_mean_squares_drawn_at_once_are_those_of_drawn_tables(spread: VarianceComponents) -> None:
    drawn = summarise(draw("normal", spread, 12, 5, 4_000, rng(1), 0.01))
    exact = from_mean_squares(spread, 12, 5, 4_000, rng(2), 0.01)
    for name in ("mean", "by_patient", "by_replicate", "residual"):
        assert stats.ks_2samp(getattr(drawn, name), getattr(exact, name)).pvalue > 0.001
    pairs = np.corrcoef([exact.mean, exact.by_patient, exact.by_replicate, exact.residual])
    assert np.abs(pairs - np.eye(4)).max() < 4 / math.sqrt(4_000)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_has_no_effect_and_the_spread_asked_for(shape: str) -> None:
    spread = VarianceComponents(0.02, 0.015, 0.02)
    tables = draw(shape, spread, 30, 20, 1_500, rng(3))
    means = tables.mean(axis=(1, 2))
    assert abs(means.mean()) < 4 * means.std() / math.sqrt(1_500)
    found = summarise(tables)
    squares = (found.by_patient.mean(), found.by_replicate.mean(), found.residual.mean())
    sd_replicate = math.sqrt(max(0.0, (squares[1] - squares[2]) / 30))
    # A collapse adds 0.2 * sqrt(0.1 * 0.9) = 0.06; patients near Dice 1 have less to lose.
    wanted = math.hypot(0.015, 0.06) if shape == "collapsing replicates" else 0.015
    loose = 0.12 if shape == BOUNDED or "t3" in shape else 0.05
    assert sd_replicate == pytest.approx(wanted, rel=loose)
    assert math.sqrt(squares[2]) == pytest.approx(0.02, rel=loose)
    assert math.sqrt((squares[0] - squares[2]) / 20) == pytest.approx(0.02, rel=loose)


def test_bounded_tables_stay_bounded_and_do_not_prefer_an_arm() -> None:
    wild = bounded(VarianceComponents(0.4, 0.4, 0.4), (400, 20, 5), rng(4), level=0.9)
    assert np.abs(wild).max() < 1
    assert stats.ks_2samp(wild[:200].mean(axis=(1, 2)), -wild[200:].mean(axis=(1, 2))).pvalue > 0.01
    tables = bounded(VarianceComponents(0.02, 0.01, 0.01), (300, 30, 8), rng(5), level=0.5)
    spreads = [components_of(mean_squares(table), 30, 8).patient for table in tables]
    assert np.mean(spreads) == pytest.approx(0.02, rel=0.1)


def test_what_cannot_be_drawn_is_said() -> None:
    with pytest.raises(DataError, match=r"a shape must be one of: normal, .*but got 'skew'"):
        draw("skew", CASES["mixed"], 10, 5, 2, rng())
    with pytest.raises(DataError, match=r"2 or more of the latter, but got shape \(3, 10, 1\)"):
        summarise(np.zeros((3, 10, 1)))


# --- figures --------------------------------------------------------------------------------


def out_of_tolerance(rows: list[Row]) -> list[str]:
    return [
        f"{row} is {100 * low:.2f}-{100 * high:.2f} here, {errors:.1f} errors"
        for row, low, high, errors in compared(rows)
        if errors > 3
    ]


def test_the_reference_of_single_cases_is_reproduced() -> None:
    rows = [row for row in reference() if row.table == "case"]
    assert len(rows) == 75
    assert out_of_tolerance(rows) == []


def test_the_reference_over_settings_and_shapes_is_reproduced_where_asked() -> None:
    designs = {("settings", 10, 5), ("settings", 50, 3), ("settings", 50, 5), ("shape", 10, 5)}
    rows = [
        row
        for row in reference()
        if (row.table, row.patients, row.replicates) in designs and row.name not in UNKNOWN
    ]
    assert len(rows) == 8
    assert out_of_tolerance(rows) == []


@pytest.mark.slow
def test_the_whole_reference_is_reproduced() -> None:
    assert out_of_tolerance([row for row in reference() if row.name not in UNKNOWN]) == []


@pytest.mark.parametrize(
    ("patients", "replicates"), [(10, 5), (10, 10), (20, 5), (30, 8), (50, 5), (100, 20)]
)
def test_true_nulls_are_rejected_in_six_of_a_hundred_at_most(
    patients: int, replicates: int
) -> None:
    """Wherever a verdict is allowed, over 36 spreads."""
    rates = [normal_rate(spread, patients, replicates) for spread in SETTINGS]
    assert max(rates) <= ALLOWED + 2 * monte_carlo_error(ALLOWED, 20_000)
    assert min(rates) > 0.02  # and the procedure is no ornament


@pytest.mark.parametrize("case", CASES)
def test_bounded_dice_changes_nothing_about_that(case: str) -> None:
    for patients, replicates in ((10, 5), (30, 5), (10, 10), (50, 8)):
        rate = shape_rate(BOUNDED, CASES[case], patients, replicates, 6_000)
        assert rate <= ALLOWED + 2 * monte_carlo_error(ALLOWED, 6_000)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("patients", "replicates"), [(10, 5), (20, 8), (30, 10), (50, 5)])
def test_the_smallest_detectable_effect_is_detected_about_four_times_in_five(
    case: str, patients: int, replicates: int
) -> None:
    effect = smallest_detectable_effect(CASES[case], patients, replicates)
    found = from_mean_squares(CASES[case], patients, replicates, 20_000, rng(6), effect)
    assert 0.74 < count(found, MARGIN).rejected < 0.84


def test_what_not_to_do_a_plain_wilcoxon_takes_a_lucky_replicate_for_an_effect() -> None:
    for patients in (10, 20, 50):
        lucky = wilcoxon_on_one_replicate(CASES["replicate-dominated"], patients, 4_000, rng(7))
        assert lucky > 0.60
    alike = wilcoxon_on_one_replicate(CASES["no replicate part"], 30, 6_000, rng(8))
    assert alike == pytest.approx(0.05, abs=0.01)
