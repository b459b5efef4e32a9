"""What an effect's sentence adds to its word, and its planning numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness.config.measures import MEASURES
from harness.inference.decision import DecisionRule, decide
from harness.inference.table import Cell, Table

# Rows and columns that sum to 0: the grand mean stays what is asked for.
ROWS = np.array([-4, -3, -2, -1, 0, 0, 1, 2, 3, 4]) / 3
COLUMNS = np.array([-2, -1, 0, 1, 2]) / 2


def differences(mean: float, spread: float) -> np.ndarray:
    checker = np.where(np.add.outer(np.arange(10), np.arange(5)) % 2, 1.0, -1.0)
    return mean + spread * (ROWS[:, None] + COLUMNS[None, :] + checker)


def table(**arms: np.ndarray) -> Table:
    every = {"base": np.zeros((10, 5)), **arms}
    return Table(
        Cell(f"p{p}", r, arm, 0.5 + float(d[p, r]))
        for arm, d in every.items()
        for p in range(10)
        for r in range(5)
    )


def rule(*secondary: str, **more: Any) -> DecisionRule:
    pairs = tuple(("base", name) for name in secondary)
    return DecisionRule("base", "first", more.get("margin", 0.01), pairs)


def test_a_secondary_is_judged_and_printed_by_its_adjusted_interval() -> None:
    edge = differences(0.0095, 0.007)  # p about 0.03: enough alone, not three times
    cells = table(first=edge, second=edge, third=differences(0, 0.01), fourth=differences(0, 0.01))
    first, second, *_ = decide(cells, rule("second", "third", "fourth"))
    assert first.p is not None
    assert 0.05 / 3 < first.p < 0.05
    assert first.word == "helps"
    assert "adjusted" not in first.sentence
    assert second.p_adjusted == pytest.approx(3 * first.p)
    assert second.word == "undecided"
    assert second.inference == first.inference
    assert second.inference.interval_95 is not None
    assert second.inference.interval_95[0] > 0
    assert second.judged.interval_95 is not None
    low, high = second.judged.interval_95
    assert low < 0
    assert (
        'undecided, which is not "no difference"; mean difference in Dice +0.0095, 95 % interval '
        f"adjusted for 3 comparisons {low:+.4f} to {high:+.4f} ("
    ) in second.sentence


def test_no_useful_effect_of_a_secondary_needs_its_adjusted_interval() -> None:
    flat = differences(0.0, 0.01)
    first, second, third = decide(
        table(first=flat, second=flat, third=flat), rule("second", "third")
    )
    assert first.p_equivalence is not None
    assert 0.05 / 2 < first.p_equivalence < 0.05
    assert first.word == "no useful effect"
    assert "no useful effect (within 0.01 Dice);" in first.sentence
    assert second.word == third.word == "undecided"
    assert second.p_equivalence_adjusted == pytest.approx(2 * first.p_equivalence)


def test_a_single_secondary_is_not_adjusted() -> None:
    small = differences(0.004, 0.001)
    first, second = decide(table(first=small, second=small), rule("second"))
    assert first.word == second.word == "helps, by less than the margin"
    assert second.p_adjusted == second.p
    assert "adjusted" not in second.sentence
    assert (first.comparisons, first.p_adjusted, second.comparisons) == (None, None, 1)


def test_an_unflattened_training_is_said_with_every_estimate() -> None:
    cells = table(first=differences(0.03, 0.001), second=differences(0.0, 0.02))
    for at_budget in (True, False):
        for effect in decide(cells, rule("second"), at_budget=at_budget):
            assert ("not shown to suffice" in effect.sentence) == at_budget
            assert "given this training cohort" in effect.sentence
    plain = [effect.word for effect in decide(cells, rule("second"))]
    assert [e.word for e in decide(cells, rule("second"), at_budget=True)] == plain


def test_another_measure_is_not_called_dice() -> None:
    cells = table(first=differences(0.002, 0.001))
    (effect,) = decide(cells, replace(rule(), measured=MEASURES["hd95_mm"]))
    assert "(lower is better)" in effect.sentence
    assert "mean difference in HD95 in mm +0.00," in effect.sentence
    assert "Dice" not in effect.sentence


def test_the_numbers_needed_are_those_of_the_observed_spread() -> None:
    """By hand: enough patients or replicates bring (c + t) x SE down to the margin."""
    (effect,) = decide(table(first=differences(0.0, 0.005)), rule(margin=0.02))
    assert effect.design is not None
    assert effect.design.detectable < 0.02
    assert effect.design.patients_needed is not None
    assert effect.design.patients_needed <= 10  # this design sees it already
    (narrow,) = decide(table(first=differences(0.0, 0.005)), rule(margin=0.001))
    assert narrow.word == "undecided"
    assert (narrow.design.patients_needed, narrow.design.equivalence_in_reach) == (None, False)


def test_no_spread_and_cells_alone_plan_nothing() -> None:
    (equal,) = decide(table(first=np.full((10, 5), 0.25)), rule())
    few = Table(cell for cell in table(first=differences(0, 1)).cells if cell.patient < "p4")
    (cells_only,) = decide(few, rule())
    for effect in (equal, cells_only):
        assert effect.design is None
    assert cells_only.inference.status == "cells only"


def test_replicates_that_are_numbers_sort_as_numbers() -> None:
    mixed: list[int | str] = [10, "b", 9, "2.5", "a", 100]
    cells = [Cell(p, r, "base", 0.0) for r in mixed for p in ("p2", "p1")]
    found = Table(cells)
    assert found.replicates == ("2.5", 9, 10, 100, "a", "b")
    assert found.patients == ("p1", "p2")
