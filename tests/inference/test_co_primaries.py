"""Several measures that are primary together: one word of all, or a word of each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from harness.config.decision import DecisionConfig
from harness.inference.co_primaries import decide_together
from harness.inference.effect import Effect
from harness.inference.table import Cell, Table

P, R = np.mgrid[:10, :5]
D = (
    0.012
    + 0.003 * ((7 * P + 3) % 11 - 5)
    + 0.004 * (2 * R % 5 - 2)
    + 0.002 * ((3 * P + 5 * R + P * R) % 7 - 3)
)
"""The vector of the settled procedure: p .0382, so "helps" alone and "undecided" as one of two."""
FLAT = 0.3 * (D - 0.012)
"""Within 0.01 by its 90 % interval, and no effect."""


def table(differences: np.ndarray) -> Table:
    values = {"traditional": 0.7 + 0 * differences, "traditional+gan": 0.7 + differences}
    return Table(
        Cell(f"pt_{p}", 1000 + r, arm, float(cells[p, r]))
        for arm, cells in values.items()
        for p in range(10)
        for r in range(5)
    )


def judge(
    dice: np.ndarray, *others: np.ndarray, extended: bool = False, **rule: Any
) -> list[Effect]:
    """By Dice, surface Dice (margin 0.01) and HD95 (margin 0.01 mm), as many as are given."""
    names = ("surface_dice", "hd95_mm")[: len(others)]
    asked = {"secondary": [], "co_primary": dict.fromkeys(names, 0.01), **rule}
    tables = dict(zip(("dice", *names), map(table, (dice, *others)), strict=True))
    return decide_together(tables, DecisionConfig.model_validate(asked), extended)


@pytest.mark.parametrize(
    ("differences", "word", "alone"),
    [
        ([D, 0.5 * D], "helps", ["undecided", "undecided"]),
        ([-D, -0.5 * D], "harms", ["undecided", "undecided"]),
        ([D, FLAT], "undecided", ["undecided", "no useful effect"]),
        ([D, -D], "undecided", ["undecided", "undecided"]),
        ([FLAT, FLAT], "no useful effect", ["no useful effect", "no useful effect"]),
        ([D, 0.5 * D, -D], "helps", ["undecided"] * 3),  # a shorter distance is the better one
        ([D, 0.5 * D, D], "undecided", ["undecided"] * 3),
    ],
)
def test_all_must_succeed(differences: list[np.ndarray], word: str, alone: list[str]) -> None:
    first, *others = judge(*differences)
    assert first.word == word
    assert first.comparisons is None, "the common word needs no adjustment"
    assert [effect.word for effect in others] == alone[1:]
    assert {effect.comparisons for effect in others} == {len(differences)}
    for title, single in zip(first.together, alone, strict=True):
        assert f"{title} " in first.sentence.replace(" in mm", "")
        assert f"alone '{single}'" in first.sentence
    assert ("(lower is better)" in first.sentence) == (len(differences) == 3)
    assert not any(effect.primary for effect in others)
    said = 'undecided, which is not "no difference"' if word == "undecided" else word
    start = f"traditional+gan against traditional, all of {', '.join(first.together)}: {said} ("
    assert first.sentence.startswith(start)
    assert "given this training cohort" in first.sentence


def test_the_interval_of_each_is_the_one_that_the_common_word_goes_by() -> None:
    first, other = judge(D, 0.5 * D)
    assert first.inference.interval_95 is not None
    low, high = first.inference.interval_95
    assert (low, high) == pytest.approx((0.001022124728, 0.02441787527), abs=1e-11)
    assert f"Dice {D.mean():+.4f}, 95 % interval {low:+.4f} to {high:+.4f}" in first.sentence
    # As one of two, at the level of the settled vector for k = 2.
    assert other.judged.interval_95 is not None
    assert other.judged.interval_95[0] < 0 < low


def test_a_budget_that_was_not_shown_to_suffice_is_said() -> None:
    tables = {"dice": table(D), "surface_dice": table(0.5 * D)}
    rule = DecisionConfig.model_validate({"secondary": [], "co_primary": {"surface_dice": 0.01}})
    for at_budget in (True, False):
        first, _ = decide_together(tables, rule, at_budget=at_budget)
        assert ("at a budget not shown to suffice)." in first.sentence) == at_budget


def test_any_may_succeed() -> None:
    """p .0382 as one of two is .0765."""
    first, other = judge(D, FLAT, success="any")
    assert (first.word, other.word) == ("undecided", "no useful effect")
    assert (first.comparisons, other.comparisons) == (2, 2)
    assert first.p_adjusted == pytest.approx(2 * 0.03824120868)
    assert "all of" not in first.sentence
    assert "adjusted for 2 comparisons" in first.sentence


def test_candidates_looked_at_before_count_for_every_measure() -> None:
    first, other = judge(D, 0.5 * D, looked_at=1)
    assert (first.word, first.comparisons) == ("undecided", 2)
    assert other.comparisons == 4
    each, _ = judge(D, FLAT, success="any", looked_at=1)
    assert each.comparisons == 4


def test_one_measure_is_as_ever_and_after_an_extension_there_is_no_word() -> None:
    (alone,) = judge(D)
    assert (alone.word, alone.together) == ("helps", ())
    first, other = judge(D, 0.5 * D, extended=True)
    assert (first.word, other.word) == ("", "")
    assert "no verdict, for want of one of Dice, surface Dice" in first.sentence


def test_secondaries_stay_a_family_of_their_own() -> None:
    cells = table(D)
    third = Table(
        [*cells.cells, *(Cell(c.patient, c.replicate, "gan", 0.7) for c in cells.cells[:50])]
    )
    rule = {"secondary": [("traditional", "gan")], "co_primary": {"surface_dice": 0.01}}
    tables = {"dice": third, "surface_dice": table(0.5 * D)}
    effects = decide_together(tables, DecisionConfig.model_validate(rule))
    assert [(e.candidate, e.primary, e.measured.name) for e in effects] == [
        ("traditional+gan", True, "dice"),
        ("traditional+gan", False, "surface_dice"),
        ("gan", False, "dice"),
    ]
    assert [effect.comparisons for effect in effects] == [None, 2, 1]
