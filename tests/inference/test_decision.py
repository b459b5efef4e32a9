"""From cells to a verdict: hand-worked numbers, what is allowed when, and the words."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness.config.decision import DecisionConfig
from harness.config.measures import DICE
from harness.inference.decision import decide
from harness.inference.effect import Effect
from harness.inference.table import Cell, Table
from harness.inference.verdict_text import exchanged

A, B = "traditional", "traditional+gan"
AGAINST = f"{B} against {A} (synthetic pairs in the place of real ones)"


def vector(patients: int = 10, replicates: int = 5) -> np.ndarray:
    """The settled procedure's test vector; hand-worked for 10 patients and 5 replicates."""
    p, r = np.mgrid[:patients, :replicates]
    return (
        0.012
        + 0.003 * ((7 * p + 3) % 11 - 5)
        + 0.004 * (2 * r % 5 - 2)
        + 0.002 * ((3 * p + 5 * r + p * r) % 7 - 3)
    )


def around(mean: float, spread: float = 1.0, patients: int = 10, replicates: int = 5) -> Any:
    """The vector's pattern, scaled by `spread` and moved to `mean`."""
    pattern = vector(patients, replicates)
    return mean + spread * (pattern - pattern.mean())


def table(differences: Any = None, **others: Any) -> Table:
    """Cells of the baseline and of each arm that is given as its difference from it."""
    arms = {B: differences, **{name.replace("_", "+"): d for name, d in others.items()}}
    arms = {name: np.asarray(d) for name, d in arms.items() if d is not None}
    shape = next(iter(arms.values())).shape
    base = 0.7 + 0.01 * np.arange(shape[0])[:, None] - 0.002 * np.arange(shape[1])[None, :]
    values = {A: base, **{name: base + d for name, d in arms.items()}}
    return Table(
        Cell(f"pt_{p}", 1000 + r, arm, float(cells[p, r]))
        for arm, cells in values.items()
        for p in range(shape[0])
        for r in range(shape[1])
        if not math.isinf(cells[p, r])
    )


def rule(**changes: Any) -> DecisionConfig:
    return DecisionConfig.model_validate({"secondary": [], **changes})


def primary(differences: Any, extended: bool = False, **changes: Any) -> Effect:
    (found,) = decide(table(differences), rule(**changes), extended)
    return found


def test_the_hand_worked_vector() -> None:
    effect = primary(vector())
    assert (effect.baseline, effect.candidate, effect.primary) == (A, B, True)
    assert (effect.inference.status, effect.needed) == ("verdict", "")
    assert (effect.inference.patients, effect.inference.replicates) == (10, 5)
    assert effect.inference.mean == pytest.approx(0.01272, rel=1e-6)
    assert effect.inference.interval_95 == pytest.approx((0.00102212, 0.0244179), rel=1e-5)
    assert effect.inference.interval_90 == pytest.approx((0.00355039, 0.0218896), rel=1e-5)
    assert effect.p == pytest.approx(0.0382412, rel=1e-5)
    assert effect.p_adjusted is None
    assert effect.inference.components.patient == pytest.approx(0.00938131, rel=1e-5)
    assert effect.inference.components.replicate == pytest.approx(0.00771694, rel=1e-5)
    assert effect.inference.components.residual == pytest.approx(0.00328769, rel=1e-5)
    assert effect.word == "helps"
    assert effect.sentence == (
        "traditional+gan against traditional (synthetic pairs in the place of real ones): helps; "
        "mean difference in Dice +0.0127, 95 % interval +0.0010 to +0.0244 (10 test patients, "
        "5 replicates, given this training cohort)."
    )


def test_the_smallest_effect_lies_beyond_half_the_interval() -> None:
    """Power asks for more than significance: (c + t[.8]) SE against c SE."""
    effect = primary(vector())
    assert effect.inference.interval_95 is not None
    assert effect.design.detectable is not None
    half = (effect.inference.interval_95[1] - effect.inference.interval_95[0]) / 2
    assert half < effect.design.detectable < 2 * half


@pytest.mark.parametrize(
    ("mean", "spread", "word", "said"),
    [
        (0.03, 1.0, "helps", "helps"),
        (-0.03, 1.0, "harms", "harms"),
        (0.003, 0.1, "helps, by less than the margin", "helps, by less than the margin"),
        (-0.003, 0.1, "harms, by less than the margin", "harms, by less than the margin"),
        (0.0003, 0.1, "no useful effect", "no useful effect (within 0.01 Dice)"),
        (0.002, 1.0, "undecided", 'undecided, which is not "no difference"'),
    ],
)
def test_words(mean: float, spread: float, word: str, said: str) -> None:
    effect = primary(around(mean, spread))
    assert effect.word == word
    assert effect.sentence.startswith(f"{AGAINST}: {said}; mean difference in Dice ")


@pytest.mark.parametrize(
    ("mean", "spread", "word"),
    [
        (0.03, 1.0, "harms"),
        (-0.03, 1.0, "helps"),
        (0.003, 0.1, "harms, by less than the margin"),
        (-0.003, 0.1, "helps, by less than the margin"),
        (0.0003, 0.1, "no useful effect"),
        (0.002, 1.0, "undecided"),
    ],
)
def test_words_where_lower_is_better(mean: float, spread: float, word: str) -> None:
    cells = table(around(mean, spread))
    (effect,) = decide(cells, rule(measure="hd95_mm", margin=0.01))
    assert effect.word == word
    assert effect.sentence.startswith(f"{AGAINST} (lower is better): {word.split(',')[0]}")
    (usual,) = decide(cells, rule())
    plain = {"word": "", "sentence": "", "measured": DICE}
    assert replace(effect, **plain) == replace(usual, **plain)


def test_no_word_stays_no_word() -> None:
    assert exchanged(None) is None
    pilot = decide(table(around(0.05, 0.3, 9, 4)), rule(measure="hd95_mm"))[0]
    assert (pilot.inference.status, pilot.word) == ("pilot", "")


def test_the_margin_decides_what_is_useful() -> None:
    assert primary(around(0.0003, 0.1), margin=0.0001).word == "undecided"
    assert primary(around(0.03), margin=0.1).word == "helps, by less than the margin"


@pytest.mark.parametrize(
    ("patients", "replicates", "status"),
    [
        (10, 5, "verdict"),
        (20, 8, "verdict"),
        (9, 5, "pilot"),
        (10, 4, "pilot"),
        (5, 3, "pilot"),
        (4, 5, "cells only"),
        (10, 2, "cells only"),
        (1, 1, "cells only"),
    ],
)
def test_what_a_design_allows(patients: int, replicates: int, status: str) -> None:
    effect = primary(around(0.05, 0.3, patients, replicates))
    assert effect.inference.status == status
    assert (effect.inference.patients, effect.inference.replicates) == (patients, replicates)
    assert effect.inference.mean == pytest.approx(0.05)
    assert (effect.p is not None) == (status == "verdict")
    assert bool(effect.word) == (status == "verdict")
    shown = effect.to_dict()
    intervals = ("interval_95", "interval_90", "detectable", "sd_patient")
    assert [shown[name] is None for name in intervals] == [status == "cells only"] * 4


def test_a_pilot_says_what_it_saw_and_what_a_verdict_needs() -> None:
    sentence = primary(around(0.05, 0.3, 6, 3)).sentence
    assert "mean difference in Dice +0.0500, 95 % interval +0." in sentence
    assert sentence.endswith(
        "No verdict: a verdict needs at least 10 patients and 5 replicates, but got 6 patients and "
        "3 replicates."
    )


def test_cells_alone_give_no_interval_in_words_either() -> None:
    assert primary(around(0.05, 0.3, 3, 2)).sentence == (
        f"{AGAINST}: no interval and no verdict; an interval needs at least 5 patients and 3 "
        "replicates, but got 3 patients and 2 replicates."
    )


@pytest.mark.parametrize("hole", [math.nan, math.inf])
def test_missing_cells_are_filled_in_or_refused(hole: float) -> None:
    """NaN: a Dice that is not defined. Infinity stands for a cell that is not in the table."""
    differences = vector()
    differences[3, 2] = hole
    effect = primary(differences)
    assert (effect.word, effect.inference.holes) == ("helps", 1)
    differences[:6, 2] = hole
    effect = primary(differences)
    assert effect.inference.status == "cells only"
    assert effect.inference.mean == pytest.approx(differences[np.isfinite(differences)].mean())
    assert "needs half of the patients in each replicate, but 6 of 50 lack" in effect.sentence


def test_equal_cells_have_no_interval() -> None:
    base = np.full((10, 5), 0.5)
    cells = [
        Cell(f"p{p}", r, arm, float(base[p, r]) + (0.25 if arm == B else 0))
        for arm in (A, B)
        for p in range(10)
        for r in range(5)
    ]
    (effect,) = decide(Table(cells), rule())
    assert (effect.inference.mean, effect.inference.interval_95, effect.p, effect.word) == (
        0.25,
        None,
        None,
        "",
    )
    assert "all cells are equal" in effect.sentence


def test_the_order_of_the_cells_does_not_matter() -> None:
    cells = list(table(vector()).cells)
    np.random.default_rng(0).shuffle(cells)
    assert decide(Table(cells), rule()) == decide(table(vector()), rule())


# --- secondaries ----------------------------------------------------------------------------


def secondaries() -> tuple[Table, DecisionConfig]:
    found = table(vector(), gan=around(0.011), none=around(-0.02), duplicate=around(0.001))
    pairs = [(A, "gan"), (A, "none"), (A, "duplicate")]
    return found, rule(secondary=pairs)


def test_the_adjustment_is_for_the_secondaries_alone() -> None:
    cells, decision = secondaries()
    first, *others = decide(cells, decision)
    assert first.p == pytest.approx(0.0382412, rel=1e-5)
    assert first.p_adjusted is None
    assert [effect.candidate for effect in others] == ["gan", "none", "duplicate"]
    expected = [min(1.0, 3 * (effect.p or math.nan)) for effect in others]
    assert [effect.p_adjusted for effect in others] == pytest.approx(expected)
    for effect in others:
        alone = decide(cells, rule(baseline=A, candidate=effect.candidate))[0]
        assert effect.inference == alone.inference
        assert effect.p == alone.p
        shown = effect.to_dict()
        (low, high), (lower, higher) = shown["interval_95"], shown["interval_95_adjusted"]
        assert lower < low < high < higher
        assert effect.comparisons == 3
    assert first.to_dict()["interval_95_adjusted"] is None


def test_secondaries_that_cannot_be_judged_count_too() -> None:
    """What was declared was looked at, whatever became of it."""
    cells = table(vector(), gan=vector())
    _, gan, none = decide(cells, rule(secondary=[(A, "gan"), (A, "none")]))
    assert (none.inference.status, none.p_adjusted) == ("cells only", None)
    assert gan.p_adjusted == pytest.approx(2 * 0.0382412, rel=1e-5)


def test_a_secondary_needs_its_adjusted_p() -> None:
    """The same cells help as the primary comparison, not as one of three secondaries."""
    cells = table(vector(), gan=vector(), none=around(0.002), duplicate=around(0.001))
    pairs = [(A, "gan"), (A, "none"), (A, "duplicate")]
    first, gan, *_ = decide(cells, rule(secondary=pairs))
    assert first.word == "helps"
    assert gan.p == first.p
    assert gan.p_adjusted == pytest.approx(3 * 0.0382412, rel=1e-5)
    assert gan.word == "undecided"
    assert gan.inference.interval_95 is not None
    assert gan.inference.interval_95[0] > 0


def test_secondaries_may_compare_any_two_arms() -> None:
    cells = table(around(0.03), gan=around(0.01))
    effect = decide(cells, rule(secondary=[("gan", B)]))[1]
    assert (effect.baseline, effect.candidate) == ("gan", B)
    assert effect.inference.mean == pytest.approx(0.02)


# --- the two questions ----------------------------------------------------------------------


def test_the_primary_question_has_the_verdict_and_the_other_stands_beside_it() -> None:
    """Nothing changes in the numbers: each question is the contrast of its two arms."""
    cells = table(vector(), traditional_nothing=around(-0.02), gan=around(0.001))
    more = table(around(-0.03, 0.4)).cells
    on_top = [replace(c, arm="traditional+gan:added") for c in more if c.arm == B]
    cells = Table([*cells.cells, *on_top])
    pair = ("traditional+nothing", "traditional+gan:added")
    secondary = [(A, "gan")]
    replaced, added, gan = decide(cells, rule(secondary=secondary))
    assert (replaced.primary, replaced.question, added.question) == (True, "replace", "add")
    assert (added.baseline, added.candidate) == pair
    assert (added.primary, gan.question) == (False, "")
    assert added.inference.mean == pytest.approx(-0.01)
    assert added.sentence.startswith(
        "traditional+gan:added against traditional+nothing (synthetic pairs on top of the same "
        "real ones): "
    )
    first, second, _ = decide(cells, rule(question="add", secondary=secondary))
    assert (first.primary, first.question, first.p_adjusted) == (True, "add", None)
    assert (second.question, second.primary) == ("replace", False)
    assert second.inference == replaced.inference
    assert first.inference == added.inference
    assert added.p is not None
    assert gan.p is not None
    assert added.p_adjusted == pytest.approx(min(1.0, 2 * added.p))
    assert gan.p_adjusted == pytest.approx(min(1.0, 2 * gan.p))
    assert first.to_dict()["question"] == "add"


# --- after the opening ----------------------------------------------------------------------


def test_nothing_extended_carries_a_verdict() -> None:
    cells, decision = secondaries()
    for effect, before in zip(
        decide(cells, decision, extended=True), decide(cells, decision), strict=True
    ):
        assert (effect.word, effect.p, effect.p_adjusted) == ("", None, None)
        assert (effect.inference.mean, effect.inference.interval_95) == (
            before.inference.mean,
            before.inference.interval_95,
        )
        assert effect.sentence.endswith(
            "No verdict: the test had been opened before under another rule."
        )


def test_an_extended_table_without_interval_says_both() -> None:
    sentence = primary(around(0.05, 0.3, 3, 2), extended=True).sentence
    assert "an interval needs at least 5 patients" in sentence
    assert "the test had been opened before under another rule" in sentence
