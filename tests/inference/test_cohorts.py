"""Cohorts: what overlap costs, and for whom an effect is claimed."""

from __future__ import annotations

import numpy as np
import pytest

from harness.config.decision import DecisionConfig
from harness.inference.arm_summary import arm_means
from harness.inference.cohorts import Cohorts, mean_overlap
from harness.inference.contrasts import contrasts
from harness.inference.crossed_t import crossed_weighted_t
from harness.inference.decision import DecisionRule, decide
from harness.inference.dose import doses
from harness.inference.power import smallest_detectable_effect
from harness.inference.table import Cell, Table
from tests.inference.test_crossed_t import vector


@pytest.mark.parametrize(
    ("overlap", "factor", "weight", "error", "wide", "narrow", "p"),
    [
        (
            1 / 3, 3.5, 0.1752266, 0.00715844,
            (-0.00650992, 0.0319499), (-0.00216598, 0.0276060), 0.143829,
        ),
        (
            0.5, 6.0, 0.1102661597, 0.009031018154,
            (-0.01184199015, 0.03728199015), None, 0.2279079319,
        ),
    ],
)  # fmt: skip
def test_the_published_vectors_of_overlapping_cohorts(
    overlap: float,
    factor: float,
    weight: float,
    error: float,
    wide: tuple[float, float],
    narrow: tuple[float, float] | None,
    p: float,
) -> None:
    cohorts = Cohorts("drawn", 20, overlap)
    assert cohorts.factor(5) == pytest.approx(factor)
    found = crossed_weighted_t(vector(), cohorts.factor(5))
    assert found.weight == pytest.approx(weight, abs=5e-8)
    assert found.standard_error == pytest.approx(error, abs=5e-9)
    assert found.interval_95 == pytest.approx(wide, abs=5e-8)
    assert narrow is None or found.interval_90 == pytest.approx(narrow, abs=5e-8)
    assert found.p == pytest.approx(p, abs=5e-7)
    assert found.components == crossed_weighted_t(vector()).components


def test_without_overlap_the_procedure_is_the_plain_one() -> None:
    assert Cohorts("disjoint", 12).factor(5) == 1
    assert crossed_weighted_t(vector(), 1.0) == crossed_weighted_t(vector())


def test_overlap_is_the_share_that_two_cohorts_hold_both() -> None:
    assert mean_overlap(["abcd", "cdef", "efgh"]) == pytest.approx((0.5 + 0 + 0.5) / 3)
    assert mean_overlap(["ab"]) == 0


def test_overlap_is_never_liberal_and_independence_would_be() -> None:
    """Twenty of 40 patients a cohort, each with an effect of its own on what is trained from it."""
    rng, level, rejected, plain = np.random.default_rng(5), 0.01 * np.sqrt(20), 0, 0
    repeats, pool, size, patients, replicates = 400, 40, 20, 30, 5
    for _ in range(repeats):
        members = level * rng.standard_normal(pool)
        cohorts = [rng.permutation(pool)[:size] for _ in range(replicates)]
        effects = np.array([members[cohort].mean() for cohort in cohorts])
        effects += 0.006 * rng.standard_normal(replicates)
        d = 0.019 * rng.standard_normal((patients, 1)) + effects
        d = d + 0.02 * rng.standard_normal((patients, replicates))
        overlap = mean_overlap([list(map(str, cohort)) for cohort in cohorts])
        wide = crossed_weighted_t(d, Cohorts("drawn", size, overlap).factor(replicates)).interval_95
        naive = crossed_weighted_t(d).interval_95
        assert wide is not None
        assert naive is not None
        rejected += not wide[0] < 0 < wide[1]
        plain += not naive[0] < 0 < naive[1]
    assert rejected / repeats < 0.07  # 2.5 % in the published table
    assert plain / repeats > 0.09  # 15.6 %


def test_the_sentence_says_for_whom() -> None:
    cells = [
        Cell(f"p{p}", r, arm, value)
        for arm, shift in (("a", 0.0), ("b", 1.0))
        for p, row in enumerate(vector())
        for r, value in enumerate(0.6 + shift * row)
    ]
    rule = DecisionRule("a", "b", 0.01)
    [one], [own], [drawn] = (
        decide(Table(cells, cohorts), rule)
        for cohorts in (Cohorts(), Cohorts("disjoint", 12), Cohorts("drawn", 20, 0.5))
    )
    assert "given this training cohort" in one.sentence
    assert "for cohorts of 12 training patients from this source, with these settings" in (
        own.sentence
    )
    assert one.inference == own.inference
    assert "corrected for the 50 % that two cohorts share" in drawn.sentence
    assert (one.word, drawn.word) == ("helps", "undecided")
    assert one.design == own.design
    assert one.design.detectable < drawn.design.detectable
    assert drawn.design.detectable == smallest_detectable_effect(
        drawn.inference.components, 10, 5, overlap=0.5
    )


def test_all_that_is_said_of_overlapping_cohorts_is_corrected() -> None:
    cells = [
        Cell(f"p{p}", r, arm, 0.6 + shift * value)
        for arm, shift in (("traditional", 0.5), ("traditional+gan", 1.0), ("duplicate", 0.7))
        for p, row in enumerate(vector())
        for r, value in enumerate(row)
    ]
    plain, drawn = Table(cells), Table(cells, Cohorts("drawn", 20, 0.5))
    rule = DecisionConfig(secondary=())
    for said in (
        lambda table: [mean.interval_95 for mean in arm_means(table)],
        lambda table: [one.inference.interval_95 for one in contrasts(table, rule)],
        lambda table: [
            dose.interval_95
            for dose in doses(
                table, {"synthetic_fraction": 0.5}, [("synthetic_fraction", 0.25, table)], rule
            )
        ],
    ):
        before, after = said(plain), said(drawn)
        assert len(before) == len(after) > 0
        for narrow, wide in zip(before, after, strict=True):
            assert wide[0] < narrow[0] < narrow[1] < wide[1]
